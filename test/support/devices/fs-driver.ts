/**
 * A guest's kernel for tests of virtio-fs: FUSE requests by the mock driver, served by the real server against directories of this host, in
 * this thread. It may send what no kernel would.
 */
import { closeSync, openSync } from 'node:fs';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { Request } from '../../../vmm/devices/fs/request.ts';
import { type Descriptors, Session } from '../../../vmm/devices/fs/session.ts';
import { type FsCore, Work } from '../../../vmm/devices/fs/work.ts';
import { statx } from '../../../vmm/host/files.ts';
import { O_PATH } from '../../../vmm/host/uapi/linux.ts';
import { type Core, loadCore } from './core.ts';
import { Driver, type DriverQueue, GuestAllocator, type Piece } from './driver.ts';

const SLOT = 0;
const BEHIND = 16 << 20;
export const IN_HEADER = 40;

let shared: Core | undefined;

export interface Answer {
  /** 0, or -errno. */
  readonly error: number;
  readonly data: Buffer;
  /** `len` of the used element. */
  readonly used: number;
}

export interface ShareOptions {
  readonly name?: string;
  readonly readOnly?: boolean;
  readonly crossing?: boolean;
  readonly cache?: 'none' | 'auto' | 'always';
  readonly mapped?: boolean;
  readonly writeback?: boolean;
  readonly watch?: boolean;
  readonly quota?: number;
}

export interface Entry {
  readonly node: bigint;
  readonly attr: Attr;
}

export interface Attr {
  readonly ino: bigint;
  readonly size: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly flags: number;
  readonly mtime: bigint;
}

/** A name as FUSE has it. */
export const text = (name: string | Buffer): Buffer => Buffer.concat([Buffer.from(name as string), Buffer.alloc(1)]);

/** Numbers one behind the other: u32 for a number, u64 for a bigint. */
export function numbers(...values: (number | bigint)[]): Buffer {
  return Buffer.concat(values.map((value) => {
    const bytes = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
    if (typeof value === 'bigint') bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
    else bytes.writeUInt32LE(value >>> 0);
    return bytes;
  }));
}

export class FsGuest {
  readonly core: Core;
  readonly driver: Driver;
  readonly session: Session;
  readonly work: Work;
  readonly hiprio: DriverQueue;
  readonly requests: DriverQueue;
  readonly #fds: number[] = [];
  #unique = 1n;
  readonly #in: number;
  readonly #out: number;
  readonly #roomMax = 0x12_0000;
  uid = 0;
  gid = 0;
  pid = 1;
  /** Of the INIT answer. */
  init: Buffer = Buffer.alloc(0);

  /** `behind`: bytes for its inodes. Mounts a device whose root is the directory, or has it by its name. */
  constructor(dir: string | undefined, options: ShareOptions = {}, flags = 0, behind = BEHIND, descriptors: Partial<Descriptors> = {}) {
    if (behind === BEHIND) shared ??= loadCore({ ramMib: 8, behind });
    const core = behind === BEHIND && shared !== undefined ? shared : loadCore({ ramMib: 8, behind });
    this.core = core;
    core.restart();
    core.bytes.fill(0, 0x0480_0000, 0x0484_0000);
    const base = RAM_BASE + core.ramBytes + 0x1_0000;
    core.bytes.fill(0, base, base + behind);
    this.session = new Session(new Request(core.memory, core.ramBytes), { base, size: behind }, { paths: 64, ...descriptors });
    core.x.fs_add!(SLOT, core.scratch(Buffer.concat([Buffer.from('tag'), Buffer.alloc(33)])), flags);
    if (dir !== undefined) this.share(dir, options);
    core.host.inline = false;
    this.work = new Work(this.session, core.x as unknown as FsCore);
    core.host.onFs = (_slot, tag) => this.work.take(tag);
    this.driver = new Driver(core, SLOT, new GuestAllocator(core.ramBytes));
    this.driver.negotiate();
    this.hiprio = this.driver.queue(0, 64);
    this.requests = this.driver.queue(1, 64);
    this.hiprio.enable();
    this.requests.enable();
    this.driver.ready();
    this.#in = this.driver.memory.take(this.#roomMax, 4096);
    this.#out = this.driver.memory.take(this.#roomMax + 16, 4096);
  }

  /** One more directory or file; its number. */
  share(path: string, { name = '', readOnly = false, crossing = true, mapped = false, cache = 'auto', writeback = false, watch = false, quota }: ShareOptions = {}): number {
    const fd = openSync(path, O_PATH);
    this.#fds.push(fd);
    const { stat, shares } = this.session;
    statx(fd, 0, stat.address);
    const share = { number: shares.length, name, slot: SLOT, fd, readOnly, crossing, mapped, cache, writeback, watch, quota: this.session.quotaOf(quota), node: 0, mount: stat.mount, dev: stat.dev };
    shares.push(share);
    this.session.enterRoot(share);
    return share.number;
  }

  close(): void {
    for (const share of this.session.shares) if (share !== undefined) this.session.forgetAll(share);
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }

  /** As the thread does: until there is nothing more to do. */
  run(queue: number): void {
    for (let turn = 0; turn < 10_000; turn++) {
      if (this.work.step(SLOT, queue)) continue;
      this.work.ask(false);
      return;
    }
    throw new Error('the device never ends');
  }

  /** A chain as it is given: what a hostile kernel sends. */
  raw(bytes: Buffer, pieces: Piece[], queue = this.requests): { id: number; len: number }[] {
    this.core.bytes.set(bytes, RAM_BASE + this.#in);
    const head = queue.add(pieces);
    queue.kick();
    this.run(queue.index);
    const used = queue.takeUsed();
    this.#late.push(...used.filter(({ id }) => id !== head).map(({ id }) => id));
    return used.filter(({ id }) => id === head);
  }

  readonly #late: number[] = [];

  /** Heads of requests that were answered later than they were sent, each once. */
  late(): number[] {
    return [...this.#late.splice(0), ...this.requests.takeUsed().map(({ id }) => id)];
  }

  /** Where `raw` puts its bytes, and where answers have room. */
  get places(): { readonly input: number; readonly output: number } {
    return { input: this.#in, output: this.#out };
  }

  header(opcode: number, node: bigint, length: number, extensions = 0): Buffer {
    return Buffer.concat([numbers(IN_HEADER + length, opcode, this.#unique++, node, this.uid, this.gid, this.pid), Buffer.from([extensions & 0xff, extensions >> 8, 0, 0])]);
  }

  /** One request as a kernel sends it. `room`: bytes for the answer. */
  call(opcode: number, node: bigint, body: Buffer = Buffer.alloc(0), room = 4096, extensions = 0): Answer {
    const bytes = Buffer.concat([this.header(opcode, node, body.length, extensions), body]);
    const { view } = this.core;
    const [used] = this.raw(bytes, [{ gpa: this.#in, len: bytes.length }, { gpa: this.#out, len: 16, write: true }, ...(room > 0 ? [{ gpa: this.#out + 16, len: room, write: true }] : [])]);
    const at = RAM_BASE + this.#out;
    const length = view.getUint32(at, true);
    return { error: view.getInt32(at + 4, true), data: Buffer.from(this.core.bytes.subarray(at + 16, at + length)), used: used?.len ?? -1 };
  }

  /** As `call`, for what must go well. */
  ok(opcode: number, node: bigint, body?: Buffer, room?: number): Buffer {
    const { error, data } = this.call(opcode, node, body, room);
    if (error !== 0) throw new Error(`operation ${opcode}: ${error}`);
    return data;
  }

  /** FUSE_INIT with all flags that there are. */
  mount(minor = 41, flags = 0xffff_ffff, flags2 = 0xffff_ffff): this {
    this.init = this.ok(F.FUSE_INIT, 0n, Buffer.concat([numbers(7, minor, 1 << 20, flags, flags2), Buffer.alloc(44)]));
    return this;
  }

  lookup(name: string | Buffer, parent = 1n): Entry {
    return entry(this.ok(F.FUSE_LOOKUP, parent, text(name)));
  }

  /** The inode of a path beneath the root. */
  walk(path: string): bigint {
    return path.split('/').filter(Boolean).reduce((node, name) => this.lookup(name, node).node, 1n);
  }

  getattr(node: bigint): Attr {
    return attr(this.ok(F.FUSE_GETATTR, node, numbers(0, 0, 0n)).subarray(16));
  }

  /** A file handle. */
  open(node: bigint, flags = 0): bigint {
    return this.ok(F.FUSE_OPEN, node, numbers(flags, 0)).readBigUInt64LE(0);
  }

  create(name: string, flags = 0o102, mode = 0o644, parent = 1n): { node: bigint; fh: bigint } {
    const data = this.ok(F.FUSE_CREATE, parent, Buffer.concat([numbers(flags, mode, 0o022, 0), text(name)]));
    return { node: data.readBigUInt64LE(0), fh: data.readBigUInt64LE(128) };
  }

  read(node: bigint, fh: bigint, offset: number, size: number): Buffer {
    return this.ok(F.FUSE_READ, node, numbers(fh, BigInt(offset), size, 0, 0n, 0, 0), size);
  }

  write(node: bigint, fh: bigint, offset: number, data: Buffer, writeFlags = 0): number {
    return this.ok(F.FUSE_WRITE, node, Buffer.concat([numbers(fh, BigInt(offset), data.length, writeFlags, 0n, 0, 0), data])).readUInt32LE(0);
  }

  /** Names of a directory, by as many calls as it takes. */
  list(node: bigint, plus = false, size = 4096): string[] {
    const fh = this.ok(F.FUSE_OPENDIR, node, numbers(0o200000, 0)).readBigUInt64LE(0);
    const names: string[] = [];
    for (let offset = 0n; ; ) {
      const data = this.ok(plus ? F.FUSE_READDIRPLUS : F.FUSE_READDIR, node, numbers(fh, offset, size, 0, 0n, 0, 0), size);
      if (data.length === 0) break;
      const head = plus ? 128 : 0;
      for (let at = 0; at < data.length; ) {
        const length = data.readUInt32LE(at + head + 16);
        names.push(data.subarray(at + head + 24, at + head + 24 + length).toString());
        offset = data.readBigUInt64LE(at + head + 8);
        at += (head + 24 + length + 7) & ~7;
      }
    }
    this.ok(F.FUSE_RELEASEDIR, node, numbers(fh, 0, 0, 0n));
    return names;
  }

  forget(node: bigint, n: number): void {
    const bytes = Buffer.concat([this.header(F.FUSE_FORGET, node, 8), numbers(BigInt(n))]);
    this.raw(bytes, [{ gpa: this.#in, len: bytes.length }], this.hiprio);
  }
}

export function attr(data: Buffer): Attr {
  return {
    ino: data.readBigUInt64LE(0), size: Number(data.readBigUInt64LE(8)), mtime: data.readBigUInt64LE(32), mode: data.readUInt32LE(60), nlink: data.readUInt32LE(64), uid: data.readUInt32LE(68),
    gid: data.readUInt32LE(72), rdev: data.readUInt32LE(76), flags: data.readUInt32LE(84),
  };
}

export function entry(data: Buffer): Entry {
  return { node: data.readBigUInt64LE(0), attr: attr(data.subarray(40)) };
}
