/** Commands in a sandbox whose output is wanted as a whole. */
import type { BoxProcess } from './box.ts';
import type { CommandEnd } from './command.ts';
import { Deadline, type Limits } from './deadline.ts';

/** What is kept of each stream of a command when nobody says, bytes. */
const MAX_OUTPUT = 8 << 20;

/** What a command reads: a text, bytes, or chunks as they come. */
export type Input = string | Uint8Array | Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

export interface CollectOptions extends Limits {
  readonly input?: Input | undefined;
  /** Bytes of each stream; a command that writes more is killed. 8 MiB. */
  readonly maxOutput?: number | undefined;
  /** Get the output as it comes, too; a promise holds the command up until it settles. */
  readonly onStdout?: ((bytes: Uint8Array) => void | Promise<void>) | undefined;
  readonly onStderr?: ((bytes: Uint8Array) => void | Promise<void>) | undefined;
}

/** A command's end and all that it wrote. */
export class ExecResult implements CommandEnd {
  readonly status: number;
  readonly timedOut: boolean;
  readonly outOfMemory: boolean | undefined;
  /** It wrote more than `maxOutput`, and was killed for it: the output is its beginning. */
  readonly truncated: boolean;
  readonly stdoutBytes: Buffer;
  readonly stderrBytes: Buffer;

  constructor({ status, timedOut, outOfMemory }: CommandEnd, truncated: boolean, stdout: Buffer, stderr: Buffer) {
    this.status = status;
    this.timedOut = timedOut;
    this.outOfMemory = outOfMemory;
    this.truncated = truncated;
    this.stdoutBytes = stdout;
    this.stderrBytes = stderr;
  }

  /** As UTF-8. */
  get stdout(): string {
    return this.stdoutBytes.toString();
  }

  get stderr(): string {
    return this.stderrBytes.toString();
  }

  /** What console.log shows (util.inspect.custom): texts, not their bytes. */
  [Symbol.for('nodejs.util.inspect.custom')](_depth: number, options: object, inspect: (value: unknown, options: object) => string): string {
    const { status, stdout, stderr, timedOut, outOfMemory, truncated } = this;
    return `ExecResult ${inspect({ status, stdout, stderr, timedOut, outOfMemory, truncated }, options)}`;
  }
}

/** What has come of a stream. */
class Collected {
  readonly #most: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  full = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** False: it is more than is kept. */
  add(chunk: Uint8Array): boolean {
    const part = chunk.subarray(0, this.#most - this.#bytes);
    if (part.length > 0) this.#chunks.push(Buffer.from(part));
    this.#bytes += part.length;
    this.full ||= part.length < chunk.length;
    return !this.full;
  }

  get whole(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** Waits for the end of a command. Rejects as `Command.wait`, and with what `input` and the callbacks throw. */
export async function collect(process: BoxProcess, options: CollectOptions): Promise<ExecResult> {
  const { input, maxOutput = MAX_OUTPUT, onStdout, onStderr } = options;
  const deadline = new Deadline(process, options);
  const fail = (error: unknown): void => deadline.fail(error);
  const take = (into: Collected, also: CollectOptions['onStdout']) => (chunk: Uint8Array): void | Promise<void> => {
    if (into.full) return undefined;
    if (!into.add(chunk)) deadline.kill();
    try {
      // Whatever a caller without types gives back: a number, or another library's promise.
      const taken: unknown = also?.(chunk);
      return typeof (taken as Partial<PromiseLike<void>> | undefined)?.then === 'function' ? Promise.resolve(taken as PromiseLike<void>).catch(fail) : undefined;
    } catch (error) {
      fail(error);
    }
  };
  const [stdout, stderr] = [new Collected(maxOutput), new Collected(maxOutput)];
  process.onStdout(take(stdout, onStdout));
  process.onStderr(take(stderr, onStderr));
  if (input !== undefined) send(process, input).catch(fail);
  const { status, outOfMemory } = await deadline.race(process.wait());
  return new ExecResult({ status, outOfMemory, timedOut: deadline.timedOut }, stdout.full || stderr.full, stdout.whole, stderr.whole);
}

/** Until the input ends, or nobody reads it any more. */
export async function send(process: BoxProcess, input: Input): Promise<void> {
  const chunks = typeof input === 'string' || input instanceof Uint8Array ? [input] : input;
  for await (const chunk of chunks) {
    if (!(await process.stdin.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk))) return;
  }
  await process.stdin.end();
}
