/** Words that vCPUs and the translator's thread share: a bell for new work, the end, and what the translator has done. */

const BELL = 0;
const OVER = 1;
const RESTS = 2;
const COUNTS = 3;
const NAMES = ['emitUs', 'compileUs', 'refused', 'tooLarge', 'modules'] as const;
type Name = (typeof NAMES)[number];

export class JitBell {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer((COUNTS + NAMES.length) * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  ring(): void {
    Atomics.add(this.#words, BELL, 1);
    Atomics.notify(this.#words, BELL);
  }

  /** Tells the translator's thread to end. */
  end(): void {
    Atomics.store(this.#words, OVER, 1);
    this.ring();
  }

  /** The guest rests. */
  rest(): void {
    Atomics.add(this.#words, RESTS, 1);
    this.ring();
  }

  /** How often it was told to. */
  get rests(): number {
    return Atomics.load(this.#words, RESTS);
  }

  get over(): boolean {
    return Atomics.load(this.#words, OVER) === 1;
  }

  get rings(): number {
    return Atomics.load(this.#words, BELL);
  }

  /** Blocks until it has rung since `seen`, or `ms` have passed. */
  wait(seen: number, ms: number): void {
    Atomics.wait(this.#words, BELL, seen, ms);
  }

  add(name: Name, n: number): void {
    Atomics.add(this.#words, COUNTS + NAMES.indexOf(name), Math.round(n));
  }

  get(name: Name): number {
    return Atomics.load(this.#words, COUNTS + NAMES.indexOf(name));
  }
}
