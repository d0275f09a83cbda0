import type { ProcessHandle } from './process.ts';
import * as P from './generated/protocol.ts';
import type { Stream } from './transport.ts';

/**
 * Connections that are open at most, somewhat less than the device has room for (CONN_MAX). For one more the oldest goes of
 * those that have not named their process: init sends the header together with the connection, a hostile process cannot.
 */
export const MAX_OPEN = 480;

/**
 * Accepts the guest's connections for standard streams. Any process of the guest can connect, so
 * the header must carry the token that only init knows; others are dropped.
 */
export class StreamAcceptor {
  readonly #token: Uint8Array;
  readonly #find: (process: number) => ProcessHandle | undefined;
  readonly #listener: (number: number) => ((stream: Stream) => void) | undefined;
  readonly #open = new Set<Stream>();
  readonly #unnamed = new Set<Stream>();

  constructor(token: Uint8Array, find: (process: number) => ProcessHandle | undefined, listener: (number: number) => ((stream: Stream) => void) | undefined = () => undefined) {
    this.#token = token;
    this.#find = find;
    this.#listener = listener;
  }

  accept(stream: Stream): void {
    if (this.#open.size >= MAX_OPEN) {
      for (const oldest of this.#unnamed) {
        this.#unnamed.delete(oldest);
        oldest.destroy();
        break;
      }
    }
    this.#unnamed.add(stream);
    this.#open.add(stream);
    const header = new Uint8Array(P.STREAM_HEADER_SIZE);
    let length = 0;
    let deliver: ((chunk: Uint8Array) => Promise<void>) | undefined;
    let named = false;
    stream.onClose(() => {
      this.#open.delete(stream);
      this.#unnamed.delete(stream);
    });
    stream.onData((chunk) => {
      if (deliver !== undefined) return deliver(chunk);
      if (named) return;
      const n = Math.min(header.length - length, chunk.length);
      header.set(chunk.subarray(0, n), length);
      length += n;
      if (length < header.length) return;
      named = true;
      this.#unnamed.delete(stream);
      deliver = this.#route(header, stream);
      if (deliver === undefined) stream.destroy();
      else if (n < chunk.length) return deliver(chunk.subarray(n));
    });
  }

  #route(header: Uint8Array, stream: Stream): ((chunk: Uint8Array) => Promise<void>) | undefined {
    const view = new DataView(header.buffer);
    if (view.getUint32(0, true) !== P.STREAM_MAGIC || view.getUint16(4, true) !== P.PROTOCOL_VERSION_MAX) {
      return undefined;
    }
    if (!same(header.subarray(16), this.#token)) return undefined;
    const [number, owner] = [view.getUint16(6, true), view.getUint32(8, true)];
    if (number !== P.STREAM_SOCKET) return this.#find(owner)?.attach(number, stream);
    const take = this.#listener(owner);
    if (take === undefined) return undefined;
    const inner = new Taken(stream);
    take(inner);
    return (chunk) => inner.deliver(chunk);
  }

  /** Drops all that are open. */
  close(): void {
    for (const stream of this.#open) stream.destroy();
  }
}

/** A connection that a listener took, from behind its header on: the acceptor goes on as the transport's consumer. */
/** Takes as long wherever they differ. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  let different = a.length ^ b.length;
  for (let i = 0; i < b.length; i++) different |= (a[i] ?? 0) ^ b[i]!;
  return different === 0;
}

class Taken implements Stream {
  readonly #stream: Stream;
  /** Nothing is delivered before there is one. */
  readonly #consumer = Promise.withResolvers<(chunk: Uint8Array) => void | Promise<void>>();

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  async deliver(chunk: Uint8Array): Promise<void> {
    await (await this.#consumer.promise)(chunk);
  }

  onData(consumer: (chunk: Uint8Array) => void | Promise<void>): void {
    this.#consumer.resolve(consumer);
  }

  onEnd(callback: () => void): void {
    this.#stream.onEnd(callback);
  }

  onClose(callback: (error?: Error) => void): void {
    this.#stream.onClose(callback);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#stream.write(bytes);
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }
}
