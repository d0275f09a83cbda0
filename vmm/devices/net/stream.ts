import { EAGAIN, EBADMSG } from '../../../assembly/contract/generated/errno.ts';
import { addressOf } from '../../host/ffi.ts';
import { readTry, writeTry, writevTry } from '../../host/net.ts';
import type { NetBackend } from './backend.ts';
import { FrameReader, LENGTH_SIZE, putLength } from './framing.ts';
import type { Frame, Vectors } from './frames.ts';

const REST = 1 << 17;

/** A stream socket with QEMU's framing, by system calls that do not block. */
export class StreamBackend implements NetBackend {
  readonly #fd: number;
  readonly #vectors: Vectors;
  readonly #lost: (errno: number) => void;
  readonly #reader = new FrameReader();
  readonly #inboxAt = Number(addressOf(this.#reader.bytes));
  readonly #length = new Uint8Array(LENGTH_SIZE + 4096); // so large that it is not on V8's heap, where it would move
  readonly #lengthAt = Number(addressOf(this.#length));
  /** The end of a frame of which the socket has taken a part. */
  readonly #rest = new Uint8Array(REST);
  readonly #restAt = Number(addressOf(this.#rest));
  #restStart = 0;
  #restEnd = 0;

  constructor(fd: number, vectors: Vectors, lost: (errno: number) => void) {
    this.#fd = fd;
    this.#vectors = vectors;
    this.#lost = lost;
  }

  send(frame: Frame): number {
    const before = this.#flush();
    if (before < 0) return before;
    putLength(this.#length, frame.bytes);
    const vectors = this.#vectors;
    vectors.clear();
    vectors.add(this.#lengthAt, LENGTH_SIZE);
    frame.vectors(vectors, false);
    const result = writevTry(this.#fd, vectors.address, vectors.count);
    if (result < 0) return this.#failed(result);
    const whole = LENGTH_SIZE + frame.bytes;
    if (result < whole) {
      this.#rest.set(this.#length.subarray(0, LENGTH_SIZE));
      frame.copyTo(this.#rest, LENGTH_SIZE);
      this.#restStart = result;
      this.#restEnd = whole;
    }
    return frame.bytes;
  }

  receive(frame: Frame, last: boolean): number {
    for (;;) {
      const taken = this.#reader.take(frame, last);
      if (taken === -EBADMSG) {
        this.#lost(EBADMSG);
        return 0;
      }
      if (taken !== 0) return taken;
      const room = this.#reader.room();
      const result = readTry(this.#fd, this.#inboxAt + room.byteOffset, room.length);
      if (result === -EAGAIN) return 0;
      if (result <= 0) {
        this.#lost(Math.abs(result));
        return 0;
      }
      this.#reader.added(result);
    }
  }

  setOffloads(): void {
    // Such a stream has no header in which to leave anything undone.
  }

  close(): void {
    // The descriptor is whoever's opened it.
  }

  /** What is left of the frame before: 0 when all is gone. */
  #flush(): number {
    while (this.#restStart < this.#restEnd) {
      const result = writeTry(this.#fd, this.#restAt + this.#restStart, this.#restEnd - this.#restStart);
      if (result < 0) return this.#failed(result);
      this.#restStart += result;
    }
    return 0;
  }

  #failed(result: number): number {
    if (result !== -EAGAIN) this.#lost(-result);
    return result;
  }
}
