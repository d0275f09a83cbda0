/** What programs of the host have changed, from the thread that serves shares to the guest's init, which raises it there. */
import type { Change } from '../../agent/changes.ts';
import { waitAsync } from '../../threads/words.ts';

const STATE = 0;
const LENGTH = 1;
const TEXT = 8;
const EMPTY = 0;
const FILLED = 1;
/** Of one lot; JSON makes six bytes of a control character at most. */
export const CHANGES_MAX = 64;
export const CHANGES_TEXT = 32768;
const BYTES = TEXT + 6 * CHANGES_TEXT + CHANGES_MAX * 128;

/** Room for one lot of changes: the thread fills it, the main thread empties it. */
export class ChangeBox {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #ended = false;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#bytes = new Uint8Array(buffer, TEXT);
  }

  /** At most CHANGES_MAX, with paths of CHANGES_TEXT characters in all; the lot before has been taken. */
  fill(changes: readonly Change[]): void {
    const text = Buffer.from(JSON.stringify(changes));
    this.#bytes.set(text);
    Atomics.store(this.#words, LENGTH, text.length);
    Atomics.store(this.#words, STATE, FILLED);
    Atomics.notify(this.#words, STATE);
  }

  /** The next lot, as soon as there is one; undefined once `end` was called. */
  async next(): Promise<readonly Change[] | undefined> {
    while (!this.#ended) {
      if (Atomics.load(this.#words, STATE) === FILLED) {
        const changes = JSON.parse(Buffer.from(this.#bytes.slice(0, Atomics.load(this.#words, LENGTH))).toString()) as Change[];
        Atomics.store(this.#words, STATE, EMPTY);
        return changes;
      }
      const wait = waitAsync(this.#words, STATE, EMPTY);
      if (wait.async) await wait.value;
    }
    return undefined;
  }

  end(): void {
    this.#ended = true;
    Atomics.notify(this.#words, STATE);
  }
}
