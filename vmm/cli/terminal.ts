import { spawnSync } from 'node:child_process';
import { isatty } from 'node:tty';
import { discardInput, rawSettings, setTerminalSettings, terminalSettings } from '../host/tty.ts';

const raw = new Set<RawTerminal>();

/** For a way out that runs none of Node's own: `_exit`. */
export function restoreTerminals(): void {
  for (const terminal of raw) terminal.restore();
}

/** libuv leaves output processing on: a bare line feed of the guest would become CR LF. Its restoring undoes this too. */
function outputAsItIs(): void {
  try {
    setTerminalSettings(0, rawSettings(terminalSettings(0)));
  } catch {
    // no FFI library
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }
}

/** Throws away what the terminal has sent and nobody has read. */
function forgetInput(): void {
  try {
    discardInput(0);
  } catch {
    // No FFI library: what came until now has been read and dropped.
  }
}

/** In character cells. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The user's terminal in raw mode. Raw mode is left again whatever ends the process: libuv resets the terminal at
 * exit, and `restore` does so earlier. Input goes to `onInput` after escapes are taken out.
 */
export class RawTerminal {
  readonly #forgets: boolean;
  #raw = false;
  #onData: ((chunk: Buffer) => void) | undefined;

  /** `forgets`: what was typed and nobody has read yet goes at the end, instead of to the user's shell. */
  constructor(options: { readonly forgets?: boolean } = {}) {
    this.#forgets = options.forgets ?? false;
  }

  static available(): boolean {
    return isatty(0) && isatty(1);
  }

  /** 80 × 24 when unknown. */
  size(): Size {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  start(onInput: (bytes: Uint8Array) => void): void {
    process.stdin.setRawMode(true);
    outputAsItIs();
    this.#raw = true;
    raw.add(this);
    this.#onData = onInput;
    process.stdin.on('data', onInput);
    process.stdin.resume();
  }

  /** In raw mode now: a line ends with CR LF. */
  get raw(): boolean {
    return this.#raw;
  }

  onResize(handler: (size: Size) => void): void {
    process.stdout.on('resize', () => handler(this.size()));
  }

  restore(): void {
    if (this.#onData) process.stdin.off('data', this.#onData);
    this.#onData = undefined;
    if (this.#raw && this.#forgets) forgetInput();
    if (this.#raw) process.stdin.setRawMode(false);
    this.#raw = false;
    raw.delete(this);
    process.stdin.pause();
    process.stdin.unref();
  }
}

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
