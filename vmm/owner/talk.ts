/** The owner's end of a conversation about a process. */
import type { Channel } from './channel.ts';
import { CLOSE, DETACH, EXIT, FAILED, type Frame, KILL, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT, TAKEN } from './frames.ts';
import { INPUT_WINDOW, type Size } from './protocol.ts';

type Consumer = (bytes: Uint8Array) => void | Promise<void>;

/** A process of the guest, as the agent's session has it. */
export interface Talker {
  readonly stdin: { write(bytes: Uint8Array): Promise<boolean>; end(): Promise<void> };
  onStdout(consumer: Consumer): void;
  onStderr(consumer: Consumer): void;
  closeStdout(): void;
  closeStderr(): void;
  resize(size: Size): Promise<void>;
  signal(signal: number): Promise<void>;
  kill(): Promise<void>;
  /** `flags`: ENDED_…, where they are told. */
  wait(): Promise<{ readonly status: number; readonly flags?: number | undefined }>;
}

const SIGHUP = 1;
const MAX_SIGNAL = 64;
const ignore = (): void => {};

/** Input, signals and sizes from a client, to a process. `ended`: what the end of the client's input does. */
export class ClientInput {
  readonly #channel: Channel;
  readonly #process: Talker;
  readonly #reads: boolean;
  readonly #ended: () => void;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  /** The client has said that it leaves. */
  detached = false;

  constructor(channel: Channel, process: Talker, reads: boolean, ended: () => void) {
    this.#channel = channel;
    this.#process = process;
    this.#reads = reads;
    this.#ended = ended;
  }

  /** Nothing here waits for the process: a signal passes input that nobody reads. */
  take({ kind, payload }: Frame): void {
    if (kind === STDIN) this.#input(payload);
    else if (kind === RESIZE && payload.length === 4) this.#process.resize({ rows: payload.readUInt16LE(0), columns: payload.readUInt16LE(2) }).catch(ignore);
    else if (kind === SIGNAL && payload.length === 4 && payload.readUInt32LE(0) <= MAX_SIGNAL) this.#process.signal(payload.readUInt32LE(0)).catch(ignore);
    else if (kind === DETACH) this.detached = true;
    else this.#channel.destroy();
  }

  #input(bytes: Buffer): void {
    this.#waiting += bytes.length;
    if (this.#waiting > INPUT_WINDOW || !this.#reads) {
      this.#channel.destroy();
      return;
    }
    this.#last = this.#last.then(async () => {
      if (bytes.length === 0) {
        this.#ended();
        return;
      }
      const taken = await this.#process.stdin.write(bytes);
      this.#waiting -= bytes.length;
      void this.#channel.send(TAKEN, taken ? number32(bytes.length) : undefined);
    }).catch(ignore);
  }
}

/**
 * A client and the command that it has started. One that leaves without a word takes the command's streams with it: its next write is to nobody,
 * and its terminal is hung up; or `left` says what happens then.
 */
export function talk(channel: Channel, process: Talker, { tty, stdin, left }: { readonly tty: boolean; readonly stdin: boolean; readonly left?: (() => void) | undefined }): void {
  const input = new ClientInput(channel, process, stdin, () => void process.stdin.end().catch(ignore));
  let over = false;
  process.onStdout((bytes) => channel.send(STDOUT, bytes));
  process.onStderr((bytes) => channel.send(STDERR, bytes));
  process.wait().then(
    ({ status, flags }) => channel.end(EXIT, flags === undefined ? number32(status) : Buffer.concat([number32(status), number32(flags)])),
    (error: Error) => channel.end(FAILED, Buffer.from(error.message)),
  ).finally(() => {
    over = true;
  });
  channel.onClose(() => {
    if (over || input.detached) return;
    if (left !== undefined) {
      left();
      return;
    }
    if (stdin && !tty) void process.stdin.end().catch(ignore);
    if (tty) void process.signal(SIGHUP).catch(ignore);
    process.closeStdout();
    process.closeStderr();
  });
  channel.onFrame((frame) => {
    // Only of its own command: who is attached to a container shares its streams.
    if (frame.kind === KILL) process.kill().catch(ignore);
    else if (frame.kind === CLOSE && frame.payload.length === 4) close(process, frame.payload.readUInt32LE(0));
    else input.take(frame);
  });
}

function close(process: Talker, stream: number): void {
  if (stream === STDOUT) process.closeStdout();
  else if (stream === STDERR) process.closeStderr();
}
