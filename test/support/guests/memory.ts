import { readSync } from 'node:fs';
import type { GuestMemory } from '../../../vmm/boot/entry.ts';

/** Plain memory with GuestMemory's checks; refuses what lies outside, as the machine's does. */
export class FakeMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  readonly ramSize: number;

  constructor(ramSize: number) {
    this.ramSize = ramSize;
    this.bytes = new Uint8Array(ramSize);
    this.view = new DataView(this.bytes.buffer);
  }

  write(gpa: number, bytes: Uint8Array): void {
    this.#check(gpa, bytes.length);
    this.bytes.set(bytes, gpa);
  }

  readFile(fd: number, position: number, gpa: number, length: number): void {
    this.#check(gpa, length);
    if (readSync(fd, this.bytes, gpa, length, position) !== length) throw new Error('short read');
  }

  text(gpa: number, length: number): string {
    return Buffer.from(this.bytes.subarray(gpa, gpa + length)).toString('latin1');
  }

  #check(gpa: number, length: number): void {
    if (!Number.isSafeInteger(gpa) || gpa < 0 || length < 0 || gpa + length > this.ramSize) throw new Error(`outside RAM: ${gpa} + ${length}`);
  }
}
