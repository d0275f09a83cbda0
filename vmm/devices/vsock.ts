import { VSOCK_QUEUES } from '../../assembly/contract/devices.ts';
import { EAGAIN } from '../../assembly/contract/generated/errno.ts';
import { VIRTIO_VSOCK_SHUTDOWN_RCV, VIRTIO_VSOCK_SHUTDOWN_SEND } from '../../assembly/contract/generated/virtio.ts';
import { VSOCK_EV_CONNECTED, VSOCK_EV_DATA, VSOCK_EV_REQUEST, VSOCK_EV_RESET, VSOCK_EV_SHUTDOWN, VSOCK_EV_WRITABLE } from '../../assembly/contract/hooks.ts';
import { SCRATCH_BASE, SCRATCH_STRIDE, VCPU_MAX } from '../../assembly/core/layout.ts';
import type { Listener, Stream, Transport } from '../agent/transport.ts';
import { VmmError } from '../../base/errors.ts';
import type { CoreExports } from '../core/exports.ts';
import type { DevicePort, HostDevice } from './device.ts';

/** The main thread's scratch area: bytes on their way into the guest. */
const SCRATCH = SCRATCH_BASE + (VCPU_MAX + 1) * SCRATCH_STRIDE;

const GUEST_CID = 3;

/** Bytes of a buffer for received data: the longest packet of Linux. Shorter data than the second number is not worth one. */
const CHUNK = 65536;
const CHUNK_LEAST = 16384;
const CHUNKS_KEPT = 16;

/** Buffers that are used again: a fresh one for each packet costs more in page faults than the copy into it. */
class Chunks {
  readonly #free: ArrayBuffer[] = [];

  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length < CHUNK_LEAST || bytes.length > CHUNK) return bytes.slice();
    const chunk = new Uint8Array(this.#free.pop() ?? new ArrayBuffer(CHUNK), 0, bytes.length);
    chunk.set(bytes);
    return chunk;
  }

  giveBack({ buffer }: Uint8Array): void {
    if (buffer instanceof ArrayBuffer && buffer.byteLength === CHUNK && this.#free.length < CHUNKS_KEPT) this.#free.push(buffer);
  }
}

/**
 * Host side of the vsock device: listeners and connections of this process. All of it runs on the main thread, which
 * owns the device's queues. It outlives a reset of the guest: connections close, listeners stay.
 */
export class VsockHost implements Transport, HostDevice {
  readonly name = 'the vsock device';
  readonly queues = VSOCK_QUEUES;
  readonly #listeners = new Map<number, (stream: Stream) => void>();
  readonly #connections = new Map<number, Connection>();
  readonly #chunks = new Chunks();
  #core: CoreExports | undefined;
  #bytes: Uint8Array = new Uint8Array(0);

  add({ core, slot }: DevicePort): number {
    return core.vsock_add(slot, GUEST_CID);
  }

  /** A machine with the device is there. */
  attach({ core, memory }: DevicePort): void {
    this.#core = core;
    this.#bytes = new Uint8Array(memory.buffer);
    for (const port of this.#listeners.keys()) core.vsock_listen(port);
  }

  /** The machine is gone: every connection closes. */
  detach(): void {
    this.#core = undefined;
    for (const connection of [...this.#connections.values()]) connection.gone();
    this.#connections.clear();
  }

  listen(port: number, onConnection: (stream: Stream) => void): Listener {
    if (this.#listeners.has(port)) throw new VmmError('VSOCK_BUSY', `vsock port ${port} has a listener already`);
    this.#listeners.set(port, onConnection);
    this.#core?.vsock_listen(port);
    return {
      close: () => {
        this.#listeners.delete(port);
        this.#core?.vsock_unlisten(port);
      },
    };
  }

  /** Connects to a port of the guest. Rejects with VSOCK_REFUSED when nobody listens there. */
  connect(port: number): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const handle = this.#core?.vsock_connect(port) ?? -1;
      const refused = (): void => reject(new VmmError('VSOCK_REFUSED', `the guest refuses a connection to vsock port ${port}`));
      if (handle < 0) {
        refused();
        return;
      }
      const connection = this.#open(handle);
      connection.whenConnected(() => resolve(connection), refused);
    });
  }

  /** host_vsock: called by the core, on this thread, while a queue is worked on. */
  vsock(handle: number, event: number, ptr: number, length: number): void {
    const connection = this.#connections.get(handle);
    switch (event) {
      case VSOCK_EV_REQUEST: {
        const listener = this.#listeners.get(ptr);
        if (listener === undefined) this.#core?.vsock_reset(handle);
        else {
          this.#core?.vsock_accept(handle);
          listener(this.#open(handle));
        }
        break;
      }
      case VSOCK_EV_CONNECTED:
        connection?.connected();
        break;
      case VSOCK_EV_DATA:
        // The guest gets its buffer back after this call, so what has to wait is copied.
        connection?.received(this.#chunks.copy(this.#bytes.subarray(ptr, ptr + length)));
        break;
      case VSOCK_EV_SHUTDOWN:
        connection?.peerShutdown(length);
        break;
      case VSOCK_EV_RESET:
        connection?.gone();
        break;
      case VSOCK_EV_WRITABLE:
        connection?.writable();
        break;
    }
  }

  #open(handle: number): Connection {
    const connection = new Connection({
      send: (bytes) => {
        if (this.#core === undefined) return -1;
        const n = Math.min(bytes.length, SCRATCH_STRIDE);
        this.#bytes.set(bytes.subarray(0, n), SCRATCH);
        return this.#core.vsock_send(handle, SCRATCH, n);
      },
      consumed: (n) => this.#core?.vsock_consumed(handle, n),
      shutdown: (how) => this.#core?.vsock_shutdown(handle, how),
      reset: () => this.#core?.vsock_reset(handle),
      forget: () => this.#connections.delete(handle),
      giveBack: (chunk) => this.#chunks.giveBack(chunk),
    });
    this.#connections.set(handle, connection);
    return connection;
  }
}

/** What a connection asks of the device. */
interface ConnectionPort {
  /** Bytes taken, -EAGAIN, or another -errno when the connection is dead. */
  send(bytes: Uint8Array): number;
  consumed(n: number): void;
  shutdown(how: number): void;
  reset(): void;
  forget(): void;
  /** A chunk that the consumer is done with. */
  giveBack(chunk: Uint8Array): void;
}

interface PendingWrite {
  bytes: Uint8Array;
  resolve(): void;
  reject(error: Error): void;
}

/** One stream connection. The peer's window bounds what waits in `#received`. */
class Connection implements Stream {
  readonly #port: ConnectionPort;
  readonly #received: Uint8Array[] = [];
  readonly #writes: PendingWrite[] = [];
  #consumer: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
  #onEnd: () => void = () => {};
  #onClose: (error?: Error) => void = () => {};
  #onConnected: () => void = () => {};
  #onRefused: () => void = () => {};
  #delivering = false;
  #peerSendClosed = false;
  #peerReceiveClosed = false;
  #ended = false;
  #endSent = false;
  #endWanted = false;
  /** The device knows it no more. */
  #gone = false;
  #closed = false;

  constructor(port: ConnectionPort) {
    this.#port = port;
  }

  onData(consumer: (chunk: Uint8Array) => void | Promise<void>): void {
    this.#consumer = consumer;
    void this.#deliver();
  }

  onEnd(callback: () => void): void {
    this.#onEnd = callback;
  }

  onClose(callback: (error?: Error) => void): void {
    this.#onClose = callback;
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#gone || this.#endWanted) return Promise.reject(new VmmError('VSOCK_CLOSED', 'the vsock connection is closed'));
    if (bytes.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#writes.push({ bytes, resolve, reject });
      if (this.#writes.length === 1) this.writable();
    });
  }

  end(): void {
    if (this.#endWanted || this.#gone) return;
    this.#endWanted = true;
    if (this.#writes.length === 0) this.#sendEnd();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#received.length = 0;
    if (!this.#gone) this.#port.reset();
    this.gone();
  }

  whenConnected(connected: () => void, refused: () => void): void {
    this.#onConnected = connected;
    this.#onRefused = refused;
  }

  connected(): void {
    this.#onRefused = () => {};
    this.#onConnected();
  }

  received(chunk: Uint8Array): void {
    this.#received.push(chunk);
    void this.#deliver();
  }

  peerShutdown(how: number): void {
    if ((how & VIRTIO_VSOCK_SHUTDOWN_SEND) !== 0) this.#peerSendClosed = true;
    if ((how & VIRTIO_VSOCK_SHUTDOWN_RCV) !== 0) this.#peerReceiveClosed = true;
    void this.#deliver();
  }

  /** The device has no such connection any more; what was received is still delivered. */
  gone(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#port.forget();
    this.#onRefused();
    for (const write of this.#writes.splice(0)) write.reject(new VmmError('VSOCK_CLOSED', 'the vsock connection was closed by the guest'));
    void this.#deliver();
  }

  /** Sends as much as the guest takes. */
  writable(): void {
    for (;;) {
      const write = this.#writes[0];
      if (write === undefined) break;
      const n = this.#port.send(write.bytes);
      if (n < 0 && n !== -EAGAIN) {
        this.#writes.shift();
        write.reject(new VmmError('VSOCK_CLOSED', 'the guest does not read from this vsock connection any more'));
        continue;
      }
      if (n <= 0) return;
      if (n < write.bytes.length) {
        // Less than was offered: the guest has no room now, and VSOCK_EV_WRITABLE tells when it has. To ask again would copy in vain.
        const full = n < Math.min(write.bytes.length, SCRATCH_STRIDE);
        write.bytes = write.bytes.subarray(n);
        if (full) return;
        continue;
      }
      this.#writes.shift();
      write.resolve();
    }
    if (this.#endWanted) this.#sendEnd();
  }

  #sendEnd(): void {
    if (this.#endSent || this.#gone) return;
    this.#endSent = true;
    this.#port.shutdown(VIRTIO_VSOCK_SHUTDOWN_SEND);
    this.#finish();
  }

  /** Hands chunks to the consumer one after the other; then tells of the end and of the close. */
  async #deliver(): Promise<void> {
    if (this.#delivering || this.#consumer === undefined) {
      if (this.#consumer === undefined && this.#received.length === 0) this.#finish();
      return;
    }
    this.#delivering = true;
    try {
      for (let chunk = this.#received.shift(); chunk !== undefined; chunk = this.#received.shift()) {
        const taken = this.#consumer(chunk);
        if (taken !== undefined) await taken;
        if (!this.#gone) this.#port.consumed(chunk.length);
        this.#port.giveBack(chunk);
      }
    } finally {
      this.#delivering = false;
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#received.length > 0 || this.#delivering) return;
    if (this.#peerSendClosed && !this.#ended) {
      this.#ended = true;
      this.#onEnd();
    }
    // Both sides are done: the guest waits for a reset as the answer to its shutdown.
    const done = this.#peerSendClosed && (this.#endSent || this.#peerReceiveClosed);
    if (done && !this.#gone) {
      this.#port.reset();
      this.gone();
      return;
    }
    if (this.#gone && !this.#closed) {
      this.#closed = true;
      this.#onClose();
    }
  }
}
