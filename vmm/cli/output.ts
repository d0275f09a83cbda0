import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { VmmError } from '../api/errors.ts';
import { writeWhole } from '../host/write-whole.ts';

/** Whoever read our standard output has gone away: the command ends as any other of a pipeline, without a word. */
export class ReaderGone extends Error {}

/** Writes a command's result to standard output, all of it. Throws OUTPUT_WRITE (a full disk), ReaderGone. */
export function print(text: string | Uint8Array): void {
  try {
    writeWhole(1, text, Number.POSITIVE_INFINITY);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    if (code === 'EPIPE') throw new ReaderGone(code);
    throw new VmmError('OUTPUT_WRITE', `standard output cannot be written: ${code}`, { cause, hint: hintOf(code) });
  }
}

/** Writes to standard error; when that cannot be written either, nobody is left to be told. */
export function tell(text: string): void {
  try {
    writeWhole(2, text);
  } catch {
    // nobody reads it
  }
}

/** A consumer that writes to one of our own standard streams and waits until it has been taken. */
export interface OutputConsumer {
  (bytes: Uint8Array): Promise<void>;
  /** Called once with the error's code when the reader of our stream has gone away (EPIPE) or its disk is full (ENOSPC). */
  onBroken(handler: (code: string) => void): void;
  /** Makes the stream, if it is not there yet: for when there is nothing else to do. */
  open(): void;
}

/** Or another device. */
function isTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false; // closed
  }
}

/**
 * Made at the first write, since a pipe has Node load its network modules; but a terminal now, as long as the process may open something: Node opens
 * it anew.
 */
export function outputTo(name: 'stdout' | 'stderr'): OutputConsumer {
  let stream: Writable | undefined;
  const open = (): Writable => {
    stream ??= process[name].on('error', fail);
    return stream;
  };
  let broken: string | undefined;
  let handler = (_code: string): void => {};
  const fail = (error: NodeJS.ErrnoException): void => {
    if (broken !== undefined) return;
    broken = error.code ?? 'error';
    handler(broken);
  };
  if (isTerminal(name === 'stdout' ? 1 : 2)) open();
  const consume = (bytes: Uint8Array): Promise<void> => {
    if (broken !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      open().write(bytes, (error) => {
        if (error) fail(error);
        resolve();
      });
    });
  };
  return Object.assign(consume, {
    open: () => void open(),
    onBroken: (h: (code: string) => void) => {
      handler = h;
      if (broken !== undefined) h(broken);
    },
  });
}

/** Our standard output broke while `what` ran, which was ended, or left, for it. */
export function outputLost(code: string, what: string, done: 'ended' | 'left' = 'ended'): VmmError {
  return new VmmError('OUTPUT_WRITE', `standard output cannot be written: ${code}, ${what} was ${done}`, { hint: hintOf(code) });
}

function hintOf(code: string): string {
  return code === 'ENOSPC' ? 'the disk is full' : 'check where it goes';
}
