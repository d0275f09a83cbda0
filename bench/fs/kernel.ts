/** What Linux's FUSE asks of a device (6.12, FUSE 7.36 negotiated, virtiofsd's highest), as far as the benchmark needs it. */
import * as F from '../../assembly/contract/generated/fuse.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import type { FsServer } from './server.ts';
import { DEPTH, type Piece } from './ring.ts';

const ASK_BYTES = 40;
const ANSWER_BYTES = 16;
/** A request's places in guest memory: what is asked, the answer's header, what is answered or the bytes that are written. */
const PLACES = 0x10_0000;
const PLACE = 0x14_0000;
const OUT = 0x1000;
const DATA = 0x2000;
/** WRITE's answer: three pieces are all there are, so that header and struct fuse_write_out are one. */
const WRITTEN = 0x1800;
const MINOR = 36;
const ENTRY = 128;

export interface DirEntry {
  readonly name: Buffer;
  readonly node: bigint;
  readonly directory: boolean;
}

export class GuestKernel {
  readonly #server: FsServer;
  readonly #bytes: Buffer;
  #unique = 2n;
  /** Requests so far. */
  count = 0;

  constructor(server: FsServer) {
    this.#server = server;
    this.#bytes = Buffer.from(server.memory.buffer as unknown as ArrayBuffer, RAM_BASE);
    const init = this.#ask(F.FUSE_INIT, 0n, [7, MINOR, 1 << 20, FLAGS, 0], 64, 64);
    if (init.readUInt32LE(4) !== MINOR && init.readUInt32LE(4) < 31) throw new Error(`FUSE 7.${init.readUInt32LE(4)}`);
  }

  #place(tag: number): number {
    return PLACES + tag * PLACE;
  }

  /** The request's readable part, of u32 and u64 numbers and a name. */
  #write(tag: number, opcode: number, node: bigint, numbers: readonly (number | bigint)[], length: number, name?: Buffer): number {
    const bytes = this.#bytes;
    const at = this.#place(tag);
    const total = ASK_BYTES + length + (name === undefined ? 0 : name.length + 1);
    bytes.fill(0, at, at + total);
    bytes.writeUInt32LE(total, at);
    bytes.writeUInt32LE(opcode, at + 4);
    bytes.writeBigUInt64LE(this.#unique++, at + 8);
    bytes.writeBigUInt64LE(node, at + 16);
    let to = at + ASK_BYTES;
    for (const number of numbers) {
      if (typeof number === 'bigint') to = bytes.writeBigUInt64LE(number, to);
      else to = bytes.writeUInt32LE(number, to);
    }
    name?.copy(bytes, at + ASK_BYTES + length);
    this.count++;
    return total;
  }

  /** Throws where the answer is an error. */
  #check(tag: number, opcode: number): void {
    const error = this.#bytes.readInt32LE(this.#place(tag) + (opcode === F.FUSE_WRITE ? WRITTEN : OUT) + 4);
    if (error !== 0) throw new Error(`operation ${opcode}: errno ${-error}`);
  }

  #ask(opcode: number, node: bigint, numbers: readonly (number | bigint)[], length: number, room: number, name?: Buffer): Buffer {
    const at = this.#place(0);
    const total = this.#write(0, opcode, node, numbers, length, name);
    const out: Piece[] = [{ gpa: at + OUT, len: ANSWER_BYTES, write: true }, ...(room > 0 ? [{ gpa: at + DATA, len: room, write: true }] : [])];
    this.#server.ring.submit(0, [{ gpa: at, len: total, write: false }, ...out]);
    this.#server.ring.take();
    this.#check(0, opcode);
    return this.#bytes.subarray(at + DATA, at + DATA + this.#bytes.readUInt32LE(at + OUT) - ANSWER_BYTES);
  }

  lookup(parent: bigint, name: Buffer): bigint {
    return this.#ask(F.FUSE_LOOKUP, parent, [], 0, ENTRY, name).readBigUInt64LE(0);
  }

  getattr(node: bigint): bigint {
    return this.#ask(F.FUSE_GETATTR, node, [0, 0, 0n], 16, 104).readBigUInt64LE(24);
  }

  /** A directory's entries, by as many calls as it takes. */
  list(node: bigint): DirEntry[] {
    const fh = this.#ask(F.FUSE_OPENDIR, node, [0o200000, 0], 8, 16).readBigUInt64LE(0);
    const entries: DirEntry[] = [];
    for (let offset = 0n; ; ) {
      const data = this.#ask(F.FUSE_READDIRPLUS, node, [fh, offset, 4096, 0, 0n, 0, 0], 40, 4096);
      if (data.length === 0) break;
      for (let at = 0; at < data.length; ) {
        const length = data.readUInt32LE(at + ENTRY + 16);
        const name = Buffer.from(data.subarray(at + ENTRY + 24, at + ENTRY + 24 + length));
        offset = data.readBigUInt64LE(at + ENTRY + 8);
        const found = data.readBigUInt64LE(at);
        if (found !== 0n && name.toString() !== '.' && name.toString() !== '..') entries.push({ name, node: found, directory: data.readUInt32LE(at + ENTRY + 20) === 4 });
        at += (ENTRY + 24 + length + 7) & ~7;
      }
    }
    this.#ask(F.FUSE_RELEASEDIR, node, [fh, 0, 0, 0n], 24, 0);
    return entries;
  }

  open(node: bigint, flags: number): bigint {
    return this.#ask(F.FUSE_OPEN, node, [flags, 0], 8, 16).readBigUInt64LE(0);
  }

  release(node: bigint, fh: bigint): void {
    this.#ask(F.FUSE_FLUSH, node, [fh, 0, 0, 1n], 24, 0);
    this.#ask(F.FUSE_RELEASE, node, [fh, 0, 0, 0n], 24, 0);
  }

  /** READs or WRITEs of `size` bytes at these offsets, `depth` of them on the way at a time. */
  transfer(node: bigint, fh: bigint, offsets: Iterable<number>, { size, depth, write }: { size: number; depth: number; write: boolean }): void {
    const { ring } = this.#server;
    const opcode = write ? F.FUSE_WRITE : F.FUSE_READ;
    const free = Array.from({ length: Math.min(depth, DEPTH) }, (_, tag) => tag);
    const end = (): number => {
      const tag = ring.take();
      this.#check(tag, opcode);
      const at = this.#place(tag);
      const moved = write ? this.#bytes.readUInt32LE(at + WRITTEN + ANSWER_BYTES) : this.#bytes.readUInt32LE(at + OUT) - ANSWER_BYTES;
      if (moved !== size) throw new Error(`operation ${opcode}: ${moved} bytes of ${size}`);
      return tag;
    };
    let out = 0;
    for (const offset of offsets) {
      let tag = free.pop();
      if (tag === undefined) {
        tag = end();
        out--;
      }
      const at = this.#place(tag);
      const total = this.#write(tag, opcode, node, [fh, BigInt(offset), size, 0, 0n, 0, 0], 40);
      if (write) {
        this.#bytes.writeUInt32LE(total + size, at);
        ring.submit(tag, [{ gpa: at, len: total, write: false }, { gpa: at + DATA, len: size, write: false }, { gpa: at + WRITTEN, len: ANSWER_BYTES + 8, write: true }]);
      } else ring.submit(tag, [{ gpa: at, len: total, write: false }, { gpa: at + OUT, len: ANSWER_BYTES, write: true }, { gpa: at + DATA, len: size, write: true }]);
      out++;
    }
    for (; out > 0; out--) end();
  }
}

/** What a 6.12 guest and virtiofsd 7.2 agree on, and we too. */
const FLAGS = F.FUSE_ASYNC_READ | F.FUSE_ATOMIC_O_TRUNC | F.FUSE_BIG_WRITES | F.FUSE_AUTO_INVAL_DATA | F.FUSE_DO_READDIRPLUS | F.FUSE_READDIRPLUS_AUTO | F.FUSE_ASYNC_DIO | F.FUSE_PARALLEL_DIROPS
  | F.FUSE_MAX_PAGES | F.FUSE_CACHE_SYMLINKS | F.FUSE_HANDLE_KILLPRIV_V2 | F.FUSE_SETXATTR_EXT;
