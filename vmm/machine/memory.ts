import { readSync } from 'node:fs';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import type { GuestMemory } from '../boot/entry.ts';
import { VmmError } from '../errors.ts';
import { acquireLinearMemory, type LinearMemory, releaseLinearMemory } from '../host/linear-memory.ts';

const WASM_PAGE = 65536;

/** A machine's linear memory, all zero: the low area and `ramSize` bytes of guest RAM. Fixed size, shared between threads. */
export function acquireMemory(ramSize: number): LinearMemory {
  const linear = makeMemory(ramSize);
  try {
    linear.preferLargePages(RAM_BASE, ramSize);
  } catch (error) {
    // No FFI, or a kernel without large pages.
    if (!(error instanceof VmmError)) throw error;
  }
  return linear;
}

function makeMemory(ramSize: number): LinearMemory {
  try {
    return acquireLinearMemory(Math.ceil((RAM_BASE + ramSize) / WASM_PAGE));
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

/**
 * Guest RAM for loaders, before the guest runs. Each range is checked here; `written` is the core's write hook, which
 * every host write to guest RAM passes.
 */
export class MachineMemory implements GuestMemory {
  readonly ramSize: number;
  readonly #bytes: Uint8Array;
  readonly #written: (gpa: number, length: number) => void;

  constructor(memory: WebAssembly.Memory, ramSize: number, written: (gpa: number, length: number) => void) {
    this.ramSize = ramSize;
    this.#bytes = new Uint8Array(memory.buffer, RAM_BASE, ramSize);
    this.#written = written;
  }

  write(gpa: number, bytes: Uint8Array): void {
    this.#check(gpa, bytes.length);
    this.#bytes.set(bytes, gpa);
    this.#written(gpa, bytes.length);
  }

  readFile(fd: number, position: number, gpa: number, length: number): void {
    this.#check(gpa, length);
    let done = 0;
    while (done < length) {
      const n = readSync(fd, this.#bytes, gpa + done, length - done, position + done);
      if (n === 0) throw new VmmError('KERNEL_BAD', `a file became shorter while it was loaded: ${length - done} bytes are missing`);
      done += n;
    }
    this.#written(gpa, length);
  }

  /** A copy of guest memory, for dumps; cut at the end of RAM. */
  read(gpa: number, length: number): Uint8Array {
    if (gpa < 0 || gpa >= this.ramSize) return new Uint8Array(0);
    return Uint8Array.from(this.#bytes.subarray(gpa, Math.min(this.ramSize, gpa + length)));
  }

  #check(gpa: number, length: number): void {
    if (!Number.isSafeInteger(gpa) || gpa < 0 || length < 0 || gpa + length > this.ramSize) {
      throw new VmmError('MEMORY_SMALL', `address 0x${gpa.toString(16)} with ${length} bytes lies outside the guest's ${this.ramSize >>> 20} MiB`, { hint: 'raise --memory' });
    }
  }
}
