/** A program that a test has started: what it says, and its end. Who waits for a word, or for what it does, hears of its end at once. */
import type { ChildProcess } from 'node:child_process';
import { HANG_MS } from './limits.ts';

/** How often a condition is looked at that tells nobody when it changes, ms. */
const LOOK_MS = 10;

export interface WatchedEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Watched {
  readonly child: ChildProcess;
  /** With the program's end, once its streams have ended; it rejects where it could not be started. */
  readonly ended: Promise<WatchedEnd>;
  readonly #said = { stdout: '', stderr: '' };
  #text = '';
  #over: string | undefined;
  #changed = Promise.withResolvers<void>();

  /** One that takes longer than `limitMs` is killed: its signal is SIGKILL. `encoding`: latin1 keeps bytes, utf8 characters. */
  constructor(child: ChildProcess, limitMs = HANG_MS, encoding: 'utf8' | 'latin1' = 'utf8') {
    this.child = child;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding(encoding);
      child[name]?.on('data', (chunk: string) => {
        this.#said[name] += chunk;
        this.#text += chunk;
        this.#tell();
      });
    }
    child.stdin?.on('error', () => {});
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    this.ended = new Promise((resolve, reject) => {
      const over = (how: string, then: () => void): void => {
        clearTimeout(timer);
        this.#over = how;
        then();
        this.#tell();
      };
      child.on('error', (error) => over(error.message, () => reject(error)));
      child.on('close', (status, signal) => over(`it ended with ${signal ?? status}`, () => resolve({ status, signal, ...this.#said })));
    });
    this.ended.catch(() => {});
  }

  /** What it has said on both streams, in the order in which it came here. */
  get text(): string {
    return this.#text;
  }

  get stdout(): string {
    return this.#said.stdout;
  }

  get stderr(): string {
    return this.#said.stderr;
  }

  /** Resolves with what it has said once that holds the text or matches; rejects when it ends without, also by its limit. */
  async until(wanted: RegExp | string, stream: 'stdout' | 'stderr' | 'text' = 'text'): Promise<string> {
    for (;;) {
      const said = this[stream];
      if (typeof wanted === 'string' ? said.includes(wanted) : wanted.test(said)) return said;
      if (this.#over !== undefined) throw new Error(`no ${wanted}: ${this.#over} and said: ${this.#text}`);
      await this.#changed.promise;
    }
  }

  /** Resolves once `condition` holds, that nobody tells: a file, another process; rejects when the program ends before. */
  async untilTrue(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await condition())) {
      if (this.#over !== undefined) throw new Error(`${what}: ${this.#over} before, and said: ${this.#text}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #tell(): void {
    const told = this.#changed;
    this.#changed = Promise.withResolvers();
    told.resolve();
  }
}
