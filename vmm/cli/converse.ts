/** A client's end of a conversation with a container's owner: standard streams, signals, and the terminal's size. */
import { constants } from 'node:os';
import { type Channel, RemoteProcess } from '../api/owner.ts';
import { DETACH, number32, SIGNAL } from '../api/frames.ts';
import { ENDING_SIGNALS, FORWARDED_SIGNALS, onSignals, thirdPress } from './input.ts';
import { KeySequence } from './keys.ts';
import { outputLost, outputTo } from './output.ts';
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
  /** What runs ends when we go. */
  readonly bound?: boolean | undefined;
  /** What runs, for messages. */
  readonly what: string;
}

/** The command's status, or that the user has left by the detach keys. */
export type Ended = { readonly status: number } | 'detached';

const { SIGHUP, SIGKILL } = constants.signals;

/** Until the command ends, the user leaves, or nobody reads our output any more. Throws CONTAINER_LOST, OUTPUT_WRITE. */
export async function converse(channel: Channel, part: Part): Promise<Ended> {
  const stdout = outputTo('stdout');
  const stderr = outputTo('stderr');
  try {
    return await new Promise<Ended>((resolve, reject) => {
      stdout.onBroken((code) => (code === 'EPIPE' ? resolve({ status: STATUS_READER_GONE }) : reject(outputLost(code, part.what, 'left'))));
      const remote = new RemoteProcess(channel, part.what);
      const input = part.input ? new Input(remote) : undefined;
      // Before the first output: whoever sees it may send one.
      if (part.signals) forwardSignals(channel, part.bound === true, resolve);
      remote.onStdout((bytes) => (part.without?.includes('stdout') ? undefined : stdout(bytes)));
      remote.onStderr((bytes) => (part.without?.includes('stderr') ? undefined : stderr(bytes)));
      remote.wait().then(resolve, reject);
      part.terminal?.onResize((size) => void remote.resize(size));
      if (input === undefined) return;
      if (part.terminal === undefined) input.forward();
      else sendKeys(channel, input, { ...part, terminal: part.terminal }, resolve);
    });
  } finally {
    part.terminal?.restore();
    channel.destroy();
    if (part.input) process.stdin.destroy();
  }
}

/** A command may ignore them, and its client is not to be kept: the third SIGINT within two seconds ends it. */
function forwardSignals(channel: Channel, bound: boolean, resolve: (ended: Ended) => void): void {
  const third = thirdPress();
  onSignals(FORWARDED_SIGNALS, (name, number) => {
    void channel.send(SIGNAL, number32(number));
    if (name === 'SIGINT' && third()) resolve({ status: 128 + (bound ? SIGKILL : number) });
  });
}

/** Our standard input on its way to the command, which it waits for. */
class Input {
  readonly #remote: RemoteProcess;
  #last: Promise<void> = Promise.resolve();

  constructor(remote: RemoteProcess) {
    this.#remote = remote;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    process.stdin.pause();
    this.#last = this.#last.then(async () => {
      // Nobody reads any more: whoever writes to us is told.
      if (await this.#remote.stdin.write(bytes)) process.stdin.resume();
      else process.stdin.destroy();
    });
  }

  forward(): void {
    const { stdin } = process;
    stdin.on('data', (chunk: Buffer) => this.send(chunk));
    const end = (): void => void this.#last.then(() => this.#remote.stdin.end());
    stdin.on('end', end);
    stdin.on('error', end);
  }
}

/** The terminal in raw mode: its keys are the command's. */
function sendKeys(channel: Channel, input: Input, { terminal, detachKeys, signals }: Part & { readonly terminal: RawTerminal }, resolve: (ended: Ended) => void): void {
  const keys = new KeySequence(detachKeys);
  terminal.start((bytes) => {
    const { pass, hit } = keys.feed(bytes);
    input.send(pass);
    if (!hit) return;
    void channel.send(DETACH);
    resolve('detached');
  });
  // Whatever ends us, the terminal is left as it was; its window may be gone.
  if (!signals) onSignals(ENDING_SIGNALS, (_, number) => resolve({ status: 128 + number }));
  const gone = (): void => resolve({ status: 128 + SIGHUP });
  process.stdin.on('end', gone);
  process.stdin.on('error', gone);
}
