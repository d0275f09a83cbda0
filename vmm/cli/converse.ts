/** A client's end of a conversation with a container's owner: standard streams, signals, and the terminal's size. */
import { constants } from 'node:os';
import type { Channel } from '../api/owner.ts';
import { VmmError } from '../api/errors.ts';
import { DETACH, EXIT, FAILED, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT, TAKEN } from '../api/frames.ts';
import { ENDING_SIGNALS, FORWARDED_SIGNALS, onSignals, thirdPress } from './input.ts';
import { KeySequence } from './keys.ts';
import { type OutputConsumer, outputLost, outputTo } from './output.ts';
import { STATUS_READER_GONE } from './status.ts';
import type { RawTerminal } from './terminal.ts';

export interface Part {
  /** Our standard input goes there. */
  readonly input: boolean;
  /** What of the output is dropped. */
  readonly without?: readonly ('stdout' | 'stderr')[] | undefined;
  /** Our terminal is the command's: its size, and with `input` its keys. Undefined: one of both has none. */
  readonly terminal: RawTerminal | undefined;
  readonly detachKeys: readonly number[];
  /** Signals go to the command; else they end us. Of a terminal whose keys do, it is the latter. */
  readonly signals: boolean;
  /** What runs, for messages. */
  readonly what: string;
}

/** The command's status, or that the user has left by the detach keys. */
export type Ended = { readonly status: number } | 'detached';

/** Bytes of standard input on the way before its source has to wait: less than what the owner takes (INPUT_WINDOW). */
const AHEAD = 128 << 10;
const { SIGHUP } = constants.signals;

/** Until the command ends, the user leaves, or nobody reads our output any more. Throws CONTAINER_LOST, OUTPUT_WRITE. */
export async function converse(channel: Channel, part: Part): Promise<Ended> {
  const stdout = outputTo(process.stdout);
  const stderr = outputTo(process.stderr);
  try {
    return await new Promise<Ended>((resolve, reject) => {
      stdout.onBroken((code) => (code === 'EPIPE' ? resolve({ status: STATUS_READER_GONE }) : reject(outputLost(code, part.what, 'left'))));
      const input = part.input ? new Input(channel) : undefined;
      // Before the first output: whoever sees it may send one.
      if (part.signals) forwardSignals(channel, resolve);
      receive(channel, { stdout: part.without?.includes('stdout') ? undefined : stdout, stderr: part.without?.includes('stderr') ? undefined : stderr, input, resolve, reject, what: part.what });
      if (part.terminal !== undefined) followSize(channel, part.terminal);
      if (input === undefined) return;
      if (part.terminal === undefined) input.forward();
      else sendKeys(channel, input, part.terminal, part.detachKeys, resolve);
    });
  } finally {
    part.terminal?.restore();
    channel.destroy();
    if (part.input) process.stdin.destroy();
  }
}

/** A command may ignore them, and its client is not to be kept: the third SIGINT within two seconds ends it. */
function forwardSignals(channel: Channel, resolve: (ended: Ended) => void): void {
  const third = thirdPress();
  onSignals(FORWARDED_SIGNALS, (name, number) => {
    void channel.send(SIGNAL, number32(number));
    if (name === 'SIGINT' && third()) resolve({ status: 128 + number });
  });
}

interface Receiver {
  readonly stdout: OutputConsumer | undefined;
  readonly stderr: OutputConsumer | undefined;
  readonly input: Input | undefined;
  readonly what: string;
  resolve(ended: Ended): void;
  reject(error: Error): void;
}

function receive(channel: Channel, { stdout, stderr, input, what, resolve, reject }: Receiver): void {
  channel.onFrame(({ kind, payload }) => {
    if (kind === STDOUT) return stdout?.(payload);
    if (kind === STDERR) return stderr?.(payload);
    if (kind === EXIT && payload.length === 4) resolve({ status: payload.readUInt32LE(0) & 0xff });
    else if (kind === FAILED) reject(new VmmError('CONTAINER_LOST', `${what}: ${payload.toString()}`));
    else if (kind === TAKEN) input?.taken(payload.length === 4 ? payload.readUInt32LE(0) : undefined);
    return undefined;
  });
  channel.onClose(() => reject(new VmmError('CONTAINER_LOST', `the process of ${what} is gone`)));
}

/** Standard input on its way. */
class Input {
  readonly #channel: Channel;
  #ahead = 0;
  #open = true;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  send(bytes: Uint8Array): void {
    if (!this.#open || bytes.length === 0) return;
    this.#ahead += bytes.length;
    void this.#channel.send(STDIN, bytes);
    if (this.#ahead >= AHEAD) process.stdin.pause();
  }

  /** Undefined: nobody reads any more. */
  taken(bytes: number | undefined): void {
    if (bytes === undefined) {
      this.#open = false;
      process.stdin.destroy();
      return;
    }
    const waited = this.#ahead >= AHEAD;
    this.#ahead -= bytes;
    if (waited && this.#ahead < AHEAD) process.stdin.resume();
  }

  forward(): void {
    const { stdin } = process;
    stdin.on('data', (chunk: Buffer) => this.send(chunk));
    const end = (): void => void this.#channel.send(STDIN);
    stdin.on('end', end);
    stdin.on('error', end);
  }
}

/** The terminal in raw mode: its keys are the command's. */
function sendKeys(channel: Channel, input: Input, terminal: RawTerminal, detachKeys: readonly number[], resolve: (ended: Ended) => void): void {
  const keys = new KeySequence(detachKeys);
  terminal.start((bytes) => {
    const { pass, hit } = keys.feed(bytes);
    input.send(pass);
    if (!hit) return;
    void channel.send(DETACH);
    resolve('detached');
  });
  // Whatever ends us, the terminal is left as it was; its window may be gone.
  onSignals(ENDING_SIGNALS, (_, number) => resolve({ status: 128 + number }));
  const gone = (): void => resolve({ status: 128 + SIGHUP });
  process.stdin.on('end', gone);
  process.stdin.on('error', gone);
}

function followSize(channel: Channel, terminal: RawTerminal): void {
  terminal.onResize(({ rows, columns }) => {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    void channel.send(RESIZE, size);
  });
}
