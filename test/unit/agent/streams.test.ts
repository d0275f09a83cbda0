import { expect, it } from 'vitest';
import { MSG_HELLO, STREAM_MAGIC, TOKEN_SIZE } from '../../../vmm/agent/generated/protocol.ts';
import { MAX_OPEN, StreamAcceptor } from '../../../vmm/agent/streams.ts';
import type { ProcessHandle } from '../../../vmm/agent/process.ts';
import type { Stream } from '../../../vmm/agent/transport.ts';

/** Connections of the vsock device (CONN_MAX of assembly/virtio/vsock_table.ts). */
const CONNECTIONS = 512;
const TOKEN = new Uint8Array(TOKEN_SIZE).fill(7);

class FakeStream implements Stream {
  destroyed = false;
  feed: (chunk: Uint8Array) => void | Promise<void> = () => {};
  #close: () => void = () => {};
  onData(consumer: (chunk: Uint8Array) => void | Promise<void>): void {
    this.feed = consumer;
  }
  onEnd(): void {}
  onClose(callback: () => void): void {
    this.#close = callback;
  }
  write(): Promise<void> {
    return Promise.resolve();
  }
  end(): void {}
  destroy(): void {
    this.destroyed = true;
    this.#close();
  }
}

function header(process: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, STREAM_MAGIC, true);
  view.setUint16(4, MSG_HELLO, true); // version 1
  view.setUint16(6, 1, true);
  view.setUint32(8, process, true);
  bytes.set(TOKEN, 16);
  return bytes;
}

it('whoever opens connections and says nothing takes neither room nor streams from processes', () => {
  expect(MAX_OPEN).toBeLessThan(CONNECTIONS);
  const attached: number[] = [];
  const attach = (process: number) => () => {
    attached.push(process);
    return () => Promise.resolve();
  };
  const acceptor = new StreamAcceptor(TOKEN, (process) => ({ attach: attach(process) }) as unknown as ProcessHandle);
  const named = new FakeStream();
  acceptor.accept(named);
  named.feed(header(1));
  const silent = Array.from({ length: 3 * CONNECTIONS }, () => {
    const stream = new FakeStream();
    acceptor.accept(stream);
    expect(named.destroyed).toBe(false);
    return stream;
  });
  expect(silent.filter((stream) => !stream.destroyed)).toHaveLength(MAX_OPEN - 1);
  expect(silent.at(-1)?.destroyed).toBe(false);
  const late = new FakeStream();
  acceptor.accept(late);
  late.feed(header(2));
  expect(attached).toEqual([1, 2]);
  expect(late.destroyed).toBe(false);
});
