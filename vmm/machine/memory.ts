import { readSync } from 'node:fs';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import type { GuestMemory } from '../boot/entry.ts';

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
