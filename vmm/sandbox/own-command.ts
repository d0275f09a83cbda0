/** Commands of the guest's own init, which need no program in the box: its end, and what it says is wrong. */
import { constants } from 'node:os';
import { VmmError } from '../../base/errors.ts';
import type { BoxProcess } from './box.ts';
import { send } from './collect.ts';
import type { Command } from './command.ts';
import { Deadline } from './deadline.ts';

/** What is kept of what it says is wrong. */
const MAX_SAID = 1000;
/** Of what is not there. */
export const MISSING = 2;
const { SIGKILL } = constants.signals;

export interface OwnIo {
  readonly input?: Iterable<Uint8Array> | AsyncIterable<Uint8Array> | undefined;
  /** What it throws ends the command. A chunk is valid until its promise settles. */
  readonly output?: ((bytes: Buffer) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Its status, and what it said is wrong, as a line. Rejects with what `input` and `output` throw, and with the reason of an aborted `signal`. */
export async function ownCommand(process: BoxProcess, { input, output, signal }: OwnIo): Promise<{ readonly status: number; readonly said: string }> {
  const deadline = new Deadline(process, { signal });
  const fail = (error: unknown): void => deadline.fail(error);
  let said = '';
  process.onStderr((bytes) => {
    said = (said + Buffer.from(bytes).toString()).slice(0, MAX_SAID);
  });
  process.onStdout(async (bytes) => {
    try {
      await output?.(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    } catch (error) {
      fail(error);
    }
  });
  if (input !== undefined) send(process, input).catch(fail);
  const { status } = await deadline.race(process.wait());
  return { status, said: status === 128 + SIGKILL && said === '' ? 'it was killed' : oneLine(said.trimEnd()) };
}

/** What a command goes on to say is wrong, as a line. */
export function complaint({ stderr }: Command): () => string {
  let said = '';
  stderr.on('data', (chunk: Buffer) => {
    if (said.length < MAX_SAID) said += chunk.toString();
  });
  return () => oneLine(said.trimEnd());
}

/** A guest's words in a message of ours: nothing of them moves a cursor or begins a line. */
export function oneLine(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ');
}

/** What a command of init's says of a path. */
export function failure(status: number, path: string, said: string): VmmError {
  const words = said === '' ? `${oneLine(path)}: it ended with ${status}` : said;
  if (status === MISSING) return new VmmError('FILE_NOT_FOUND', `in the sandbox: ${words}`);
  return new VmmError('FILE_FAILED', `in the sandbox: ${words}`);
}
