import { closeSync, fstatSync, openSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { type ByteString, byteString, quoteName } from '../tree/names.ts';
import type { NodeMeta, NodeType } from '../tree/node.ts';
import { readFully } from '../tree/content.ts';
import {
  COMPACT_INODE_SIZE,
  decodeDevice,
  DIRENT_SIZE,
  EROFS_CHUNK_FORMAT_BLKBITS_MASK,
  EROFS_CHUNK_FORMAT_INDEXES,
  EROFS_FEATURE_INCOMPAT_CHUNKED_FILE,
  EROFS_INODE_CHUNK_BASED,
  EROFS_INODE_FLAT_INLINE,
  EROFS_INODE_FLAT_PLAIN,
  EROFS_NULL_ADDR,
  EROFS_SUPER_MAGIC_V1,
  EROFS_SUPER_OFFSET,
  EROFS_SUPER_SIZE,
  EXTENDED_INODE_SIZE,
  IC,
  IE,
  MODE_TYPE,
  SB,
  SLOT_SIZE,
  XATTR_ENTRY_SIZE,
  XATTR_IBODY_HEADER_SIZE,
} from './format.ts';
import { XATTR_PREFIXES } from './xattrs.ts';

/** What is known of one inode. */
export interface ErofsStat extends NodeMeta {
  type: NodeType;
  /** Address of the inode divided by 32, what directory entries hold. */
  nid: number;
  /** Hard links; of a directory as file systems count them. */
  nlink: number;
  /** Bytes. */
  size: number;
  devMajor: number;
  devMinor: number;
}

interface Inode {
  stat: ErofsStat;
  layout: number;
  /** i_u */
  data: number;
  /** Address behind the inode and its attributes. */
  tailAddress: number;
}

const MAX_SYMLINKS = 40;
const DEFAULT_MAX_FILE = 64 << 20;
/** Data asked for in one system call. */
const MAX_READ = 16 << 20;

/**
 * Reads an uncompressed EROFS image: ours, and those of `mkfs.erofs` without compression.
 * The file is not trusted: every address is checked. Throws IMAGE_EROFS_CORRUPT, or
 * IMAGE_EROFS_UNSUPPORTED for a feature that is not read here.
 */
export class ErofsImage {
  readonly #fd: number;
  readonly #fileSize: number;
  readonly #path: string;
  readonly #blockBits: number;
  readonly #metaStart: number;
  readonly #xattrStart: number;
  readonly #epochSec: number;
  readonly #epochNsec: number;
  readonly #rootNid: number;
  readonly #blocks: number;

  /** Opens `path`; `close` it after use. Throws IMAGE_OPEN. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw new VmmError('IMAGE_OPEN', `cannot open ${JSON.stringify(path)}`, { cause });
    }
    try {
      this.#fileSize = fstatSync(this.#fd).size;
      const sb = this.#read(EROFS_SUPER_OFFSET, EROFS_SUPER_SIZE);
      if (sb.readUInt32LE(SB.magic) !== EROFS_SUPER_MAGIC_V1) throw this.#corrupt('no EROFS superblock');
      const incompat = sb.readUInt32LE(SB.feature_incompat) & ~EROFS_FEATURE_INCOMPAT_CHUNKED_FILE;
      this.#blockBits = sb[SB.blkszbits] as number;
      // mkfs.erofs sets bit 0 (zero padding of compressed data) on all images.
      if ((incompat & ~1) !== 0 || this.#blockBits < 9 || this.#blockBits > 16 || sb[SB.dirblkbits] !== 0) {
        throw new VmmError('IMAGE_EROFS_UNSUPPORTED', `${JSON.stringify(path)} uses EROFS features (0x${incompat.toString(16)}) that are not read here`);
      }
      const blockSize = 2 ** this.#blockBits;
      this.#metaStart = sb.readUInt32LE(SB.meta_blkaddr) * blockSize;
      this.#xattrStart = sb.readUInt32LE(SB.xattr_blkaddr) * blockSize;
      this.#epochSec = Number(sb.readBigUInt64LE(SB.build_time));
      this.#epochNsec = sb.readUInt32LE(SB.build_time_nsec);
      this.#rootNid = sb.readUInt16LE(SB.root_nid);
      this.#blocks = sb.readUInt32LE(SB.blocks);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** True when the file is as long as its superblock says. */
  get whole(): boolean {
    return this.#fileSize >= this.end;
  }

  /** Where the file system ends in its file, bytes. */
  get end(): number {
    return this.#blocks * 2 ** this.#blockBits;
  }

  /** Metadata of `path`; undefined when it does not exist. Symbolic links are followed unless told. */
  stat(path: string | { bytes: ByteString }, options: { follow?: boolean } = {}): ErofsStat | undefined {
    return this.#resolve(typeof path === 'string' ? byteString(path) : path.bytes, options.follow !== false)?.stat;
  }

  /** Names and types in a directory, in byte order, without "." and "..". */
  list(path: string | { bytes: ByteString }): { name: ByteString; stat: ErofsStat }[] {
    const inode = this.#existing(path, true);
    if (inode.stat.type !== 'dir') throw this.#corrupt(`${inode.stat.type} where a directory is wanted`);
    return [...this.#entries(inode)]
      .filter(({ name }) => name !== '.' && name !== '..')
      .map(({ name, nid }) => ({ name, stat: this.#inode(nid).stat }));
  }

  /** A file's bytes; throws IMAGE_LIMIT when it is larger than `maxBytes` (default 64 MiB). */
  readFile(path: string | { bytes: ByteString }, maxBytes = DEFAULT_MAX_FILE): Buffer {
    const inode = this.#existing(path, true);
    if (inode.stat.type !== 'file') throw new VmmError('IMAGE_NOT_FOUND', `${this.#name(path)} is no file but a ${inode.stat.type}`);
    if (inode.stat.size > maxBytes) throw new VmmError('IMAGE_LIMIT', `${this.#name(path)} has ${inode.stat.size} bytes; at most ${maxBytes} are read`);
    return this.#data(inode, 0, inode.stat.size);
  }

  /** Target of a symbolic link. */
  readLink(path: string | { bytes: ByteString }): ByteString {
    const inode = this.#existing(path, false);
    if (inode.stat.type !== 'symlink') throw new VmmError('IMAGE_NOT_FOUND', `${this.#name(path)} is no symbolic link`);
    return this.#target(inode);
  }

  /** A range of a file by nid; holes read as zeros. */
  readRange(nid: number, offset: number, length: number): Buffer {
    return this.#data(this.#inode(nid), offset, length);
  }

  /** Runs [start, end) of bytes of a file that are stored, by nid, what is no hole. */
  storedRanges(nid: number): { start: number; end: number }[] {
    const inode = this.#inode(nid);
    if (inode.layout !== EROFS_INODE_CHUNK_BASED) return inode.stat.size === 0 ? [] : [{ start: 0, end: inode.stat.size }];
    const { chunkSize, address } = this.#chunks(inode);
    const runs: { start: number; end: number }[] = [];
    for (let i = 0; i * chunkSize < inode.stat.size; i++) {
      if (address(i) === undefined) continue;
      const end = Math.min((i + 1) * chunkSize, inode.stat.size);
      const last = runs[runs.length - 1];
      if (last?.end === i * chunkSize) last.end = end;
      else runs.push({ start: i * chunkSize, end });
    }
    return runs;
  }

  #name(path: string | { bytes: ByteString }): string {
    return quoteName(typeof path === 'string' ? byteString(path) : path.bytes);
  }

  #existing(path: string | { bytes: ByteString }, follow: boolean): Inode {
    const inode = this.#resolve(typeof path === 'string' ? byteString(path) : path.bytes, follow);
    if (inode === undefined) throw new VmmError('IMAGE_NOT_FOUND', `${this.#name(path)} does not exist in the image`);
    return inode;
  }

  #resolve(path: ByteString, follow: boolean): Inode | undefined {
    const stack: Inode[] = [this.#inode(this.#rootNid)];
    const todo = path.split('/').reverse();
    let links = 0;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (stack.length > 1) stack.pop();
        continue;
      }
      const dir = stack[stack.length - 1] as Inode;
      if (dir.stat.type !== 'dir') return undefined;
      const nid = this.#lookup(dir, name);
      if (nid === undefined) return undefined;
      const child = this.#inode(nid);
      if (child.stat.type !== 'symlink' || (!follow && todo.every((part) => part === ''))) {
        stack.push(child);
        continue;
      }
      if (++links > MAX_SYMLINKS) return undefined;
      const target = this.#target(child);
      if (target.startsWith('/')) stack.length = 1;
      todo.push(...target.split('/').reverse());
    }
    return stack[stack.length - 1];
  }

  #target(inode: Inode): ByteString {
    if (inode.stat.size > 4096) throw this.#corrupt(`symbolic link of ${inode.stat.size} bytes`);
    return this.#data(inode, 0, inode.stat.size).toString('latin1');
  }

  /** Bisects the blocks by their first names, as Linux does. */
  #lookup(dir: Inode, name: ByteString): number | undefined {
    const blockSize = 2 ** this.#blockBits;
    let low = 0;
    let high = Math.ceil(dir.stat.size / blockSize) - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const entries = this.#dirBlock(dir, middle);
      const first = entries[0] as { name: ByteString; nid: number };
      const last = entries[entries.length - 1] as { name: ByteString; nid: number };
      if (name < first.name) high = middle - 1;
      else if (name > last.name) low = middle + 1;
      else return entries.find((entry) => entry.name === name)?.nid;
    }
    return undefined;
  }

  *#entries(dir: Inode): Generator<{ name: ByteString; nid: number }> {
    for (let block = 0; block * 2 ** this.#blockBits < dir.stat.size; block++) yield* this.#dirBlock(dir, block);
  }

  #dirBlock(dir: Inode, block: number): { name: ByteString; nid: number }[] {
    const blockSize = 2 ** this.#blockBits;
    const bytes = this.#data(dir, block * blockSize, Math.min(blockSize, dir.stat.size - block * blockSize));
    const count = bytes.length < DIRENT_SIZE ? 0 : bytes.readUInt16LE(8) / DIRENT_SIZE;
    if (!Number.isInteger(count) || count < 1 || count * DIRENT_SIZE > bytes.length) throw this.#corrupt('damaged directory');
    const entries: { name: ByteString; nid: number }[] = [];
    for (let i = 0; i < count; i++) {
      const start = bytes.readUInt16LE(i * DIRENT_SIZE + 8);
      let end = i + 1 < count ? bytes.readUInt16LE((i + 1) * DIRENT_SIZE + 8) : bytes.length;
      if (start > end || end > bytes.length) throw this.#corrupt('damaged directory');
      if (i + 1 === count) {
        const nul = bytes.indexOf(0, start);
        if (nul >= 0) end = nul;
      }
      entries.push({
        name: bytes.toString('latin1', start, end),
        nid: Number(bytes.readBigUInt64LE(i * DIRENT_SIZE)),
      });
    }
    return entries;
  }

  #inode(nid: number): Inode {
    const address = this.#metaStart + nid * SLOT_SIZE;
    const compact = this.#read(address, COMPACT_INODE_SIZE);
    const format = compact.readUInt16LE(IC.i_format);
    const extended = (format & 1) === 1;
    const b = extended ? this.#read(address, EXTENDED_INODE_SIZE) : compact;
    const mode = b.readUInt16LE(IC.i_mode);
    const type = (Object.keys(MODE_TYPE) as NodeType[]).find((key) => MODE_TYPE[key] === (mode & 0o170000));
    if (type === undefined) throw this.#corrupt(`inode ${nid} has mode 0${mode.toString(8)}`);
    const size = extended ? Number(b.readBigUInt64LE(IE.i_size)) : b.readUInt32LE(IC.i_size);
    if (!Number.isSafeInteger(size)) throw this.#corrupt(`inode ${nid} has ${size} bytes`);
    const data = b.readUInt32LE(IC.i_u);
    const count = b.readUInt16LE(IC.i_xattr_icount);
    const bodySize = count === 0 ? 0 : XATTR_IBODY_HEADER_SIZE + (count - 1) * 4;
    const bodyAddress = address + (extended ? EXTENDED_INODE_SIZE : COMPACT_INODE_SIZE);
    const { major, minor } = type === 'char' || type === 'block' ? decodeDevice(data) : { major: 0, minor: 0 };
    return {
      stat: {
        type,
        nid,
        mode: mode & 0o7777,
        uid: extended ? b.readUInt32LE(IE.i_uid) : b.readUInt16LE(IC.i_uid),
        gid: extended ? b.readUInt32LE(IE.i_gid) : b.readUInt16LE(IC.i_gid),
        nlink: extended ? b.readUInt32LE(IE.i_nlink) : b.readUInt16LE(IC.i_nlink),
        size,
        mtimeSec: extended ? Number(b.readBigInt64LE(IE.i_mtime)) : this.#epochSec,
        mtimeNsec: extended ? b.readUInt32LE(IE.i_mtime_nsec) : this.#epochNsec,
        devMajor: major,
        devMinor: minor,
        xattrs: bodySize === 0 ? undefined : this.#xattrs(this.#read(bodyAddress, bodySize)),
      },
      layout: (format >> 1) & 7,
      data,
      tailAddress: bodyAddress + bodySize,
    };
  }

  #xattrs(body: Buffer): Map<ByteString, Uint8Array> | undefined {
    const xattrs = new Map<ByteString, Uint8Array>();
    const shared = body[4] as number;
    let at = XATTR_IBODY_HEADER_SIZE;
    for (let i = 0; i < shared; i++, at += 4) {
      if (at + 4 > body.length) throw this.#corrupt('damaged attributes');
      const address = this.#xattrStart + body.readUInt32LE(at) * 4;
      const head = this.#read(address, XATTR_ENTRY_SIZE);
      this.#xattr(this.#read(address, XATTR_ENTRY_SIZE + (head[0] as number) + head.readUInt16LE(2)), xattrs);
    }
    while (at + XATTR_ENTRY_SIZE <= body.length) {
      const length = XATTR_ENTRY_SIZE + (body[at] as number) + body.readUInt16LE(at + 2);
      if (at + length > body.length) throw this.#corrupt('damaged attributes');
      this.#xattr(body.subarray(at, at + length), xattrs);
      at += (length + 3) & ~3;
    }
    return xattrs.size === 0 ? undefined : xattrs;
  }

  #xattr(entry: Buffer, into: Map<ByteString, Uint8Array>): void {
    const prefix = XATTR_PREFIXES.find((p) => p.index === entry[1]);
    if (prefix === undefined) throw this.#corrupt(`attribute name index ${entry[1]}`);
    const nameEnd = XATTR_ENTRY_SIZE + (entry[0] as number);
    into.set(prefix.prefix + entry.toString('latin1', XATTR_ENTRY_SIZE, nameEnd), Uint8Array.from(entry.subarray(nameEnd)));
  }

  #data(inode: Inode, offset: number, length: number): Buffer {
    const { size } = inode.stat;
    if (offset < 0 || length < 0 || offset + length > size) throw new RangeError(`range ${offset}+${length} of ${size} bytes`);
    if (inode.layout === EROFS_INODE_CHUNK_BASED) return this.#chunkData(inode, offset, length);
    const blockSize = 2 ** this.#blockBits;
    const start = inode.data * blockSize;
    if (inode.layout === EROFS_INODE_FLAT_PLAIN) return this.#read(start + offset, length);
    if (inode.layout !== EROFS_INODE_FLAT_INLINE) {
      throw new VmmError('IMAGE_EROFS_UNSUPPORTED', `${JSON.stringify(this.#path)} holds compressed files, which are not read here`);
    }
    const tailStart = Math.floor(size / blockSize) * blockSize;
    if (offset >= tailStart) return this.#read(inode.tailAddress + offset - tailStart, length);
    if (offset + length <= tailStart) return this.#read(start + offset, length);
    return Buffer.concat([
      this.#read(start + offset, tailStart - offset),
      this.#read(inode.tailAddress, offset + length - tailStart),
    ]);
  }

  #chunks(inode: Inode): { chunkSize: number; address: (index: number) => number | undefined } {
    const chunkSize = 2 ** (this.#blockBits + (inode.data & EROFS_CHUNK_FORMAT_BLKBITS_MASK));
    const indexes = (inode.data & EROFS_CHUNK_FORMAT_INDEXES) !== 0;
    const unit = indexes ? 8 : 4;
    const map = Math.ceil(inode.tailAddress / unit) * unit;
    return {
      chunkSize,
      address: (index) => {
        const block = this.#read(map + index * unit, unit).readUInt32LE(indexes ? 4 : 0);
        return block === EROFS_NULL_ADDR ? undefined : block * 2 ** this.#blockBits;
      },
    };
  }

  #chunkData(inode: Inode, offset: number, length: number): Buffer {
    const { chunkSize, address } = this.#chunks(inode);
    const out = Buffer.alloc(length);
    for (let at = offset; at < offset + length; ) {
      const index = Math.floor(at / chunkSize);
      const stop = Math.min(offset + length, (index + 1) * chunkSize);
      const start = address(index);
      if (start !== undefined) this.#read(start + at - index * chunkSize, stop - at).copy(out, at - offset);
      at = stop;
    }
    return out;
  }

  #read(address: number, length: number): Buffer {
    if (address < 0 || address + length > this.#fileSize) throw this.#corrupt(`address ${address} beyond its end`);
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += MAX_READ) {
      const part = bytes.subarray(at, Math.min(length, at + MAX_READ));
      if (!readFully(this.#fd, part, address + at)) throw this.#corrupt('truncated while it was read');
    }
    return bytes;
  }

  #corrupt(what: string): VmmError {
    return new VmmError('IMAGE_EROFS_CORRUPT', `${JSON.stringify(this.#path)}: ${what}`, {
      hint: 'the image file is damaged; remove it and import it again',
    });
  }
}
