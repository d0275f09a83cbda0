/** Words that the thread of the shares and the main thread have in common, so that a call of the host that never ends is seen. */
const TURN = 0;
const SHARE = 1;
const TID = 2;
const DEAD = 3;
const WORDS = 64;
/** Shares that can be told dead, by their numbers. */
const DEAD_MAX = (WORDS - DEAD) * 32;

export class Heartbeat {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  // ---- the thread ------------------------------------------------------------------------------------------------

  /** Says who may be interrupted. */
  setThread(tid: number): void {
    Atomics.store(this.#words, TID, tid);
  }

  /** Work begins that may take for ever: a share's (`at`), or none's. */
  begin(): void {
    Atomics.store(this.#words, SHARE, -1);
    Atomics.add(this.#words, TURN, 1);
  }

  at(share: number): void {
    Atomics.store(this.#words, SHARE, share);
  }

  end(): void {
    Atomics.add(this.#words, TURN, 1);
  }

  /** A call there was stuck: nothing is asked of it any more. */
  isDead(share: number): boolean {
    return share < DEAD_MAX && (Atomics.load(this.#words, DEAD + (share >>> 5)) & (1 << (share & 31))) !== 0;
  }

  // ---- the main thread -------------------------------------------------------------------------------------------

  /** Another number for each piece of work, undefined between two. */
  get turn(): number | undefined {
    const turn = Atomics.load(this.#words, TURN);
    return (turn & 1) === 0 ? undefined : turn;
  }

  get share(): number {
    return Atomics.load(this.#words, SHARE);
  }

  get tid(): number {
    return Atomics.load(this.#words, TID);
  }

  setDead(share: number): void {
    if (share >= 0 && share < DEAD_MAX) Atomics.or(this.#words, DEAD + (share >>> 5), 1 << (share & 31));
  }
}
