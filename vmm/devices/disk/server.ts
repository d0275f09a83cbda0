import { fdatasyncSync, readvSync, writevSync, writeSync } from 'node:fs';
import {
  VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
} from '../../../assembly/contract/generated/virtio.ts';
import { HOST_BLK_SYNC, HOST_PENDING } from '../../../assembly/contract/hooks.ts';
import { EINVAL, EIO, ENODEV, ENOSYS, EOPNOTSUPP, EROFS } from '../../../assembly/contract/generated/errno.ts';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { VmmError } from '../../../base/errors.ts';
import { fallocateTry } from '../../host/sys.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE } from '../../host/uapi/linux.ts';
import type { DiskTable, ServedDisk } from './table.ts';

/**
 * Serves block requests with system calls that block the calling thread. Buffers are ranges of the shared linear
 * memory; each is checked against guest RAM here, whatever the core already checked.
 */
export class DiskServer {
  readonly #disks: DiskTable;
  readonly #buffer: SharedArrayBuffer;
  readonly #words: Uint32Array;
  readonly #ramEnd: number;
  /** Disks whose file system cannot punch holes, or zero a range: bit n for slot n. */
  #noPunch = 0;
  #noZeroRange = 0;
  readonly #onError: (disk: number, errno: number) => void;
  readonly #told = new Set<string>();

  /** `disk`, here and below, is a device slot. `onError`: the host could not do what a guest asked for rightly; once for each disk and errno. */
  constructor(memory: WebAssembly.Memory, ramSize: number, disks: DiskTable, onError: (disk: number, errno: number) => void = () => {}) {
    this.#onError = onError;
    this.#disks = disks;
    this.#buffer = memory.buffer as unknown as SharedArrayBuffer;
    this.#words = new Uint32Array(this.#buffer);
    this.#ramEnd = RAM_BASE + ramSize;
  }

  /** One request as assembly/core/host.ts `host_blk` describes it: bytes moved, or -errno. */
  request(disk: number, op: number, offset: number, iov: number, count: number): number {
    return this.ended(disk, this.#serve(disk, op, offset, iov, count));
  }

  /** The result of a request; an error of the host is told. */
  ended(disk: number, result: number): number {
    // EINVAL, EROFS and EOPNOTSUPP are answers to what the guest asked for.
    if (result >= 0 || result === -EINVAL || result === -EROFS || result === -EOPNOTSUPP || result === HOST_PENDING) return result;
    const key = `${disk} ${result}`;
    if (!this.#told.has(key)) {
      this.#told.add(key);
      this.#onError(disk, -result);
    }
    return result;
  }

  #serve(disk: number, op: number, offset: number, iov: number, count: number): number {
    const target = this.#disks.get(disk);
    if (target === undefined) return -EIO;
    try {
      switch (op) {
        case VIRTIO_BLK_T_IN:
          return this.#move(target, offset, iov, count, false);
        case VIRTIO_BLK_T_OUT:
          return target.readOnly ? -EROFS : this.#move(target, offset, iov, count, true);
        case VIRTIO_BLK_T_FLUSH:
          if (!target.readOnly) fdatasyncSync(target.fd);
          return 0;
        case VIRTIO_BLK_T_OUT | HOST_BLK_SYNC: {
          if (target.readOnly) return -EROFS;
          const moved = this.#move(target, offset, iov, count, true);
          if (moved >= 0) fdatasyncSync(target.fd);
          return moved;
        }
        case VIRTIO_BLK_T_DISCARD:
        case VIRTIO_BLK_T_WRITE_ZEROES: {
          // The table's one entry is {flags, bytes}.
          const flags = this.#words[iov >>> 2] as number;
          const length = this.#words[(iov >>> 2) + 1] as number;
          if (target.readOnly) return -EROFS;
          if (offset + length > target.size) return -EINVAL;
          return op === VIRTIO_BLK_T_DISCARD ? this.#discard(disk, offset, length) : this.#zero(disk, offset, length, (flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) !== 0);
        }
        default:
          return -EOPNOTSUPP;
      }
    } catch (error) {
      return -Math.abs((error as NodeJS.ErrnoException).errno ?? EIO);
    }
  }

  #move(disk: ServedDisk, offset: number, iov: number, count: number, write: boolean): number {
    const views: Uint8Array[] = [];
    let total = 0;
    for (let i = 0; i < count; i++) {
      const at = this.#words[(iov >>> 2) + 2 * i] as number;
      const length = this.#words[(iov >>> 2) + 2 * i + 1] as number;
      if (at < RAM_BASE || at + length > this.#ramEnd) return -EINVAL;
      views.push(new Uint8Array(this.#buffer, at, length));
      total += length;
    }
    if (offset + total > disk.size) return -EINVAL;
    let done = 0;
    while (done < total) {
      const n = write ? writevSync(disk.fd, views, offset + done) : readvSync(disk.fd, views, offset + done);
      // The file became shorter under us: what is missing cannot be read.
      if (n === 0) return -EIO;
      done += n;
      if (done < total) advance(views, n);
    }
    return total;
  }

  /** A hint: where no hole can be made the data stays (virtio 1.2 §5.2.6.2). */
  #discard(disk: number, offset: number, length: number): number {
    const result = this.#punch(disk, offset, length);
    return refused(result) ? 0 : result;
  }

  /** Zeros, as a hole when the driver lets us, else as space that stays the file's; by writing them where neither is possible. */
  #zero(disk: number, offset: number, length: number, unmap: boolean): number {
    let result = unmap ? this.#punch(disk, offset, length) : -EOPNOTSUPP;
    if (refused(result)) result = this.#zeroRange(disk, offset, length);
    if (!refused(result)) return result;
    const { fd } = this.#disks.get(disk) as ServedDisk;
    const zeros = new Uint8Array(Math.min(length, 1 << 20));
    for (let done = 0; done < length; ) done += writeSync(fd, zeros, 0, Math.min(zeros.length, length - done), offset + done);
    return 0;
  }

  #punch(disk: number, offset: number, length: number): number {
    if ((this.#noPunch & (1 << disk)) !== 0) return -EOPNOTSUPP;
    const result = this.#fallocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    if (refused(result)) this.#noPunch |= 1 << disk;
    return result;
  }

  #zeroRange(disk: number, offset: number, length: number): number {
    if ((this.#noZeroRange & (1 << disk)) !== 0) return -EOPNOTSUPP;
    const result = this.#fallocate(disk, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
    if (refused(result)) this.#noZeroRange |= 1 << disk;
    return result;
  }

  #fallocate(disk: number, mode: number, offset: number, length: number): number {
    try {
      return fallocateTry((this.#disks.get(disk) as ServedDisk).fd, mode, offset, length);
    } catch (error) {
      if (error instanceof VmmError) return -EOPNOTSUPP; // no FFI library
      throw error;
    }
  }
}

/** Not here, as opposed to an error: a file system or device without this kind of fallocate. */
function refused(result: number): boolean {
  return result === -EOPNOTSUPP || result === -ENOSYS || result === -ENODEV;
}

/** Drops the first `n` bytes of a list of views, in place. */
function advance(views: Uint8Array[], n: number): void {
  let left = n;
  while (left > 0) {
    const first = views[0] as Uint8Array;
    if (first.length <= left) {
      views.shift();
      left -= first.length;
    } else {
      views[0] = first.subarray(left);
      left = 0;
    }
  }
}
