/** What ends a command that does not end by itself. */
import { constants } from 'node:os';
import type { BoxProcess, ProcessEnd } from './box.ts';

const { SIGKILL } = constants.signals;
/** How long what is killed may take to be gone before nobody waits for it any more, ms: its guest may be hostile. */
const KILLED_MS = 5000;
/** setTimeout(3) of Node takes no more. */
const MOST_MS = 2 ** 31 - 1;

export interface Limits {
  /** Until it is killed, ms. */
  readonly timeout?: number | undefined;
  /** Kills it, and has its promise reject. */
  readonly signal?: AbortSignal | undefined;
}

/** Watches one command from its start to its end. */
export class Deadline {
  readonly #process: BoxProcess;
  readonly #signal: AbortSignal | undefined;
  readonly #over = Promise.withResolvers<ProcessEnd>();
  readonly #abort = (): void => this.fail(this.#signal?.reason);
  #timer: NodeJS.Timeout | undefined;
  #killed: NodeJS.Timeout | undefined;
  /** The time was over before its end came. */
  timedOut = false;

  constructor(process: BoxProcess, { timeout, signal }: Limits) {
    this.#process = process;
    this.#signal = signal;
    this.#over.promise.catch(() => {});
    if (timeout !== undefined) {
      this.#timer = setTimeout(() => {
        this.timedOut = true;
        this.kill();
      }, Math.min(timeout, MOST_MS));
    }
    if (signal?.aborted === true) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Kills it for what its caller has thrown: `race` rejects with that. */
  fail(error: unknown): void {
    this.kill();
    this.#over.reject(error);
  }

  /** Kills it, and takes its end for said where it does not come. */
  kill(): void {
    this.#process.kill().catch(() => {});
    this.#killed ??= setTimeout(() => {
      this.#close();
      this.#over.resolve({ status: 128 + SIGKILL });
    }, KILLED_MS);
  }

  #close(): void {
    this.#process.closeStdout();
    this.#process.closeStderr();
  }

  /** Its end, or what comes first. */
  async race(end: Promise<ProcessEnd>): Promise<ProcessEnd> {
    try {
      return await Promise.race([end, this.#over.promise]);
    } catch (error) {
      this.#close();
      throw error;
    } finally {
      clearTimeout(this.#timer);
      clearTimeout(this.#killed);
      this.#signal?.removeEventListener('abort', this.#abort);
    }
  }
}
