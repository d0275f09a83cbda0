/** Blocks of an ext4 file system in a file, as its journal would leave them. Whoever could write to the disk is not trusted. */
import { fstatSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { readFully } from '../tree/content.ts';

// Linux, fs/ext4/ext4.h: struct ext4_super_block, 1024 bytes behind the disk's start.
const SUPER_AT = 1024;
const MAGIC = 0xef53;
const INCOMPAT_RECOVER = 0x4;
const INCOMPAT_META_BG = 0x10;
/** filetype, recover, extents, 64bit, flex_bg, csum_seed: what changes nothing of what is read here. */
const INCOMPAT_KNOWN = 0x2 | INCOMPAT_RECOVER | 0x40 | 0x80 | 0x200 | 0x2000;
const GROUP_BYTES = 32;

export interface Ext4Super {
  readonly blockSize: number;
  readonly blocks: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  readonly groupSize: number;
  readonly firstDataBlock: number;
  readonly journalInode: number;
  /** The journal holds what is not in its place yet. */
  readonly recover: boolean;
}

export function corrupt(what: string): VmmError {
  return new VmmError('KEPT_DISK', `the container’s disk cannot be read: ${what}`, { hint: 'start the container: its kernel may mend it' });
}

export class Ext4Disk {
  readonly fd: number;
  readonly super: Ext4Super;
  /** Blocks that the journal has newer. */
  readonly #newer = new Map<number, Buffer>();

  /** Throws KEPT_DISK. */
  constructor(fd: number) {
    this.fd = fd;
    this.super = superblock(fd);
  }

  /** A block's content; not for who would change it. Throws KEPT_DISK for one outside the disk. */
  block(number: number): Buffer {
    return this.#newer.get(number) ?? this.stored(number);
  }

  /** A block as it lies on the disk. */
  stored(number: number): Buffer {
    const { blockSize } = this.super;
    this.check(number, 1);
    const bytes = Buffer.allocUnsafe(blockSize);
    if (!readFully(this.fd, bytes, number * blockSize)) throw corrupt('it is shorter than it says');
    return bytes;
  }

  check(number: number, count: number): void {
    if (number + count > this.super.blocks || number < this.super.firstDataBlock) throw corrupt(`block ${number} is outside of it`);
  }

  /** What the journal says of a block counts from now on. */
  replace(number: number, bytes: Buffer): void {
    this.check(number, 1);
    this.#newer.set(number, bytes);
  }

  /** An inode's bytes. Throws KEPT_DISK. */
  inode(number: number): Buffer {
    const { inodes, inodesPerGroup, inodeSize, blockSize, groupSize, firstDataBlock } = this.super;
    if (number < 1 || number > inodes) throw corrupt(`inode ${number} is outside of it`);
    const group = Math.floor((number - 1) / inodesPerGroup);
    const at = group * groupSize;
    const descriptor = this.block(firstDataBlock + 1 + Math.floor(at / blockSize)).subarray(at % blockSize);
    const table = u48(descriptor.readUInt32LE(0x8), groupSize >= 64 ? descriptor.readUInt32LE(0x28) : 0);
    const offset = ((number - 1) % inodesPerGroup) * inodeSize;
    return this.block(table + Math.floor(offset / blockSize)).subarray(offset % blockSize, (offset % blockSize) + inodeSize);
  }
}

/** A block's number: ext4 has 48 bits at most, which a number holds. */
export function u48(low: number, high: number): number {
  return (high & 0xffff) * 2 ** 32 + low;
}

function superblock(fd: number): Ext4Super {
  const bytes = Buffer.alloc(1024);
  if (!readFully(fd, bytes, SUPER_AT) || bytes.readUInt16LE(0x38) !== MAGIC) throw corrupt('it is no ext4');
  const incompat = bytes.readUInt32LE(0x60);
  if ((incompat & INCOMPAT_META_BG) !== 0) throw corrupt('it is larger than 256g');
  if ((incompat & ~INCOMPAT_KNOWN) !== 0) throw corrupt(`it has features 0x${(incompat & ~INCOMPAT_KNOWN).toString(16)}`);
  const blockSize = 1024 << bytes.readUInt32LE(0x18);
  const inodeSize = bytes.readUInt16LE(0x58);
  const groupSize = (incompat & 0x80) !== 0 ? bytes.readUInt16LE(0xfe) : GROUP_BYTES;
  const found: Ext4Super = {
    blockSize,
    blocks: u48(bytes.readUInt32LE(0x4), bytes.readUInt32LE(0x150)),
    inodes: bytes.readUInt32LE(0x0),
    inodesPerGroup: bytes.readUInt32LE(0x28),
    inodeSize,
    groupSize,
    firstDataBlock: bytes.readUInt32LE(0x14),
    journalInode: bytes.readUInt32LE(0xe0),
    recover: (incompat & INCOMPAT_RECOVER) !== 0,
  };
  const whole = blockSize === 4096 && inodeSize >= 128 && inodeSize <= blockSize && (inodeSize & (inodeSize - 1)) === 0 && (groupSize === 32 || groupSize === 64) && found.firstDataBlock === 0;
  if (!whole || found.inodesPerGroup === 0 || found.blocks * blockSize > fstatSync(fd).size) throw corrupt('its superblock is not one of vmm’s');
  return found;
}
