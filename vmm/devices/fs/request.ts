import {
  FS_DATA, FS_NO_GROUP, FS_PIECES, FS_REPLY, FS_REPLY_SIZE, FS_REQ_ARGUMENTS, FS_REQ_BYTES, FS_REQ_GID, FS_REQ_GROUP, FS_REQ_NAME, FS_REQ_NAME_LENGTH, FS_REQ_NODEID, FS_REQ_OPCODE, FS_REQ_PID,
  FS_REQ_ROOM, FS_REQ_SECOND, FS_REQ_SECOND_LENGTH, FS_REQ_UID, FS_REQ_UNIQUE, FS_REQUEST_SIZE, FS_TEXT,
} from '../../../assembly/contract/fs.ts';
import { FS_BASE, FS_STRIDE, RAM_BASE } from '../../../assembly/core/layout.ts';
import { placeOf } from '../../host/places.ts';
import { iovec } from '../../host/uapi/linux.ts';

const HIGH = 2 ** 32;
/** A chain has no more pieces than its queue descriptors. */
const VECTORS = 256;

/** The request that a device's thread works on, as the core wrote it down (assembly/contract/fs.ts), and the place for its answer. */
export class Request {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  /** Host address of the linear memory. */
  readonly base: number;
  readonly #ramEnd: number;
  readonly #vectors: Uint32Array;
  readonly vectorsAt: number;
  #at = 0;
  #area = 0;

  constructor(memory: WebAssembly.Memory, ramSize: number) {
    this.words = new Uint32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.base = placeOf(this.bytes);
    this.#ramEnd = RAM_BASE + ramSize;
    this.#vectors = new Uint32Array(new ArrayBuffer(VECTORS * iovec.sizeof));
    this.vectorsAt = placeOf(this.#vectors);
  }

  /** From now on request `tag` of the device in `slot`. */
  select(slot: number, tag: number): void {
    this.#area = FS_BASE + slot * FS_STRIDE;
    this.#at = this.#area + tag * FS_REQUEST_SIZE;
  }

  #u32(offset: number): number {
    return this.words[(this.#at + offset) >>> 2] as number;
  }

  get opcode(): number {
    return this.#u32(FS_REQ_OPCODE);
  }

  get nodeLow(): number {
    return this.#u32(FS_REQ_NODEID);
  }

  get nodeHigh(): number {
    return this.#u32(FS_REQ_NODEID + 4);
  }

  get uniqueLow(): number {
    return this.#u32(FS_REQ_UNIQUE);
  }

  get uniqueHigh(): number {
    return this.#u32(FS_REQ_UNIQUE + 4);
  }

  get uid(): number {
    return this.#u32(FS_REQ_UID);
  }

  get gid(): number {
    return this.#u32(FS_REQ_GID);
  }

  get pid(): number {
    return this.#u32(FS_REQ_PID);
  }

  get group(): number | undefined {
    const group = this.#u32(FS_REQ_GROUP);
    return group === FS_NO_GROUP ? undefined : group;
  }

  /** Linear offset of the first name; `nameLength` bytes and a NUL. */
  get name(): number {
    return this.#u32(FS_REQ_NAME);
  }

  get nameLength(): number {
    return this.#u32(FS_REQ_NAME_LENGTH);
  }

  get second(): number {
    return this.#u32(FS_REQ_SECOND);
  }

  get secondLength(): number {
    return this.#u32(FS_REQ_SECOND_LENGTH);
  }

  /** Bytes of answer that the driver and we have room for. */
  get room(): number {
    return Math.min(this.#u32(FS_REQ_ROOM), FS_REPLY_SIZE);
  }

  /** A field of the operation's structure. */
  argument(offset: number): number {
    return this.#u32(FS_REQ_ARGUMENTS + offset);
  }

  /** For an operation that is done as another than it was asked for. */
  setArgument(offset: number, value: number): void {
    this.words[(this.#at + FS_REQ_ARGUMENTS + offset) >>> 2] = value;
  }

  /** Linear offset of a C string of `name`, where no request is being worked on: in the place of a request's text. */
  spare(slot: number, name: Uint8Array): number {
    const at = FS_BASE + slot * FS_STRIDE + FS_TEXT;
    this.bytes.set(name, at);
    this.bytes[at + name.length] = 0;
    return at;
  }

  /** One of 64 bits, exact up to 2^53. */
  argument64(offset: number): number {
    return this.argument(offset) + this.argument(offset + 4) * HIGH;
  }

  /** Linear offset of the answer. */
  get reply(): number {
    return this.#area + FS_REPLY;
  }

  put(offset: number, value: number): void {
    this.words[(this.reply + offset) >>> 2] = value;
  }

  put64(offset: number, value: number): void {
    this.put(offset, value % HIGH);
    this.put(offset + 4, Math.floor(value / HIGH));
  }

  /** Zeros where the answer goes. */
  clear(length: number): void {
    this.words.fill(0, this.reply >>> 2, (this.reply + length + 3) >>> 2);
  }

  /**
   * Fills the vectors with the pieces of guest memory that a READ or WRITE moves: their number, 0 where one is not guest memory, whatever the
   * core has checked.
   */
  vectors(write: boolean): number {
    let left = this.#u32(FS_REQ_BYTES);
    let at = (this.#area + (write ? FS_DATA : FS_PIECES)) >>> 2;
    let n = 0;
    for (let to = 0; left > 0 && n < VECTORS; to += iovec.sizeof / 4, at += 2, n++) {
      const offset = this.words[at] as number;
      const length = Math.min(this.words[at + 1] as number, left);
      if (offset < RAM_BASE || offset + length > this.#ramEnd || length === 0) return 0;
      const address = this.base + offset;
      this.#vectors[to] = address % HIGH;
      this.#vectors[to + 1] = address / HIGH;
      this.#vectors[to + 2] = length;
      left -= length;
    }
    return n;
  }

  /** Bytes that the answer of WRITE or COPY_FILE_RANGE tells of (struct fuse_write_out). */
  get written(): number {
    return this.words[this.reply >>> 2] as number;
  }

  /** Bytes that READ wants or WRITE has. */
  get length(): number {
    return this.#u32(FS_REQ_BYTES);
  }
}
