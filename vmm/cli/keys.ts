import { VmmError } from '../api/errors.ts';

/** Docker's: ctrl-p,ctrl-q. */
export const DETACH_KEYS: readonly number[] = [0x10, 0x11];

/**
 * Finds a key sequence in a byte stream, as Docker's detach keys: bytes that may begin the sequence are held back
 * until they do not.
 */
export class KeySequence {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** Returns the bytes to pass on, and whether the sequence was completed (what follows it is in `rest`). */
  feed(chunk: Uint8Array): { pass: Uint8Array; hit: boolean; rest: Uint8Array } {
    const pass: number[] = [];
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) {
          this.#matched = 0;
          return { pass: Uint8Array.from(pass), hit: true, rest: chunk.subarray(i + 1) };
        }
        continue;
      }
      pass.push(...this.#keys.slice(0, this.#matched));
      this.#matched = 0;
      if (byte === this.#keys[0] && this.#keys.length > 1) this.#matched = 1;
      else pass.push(byte);
    }
    return { pass: Uint8Array.from(pass), hit: false, rest: new Uint8Array(0) };
  }
}

/** Docker's notation: `ctrl-p,ctrl-q`, single letters, `ctrl-@` to `ctrl-_`. Undefined when it cannot be read. */
export function parseDetachKeys(text: string): number[] | undefined {
  const keys: number[] = [];
  for (const part of text.split(',')) {
    const ctrl = /^ctrl-(.)$/.exec(part);
    if (ctrl) {
      const code = (ctrl[1] as string).toUpperCase().charCodeAt(0);
      if (code < 0x40 || code > 0x5f) return undefined;
      keys.push(code & 0x1f);
    } else if (part.length === 1) {
      keys.push(part.charCodeAt(0));
    } else {
      return undefined;
    }
  }
  return keys;
}

/** The same for an option. Throws USAGE. */
export function detachKeys(text: string, option: string): readonly number[] {
  const keys = parseDetachKeys(text);
  if (keys === undefined) throw new VmmError('USAGE', `${option}: ${text} cannot be read`, { hint: 'for example ctrl-p,ctrl-q' });
  return keys;
}
