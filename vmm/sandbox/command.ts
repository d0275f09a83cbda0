/** Commands in a sandbox whose streams are the caller's: Node's, with back-pressure both ways. */
import { constants } from 'node:os';
import { Readable, Writable } from 'node:stream';
import type { Consumer } from '../agent/process.ts';
import type { WindowSize } from '../agent/spec.ts';
import { signalNumber } from '../container/signals.ts';
import type { BoxProcess, ProcessEnd } from './box.ts';
import { Deadline, type Limits } from './deadline.ts';

const { SIGKILL } = constants.signals;

/** How a command ended. */
export interface CommandEnd {
  /** The exit code, or 128 + the signal that ended it. */
  readonly status: number;
  /** It was killed when its `timeout` was over. */
  readonly timedOut: boolean;
  /** The kernel killed a process for lack of memory; undefined where that is not told. */
  readonly outOfMemory: boolean | undefined;
}

/**
 * A command that runs. What it writes waits, with the command behind it, until it is read: each of the two streams is to be read, or destroyed, by
 * which its next write to it fails (EPIPE).
 */
export class Command implements AsyncDisposable {
  /** Standard input. What is written when nobody reads any more goes nowhere. */
  readonly stdin: Writable;
  /** Standard output, or all of a terminal's. */
  readonly stdout: Readable;
  /** Standard error; of a terminal nothing. */
  readonly stderr: Readable;
  readonly #process: BoxProcess;
  readonly #end: Promise<CommandEnd>;

  constructor(process: BoxProcess, { tty, ...limits }: Limits & { readonly tty: boolean }) {
    this.#process = process;
    this.stdin = inputOf(process);
    const stdout = outputOf((consumer) => process.onStdout(consumer), () => process.closeStdout());
    const stderr = outputOf((consumer) => process.onStderr(consumer), () => process.closeStderr());
    [this.stdout, this.stderr] = [stdout.stream, stderr.stream];
    if (tty) stderr.end();
    const deadline = new Deadline(process, limits);
    const ended = deadline.race(process.wait());
    this.#end = ended.then(({ status, outOfMemory }: ProcessEnd) => ({ status, timedOut: deadline.timedOut, outOfMemory })).finally(() => {
      stdout.end();
      stderr.end();
      this.stdin.destroy();
    });
    this.#end.catch((error: Error) => {
      // Who reads is told, too, and nobody has to: without a listener an error would end the process.
      for (const stream of [this.stdout, this.stderr]) if (stream.listenerCount('error') > 0) stream.destroy(error);
    });
  }

  /** Resolves when it has ended and its output was read. Rejects with the reason of an aborted `signal`, and with VmmError when its end cannot be known. */
  wait(): Promise<CommandEnd> {
    return this.#end;
  }

  /** SIGKILL for it and what it has started; another signal, by name or number, for it alone. Of one that has ended nothing comes. */
  async kill(signal: string | number = SIGKILL): Promise<void> {
    const number = signalNumber(`${signal}`, 'kill');
    await (number === SIGKILL ? this.#process.kill() : this.#process.signal(number)).catch(() => {});
  }

  /** The size of its terminal. */
  async resize(size: WindowSize): Promise<void> {
    await this.#process.resize(size).catch(() => {});
  }

  /** Kills it if it runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stdout.destroy();
    this.stderr.destroy();
    await this.kill();
    await this.#end.catch(() => {});
  }
}

function outputOf(listen: (consumer: Consumer) => void, close: () => void): { readonly stream: Readable; end(): void } {
  let go: (() => void) | undefined;
  const wake = (): void => {
    go?.();
    go = undefined;
  };
  let over = false;
  const stream = new Readable({
    read: wake,
    destroy: (error, done) => {
      if (!over) close();
      wake();
      done(error);
    },
  });
  listen((chunk) => {
    // The chunk is the guest's memory as soon as we return.
    if (stream.destroyed || stream.push(Buffer.from(chunk))) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    go = resolve;
    return promise;
  });
  return {
    stream,
    end: () => {
      if (over) return;
      over = true;
      if (!stream.destroyed) stream.push(null);
    },
  };
}

function inputOf(process: BoxProcess): Writable {
  return new Writable({
    // A program that has enough is no error of its caller's.
    write: (chunk: Uint8Array, _, done) => void process.stdin.write(chunk).then(() => done(), () => done()),
    final: (done) => void process.stdin.end().then(() => done(), () => done()),
  });
}
