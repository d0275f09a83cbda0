import { waitAsync } from '../../threads/words.ts';

/** A share as the main thread opened it: what its thread starts from. */
export interface SharedRoot {
  readonly number: number;
  readonly name: string;
  readonly slot: number;
  readonly fd: number;
  readonly readOnly: boolean;
  readonly crossing: boolean;
  readonly mapped: boolean;
  readonly cache: 'none' | 'auto' | 'always';
  /** The guest may hold writes back, and knows sizes and times better. */
  readonly writeback: boolean;
  /** What the host changes is told (watches.ts). */
  readonly watch: boolean;
  /** Most bytes that may be taken of the host's file system. */
  readonly quota: number | undefined;
}

export type ShareCommand =
  | { readonly kind: 'add'; readonly root: SharedRoot }
  | { readonly kind: 'withdraw'; readonly number: number }
  /** The guest's process that raises changes; `done`: it has raised the lot that it had. */
  | { readonly kind: 'raiser'; readonly pid: number; readonly done: boolean };

const STATE = 0;
const LENGTH = 1;
const TEXT = 8;
const EMPTY = 0;
const SENT = 1;
const BYTES = 65536;

/** One command at a time from the main thread to the one that serves shares, which hears of it by its bell. */
export class Mailbox {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #last: Promise<void> = Promise.resolve();

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#bytes = new Uint8Array(buffer, TEXT);
  }

  /** Sends one when those before are answered, `ring`s, and resolves when it is done. */
  send(command: ShareCommand, ring: () => void): Promise<void> {
    this.#last = this.#last.then(async () => {
      const text = Buffer.from(JSON.stringify(command));
      this.#bytes.set(text);
      Atomics.store(this.#words, LENGTH, text.length);
      Atomics.store(this.#words, STATE, SENT);
      ring();
      const wait = waitAsync(this.#words, STATE, SENT);
      if (wait.async) await wait.value;
    });
    return this.#last;
  }

  /** Nobody will answer any more: those who wait go on. */
  end(): void {
    Atomics.store(this.#words, STATE, EMPTY);
    Atomics.notify(this.#words, STATE);
  }

  /** Does what was sent, if something was. */
  answer(work: (command: ShareCommand) => void): void {
    if (Atomics.load(this.#words, STATE) !== SENT) return;
    work(JSON.parse(Buffer.from(this.#bytes.slice(0, Atomics.load(this.#words, LENGTH))).toString()) as ShareCommand);
    this.end();
  }
}
