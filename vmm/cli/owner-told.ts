/** What an owner says to the client that has started it (owner-ask.ts). */
import { closeSync, writeSync } from 'node:fs';
import { oneLine } from './describe.ts';
import { HERE, STARTED } from './owner-ask.ts';

/** The client that waits for the start reads it. */
const CLIENT = 3;

export class OwnerTold {
  #over = false;

  /** False: the client is gone. */
  say(word: string, rest = ''): boolean {
    return !this.#over && this.#write(`${word}${rest === '' ? '' : ` ${oneLine(rest)}`}\n`);
  }

  started(): void {
    this.#last(`${STARTED}\n`);
  }

  here(): void {
    this.#last(`${HERE}\n`);
  }

  /** It does not run. `why`: whole lines. */
  failed(status: number, why: string): void {
    this.#last(`${status}\n${why}`);
  }

  /** Said once; the pipe ends with it. */
  #last(text: string): void {
    if (this.#over) return;
    this.#write(text);
    this.#over = true;
    closeSync(CLIENT);
  }

  #write(text: string): boolean {
    try {
      writeSync(CLIENT, text);
      return true;
    } catch {
      return false; // it was killed
    }
  }
}
