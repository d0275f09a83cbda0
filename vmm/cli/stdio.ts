import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { VmmError } from '../../base/errors.ts';
import { isForeground, toBackground } from './job.ts';
import { KeySequence, type RawTerminal } from './terminal.ts';

/** A consumer that writes to one of our own standard streams and waits until it has been taken. */
export interface OutputConsumer {
  (bytes: Uint8Array): Promise<void>;
  /** Called once with the error's code when the reader of our stream has gone away (EPIPE) or its disk is full (ENOSPC). */
  onBroken(handler: (code: string) => void): void;
}

export function outputTo(stream: Writable): OutputConsumer {
  let broken: string | undefined;
  let handler = (_code: string): void => {};
  const fail = (error: NodeJS.ErrnoException): void => {
    if (broken !== undefined) return;
    broken = error.code ?? 'error';
    handler(broken);
  };
  stream.on('error', fail);
  const consume = (bytes: Uint8Array): Promise<void> => {
    if (broken !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      stream.write(bytes, (error) => {
        if (error) fail(error);
        resolve();
      });
    });
  };
  return Object.assign(consume, {
    onBroken: (h: (code: string) => void) => {
      handler = h;
      if (broken !== undefined) h(broken);
    },
  });
}

/** Our standard output broke while `what` ran, which was ended for it. */
export function outputLost(code: string, what: string): VmmError {
  return new VmmError('OUTPUT_WRITE', `standard output cannot be written: ${code}, ${what} was ended`, { hint: code === 'ENOSPC' ? 'the disk is full' : 'check where it goes' });
}

/** What our own input goes to: a ContainerRun, or a counted run's record. */
export interface InputTarget {
  kill(): void;
  readonly process: {
    readonly started: Promise<number>;
    signal(signal: number): Promise<void>;
    resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
    readonly stdin: { write(bytes: Uint8Array): Promise<boolean>; end(): Promise<void> };
  };
}

/** What Docker's client does not pass on, and what cannot be caught. */
const NOT_FORWARDED = new Set(['SIGCHLD', 'SIGPIPE', 'SIGURG', 'SIGWINCH', 'SIGKILL', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGCONT', 'SIGPROF', 'SIGIO', 'SIGPOLL', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGIOT', 'SIGSYS', 'SIGSTKFLT', 'SIGUNUSED']);
const KILL_PRESSES = 3;
const KILL_WITHIN_MS = 2000;

/**
 * Passes signals on to the container's process; the third SIGINT within two seconds kills the machine. The handlers stay: a
 * fourth SIGINT, while the process ends, must not end it before the status is set.
 */
export function forwardSignals(run: InputTarget): void {
  const presses: number[] = [];
  for (const [name, number] of Object.entries(constants.signals) as [NodeJS.Signals, number][]) {
    if (NOT_FORWARDED.has(name)) continue;
    const handler = (): void => {
      if (name === 'SIGINT') {
        const now = performance.now();
        presses.push(now);
        if (presses.length >= KILL_PRESSES && now - (presses.at(-KILL_PRESSES) as number) < KILL_WITHIN_MS) run.kill();
      }
      run.process.started.then(
        () => run.process.signal(number).catch(() => {}),
        () => {},
      );
    };
    try {
      process.on(name, handler);
    } catch {
      // a signal that this platform does not let us catch
    }
  }
}

/** Passes our standard input on, no faster than the guest takes it, and its end. */
export function forwardStdin(run: InputTarget): void {
  const { stdin } = process;
  stdin.on('data', (chunk: Buffer) => {
    stdin.pause();
    void run.process.stdin.write(chunk).then((taken) => {
      if (taken) stdin.resume();
      else stdin.destroy();
    });
  });
  stdin.on('end', () => void run.process.stdin.end());
  stdin.on('error', () => void run.process.stdin.end());
}

/**
 * The terminal in raw mode: keys to the container, its size after it. The detach keys leave the container to itself, in the
 * background; brought to the foreground and continued (Ctrl-Z, `fg`), it takes the terminal again.
 */
export function attachTerminal(terminal: RawTerminal, run: InputTarget, detachKeys: readonly number[], interactive: boolean): void {
  const keys = new KeySequence(detachKeys);
  const onInput = (bytes: Uint8Array): void => {
    if (!interactive) return;
    const { pass, hit } = keys.feed(bytes);
    if (pass.length > 0) void run.process.stdin.write(pass);
    if (!hit) return;
    terminal.restore();
    process.stderr.write(`\nvmm: detached; the container goes on, output comes here (again: fg, Ctrl-Z, fg; its end: kill ${process.pid})\n`);
    process.on('SIGCONT', attachAgain);
    toBackground();
  };
  // The terminal is gone for good (its window was closed): the container would be out of reach.
  const onHangup = (): void => run.kill();
  process.stdin.on('end', onHangup);
  process.stdin.on('error', onHangup);
  const attachAgain = (): void => {
    if (!isForeground()) return;
    process.off('SIGCONT', attachAgain);
    terminal.start(onInput);
    const size = terminal.size();
    void run.process.resize(size).catch(() => {});
  };
  terminal.start(onInput);
  terminal.onResize((columns, rows) => void run.process.resize({ columns, rows }).catch(() => {}));
}
