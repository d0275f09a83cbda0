import { BLK_SEGMENTS } from '../../../assembly/contract/devices.ts';
import { EAGAIN, EINTR, EINVAL, EIO, EOPNOTSUPP, EROFS } from '../../../assembly/contract/generated/errno.ts';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { addressOf } from '../../host/ffi.ts';
import type { IoUring } from '../../host/io-uring.ts';
import type { LinearMemory } from '../../host/linear-memory.ts';
import { preadvCachedTry, pwritevAtTry } from '../../host/sys.ts';
import { IORING_FSYNC_DATASYNC, IORING_OP_FSYNC, IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE, IORING_OP_WRITEV } from '../../host/uapi/io_uring.ts';
import { RWF_DSYNC, iovec } from '../../host/uapi/linux.ts';
import type { DiskServer } from './server.ts';
import { HOST_BLK_SYNC, HOST_PENDING } from '../../../assembly/contract/hooks.ts';
import { VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from '../../../assembly/contract/generated/virtio.ts';
import type { DiskTable } from './table.ts';

/** Requests that the kernel works on at once, of all disks; those beyond are served by system calls that block. */
export const RING_REQUESTS = 256;
/**
 * Longest write into the page cache that is made at once while nothing else is in flight, bytes. Most file systems cannot
 * promise not to wait, so io_uring hands such a write to a thread of its own, which costs more than the write.
 */
const WRITE_NOW = 1 << 20;
/**
 * From here on what the page cache has of a read is copied at once, bytes: a fifth faster than by the ring, and as long in this
 * thread, which makes the ring's copy too. What the cache has not is the ring's, so nothing waits.
 */
const READ_NOW = 1 << 16;
/** Entries that the ring's owner keeps for its polls, which must always fit. */
export const RING_RESERVED = 32;

interface Request {
  disk: number;
  op: number;
  offset: number;
  iov: number;
  count: number;
  length: number;
  tag: number;
}

/**
 * Serves block requests by io_uring. The vectors and the ring lie in memory of the host's own: an address never enters
 * the linear memory. A flush covers the writes that were completed before it came (virtio 1.2 §5.2.6), which the kernel's
 * fdatasync does whatever else is in flight, so nothing is ordered here.
 */
export class RingDiskServer {
  readonly #ring: IoUring;
  readonly #disks: DiskTable;
  readonly #blocking: DiskServer;
  readonly #words: Uint32Array;
  readonly #ramEnd: number;
  /** Host address of linear offset 0. */
  readonly #base: number;
  readonly #vectors = new Uint32Array((RING_REQUESTS * BLK_SEGMENTS * iovec.sizeof) / 4);
  readonly #vectorsAt: number;
  readonly #requests: Request[] = Array.from({ length: RING_REQUESTS }, () => ({ disk: 0, op: 0, offset: 0, iov: 0, count: 0, length: 0, tag: 0 }));
  /** Disks whose file system does not tell what is cached: bit mask. */
  #noCached = 0;
  readonly #free = Array.from({ length: RING_REQUESTS }, (_, i) => i);

  /** `blocking` takes what the ring does not: other operations, and requests beyond its size. */
  constructor(ring: IoUring, linear: LinearMemory, ramSize: number, disks: DiskTable, blocking: DiskServer) {
    this.#ring = ring;
    this.#disks = disks;
    this.#blocking = blocking;
    this.#words = new Uint32Array(linear.memory.buffer);
    this.#ramEnd = RAM_BASE + ramSize;
    this.#base = Number(linear.hostAddress(0, linear.byteLength));
    this.#vectorsAt = Number(addressOf(this.#vectors));
  }

  /** Requests that the kernel has. */
  get inflight(): number {
    return RING_REQUESTS - this.#free.length;
  }

  /** As DiskServer's; HOST_PENDING when `completed` will tell the result. The ring's owner has to enter it then. */
  request(disk: number, op: number, offset: number, iov: number, count: number, tag: number): number {
    const target = this.#disks.get(disk);
    const type = op & ~HOST_BLK_SYNC;
    const moves = type === VIRTIO_BLK_T_IN || type === VIRTIO_BLK_T_OUT;
    if (target === undefined || (!moves && op !== VIRTIO_BLK_T_FLUSH) || this.#free.length === 0 || this.#ring.room <= RING_RESERVED) return this.#blocking.request(disk, op, offset, iov, count);
    if (type === VIRTIO_BLK_T_OUT && target.readOnly) return -EROFS;
    const slot = this.#free[this.#free.length - 1] as number;
    const length = moves ? this.#fill(slot, iov, count) : 0;
    if (length < 0 || offset + length > target.size) return -EINVAL;
    if (op === VIRTIO_BLK_T_OUT && length <= WRITE_NOW && this.#free.length === RING_REQUESTS) {
      const written = pwritevAtTry(target.fd, this.#vectorsAt + slot * BLK_SEGMENTS * iovec.sizeof, count, offset);
      if (written === length) return written;
    }
    if (type === VIRTIO_BLK_T_IN && length >= READ_NOW && (this.#noCached & (1 << disk)) === 0) {
      const read = preadvCachedTry(target.fd, this.#vectorsAt + slot * BLK_SEGMENTS * iovec.sizeof, count, offset);
      if (read === length) return length;
      if (read === -EOPNOTSUPP) this.#noCached |= 1 << disk;
    }
    this.#free.pop();
    const request = this.#requests[slot] as Request;
    request.disk = disk;
    request.op = op;
    request.offset = offset;
    request.iov = iov;
    request.count = count;
    request.length = length;
    request.tag = tag;
    const first = (slot * BLK_SEGMENTS * iovec.sizeof) / 4;
    const { fd } = target;
    if (!moves) this.#ring.push({ opcode: IORING_OP_FSYNC, fd, userData: slot, opFlags: IORING_FSYNC_DATASYNC });
    else {
      const write = type === VIRTIO_BLK_T_OUT;
      const opFlags = (op & HOST_BLK_SYNC) !== 0 ? RWF_DSYNC : 0;
      if (count === 1) this.#ring.push({ opcode: write ? IORING_OP_WRITE : IORING_OP_READ, fd, userData: slot, off: offset, addr: (this.#vectors[first] as number) + (this.#vectors[first + 1] as number) * 2 ** 32, len: length, opFlags });
      else this.#ring.push({ opcode: write ? IORING_OP_WRITEV : IORING_OP_READV, fd, userData: slot, off: offset, addr: this.#vectorsAt + 4 * first, len: count, opFlags });
    }
    return HOST_PENDING;
  }

  /** Writes the iovecs of a request: its bytes, or -EINVAL when a piece is not in guest memory. */
  #fill(slot: number, iov: number, count: number): number {
    if (count > BLK_SEGMENTS) return -EINVAL;
    const words = this.#words;
    const vectors = this.#vectors;
    let to = (slot * BLK_SEGMENTS * iovec.sizeof) / 4;
    let total = 0;
    for (let i = iov >>> 2, end = i + 2 * count; i < end; i += 2) {
      const at = words[i] as number;
      const length = words[i + 1] as number;
      if (at < RAM_BASE || at + length > this.#ramEnd) return -EINVAL;
      const address = this.#base + at;
      vectors[to] = address % 2 ** 32;
      vectors[to + 1] = address / 2 ** 32;
      vectors[to + 2] = length;
      to += iovec.sizeof / 4;
      total += length;
    }
    return total;
  }

  /** The ring's answer for a user datum below RING_REQUESTS: whose request ended, and its result as DiskServer's. */
  completed(slot: number, result: number): { readonly disk: number; readonly tag: number; readonly result: number } {
    const { disk, op, offset, iov, count, length, tag } = this.#requests[slot] as Request;
    this.#free.push(slot);
    if (result === length) return { disk, tag, result };
    // A part, a signal, or a full queue below: the call that waits finds out what becomes of the rest.
    if (result > 0 || result === -EAGAIN || result === -EINTR) return { disk, tag, result: this.#blocking.request(disk, op, offset, iov, count) };
    // Nothing: the file became shorter under us.
    return { disk, tag, result: this.#blocking.ended(disk, result === 0 ? -EIO : result) };
  }
}
