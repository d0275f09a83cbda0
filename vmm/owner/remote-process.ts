/** The client's end of a conversation about a process (talk.ts has the owner's). */
import { VmmError } from '../../base/errors.ts';
import type { Channel } from './channel.ts';
import { CLOSE, EXIT, FAILED, type Frame, KILL, number32, RESIZE, SIGNAL, STDERR, STDIN, STDOUT, TAKEN } from './frames.ts';
import type { Size } from './protocol.ts';
import type { Talker } from './talk.ts';

type Consumer = (bytes: Uint8Array) => void | Promise<void>;

/** Bytes of input on the way before its source has to wait: less than what the owner takes (INPUT_WINDOW). */
const AHEAD = 128 << 10;
const CHUNK = 64 << 10;

/** Output on its way to who wants it; until somebody does, it waits. */
class Output {
  readonly #kind: number;
  readonly #channel: Channel;
  #consumer = Promise.withResolvers<Consumer | undefined>();
  #closed = Promise.withResolvers<void>();
  #open = true;

  constructor(channel: Channel, kind: number) {
    this.#channel = channel;
    this.#kind = kind;
  }

  consume(consumer: Consumer): void {
    this.#consumer.resolve(consumer);
  }

  async take(bytes: Uint8Array): Promise<void> {
    if (!this.#open) return;
    const work = this.#consumer.promise.then((consumer) => consumer?.(bytes)).catch(() => this.close());
    await Promise.race([work, this.#closed.promise]);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    void this.#channel.send(CLOSE, number32(this.#kind));
    this.#closed.resolve();
  }
}

/** A process that another process of the host has started for us. The conversation ends with it. */
export class RemoteProcess implements Talker {
  readonly #channel: Channel;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #end = Promise.withResolvers<{ readonly status: number; readonly flags: number }>();
  #ahead = 0;
  #reads = true;
  #moved: (() => void) | undefined;

  /** `what`: whose it is, for messages. */
  constructor(channel: Channel, what: string) {
    this.#channel = channel;
    this.#stdout = new Output(channel, STDOUT);
    this.#stderr = new Output(channel, STDERR);
    this.#end.promise.catch(() => {});
    const lost = (why: string): void => this.#end.reject(new VmmError('CONTAINER_LOST', why));
    channel.onFrame((frame) => this.#take(frame, (why) => lost(`${what}: ${why}`)));
    channel.onClose(() => {
      this.#stop();
      lost(`the process of ${what} is gone`);
    });
  }

  #take({ kind, payload }: Frame, lost: (why: string) => void): Promise<void> | undefined {
    if (kind === STDOUT) return this.#stdout.take(payload);
    if (kind === STDERR) return this.#stderr.take(payload);
    if (kind === TAKEN) this.#taken(payload.length === 4 ? payload.readUInt32LE(0) : undefined);
    else if (kind === EXIT && (payload.length === 4 || payload.length === 8)) this.#over(() => this.#end.resolve({ status: payload.readUInt32LE(0) & 0xff, flags: payload.length === 8 ? payload.readUInt32LE(4) : 0 }));
    else if (kind === FAILED) this.#over(() => lost(payload.toString()));
    return undefined;
  }

  #over(tell: () => void): void {
    tell();
    this.#stop();
    this.#channel.destroy();
  }

  /** Undefined: nobody reads any more. */
  #taken(bytes: number | undefined): void {
    if (bytes === undefined) this.#stop();
    else {
      this.#ahead -= bytes;
      this.#moved?.();
    }
  }

  #stop(): void {
    this.#reads = false;
    this.#moved?.();
  }

  readonly stdin = {
    /** False when nobody reads any more. One at a time. */
    write: async (bytes: Uint8Array): Promise<boolean> => {
      for (let at = 0; at < bytes.length; at += CHUNK) {
        while (this.#reads && this.#ahead >= AHEAD) {
          const moved = Promise.withResolvers<void>();
          this.#moved = moved.resolve;
          await moved.promise;
        }
        if (!this.#reads) return false;
        const part = bytes.subarray(at, at + CHUNK);
        this.#ahead += part.length;
        await this.#channel.send(STDIN, part);
      }
      return this.#reads;
    },
    end: async (): Promise<void> => {
      if (this.#reads) await this.#channel.send(STDIN);
    },
  };

  onStdout(consumer: Consumer): void {
    this.#stdout.consume(consumer);
  }

  onStderr(consumer: Consumer): void {
    this.#stderr.consume(consumer);
  }

  closeStdout(): void {
    this.#stdout.close();
  }

  closeStderr(): void {
    this.#stderr.close();
  }

  async resize({ rows, columns }: Size): Promise<void> {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    await this.#channel.send(RESIZE, size);
  }

  async signal(signal: number): Promise<void> {
    await this.#channel.send(SIGNAL, number32(signal));
  }

  async kill(): Promise<void> {
    await this.#channel.send(KILL);
  }

  /** Rejects with CONTAINER_LOST. */
  wait(): Promise<{ readonly status: number; readonly flags: number }> {
    return this.#end.promise;
  }
}
