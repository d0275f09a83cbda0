/** Lines of a file that is read piece by piece. */
export class Lines {
  readonly #most: number;
  #left: Buffer = Buffer.alloc(0);

  /** `most`: bytes of a piece without an end that is waited for; a longer one is no line of ours, and goes. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The lines that end in it, without their ends. */
  *push(chunk: Buffer): Generator<string> {
    this.#left = Buffer.concat([this.#left, chunk]);
    for (let end = this.#left.indexOf(10); end >= 0; end = this.#left.indexOf(10)) {
      const line = this.#left.toString('utf8', 0, end);
      this.#left = this.#left.subarray(end + 1);
      yield line;
    }
    if (this.#left.length > this.#most) this.clear();
  }

  /** What comes next begins a line. */
  clear(): void {
    this.#left = Buffer.alloc(0);
  }
}
