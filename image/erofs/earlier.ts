/**
 * Which files of a host's directory an image was made of: a table behind the file system, where no kernel looks. The next image of that directory
 * takes the bytes of files that are as they were from the image before: one file that is read in order, instead of all of the directory's.
 *
 * Entries of ENTRY bytes, ascending by inode: u64 device, inode, size; i64 modified, changed (ns since 1970); u64 byte addresses of the data and of
 * the tail behind the inode, 0 for none. Zeros. At the file's end a trailer of TRAILER bytes: magic, u64 device and inode of the
 * directory, u64 address of the entries, u32 count, u32 CRC-32 of the entries.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type FileContent, type FileStamp, FdSource, readFully } from '../tree/content.ts';
import { BLOCK_SIZE, COMPACT_INODE_SIZE, EXTENDED_INODE_SIZE } from './format.ts';
import type { ImagePlan, InodePlan } from './layout.ts';
import { ErofsImage } from './reader.ts';

const MAGIC = 'vmm files 1\n';
const ENTRY = 56;
const TRAILER = 64;
const AT = { dev: 0, ino: 8, size: 16, mtimeNs: 24, ctimeNs: 32, data: 40, tail: 48 } as const;
const TRAILER_AT = { dev: 16, ino: 24, entries: 32, count: 40, crc: 44 } as const;

/** A directory of the host that an image is made of. */
export interface Origin {
  readonly dev: bigint;
  readonly ino: bigint;
  /** A file that was changed after this may change again within the same tick of its file system's clock: it is not noted. ns since 1970. */
  readonly settledNs: bigint;
}

type Stamped = InodePlan & { readonly stamp: FileStamp };

function stamped(plan: ImagePlan, { settledNs }: Origin): Stamped[] {
  const found: Stamped[] = [];
  for (const inode of plan.inodes) {
    if (inode.node.type !== 'file' || inode.chunks !== undefined || inode.size === 0) continue;
    const { stamp } = inode.node.content;
    if (stamp !== undefined && stamp.ctimeNs < settledNs) found.push({ ...inode, stamp });
  }
  return found.sort((a, b) => (a.stamp.ino < b.stamp.ino ? -1 : 1));
}

/** The table of an image, whole blocks: it begins at byte `at`, where the file system ends. */
export function encodeTable(plan: ImagePlan, origin: Origin, at: number): Buffer {
  const all = stamped(plan, origin);
  const length = all.length * ENTRY;
  const table = Buffer.alloc(Math.ceil((length + TRAILER) / BLOCK_SIZE) * BLOCK_SIZE);
  for (const [i, { stamp, compact, xattrs, address, tail, blockAddress }] of all.entries()) {
    const entry = i * ENTRY;
    for (const name of ['dev', 'ino', 'size'] as const) table.writeBigUInt64LE(stamp[name], entry + AT[name]);
    for (const name of ['mtimeNs', 'ctimeNs'] as const) table.writeBigInt64LE(stamp[name], entry + AT[name]);
    table.writeBigUInt64LE(BigInt(blockAddress * BLOCK_SIZE), entry + AT.data);
    if (tail > 0) table.writeBigUInt64LE(BigInt(address + (compact ? COMPACT_INODE_SIZE : EXTENDED_INODE_SIZE) + (xattrs?.size ?? 0)), entry + AT.tail);
  }
  const trailer = table.subarray(table.length - TRAILER);
  trailer.write(MAGIC, 'latin1');
  trailer.writeBigUInt64LE(origin.dev, TRAILER_AT.dev);
  trailer.writeBigUInt64LE(origin.ino, TRAILER_AT.ino);
  trailer.writeBigUInt64LE(BigInt(at), TRAILER_AT.entries);
  trailer.writeUInt32LE(all.length, TRAILER_AT.count);
  trailer.writeUInt32LE(crc32(table.subarray(0, length)), TRAILER_AT.crc);
  return table;
}

/** An image with such a table, open. */
export class EarlierImage {
  readonly #fd: number;
  readonly #source: FdSource;
  /** Where its file system ends, bytes: no file's bytes lie beyond. */
  readonly #end: number;
  readonly #entries: Buffer;

  private constructor(fd: number, what: string, end: number, entries: Buffer) {
    this.#fd = fd;
    this.#source = new FdSource(fd, what);
    this.#end = end;
    this.#entries = entries;
  }

  /** Undefined for a file that is not there, is no such image, or was made of another directory than `dev` and `ino`. */
  static open(path: string, { dev, ino }: Pick<Origin, 'dev' | 'ino'>): EarlierImage | undefined {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    try {
      const image = new ErofsImage(`/proc/self/fd/${fd}`);
      const { end } = image;
      image.close();
      const { size } = fstatSync(fd);
      const trailer = Buffer.alloc(TRAILER);
      // The bytes of a file of the image are not taken for a table: it lies behind all of them.
      const fits = size - TRAILER >= end && readFully(fd, trailer, size - TRAILER) && trailer.toString('latin1', 0, MAGIC.length) === MAGIC;
      const at = Number(trailer.readBigUInt64LE(TRAILER_AT.entries));
      const length = trailer.readUInt32LE(TRAILER_AT.count) * ENTRY;
      if (fits && trailer.readBigUInt64LE(TRAILER_AT.dev) === dev && trailer.readBigUInt64LE(TRAILER_AT.ino) === ino && at >= end && at + length <= size - TRAILER) {
        const entries = Buffer.allocUnsafeSlow(length);
        if (readFully(fd, entries, at) && crc32(entries) === trailer.readUInt32LE(TRAILER_AT.crc)) return new EarlierImage(fd, path, end, entries);
      }
    } catch {
      // no image
    }
    closeSync(fd);
    return undefined;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The bytes of the file that `stamp` is of, if it was in the directory and has not changed since. */
  find(stamp: FileStamp): FileContent | undefined {
    const entries = this.#entries;
    let low = 0;
    for (let high = entries.length / ENTRY; low < high; ) {
      const middle = (low + high) >> 1;
      if (entries.readBigUInt64LE(middle * ENTRY + AT.ino) < stamp.ino) low = middle + 1;
      else high = middle;
    }
    const at = low * ENTRY;
    if (at === entries.length || !sameAt(entries, at, stamp)) return undefined;
    const size = Number(stamp.size);
    const [dataAt, tailAt] = [Number(entries.readBigUInt64LE(at + AT.data)), Number(entries.readBigUInt64LE(at + AT.tail))];
    const tail = tailAt === 0 ? 0 : size % BLOCK_SIZE;
    if (dataAt + size - tail > this.#end || tailAt + tail > this.#end) return undefined;
    const extents = [
      { fileOffset: 0, length: size - tail, source: this.#source, sourceOffset: dataAt },
      { fileOffset: size - tail, length: tail, source: this.#source, sourceOffset: tailAt },
    ];
    return { size, extents: extents.filter(({ length }) => length > 0), stamp };
  }
}

function sameAt(entries: Buffer, at: number, stamp: FileStamp): boolean {
  return (['dev', 'ino', 'size'] as const).every((name) => entries.readBigUInt64LE(at + AT[name]) === stamp[name])
    && (['mtimeNs', 'ctimeNs'] as const).every((name) => entries.readBigInt64LE(at + AT[name]) === stamp[name]);
}
