import { placeOf } from '../../host/places.ts';
import { statx } from '../../host/uapi/files.ts';
import type { FileKey } from './nodes.ts';
import type { Owner } from './owners.ts';

const WORD = 4;

/** struct statx as the kernel filled it in last: one for each thread, not on V8's heap, where it would move. */
export class Stat implements FileKey {
  readonly words = new Uint32Array(new ArrayBuffer(4096));
  readonly address: number;

  constructor() {
    this.address = placeOf(this.words);
  }

  #u32(offset: number): number {
    return this.words[offset / WORD] as number;
  }

  /** What a file is like that is nowhere: its mode, and a number that tells it from others of its kind. */
  pretend(mode: number, number: number): void {
    this.words.fill(0, 0, statx.sizeof / WORD);
    this.words[statx.stx_mode / WORD] = mode;
    this.words[statx.stx_nlink / WORD] = 1;
    this.words[statx.stx_ino / WORD] = number;
    this.words[statx.stx_ino / WORD + 1] = 0xffff_ffff;
  }

  #u64(offset: number): number {
    return this.#u32(offset) + this.#u32(offset + WORD) * 2 ** 32;
  }

  get inoLow(): number {
    return this.#u32(statx.stx_ino);
  }

  get inoHigh(): number {
    return this.#u32(statx.stx_ino + WORD);
  }

  /** As the kernel packs it: 12 bits and 20. */
  get dev(): number {
    return ((this.#u32(statx.stx_dev_major) << 20) | this.#u32(statx.stx_dev_minor)) >>> 0;
  }

  get rdev(): number {
    const [major, minor] = [this.#u32(statx.stx_rdev_major), this.#u32(statx.stx_rdev_minor)];
    return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
  }

  /** Seconds and nanoseconds; 0 where the file system keeps none. */
  get born(): number {
    return (Math.imul(this.#u32(statx.stx_btime), 0x9e37_79b1) ^ this.#u32(statx.stx_btime + 8)) >>> 0;
  }

  get mode(): number {
    return this.#u32(statx.stx_mode) & 0xffff;
  }

  /** S_IFMT >> 12. */
  get type(): number {
    return this.mode >>> 12;
  }

  get links(): number {
    return this.#u32(statx.stx_nlink);
  }

  get uid(): number {
    return this.#u32(statx.stx_uid);
  }

  get gid(): number {
    return this.#u32(statx.stx_gid);
  }

  get owner(): Owner {
    const { uid, gid, mode, rdev } = this;
    return { uid, gid, mode, rdev };
  }

  get size(): number {
    return this.#u64(statx.stx_size);
  }

  /** Bytes that it takes on the host's disk; st_blocks counts 512 of them. */
  get allocated(): number {
    return this.#u64(statx.stx_blocks) * 512;
  }

  get mount(): number {
    return this.#u64(statx.stx_mnt_id);
  }

  /** Size and times of change, mixed: another value when the file was written. */
  get content(): number {
    let hash = this.#u32(statx.stx_size) ^ Math.imul(this.#u32(statx.stx_size + WORD), 0x85eb_ca6b);
    for (const at of [statx.stx_mtime, statx.stx_mtime + 8, statx.stx_ctime, statx.stx_ctime + 8]) hash = Math.imul(hash ^ this.#u32(at), 0x9e37_79b1);
    return (hash | 1) >>> 0;
  }
}
