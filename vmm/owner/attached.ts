/** Clients of a container's own streams. */
import type { Channel } from './channel.ts';
import { EXIT, FAILED, number32, STDERR, STDOUT } from './frames.ts';
import type { AttachAsk } from './protocol.ts';
import { ClientInput, type Talker } from './talk.ts';

/** How long a client may hold the container up by taking no output, ms: it is left behind then. */
const STALL_MS = 10_000;
const MAX_ATTACHED = 64;
const ignore = (): void => {};

export interface Joined {
  readonly tty: boolean;
  readonly stdin: boolean;
  /** The end of this client's input, and its leaving, is the end of the container's. */
  readonly once: boolean;
  /** The container waits for this client as a pipe does, however long it takes nothing: called when it is gone, with whether it has said so. */
  readonly bound?: ((detached: boolean) => void) | undefined;
}

export class Attached {
  readonly #stallMs: number;
  readonly #clients = new Set<Channel>();
  readonly #bound = new Set<Channel>();

  constructor(stallMs = STALL_MS) {
    this.#stallMs = stallMs;
  }

  get full(): boolean {
    return this.#clients.size >= MAX_ATTACHED;
  }

  /** To each client; where one is behind: resolves when it has taken it, is gone, or is left behind. */
  output(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | undefined {
    const kind = stream === 'stdout' ? STDOUT : STDERR;
    const waiting: Promise<void>[] = [];
    for (const channel of this.#clients) {
      const taken = channel.send(kind, bytes);
      if (taken !== undefined) waiting.push(this.#bound.has(channel) ? taken : this.#inTime(channel, taken));
    }
    return waiting.length === 0 ? undefined : Promise.all(waiting).then(() => {});
  }

  async #inTime(channel: Channel, taken: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#clients.delete(channel);
        // It comes behind what is on the way: whoever reads again sees where it stops.
        channel.end(FAILED, Buffer.from(`no output was taken for ${this.#stallMs / 1000} s: the container goes on, its log has the rest`));
        resolve();
      }, this.#stallMs);
    });
    await Promise.race([taken, late]);
    clearTimeout(timer);
  }

  add(channel: Channel, process: Talker, { size }: AttachAsk, { tty, stdin, once, bound }: Joined): void {
    this.#clients.add(channel);
    if (bound !== undefined) this.#bound.add(channel);
    const endInput = (): void => {
      if (once) void process.stdin.end().catch(ignore);
    };
    const input = new ClientInput(channel, process, stdin, endInput);
    channel.onClose(() => {
      this.#clients.delete(channel);
      this.#bound.delete(channel);
      if (stdin && !tty && !input.detached) endInput();
      bound?.(input.detached);
    });
    channel.onFrame((frame) => input.take(frame));
    if (!tty || size === undefined) return;
    // Another size first, so that a full-screen program paints itself anew.
    process.resize({ rows: size.rows + 1, columns: size.columns }).then(() => process.resize(size)).catch(ignore);
  }

  /** The container has ended, or with an error what it has ended with cannot be known. */
  ended(end: number | Error): void {
    for (const channel of this.#clients) {
      if (typeof end === 'number') channel.end(EXIT, number32(end));
      else channel.end(FAILED, Buffer.from(end.message));
    }
    this.#clients.clear();
  }
}
