import { NET_FRAME_MAX } from '../../../assembly/contract/devices.ts';
import { EBADMSG, ENOBUFS } from '../../../assembly/contract/generated/errno.ts';
import type { Frame } from './frames.ts';

/** QEMU's `-netdev stream`, `-netdev socket` and passt: each frame has its length before it, 32 bits, big endian. */
export const LENGTH_SIZE = 4;
/** Bytes that are kept for the guest until it has room: two of the longest frames. */
const INBOX = 2 * (NET_FRAME_MAX + LENGTH_SIZE);

/** Frames cut out of a stream's bytes. */
export class FrameReader {
  readonly bytes = new Uint8Array(INBOX);
  readonly #view = new DataView(this.bytes.buffer);
  #start = 0;
  #end = 0;

  /** Where the stream's next bytes go, and how many there may be; 0 when the frames that are here are to be taken first. */
  room(): Uint8Array {
    if (this.#start > 0) {
      this.bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.bytes.subarray(this.#end);
  }

  /** `count` bytes have come. */
  added(count: number): void {
    this.#end += count;
  }

  /** As NetBackend.receive; 0 as well when a frame is not whole yet; -EBADMSG when the stream cannot be in step any more. */
  take(frame: Frame, last: boolean): number {
    for (;;) {
      const have = this.#end - this.#start;
      if (have < LENGTH_SIZE) return 0;
      const length = this.#view.getUint32(this.#start);
      if (length > NET_FRAME_MAX) return -EBADMSG;
      if (have < LENGTH_SIZE + length) return 0;
      if (length > frame.bytes && !last) return -ENOBUFS;
      const from = this.#start + LENGTH_SIZE;
      this.#start = from + length;
      if (length === 0 || length > frame.bytes) continue;
      frame.header.fill(0);
      frame.copyFrom(this.bytes.subarray(from, from + length));
      return length;
    }
  }
}

/** The length before a frame. */
export function putLength(bytes: Uint8Array, length: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, length);
}
