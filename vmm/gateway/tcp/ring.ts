import type { Budget } from '../link/budget.ts';

const FIRST = 1 << 14;
/** What a connection may have where there is little left. */
const RING_MIN = 1 << 16;
const RING_MAX = 1 << 20;
/** Rings of the first size that nobody has: a short connection needs no new one. */
const SPARE: Buffer[] = [];
const SPARE_MAX = 64;

const NONE = Buffer.alloc(0);

/** The bytes that a connection has for the guest, from the first that is not acknowledged on. It grows with what it holds. */
export class SendRing {
  readonly #budget: Budget;
  #bytes: Buffer = NONE;
  #start = 0;
  /** The most that it held since the last look at it. */
  #most = 0;
  length = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** How many bytes it should take more, as much as the others leave it. */
  get room(): number {
    return this.#budget.share(RING_MIN, RING_MAX) - this.length;
  }

  /** False: there is no memory for it. Nothing is taken then. */
  write(bytes: Uint8Array): boolean {
    if (!this.#grow(this.length + bytes.length)) return false;
    const mask = this.#bytes.length - 1;
    const at = (this.#start + this.length) & mask;
    const first = Math.min(bytes.length, this.#bytes.length - at);
    this.#bytes.set(first === bytes.length ? bytes : bytes.subarray(0, first), at);
    if (first < bytes.length) this.#bytes.set(bytes.subarray(first), 0);
    this.length += bytes.length;
    this.#most = Math.max(this.#most, this.length);
    return true;
  }

  /** Copies `length` bytes from `offset` on. */
  copyTo(target: Uint8Array, at: number, offset: number, length: number): void {
    const from = (this.#start + offset) & (this.#bytes.length - 1);
    const first = Math.min(length, this.#bytes.length - from);
    target.set(this.#bytes.subarray(from, from + first), at);
    if (first < length) target.set(this.#bytes.subarray(0, length - first), at + first);
  }

  /** The first `count` bytes are done with. */
  drop(count: number): void {
    this.length -= count;
    this.#start = (this.#start + count) & Math.max(0, this.#bytes.length - 1);
    if (this.length === 0 && this.#budget.tight) this.free();
  }

  /** Called now and then: gives back what was not needed since the last time. A ring that is made anew for each burst would cost more than it carries. */
  rest(): void {
    const most = this.#most;
    this.#most = this.length;
    if (most === 0) this.free();
    else if (this.#bytes.length > RING_MIN && most < this.#bytes.length / 4) this.#move(Math.max(RING_MIN, 2 ** Math.ceil(Math.log2(2 * most))));
  }

  free(): void {
    if (this.#bytes.length === 0) return;
    this.#budget.give(this.#bytes.length);
    if (this.#bytes.length === FIRST && SPARE.length < SPARE_MAX) SPARE.push(this.#bytes);
    this.#bytes = NONE;
    this.#start = 0;
    this.length = 0;
  }

  #grow(needed: number): boolean {
    if (needed <= this.#bytes.length) return true;
    let size = Math.max(FIRST, this.#bytes.length);
    while (size < needed) size *= 2;
    return this.#move(size);
  }

  /** Into a ring of another size, a power of two. False: there is no memory for both. */
  #move(size: number): boolean {
    if (!this.#budget.take(size)) return false;
    this.#budget.give(this.#bytes.length);
    // Large ones are not on V8's heap, and not filled with zeros.
    const bytes = (size === FIRST ? SPARE.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);
    this.copyTo(bytes, 0, 0, this.length);
    this.#bytes = bytes;
    this.#start = 0;
    return true;
  }
}
