import { RAM_BASE } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import { acquireLinearMemory, type LinearMemory, releaseLinearMemory } from '../host/linear-memory.ts';

const WASM_PAGE = 65536;

/** A machine's linear memory, all zero: the low area, `ramSize` bytes of guest RAM, and `behind` bytes for devices. Fixed size, shared between threads. */
export function acquireMemory(ramSize: number, behind = 0): LinearMemory {
  const linear = makeMemory(ramSize, behind);
  try {
    linear.preferLargePages(RAM_BASE, ramSize);
  } catch (error) {
    // No FFI, or a kernel without large pages.
    if (!(error instanceof VmmError)) throw error;
  }
  return linear;
}

function makeMemory(ramSize: number, behind: number): LinearMemory {
  try {
    return acquireLinearMemory(Math.ceil((RAM_BASE + ramSize + behind) / WASM_PAGE));
  } catch (cause) {
    throw new VmmError('MEMORY_HOST', `the host gives no address space for ${ramSize >>> 20} MiB of guest RAM`, { cause, hint: 'lower --memory or raise the limit (ulimit -v)' });
  }
}

/** Gives it back for the next machine, once nothing uses it. Without the FFI it cannot be emptied, and is left to V8. */
export function releaseMemory(linear: LinearMemory): void {
  try {
    releaseLinearMemory(linear);
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
  }
}

/** Takes memory that the guest does not use (balloon, free-page reporting) from it, and counts it. */
export class Discarder {
  /** Bytes given back to the host so far. */
  bytes = 0;
  readonly #linear: LinearMemory;
  readonly #ramSize: number;
  #possible = true;

  constructor(linear: LinearMemory, ramSize: number) {
    this.#linear = linear;
    this.#ramSize = ramSize;
  }

  /** `host_discard` of assembly/core/host.ts. Without the FFI, or where the kernel refuses, the memory stays as it is. */
  readonly discard = (gpa: number, length: number): void => {
    if (!this.#possible || gpa < 0 || length <= 0 || gpa + length > this.#ramSize) return;
    try {
      this.#linear.discard(RAM_BASE + gpa, length);
      this.bytes += length;
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      this.#possible = false;
    }
  };
}
