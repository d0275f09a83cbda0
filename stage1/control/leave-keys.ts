/** How one leaves a terminal of a pod: as with systemd-nspawn, whose consoles rkt's own pods have, by Ctrl-] three times within a second. */
const KEY = 0x1d;
const TIMES = 3;
const WITHIN_MS = 1000;

export class LeaveKeys {
  readonly #pass: (bytes: Buffer) => void;
  readonly #left: () => void;
  /** How many were typed and are not passed on: they may be the first of three. */
  #held = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `pass`: gets what is typed, but for the three; `left`: they were typed. */
  constructor(pass: (bytes: Buffer) => void, left: () => void) {
    this.#pass = pass;
    this.#left = left;
  }

  typed(bytes: Buffer): void {
    let from = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] !== KEY) {
        if (this.#held > 0) this.#release();
        continue;
      }
      if (at > from) this.#pass(bytes.subarray(from, at));
      from = at + 1;
      this.#held += 1;
      if (this.#held === 1) this.#timer = setTimeout(() => this.#release(), WITHIN_MS).unref();
      if (this.#held < TIMES) continue;
      clearTimeout(this.#timer);
      this.#held = 0;
      this.#left();
      return;
    }
    if (from < bytes.length) this.#pass(bytes.subarray(from));
  }

  /** Nothing more is typed: what is held was no third of three. */
  end(): void {
    this.#release();
  }

  #release(): void {
    clearTimeout(this.#timer);
    const held = Buffer.alloc(this.#held, KEY);
    this.#held = 0;
    if (held.length > 0) this.#pass(held);
  }
}
