import { timingSafeEqual } from 'node:crypto';
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
  readonly #open = new Set<Stream>();
  readonly #unnamed = new Set<Stream>();

  constructor(token: Uint8Array, find: (process: number) => ProcessHandle | undefined) {
    this.#token = token;
    this.#find = find;
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
    if (!timingSafeEqual(header.subarray(16), this.#token)) return undefined;
    return this.#find(view.getUint32(8, true))?.attach(view.getUint16(6, true), stream);
  }

  /** Drops all that are open. */
  close(): void {
    for (const stream of this.#open) stream.destroy();
  }
}
