/** What comes from our own side to a guest: standard input, the terminal, signals. */
import { constants } from 'node:os';
import type { CountedSession } from './counted.ts';
import { standardInput } from './stdin.ts';
import type { RawTerminal, Size } from './terminal.ts';

/** Where input goes: a process, a machine's console, or a counted run's record. */
export interface GuestInput {
  /** Resolves when more is welcome; false: nobody reads any more. */
  write(bytes: Uint8Array): Promise<boolean>;
  end(): Promise<void>;
  resize(size: Size): Promise<void>;
}

/** Of a run that takes no input. */
export const NO_INPUT: GuestInput = { write: async () => false, end: async () => {}, resize: async () => {} };

/** Passes our standard input on, no faster than it is taken, and its end. */
export function forwardStdin(input: GuestInput): void {
  const stdin = standardInput();
  stdin.on('data', (chunk: Buffer) => {
    stdin.pause();
    void input.write(chunk).then((taken) => {
      if (taken) stdin.resume();
      else stdin.destroy();
    });
  });
  stdin.on('end', () => void input.end());
  stdin.on('error', () => void input.end());
}

/** Recorded input has a place in the run; undefined for a run that takes none. `kind`: what reads it. */
export function recordedInput(counted: CountedSession, kind: 'console' | 'stdin', open: boolean): GuestInput | undefined {
  const submit = counted.input();
  if (submit === undefined) return undefined;
  let reads = open;
  if (reads) counted.recorder?.sources(1);
  return {
    write: async (bytes) => {
      const taken = await submit(kind, bytes);
      return kind === 'console' || taken === true;
    },
    end: async () => {
      if (reads) counted.recorder?.sources(-1);
      reads = false;
      if (kind === 'stdin') await submit('stdin-end', new Uint8Array(0));
    },
    resize: async (size) => void (await submit('resize', counted.sizeData(size))),
  };
}

const CTRL_C = 3;
const CTRL_BACKSLASH = 0x1c;

/**
 * The terminal of a run that takes no input (a replay): what the output makes it answer is thrown away, not left for the
 * user's shell. Ctrl-C and Ctrl-\ keep their meaning.
 */
export function muteTerminal(terminal: RawTerminal, interrupt: (signal: number) => void): void {
  terminal.start((bytes) => {
    if (bytes.includes(CTRL_C)) interrupt(constants.signals.SIGINT);
    else if (bytes.includes(CTRL_BACKSLASH)) interrupt(constants.signals.SIGQUIT);
  });
}

/** What Docker's client does not pass on, and what cannot be caught. */
const NOT_CAUGHT = new Set(['SIGCHLD', 'SIGPIPE', 'SIGURG', 'SIGWINCH', 'SIGKILL', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGCONT', 'SIGPROF', 'SIGIO', 'SIGPOLL', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGIOT', 'SIGSYS', 'SIGSTKFLT', 'SIGUNUSED']);

/** Signals that end a machine: the others have no meaning for it. */
export const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Signals that are a container's matter. */
export const FORWARDED_SIGNALS: readonly NodeJS.Signals[] = (Object.keys(constants.signals) as NodeJS.Signals[]).filter((name) => !NOT_CAUGHT.has(name));

/** Calls back for each of these signals, until the function that it returns is called: as a rule never, since none of them may end us before the status is set. */
export function onSignals(names: readonly NodeJS.Signals[], handler: (name: NodeJS.Signals, number: number) => void): () => void {
  const listener = (name: NodeJS.Signals): void => handler(name, constants.signals[name]);
  for (const name of names) {
    try {
      process.on(name, listener);
    } catch {
      // a signal that this platform does not let us catch
    }
  }
  return () => {
    for (const name of names) process.off(name, listener);
  };
}

const PRESSES = 3;
const WITHIN_MS = 2000;

/** True at the third call within two seconds. */
export function thirdPress(): () => boolean {
  const presses: number[] = [];
  return () => {
    presses.push(performance.now());
    return presses.length >= PRESSES && (presses.at(-1) as number) - (presses.at(-PRESSES) as number) < WITHIN_MS;
  };
}
