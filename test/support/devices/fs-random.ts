/** Random FUSE requests: most of them well-formed but for one thing, some of them noise, in chains of any shape. Seeded. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { FS_SUBMOUNTS } from '../../../assembly/contract/fs.ts';
import { REG } from './driver.ts';
import { FsGuest, numbers } from './fs-driver.ts';

/** mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const OPCODES = Object.entries(F).filter(([name]) => /^FUSE_(LOOKUP|FORGET|GETATTR|SETATTR|READLINK|SYMLINK|MKNOD|MKDIR|UNLINK|RMDIR|RENAME2?|LINK|OPEN|READ|WRITE|STATFS|RELEASE|FSYNC|SETXATTR|GETXATTR|LISTXATTR|REMOVEXATTR|FLUSH|OPENDIR|READDIR|RELEASEDIR|FSYNCDIR|GETLK|SETLK|SETLKW|CREATE|INTERRUPT|BATCH_FORGET|FALLOCATE|READDIRPLUS|LSEEK|COPY_FILE_RANGE|TMPFILE|STATX|INIT|DESTROY)$/.test(name)).map(([, value]) => Number(value));
const NAMES = ['a', 'b', 'c', 'link', 'dir', '..', '.', 'a/b', '', 'x'.repeat(255), 'x'.repeat(300), '\xff\xfe', 'new'];
/** A session of so many requests begins with an empty directory. */
const SESSION = 2000;
/** What a file may take, so that none fills the disk. */
const SIZE_MAX = 1 << 20;

class RandomGuest {
  readonly #next: () => number;
  readonly #guest: FsGuest;
  readonly #nodes: bigint[] = [1n];
  readonly #handles: bigint[] = [];
  /** How often each result came: a sweep that is refused all would prove nothing. */
  readonly results = new Map<string, number>();

  constructor(guest: FsGuest, next: () => number) {
    this.#guest = guest;
    this.#next = next;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#next() * list.length)] as T;
  }

  #number(): number {
    return this.#pick([0, 1, 2, 3, 4, 7, 8, 100, 4096, 65536, SIZE_MAX, 0x7fff_ffff, 0xffff_ffff, Math.floor(this.#next() * 2 ** 32)]);
  }

  #wide(): bigint {
    const next = this.#next();
    if (next < 0.4) return this.#pick(this.#nodes);
    if (next < 0.8 && this.#handles.length > 0) return this.#pick(this.#handles);
    if (next < 0.9) return BigInt(Math.floor(this.#next() * SIZE_MAX));
    return this.#pick([0n, 1n, 0x7fff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn, 1n << 53n, 1n << 32n, 4096n]);
  }

  #name(): Buffer {
    const name = Buffer.from(this.#pick(NAMES), 'latin1');
    return this.#next() < 0.95 ? Buffer.concat([name, Buffer.alloc(1)]) : name;
  }

  /** A structure as the operation has it, with numbers of any value; names behind it. */
  #body(opcode: number): Buffer {
    const handle = this.#handles.length > 0 ? this.#pick(this.#handles) : 0n;
    const offset = BigInt(Math.floor(this.#next() * SIZE_MAX));
    const small = Math.floor(this.#next() * 8192);
    switch (opcode) {
      case F.FUSE_LOOKUP: case F.FUSE_UNLINK: case F.FUSE_RMDIR: case F.FUSE_REMOVEXATTR: return this.#name();
      case F.FUSE_FORGET: return numbers(BigInt(Math.floor(this.#next() * 3)));
      case F.FUSE_BATCH_FORGET: return numbers(this.#pick([0, 1, 2, 1000, 0xffff_ffff]), 0, this.#pick(this.#nodes), 1n);
      case F.FUSE_GETATTR: return numbers(this.#pick([0, 1]), 0, handle);
      case F.FUSE_SETATTR: return numbers(this.#pick([0, 1, 8, 9, 0x30, 0x7ff, 0xffff_ffff]), 0, handle, offset, 0n, this.#wide(), this.#wide(), 0n, this.#number(), 0, 0, 0o755, 0, 0, 0, 0);
      case F.FUSE_SYMLINK: return Buffer.concat([this.#name(), this.#name()]);
      case F.FUSE_MKNOD: return Buffer.concat([numbers(this.#pick([0o100644, 0o010644, 0o140644, 0o644, 0]), 0, 0, 0), this.#name()]);
      case F.FUSE_MKDIR: return Buffer.concat([numbers(0o755, 0), this.#name()]);
      case F.FUSE_RENAME: return Buffer.concat([numbers(this.#pick(this.#nodes)), this.#name(), this.#name()]);
      case F.FUSE_RENAME2: return Buffer.concat([numbers(this.#pick(this.#nodes), this.#pick([0, 1, 2, 3, 4, 8]), 0), this.#name(), this.#name()]);
      case F.FUSE_LINK: return Buffer.concat([numbers(this.#pick(this.#nodes)), this.#name()]);
      case F.FUSE_OPEN: return numbers(this.#pick([0, 1, 2, 3, 0o1000, 0o2001, 0xffff_ffff]), this.#pick([0, 1]));
      case F.FUSE_OPENDIR: return numbers(0, 0);
      case F.FUSE_READ: case F.FUSE_READDIR: case F.FUSE_READDIRPLUS: return numbers(handle, this.#next() < 0.7 ? 0n : this.#wide(), this.#next() < 0.8 ? small : this.#number(), 0, 0n, 0, 0);
      case F.FUSE_WRITE: return Buffer.concat([numbers(handle, offset, this.#next() < 0.9 ? small : this.#number(), this.#pick([0, 4]), 0n, 0, 0), Buffer.alloc(small, 0x77)]);
      case F.FUSE_RELEASE: case F.FUSE_RELEASEDIR: case F.FUSE_FLUSH: return numbers(handle, 0, 0, 0n);
      case F.FUSE_FSYNC: case F.FUSE_FSYNCDIR: return numbers(handle, 1, 0);
      case F.FUSE_SETXATTR: return Buffer.concat([numbers(this.#pick([0, 1, 5, 70_000]), this.#pick([0, 1, 2, 9]), 0, 0), Buffer.from('user.x\0'), Buffer.alloc(5, 1)]);
      case F.FUSE_GETXATTR: return Buffer.concat([numbers(this.#number(), 0), Buffer.from('user.x\0')]);
      case F.FUSE_LISTXATTR: return numbers(this.#number(), 0);
      case F.FUSE_CREATE: case F.FUSE_TMPFILE: return Buffer.concat([numbers(this.#pick([0o102, 0o302, 0o1102, 0, 0xffff_ffff & ~0o40000]), 0o644, 0, 0), this.#name()]);
      case F.FUSE_FALLOCATE: return numbers(handle, offset, BigInt(small), this.#pick([0, 1, 3, 0x10, 0xffff]), 0);
      case F.FUSE_LSEEK: return numbers(handle, this.#wide(), this.#pick([0, 1, 3, 4, 99]), 0);
      case F.FUSE_COPY_FILE_RANGE: return numbers(handle, offset, this.#pick(this.#nodes), this.#handles.length > 0 ? this.#pick(this.#handles) : 0n, offset, BigInt(small), 0n);
      case F.FUSE_INIT: return Buffer.concat([numbers(7, this.#pick([41, 41, 41, 31, 5]), 0, 0xffff_ffff, 0xffff_ffff), Buffer.alloc(44)]);
      default: return numbers(this.#wide(), this.#wide(), this.#wide(), this.#wide(), this.#wide(), this.#wide());
    }
  }

  one(): void {
    const guest = this.#guest;
    let opcode = this.#pick(OPCODES);
    // A session that is ended all the time gets nowhere.
    if ((opcode === F.FUSE_INIT || opcode === F.FUSE_DESTROY) && this.#next() < 0.98) opcode = F.FUSE_LOOKUP;
    let body = this.#body(opcode);
    if (this.#next() < 0.03) body = body.subarray(0, Math.floor(this.#next() * body.length));
    if (this.#next() < 0.02) opcode = this.#number();
    const bytes = Buffer.concat([guest.header(opcode, this.#next() < 0.95 ? this.#pick(this.#nodes) : this.#wide(), body.length, this.#next() < 0.03 ? this.#number() & 0xffff : 0), body]);
    if (this.#next() < 0.03) bytes.writeUInt32LE(this.#number(), 0);
    if (this.#next() < 0.02) for (let i = 0; i < 4; i++) bytes[Math.floor(this.#next() * bytes.length)] = Math.floor(this.#next() * 256);
    this.#send(opcode, bytes);
  }

  #send(opcode: number, bytes: Buffer): void {
    const guest = this.#guest;
    const { input, output } = guest.places;
    const pieces = [];
    let at = 0;
    while (at < bytes.length) {
      const length = this.#next() < 0.8 ? bytes.length - at : 1 + Math.floor(this.#next() * (bytes.length - at));
      pieces.push({ gpa: input + at, len: length });
      at += length;
    }
    const room = this.#pick([0, 8, 16, 20, 120, 144, 200, 4112, 9000]);
    const first = this.#next() < 0.9 ? Math.min(16, room) : Math.min(room, 1 + Math.floor(this.#next() * 40));
    if (first > 0) pieces.push({ gpa: output, len: first, write: true });
    for (let done = first; done < room; ) {
      const length = Math.min(room - done, 1 + Math.floor(this.#next() * 4096));
      pieces.push({ gpa: output + done, len: length, write: true });
      done += length;
    }
    if (pieces.length > 60) return;
    const { view } = guest.core;
    guest.core.bytes.fill(0, 0x0800_0000 + output, 0x0800_0000 + output + 300);
    guest.raw(bytes, pieces, this.#next() < 0.97 ? guest.requests : guest.hiprio);
    if (guest.driver.status & 64) throw new Error(`operation ${opcode}: the device wants a reset after a chain that is no mistake`);
    const error = view.getInt32(0x0800_0000 + output + 4, true);
    this.results.set(`${opcode} ${error}`, (this.results.get(`${opcode} ${error}`) ?? 0) + 1);
    if (error === 0 && room >= 144 && first === 16) this.#learn(opcode, 0x0800_0000 + output + 16);
  }

  #learn(opcode: number, at: number): void {
    const { view } = this.#guest.core;
    const keep = (list: bigint[], value: bigint): void => {
      if (list.length < 64) list.push(value);
      else list[1 + Math.floor(this.#next() * 63)] = value;
    };
    if (([F.FUSE_LOOKUP, F.FUSE_MKDIR, F.FUSE_MKNOD, F.FUSE_SYMLINK, F.FUSE_LINK, F.FUSE_CREATE] as number[]).includes(opcode)) keep(this.#nodes, view.getBigUint64(at, true));
    if (opcode === F.FUSE_CREATE) keep(this.#handles, view.getBigUint64(at + 128, true));
    if (opcode === F.FUSE_OPEN || opcode === F.FUSE_OPENDIR) keep(this.#handles, view.getBigUint64(at, true));
  }
}

/** Sends `count` random requests; what came back, by operation and errno. Throws when the device breaks, or anything outside the share changed. */
export function sweep(seed: number, count: number): Map<string, number> {
  const next = random(seed);
  const results = new Map<string, number>();
  for (let done = 0; done < count; done += SESSION) {
    const outside = mkdtempSync(join(tmpdir(), 'vmm-fs-'));
    const dir = join(outside, 'shared');
    mkdirSync(join(dir, 'dir'), { recursive: true });
    writeFileSync(join(outside, 'secret'), 'secret');
    writeFileSync(join(dir, 'a'), 'a');
    symlinkSync('../..', join(dir, 'link'));
    const guest = new FsGuest(dir, {}, FS_SUBMOUNTS).mount();
    const hostile = new RandomGuest(guest, next);
    try {
      for (let i = 0; i < Math.min(SESSION, count - done); i++) hostile.one();
      if (!guest.core.canariesIntact()) throw new Error(`seed ${seed}: memory outside the guest's was written`);
      if (readFileSync(join(outside, 'secret'), 'latin1') !== 'secret' || readdirSync(outside).length !== 2) throw new Error(`seed ${seed}: something outside the share changed`);
      for (const [key, n] of hostile.results) results.set(key, (results.get(key) ?? 0) + n);
      guest.driver.write(REG.status, 0);
      guest.run(0xffff);
    } finally {
      guest.close();
      execFileSync('chmod', ['-R', 'u+rwx', outside]);
      rmSync(outside, { recursive: true, force: true });
    }
  }
  return results;
}
