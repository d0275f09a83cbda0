import type { ByteString } from '../tree/names.ts';
import { corrupt, type Ext4Disk, u48 } from './disk.ts';

// Linux, fs/ext4/ext4.h and ext4_extents.h.
const FLAG_EXTENTS = 0x80000;
/** Encrypted, verity, inline data: our kernel makes none of them. */
const FLAGS_STRANGE = 0x800 | 0x100000 | 0x10000000;
const EXTENT_MAGIC = 0xf30a;
const EXTENT_BYTES = 12;
const UNWRITTEN = 32768;
const MAX_DEPTH = 5;
/** Of one file, nodes of their tree included. */
const MAX_EXTENTS = 1 << 20;

export const S_IFMT = 0o170000;

export interface Inode {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** The 60 bytes of i_block. */
  readonly block: Buffer;
  readonly extents: boolean;
  readonly aclBlock: number;
  /** Attributes in the inode itself. */
  readonly extra: Buffer;
}

/** Blocks of a file that lie in a row; what no stretch has is a hole. */
export interface Stretch {
  /** In blocks of the file. */
  readonly at: number;
  readonly count: number;
  /** The first of them on the disk. */
  readonly block: number;
}

export function readInode(disk: Ext4Disk, number: number): Inode {
  const raw = disk.inode(number);
  const flags = raw.readUInt32LE(0x20);
  if ((flags & FLAGS_STRANGE) !== 0) throw corrupt(`inode ${number} has flags 0x${flags.toString(16)}`);
  const extraSize = raw.length > 128 ? raw.readUInt16LE(0x80) : 0;
  if (128 + extraSize > raw.length) throw corrupt(`inode ${number} is malformed`);
  const seconds = raw.readInt32LE(0x10);
  const extra = extraSize >= 12 ? raw.readUInt32LE(0x88) : 0;
  return {
    mode: raw.readUInt16LE(0x0),
    uid: raw.readUInt16LE(0x2) | (raw.readUInt16LE(0x78) << 16),
    gid: raw.readUInt16LE(0x18) | (raw.readUInt16LE(0x7a) << 16),
    size: raw.readUInt32LE(0x6c) * 2 ** 32 + raw.readUInt32LE(0x4),
    links: raw.readUInt16LE(0x1a),
    mtimeSec: seconds + (extra & 3) * 2 ** 32,
    mtimeNsec: Math.min(extra >>> 2, 999_999_999),
    block: raw.subarray(0x28, 0x64),
    extents: (flags & FLAG_EXTENTS) !== 0,
    aclBlock: u48(raw.readUInt32LE(0x68), raw.readUInt16LE(0x76)),
    extra: raw.subarray(128 + extraSize),
  };
}

/** Where a file's blocks lie, in order. Throws KEPT_DISK. */
export function stretches(disk: Ext4Disk, inode: Inode): Stretch[] {
  if (!inode.extents) {
    if (inode.size === 0) return [];
    throw corrupt('a file of it is mapped in a way that vmm’s kernel does not use');
  }
  const found: Stretch[] = [];
  collect(disk, inode.block, MAX_DEPTH, found, { left: MAX_EXTENTS });
  let end = 0;
  for (const { at, count } of found) {
    if (at < end) throw corrupt('a file’s extents overlap');
    end = at + count;
  }
  return found;
}

function collect(disk: Ext4Disk, node: Buffer, most: number, found: Stretch[], budget: { left: number }): void {
  const entries = node.readUInt16LE(2);
  const depth = node.readUInt16LE(6);
  if (node.readUInt16LE(0) !== EXTENT_MAGIC || depth > most || (entries + 1) * EXTENT_BYTES > node.length) throw corrupt('a file’s extents are malformed');
  for (let i = 1; i <= entries; i++) {
    const at = i * EXTENT_BYTES;
    if (--budget.left < 0) throw corrupt('a file is in too many pieces');
    if (depth > 0) {
      // A level below has to be one less, so that a circle ends.
      const below = disk.block(u48(node.readUInt32LE(at + 4), node.readUInt16LE(at + 8)));
      if (below.readUInt16LE(6) !== depth - 1) throw corrupt('a file’s extents are malformed');
      collect(disk, below, depth - 1, found, budget);
      continue;
    }
    const length = node.readUInt16LE(at + 4);
    // What was never written reads as zeros, as a hole does.
    if (length > UNWRITTEN || length === 0) continue;
    const block = u48(node.readUInt32LE(at + 8), node.readUInt16LE(at + 6));
    disk.check(block, length);
    found.push({ at: node.readUInt32LE(at), count: length, block });
  }
}

/** All of a directory, or of a long link's target: what the file system keeps in its journal. `most`: bytes. */
export function metadataOf(disk: Ext4Disk, inode: Inode, most: number): Buffer {
  if (inode.size > most) throw corrupt('a directory or link is too long');
  const bytes = Buffer.alloc(inode.size);
  const { blockSize } = disk.super;
  for (const { at, count, block } of stretches(disk, inode)) {
    for (let i = 0; i < count && (at + i) * blockSize < bytes.length; i++) disk.block(block + i).copy(bytes, (at + i) * blockSize);
  }
  return bytes;
}

/** Names and inodes of a directory, without `.` and `..`. The nodes of its hash tree look like entries that are free. */
export function* entriesOf(disk: Ext4Disk, bytes: Buffer): Generator<readonly [name: ByteString, inode: number]> {
  const { blockSize } = disk.super;
  for (let block = 0; block + blockSize <= bytes.length; block += blockSize) {
    for (let at = block; at < block + blockSize; ) {
      const number = bytes.readUInt32LE(at);
      const length = bytes.readUInt16LE(at + 4);
      const nameLength = bytes[at + 6] as number;
      if (length < 8 || length % 4 !== 0 || at + length > block + blockSize || 8 + nameLength > length) throw corrupt('a directory is malformed');
      const name = bytes.toString('latin1', at + 8, at + 8 + nameLength);
      if (number !== 0 && name !== '.' && name !== '..') {
        if (name === '' || /[/\0]/.test(name)) throw corrupt('a directory has a name that cannot be');
        yield [name, number];
      }
      at += length;
    }
  }
}
