import { spawnSync } from 'node:child_process';
import { standardInput } from './stdin.ts';
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

/** Ours, where input and output are one. */
export function ownTerminal(): RawTerminal | undefined {
  return RawTerminal.available() ? new RawTerminal() : undefined;
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
    standardInput().setRawMode(true);
    outputAsItIs();
    this.#raw = true;
    raw.add(this);
    this.#onData = onInput;
    standardInput().on('data', onInput);
    standardInput().resume();
  }

  /** In raw mode now: a line ends with CR LF. */
  get raw(): boolean {
    return this.#raw;
  }

  onResize(handler: (size: Size) => void): void {
    process.stdout.on('resize', () => handler(this.size()));
  }

  restore(): void {
    if (this.#onData) standardInput().off('data', this.#onData);
    this.#onData = undefined;
    if (this.#raw && this.#forgets) forgetInput();
    if (this.#raw) standardInput().setRawMode(false);
    this.#raw = false;
    raw.delete(this);
    standardInput().pause();
    standardInput().unref();
  }
}
