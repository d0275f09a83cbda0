import type { Socket } from 'node:net';
import { EAGAIN, EBADMSG } from '../../../assembly/contract/generated/errno.ts';
import type { NetBackend, NetEvents } from './backend.ts';
import { FrameReader, LENGTH_SIZE, putLength } from './framing.ts';
import type { Frame } from './frames.ts';

/** Bytes of the guest's that wait in this process before it is held up. */
const OUTBOX = 1 << 18;

/** A stream socket with QEMU's framing, on Node's event loop: where there is no FFI library. */
export class NodeStreamBackend implements NetBackend {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  /** Bytes that did not fit the reader. */
  #waiting: Uint8Array = new Uint8Array(0);
  #full = false;

  constructor(socket: Socket, events: NetEvents) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
      socket.pause();
      events.readable();
    });
    socket.on('drain', () => {
      if (this.#full) events.writable();
      this.#full = false;
    });
    socket.on('error', (error) => events.lost(Math.abs((error as NodeJS.ErrnoException).errno ?? EBADMSG)));
    socket.on('end', () => events.lost(0));
  }

  send(frame: Frame): number {
    if (this.#socket.writableLength > OUTBOX) {
      this.#full = true;
      return -EAGAIN;
    }
    const bytes = Buffer.allocUnsafe(LENGTH_SIZE + frame.bytes);
    putLength(bytes, frame.bytes);
    frame.copyTo(bytes, LENGTH_SIZE);
    this.#socket.write(bytes);
    return frame.bytes;
  }

  receive(frame: Frame, last: boolean): number {
    for (;;) {
      const taken = this.#reader.take(frame, last);
      if (taken === -EBADMSG) {
        this.#socket.destroy(new Error('EBADMSG'));
        return 0;
      }
      if (taken !== 0) return taken;
      if (this.#waiting.length === 0) {
        this.#socket.resume();
        return 0;
      }
      const room = this.#reader.room();
      const part = this.#waiting.subarray(0, room.length);
      room.set(part);
      this.#reader.added(part.length);
      this.#waiting = this.#waiting.subarray(part.length);
    }
  }

  setOffloads(): void {
    // Such a stream has no header in which to leave anything undone.
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.on('error', () => {});
    this.#socket.destroy();
  }
}
