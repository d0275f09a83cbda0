import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import { type FileContent, readContent, releaseContent } from '../tree/content.ts';
import type { DirNode, TreeNode } from '../tree/node.ts';
import type { Progress } from '../tree/progress.ts';
import { type ChunkPlan, chunkRunBlocks } from './chunks.ts';
import { encodeTable, type Origin } from './earlier.ts';
import { crc32cRaw } from './crc32c.ts';
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  COMPACT_INODE_SIZE,
  DIRENT_SIZE,
  encodeDevice,
  EROFS_FEATURE_COMPAT_MTIME,
  EROFS_FEATURE_COMPAT_SB_CHKSUM,
  EROFS_FEATURE_INCOMPAT_CHUNKED_FILE,
  EROFS_SUPER_MAGIC_V1,
  EROFS_SUPER_OFFSET,
  EROFS_SUPER_SIZE,
  EXTENDED_INODE_SIZE,
  FILE_TYPE,
  IC,
  IE,
  MODE_TYPE,
  SB,
} from './format.ts';
import { type DirPlan, type ImagePlan, type InodePlan, nidOf, planImage } from './layout.ts';
import { MAX_VIEW, SequentialWriter } from './sequential.ts';
import { encodeBody } from './xattrs.ts';

export interface ErofsOptions {
  /**
   * The file system's UUID is derived from this text (the chain ID of an image, say), so
   * that the same content gives the same bytes. Without it the UUID is all zeros.
   */
  contentKey?: string;
  /** Volume name, at most 16 bytes of UTF-8; default "vmm". */
  volumeName?: string;
  /** Longest file tail kept behind its inode, bytes, 0..4032; default 512. */
  maxInlineTail?: number;
  /** Write through to the disk before the file gets its name; default true. */
  fsync?: boolean;
  /** Hash all that is written, a third of the time it takes; default true. */
  hash?: boolean;
  /** Largest image, bytes; default 256 GiB. Throws IMAGE_LIMIT beyond it, before anything is written. */
  maxSize?: number;
  /** Notes behind the file system which files of this directory it was made of (earlier.ts). */
  origin?: Origin | undefined;
  /** Called when all is written, before the file gets its name; a throw drops the file. */
  verify?: () => void;
  progress?: Progress;
  signal?: AbortSignal;
}

export interface ErofsResult {
  /** SHA-256 of the whole image, lower-case hexadecimal; "" when it was not asked for. */
  sha256: string;
  /** Bytes of the image, a multiple of 4096. */
  size: number;
  /** Inodes in it, the root included; tests compare it. */
  inodes: number;
}

/**
 * Tails up to here lie behind their inode. Linux reads inodes one block at a time without
 * read-ahead, so long tails between them make a walk of the tree slow; short ones save a read
 * of the file (docs/measurements-history.md, "Image import").
 */
const DEFAULT_INLINE_TAIL = 512;

/**
 * Writes `tree` as an EROFS file system to `outPath`. The file appears whole or not at all:
 * it is written under another name in the same folder and renamed. Equal trees and options
 * give equal bytes. File data is streamed from its sources and never held in memory.
 *
 * Throws IMAGE_EROFS_LIMIT, IMAGE_WRITE, IMAGE_SOURCE_CHANGED, or the signal's reason.
 */
export function writeErofs(tree: DirNode, outPath: string, options: ErofsOptions = {}): ErofsResult {
  const temporary = `${outPath}.${randomBytes(6).toString('hex')}.tmp`;
  let fd: number;
  try {
    fd = openSync(temporary, 'wx', 0o644);
  } catch (cause) {
    throw new VmmError('IMAGE_WRITE', `cannot create ${temporary}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, {
      cause,
      hint: 'the folder has to be writable and have space',
    });
  }
  try {
    let result: ErofsResult;
    try {
      result = writeErofsTo(tree, fd, outPath, options);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, outPath);
    if (options.fsync !== false) syncFolder(outPath);
    return result;
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // Already renamed, or the folder went away: the first error is the one to tell.
    }
    throw error;
  }
}

/** As `writeErofs`, into an open, empty file that is the caller's to name and to close; `what` is its name in messages. */
export function writeErofsTo(tree: DirNode, fd: number, what: string, options: ErofsOptions = {}): ErofsResult {
  const plan = planImage(tree, {
    maxInlineTail: options.maxInlineTail ?? DEFAULT_INLINE_TAIL,
    maxSize: options.maxSize ?? DEFAULT_LIMITS.maxTotalBytes,
  });
  const hash = options.hash === false ? undefined : createHash('sha256');
  const end = plan.blocks * BLOCK_SIZE;
  const table = options.origin === undefined ? Buffer.alloc(0) : encodeTable(plan, options.origin, end);
  const total = end + table.length;
  const out = new SequentialWriter(fd, hash, what, sealSuperblock, (done) => options.progress?.({ stage: 'writing', done, total }));
  writeImage(plan, out, options);
  for (let at = 0; at < table.length; at += MAX_VIEW) table.copy(out.view(Math.min(MAX_VIEW, table.length - at)), 0, at);
  out.flush();
  options.verify?.();
  if (options.fsync !== false) sync(fd, what);
  return { sha256: hash?.digest('hex') ?? '', size: total, inodes: plan.inodes.length };
}

/** A disk may say only now that it is full or broken. Throws IMAGE_WRITE. */
function sync(fd: number, what: string): void {
  try {
    fsyncSync(fd);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('IMAGE_WRITE', `cannot write ${what} to the disk: ${code}`, { cause, hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space, or remove unused images with `vmm image prune`' : 'check the disk' });
  }
}

/** A rename is on the disk only when the folder is. */
function syncFolder(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    sync(fd, path);
  } finally {
    closeSync(fd);
  }
}

function writeImage(plan: ImagePlan, out: SequentialWriter, options: ErofsOptions): void {
  out.padTo(EROFS_SUPER_OFFSET);
  encodeSuperblock(plan, out.zeroed(EROFS_SUPER_SIZE), options);
  for (const inode of [...plan.inodes].sort((a, b) => a.address - b.address)) {
    options.signal?.throwIfAborted();
    out.padTo(inode.address);
    writeInode(plan, inode, out);
  }
  out.padTo(plan.xattrBlock * BLOCK_SIZE);
  for (const entry of plan.xattrs.shared()) out.view(entry.length).set(entry);
  for (const inode of plan.inodes) {
    if (inode.dir === undefined || inode.blocks === 0) continue;
    out.padTo(inode.blockAddress * BLOCK_SIZE);
    for (let i = 0; i < inode.blocks; i++) encodeDirBlock(plan, inode, i, out.zeroed(BLOCK_SIZE));
  }
  for (const inode of plan.inodes) {
    if (inode.dir !== undefined || inode.blocks === 0) continue;
    options.signal?.throwIfAborted();
    out.padTo(inode.blockAddress * BLOCK_SIZE);
    writeBlocks(inode, out);
  }
  out.padTo(plan.blocks * BLOCK_SIZE);
}

function encodeSuperblock(plan: ImagePlan, sb: Buffer, options: ErofsOptions): void {
  sb.writeUInt32LE(EROFS_SUPER_MAGIC_V1, SB.magic);
  sb.writeUInt32LE(EROFS_FEATURE_COMPAT_SB_CHKSUM | EROFS_FEATURE_COMPAT_MTIME, SB.feature_compat);
  sb[SB.blkszbits] = BLOCK_BITS;
  sb.writeUInt16LE(nidOf(plan.root), SB.root_nid);
  sb.writeBigUInt64LE(BigInt(plan.inodes.length), SB.inos);
  sb.writeBigUInt64LE(BigInt(plan.epochSec), SB.build_time);
  sb.writeUInt32LE(plan.epochNsec, SB.build_time_nsec);
  sb.writeUInt32LE(plan.blocks, SB.blocks);
  sb.writeUInt32LE(0, SB.meta_blkaddr);
  sb.writeUInt32LE(plan.xattrBlock, SB.xattr_blkaddr);
  if (options.contentKey !== undefined) contentUuid(options.contentKey).copy(sb, SB.uuid);
  const name = Buffer.from(options.volumeName ?? 'vmm', 'utf8');
  if (name.length > 16) throw new VmmError('IMAGE_EROFS_LIMIT', `volume name of ${name.length} bytes; at most 16 fit`);
  name.copy(sb, SB.volume_name);
  sb.writeUInt32LE(plan.chunked ? EROFS_FEATURE_INCOMPAT_CHUNKED_FILE : 0, SB.feature_incompat);
}

/** A UUID of version 8 (RFC 9562 section 5.8): the content key's hash. */
function contentUuid(key: string): Buffer {
  const uuid = createHash('sha256').update(key, 'utf8').digest().subarray(0, 16);
  uuid[6] = ((uuid[6] as number) & 0x0f) | 0x80;
  uuid[8] = ((uuid[8] as number) & 0x3f) | 0x80;
  return uuid;
}

/** The checksum covers the rest of the first block, so it is set when that is complete. */
function sealSuperblock(start: Buffer): void {
  const crc = crc32cRaw(start.subarray(EROFS_SUPER_OFFSET, BLOCK_SIZE));
  start.writeUInt32LE(crc, EROFS_SUPER_OFFSET + SB.checksum);
}

function writeInode(plan: ImagePlan, inode: InodePlan, out: SequentialWriter): void {
  const { node, xattrs } = inode;
  if (inode.compact) encodeCompact(inode, out.zeroed(COMPACT_INODE_SIZE));
  else encodeExtended(inode, out.zeroed(EXTENDED_INODE_SIZE));
  if (xattrs !== undefined) encodeBody(xattrs, out.zeroed(xattrs.size));
  if (inode.chunks !== undefined) {
    writeChunkMap(inode, inode.chunks, out);
    return;
  }
  if (inode.tail === 0) return;
  if (node.type === 'symlink') {
    out.view(inode.tail).write(node.target, 'latin1');
  } else if (node.type === 'dir') {
    encodeDirBlock(plan, inode, inode.blocks, out.zeroed(inode.tail));
  } else if (node.type === 'file') {
    readContent(node.content, out.view(inode.tail), inode.size - inode.tail);
    releaseContent(node.content);
  }
}

function format(inode: InodePlan): number {
  return (inode.compact ? 0 : 1) | (inode.dataLayout << 1);
}

function xattrCount(inode: InodePlan): number {
  return inode.xattrs === undefined ? 0 : (inode.xattrs.size - 12) / 4 + 1;
}

/** i_u: device number, chunk format, or address of the first block. */
function dataField(inode: InodePlan): number {
  const { node } = inode;
  if (node.type === 'char' || node.type === 'block') return encodeDevice(node.devMajor, node.devMinor);
  return inode.chunks !== undefined ? inode.chunks.bits : inode.blockAddress;
}

function encodeCompact(inode: InodePlan, into: Buffer): void {
  const { node } = inode;
  into.writeUInt16LE(format(inode), IC.i_format);
  into.writeUInt16LE(xattrCount(inode), IC.i_xattr_icount);
  into.writeUInt16LE(MODE_TYPE[node.type] | node.mode, IC.i_mode);
  into.writeUInt16LE(inode.nlink, IC.i_nlink);
  into.writeUInt32LE(inode.size, IC.i_size);
  into.writeUInt32LE(dataField(inode), IC.i_u);
  into.writeUInt32LE(inode.ino, IC.i_ino);
  into.writeUInt16LE(node.uid, IC.i_uid);
  into.writeUInt16LE(node.gid, IC.i_gid);
}

function encodeExtended(inode: InodePlan, into: Buffer): void {
  const { node } = inode;
  into.writeUInt16LE(format(inode), IE.i_format);
  into.writeUInt16LE(xattrCount(inode), IE.i_xattr_icount);
  into.writeUInt16LE(MODE_TYPE[node.type] | node.mode, IE.i_mode);
  into.writeBigUInt64LE(BigInt(inode.size), IE.i_size);
  into.writeUInt32LE(dataField(inode), IE.i_u);
  into.writeUInt32LE(inode.ino, IE.i_ino);
  into.writeUInt32LE(node.uid, IE.i_uid);
  into.writeUInt32LE(node.gid, IE.i_gid);
  into.writeBigInt64LE(BigInt(node.mtimeSec), IE.i_mtime);
  into.writeUInt32LE(node.mtimeNsec, IE.i_mtime_nsec);
  into.writeUInt32LE(inode.nlink, IE.i_nlink);
}

/** Block addresses of a sparse file's chunks, holes marked. */
function writeChunkMap(inode: InodePlan, chunks: ChunkPlan, out: SequentialWriter): void {
  const holes = (count: number) => {
    for (let left = count * 4; left > 0; left -= MAX_VIEW) out.view(Math.min(left, MAX_VIEW)).fill(0xff);
  };
  let done = 0;
  let block = inode.blockAddress;
  for (const run of chunks.stored) {
    holes(run.first - done);
    for (let i = run.first; i < run.end; i++) out.view(4).writeUInt32LE(block + (i - run.first) * 2 ** chunks.bits);
    block += chunkRunBlocks(run, chunks.bits, inode.size);
    done = run.end;
  }
  holes(chunks.count - done);
}

/**
 * One block of a directory: the entries, then their names; `into` is a zeroed block, or the
 * shorter tail.
 */
function encodeDirBlock(plan: ImagePlan, inode: InodePlan, block: number, into: Buffer): void {
  const { names, blockStarts, parent } = inode.dir as DirPlan;
  const dir = inode.node as DirNode;
  const first = blockStarts[block] as number;
  const end = blockStarts[block + 1] ?? names.length;
  let nameOffset = (end - first) * DIRENT_SIZE;
  for (let i = first; i < end; i++) {
    const name = names[i] as string;
    const target =
      name === '.' ? inode : name === '..' ? parent : (plan.byNode.get(dir.children.get(name) as TreeNode) as InodePlan);
    const at = (i - first) * DIRENT_SIZE;
    const nid = nidOf(target);
    into.writeUInt32LE(nid >>> 0, at);
    into.writeUInt32LE(Math.floor(nid / 2 ** 32), at + 4);
    into.writeUInt16LE(nameOffset, at + 8);
    into[at + 10] = FILE_TYPE[target.node.type];
    nameOffset += into.write(name, nameOffset, 'latin1');
  }
}

/** The data blocks of a file or a long symbolic link. */
function writeBlocks(inode: InodePlan, out: SequentialWriter): void {
  const { node, chunks, size } = inode;
  if (node.type === 'symlink') {
    out.view(node.target.length).write(node.target, 'latin1');
    return;
  }
  if (node.type !== 'file') throw new Error(`${node.type} has no data blocks`);
  if (chunks === undefined) {
    copyRange(node.content, 0, Math.min(inode.blocks * BLOCK_SIZE, size), out, 0);
  } else {
    let extent = 0;
    const chunkSize = BLOCK_SIZE * 2 ** chunks.bits;
    for (const run of chunks.stored) {
      extent = copyRange(node.content, run.first * chunkSize, Math.min(run.end * chunkSize, size), out, extent);
      out.padTo(Math.ceil(out.position / BLOCK_SIZE) * BLOCK_SIZE);
    }
  }
  releaseContent(node.content);
}

function copyRange(content: FileContent, start: number, end: number, out: SequentialWriter, extent: number): number {
  let index = extent;
  for (let at = start; at < end; ) {
    const length = Math.min(end - at, MAX_VIEW);
    index = readContent(content, out.view(length), at, index);
    at += length;
  }
  return index;
}
