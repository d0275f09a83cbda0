import { NET_HDR_SIZE } from '../../../assembly/contract/devices.ts';
import { EAGAIN, ECONNREFUSED, EINVAL, EIO, EMSGSIZE, ENOBUFS } from '../../../assembly/contract/generated/errno.ts';
import { addressOf } from '../../host/ffi.ts';
import { readvTry, setTapOffloads, writevTry } from '../../host/net.ts';
import type { NetBackend } from './backend.ts';
import type { Frame, Vectors } from './frames.ts';

/** Of the longest frame, and more than any tap or socket gives at once. */
const OVERFLOW = 1 << 17;
/** Answers of a descriptor that is well: the interface is down, the peer's queue is full, the frame is not to its taste. */
const HARMLESS: ReadonlySet<number> = new Set([EIO, ENOBUFS, EMSGSIZE, EINVAL, ECONNREFUSED]);

/**
 * A descriptor that takes and gives a frame a call: a tap, whose frames have a virtio_net_hdr before them, or a socket of datagrams. The
 * kernel copies between it and guest memory.
 */
export class PacketBackend implements NetBackend {
  readonly #fd: number;
  readonly #header: boolean;
  readonly #vectors: Vectors;
  readonly #lost: (errno: number) => void;
  /** Where the end of a frame goes for which the guest has no room. */
  readonly #overflow = new Uint8Array(OVERFLOW);
  readonly #overflowAt = Number(addressOf(this.#overflow));
  /** A frame that waits for room, with its header. */
  #held: { readonly header: Uint8Array; readonly frame: Uint8Array } | undefined;

  constructor(fd: number, header: boolean, vectors: Vectors, lost: (errno: number) => void) {
    this.#fd = fd;
    this.#header = header;
    this.#vectors = vectors;
    this.#lost = lost;
  }

  send(frame: Frame): number {
    const vectors = this.#vectors;
    vectors.clear();
    frame.vectors(vectors, this.#header);
    const result = writevTry(this.#fd, vectors.address, vectors.count);
    if (result < 0) return this.#failed(result);
    return frame.bytes;
  }

  receive(frame: Frame, last: boolean): number {
    if (this.#held !== undefined) return this.#again(frame, last);
    const vectors = this.#vectors;
    for (;;) {
      vectors.clear();
      frame.vectors(vectors, this.#header);
      vectors.add(this.#overflowAt, OVERFLOW);
      const result = readvTry(this.#fd, vectors.address, vectors.count);
      if (result <= 0) return result === -EAGAIN ? 0 : this.#ended(result);
      const length = this.#header ? result - NET_HDR_SIZE : result;
      if (length <= frame.bytes) {
        if (length > 0) return length;
      } else if (!last) {
        this.#hold(frame, length);
        return -ENOBUFS;
      }
      // What is lost makes place for the next.
    }
  }

  setOffloads(offloads: number): void {
    if (this.#header) setTapOffloads(this.#fd, offloads);
  }

  close(): void {
    // The descriptor is whoever's opened it.
  }

  #hold(frame: Frame, length: number): void {
    const bytes = new Uint8Array(length);
    frame.copyTo(bytes);
    bytes.set(this.#overflow.subarray(0, length - frame.bytes), frame.bytes);
    this.#held = { header: frame.header.slice(), frame: bytes };
  }

  #again(frame: Frame, last: boolean): number {
    const held = this.#held as { header: Uint8Array; frame: Uint8Array };
    if (held.frame.length > frame.bytes && !last) return -ENOBUFS;
    this.#held = undefined;
    if (held.frame.length > frame.bytes) return this.receive(frame, last);
    frame.header.set(held.header);
    frame.copyFrom(held.frame);
    return held.frame.length;
  }

  /** A frame that could not be sent. */
  #failed(result: number): number {
    if (result !== -EAGAIN && !HARMLESS.has(-result)) this.#lost(-result);
    return result;
  }

  /** Nothing more comes: the interface is gone, or the peer. An interface that is only down gives EIO. */
  #ended(result: number): number {
    if (result !== -EIO && result !== -ECONNREFUSED) this.#lost(Math.abs(result));
    return 0;
  }
}
