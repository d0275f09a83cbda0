/** A guest that opens without end; a share that is full, or gone: errors at once, and the machine has descriptors of its own left. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FS_LOCKS } from '../../../assembly/contract/fs.ts';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';
import { HANG_MS } from '../../support/limits.ts';

const WRITE_LOCK = 1;
const root = process.getuid?.() === 0;
let dir: string;
let guest: FsGuest;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-bounds-'));
  writeFileSync(join(dir, 'file'), 'text');
});
afterEach(() => {
  guest.close();
  rmSync(dir, { recursive: true, force: true });
});
const descriptors = (): number => readdirSync('/proc/self/fd').length;

it('open files and directories: as many as there may be, and no more whatever it asks for', () => {
  guest = new FsGuest(dir, {}, 0, undefined, { handles: 100 }).mount();
  const { node } = guest.lookup('file');
  const before = descriptors();
  const open: bigint[] = [];
  for (let i = 0; i < 1000; i++) {
    const { error, data } = i % 2 === 0 ? guest.call(F.FUSE_OPEN, node, numbers(0, 0)) : guest.call(F.FUSE_OPENDIR, 1n, numbers(0o200000, 0));
    if (error === 0) open.push(data.readBigUInt64LE(0));
    else expect(error).toBe(-E.ENFILE);
  }
  expect(open.length).toBe(100);
  expect(descriptors() - before).toBeLessThanOrEqual(104);
  expect(guest.call(F.FUSE_CREATE, 1n, Buffer.concat([numbers(0o102, 0o644, 0, 0), text('other')])).error).toBe(-E.ENFILE);
  expect(guest.lookup('file').attr.size).toBe(4);
  guest.ok(F.FUSE_RELEASE, node, numbers(open[0] as bigint, 0, 0, 0n));
  expect(guest.read(node, guest.open(node), 0, 4).toString()).toBe('text');
});

it('owners of locks', () => {
  guest = new FsGuest(dir, {}, FS_LOCKS, undefined, { owners: 20 }).mount();
  const { node } = guest.lookup('file');
  const fh = guest.open(node, 2);
  const before = descriptors();
  const lock = (owner: number): number => guest.call(F.FUSE_SETLK, node, numbers(fh, BigInt(owner), BigInt(owner), BigInt(owner), WRITE_LOCK, owner, 0, 0)).error;
  for (let owner = 1; owner <= 1000; owner++) expect(lock(owner)).toBe(owner <= 20 ? 0 : -E.ENOLCK);
  expect(descriptors() - before).toBeLessThanOrEqual(22);
});

describe.skipIf(!root)('as root', () => {
  it('a share that is full: ENOSPC, what is there is read, and what is removed is room again', () => {
    const full = join(dir, 'full');
    mkdirSync(full);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,nr_inodes=10', 'none', full], { timeout: 60_000 });
    try {
      guest = new FsGuest(full).mount();
      const { node, fh } = guest.create('big');
      const write = (offset: number): number => guest.call(F.FUSE_WRITE, node, Buffer.concat([numbers(fh, BigInt(offset), 65536, 0, 0n, 0, 0), Buffer.alloc(65536, 1)])).error;
      expect([0, 1, 2, 3].map((i) => write(i * 65536))).toEqual([0, 0, 0, 0]);
      expect(write(4 * 65536)).toBe(-E.ENOSPC);
      expect(guest.call(F.FUSE_FALLOCATE, node, numbers(fh, 0n, BigInt(1 << 20), 0, 0)).error).toBe(-E.ENOSPC);
      for (let i = 0; ; i++) {
        const { error } = guest.call(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text(`d${i}`)]));
        if (error === 0 && i < 20) continue;
        expect(error).toBe(-E.ENOSPC);
        break;
      }
      expect(guest.read(node, fh, 0, 4)).toEqual(Buffer.alloc(4, 1));
      guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
      guest.ok(F.FUSE_UNLINK, 1n, text('big'));
      guest.ok(F.FUSE_FORGET, node, numbers(1n), 0);
      const again = guest.create('small');
      expect(guest.write(again.node, again.fh, 0, Buffer.alloc(65536))).toBe(65536);
    } finally {
      guest.close();
      execFileSync('umount', [full], { timeout: 60_000 });
    }
  });
});

/** What a guest sees of a file system that answers nothing any more, at once; attributes the host's kernel may know for a while. */
function nothingLeft(node: bigint, fh: bigint): number[] {
  const errors = [
    guest.call(F.FUSE_LOOKUP, 1n, text('other')).error, guest.call(F.FUSE_OPEN, node, numbers(0, 0)).error,
    guest.call(F.FUSE_READ, node, numbers(fh, 0n, 4096, 0, 0n, 0, 0)).error, guest.call(F.FUSE_OPENDIR, 1n, numbers(0o200000, 0)).error, guest.call(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text('new')])).error,
    guest.call(F.FUSE_STATFS, 1n).error,
  ];
  guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
  return errors;
}

describe.skipIf(!root)('a share whose file system goes, as root', () => {
  let mounted: string;
  let fs: ChildProcess;
  beforeEach(async () => {
    mounted = join(dir, 'mounted');
    mkdirSync(mounted);
    fs = spawn('python3', [join(import.meta.dirname, '../../support/devices/hanging-fs.py'), mounted], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 300_000, killSignal: 'SIGKILL' });
    await once(fs.stdout as Readable, 'data');
    guest = new FsGuest(mounted).mount();
  });
  afterEach(() => {
    fs.kill('SIGKILL');
    spawnSync('umount', ['-l', mounted], { timeout: 60_000, stdio: 'ignore' });
  });

  it('its server, a disk’s driver for example, dies: ENOTCONN for all of it, and it can be unmounted once the share is closed', async () => {
    const { node } = guest.lookup('file');
    const fh = guest.open(node);
    fs.kill('SIGKILL');
    await once(fs, 'exit');
    expect(new Set(nothingLeft(node, fh))).toEqual(new Set([-constants.errno.ENOTCONN]));
    guest.close();
    execFileSync('umount', [mounted], { timeout: 60_000 });
  });

  it('umount -f: the same, while the host’s umount itself says that it is busy', () => {
    const { node } = guest.lookup('file');
    const fh = guest.open(node);
    expect(spawnSync('umount', ['-f', mounted], { encoding: 'utf8', timeout: 60_000 }).stderr).toMatch(/busy/);
    expect(new Set(nothingLeft(node, fh))).toEqual(new Set([-constants.errno.ENOTCONN]));
    guest.close();
    execFileSync('umount', [mounted], { timeout: 60_000 });
  });
});

it.skipIf(!root)('umount -l, as root: the share goes on with what it has, and lets go of it at its end', async () => {
  const [image, mounted] = [join(dir, 'image'), join(dir, 'mounted')];
  mkdirSync(mounted);
  writeFileSync(image, '');
  truncateSync(image, 8 << 20);
  execFileSync('mkfs.ext4', ['-q', '-F', image], { timeout: 60_000 });
  execFileSync('mount', ['-o', 'loop', image, mounted], { timeout: 60_000 });
  guest = new FsGuest(mounted).mount();
  execFileSync('umount', ['-l', mounted], { timeout: 60_000 });
  const { node, fh } = guest.create('later');
  expect(guest.write(node, fh, 0, Buffer.from('text'))).toBe(4);
  expect(guest.lookup('later').attr.size).toBe(4);
  expect(readdirSync(mounted)).toEqual([]);
  guest.close();
  // The kernel lets go of the device a moment later.
  await expect.poll(() => execFileSync('losetup', ['-j', image], { encoding: 'utf8', timeout: 60_000 }), { timeout: HANG_MS }).toBe('');
  expect(execFileSync('debugfs', ['-R', 'cat /later', image], { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'ignore'] })).toBe('text');
});

it('a share that is deleted: what was there is stale or gone, nothing is made anew, what is open stays', () => {
  const share = join(dir, 'share');
  mkdirSync(join(share, 'sub'), { recursive: true });
  writeFileSync(join(share, 'file'), 'text');
  guest = new FsGuest(share).mount();
  const { node } = guest.lookup('file');
  const sub = guest.walk('sub');
  const fh = guest.open(node);
  rmSync(share, { recursive: true });
  expect(guest.call(F.FUSE_LOOKUP, 1n, text('file')).error).toBe(-E.ENOENT);
  expect(guest.call(F.FUSE_CREATE, 1n, Buffer.concat([numbers(0o102, 0o644, 0, 0), text('new')])).error).toBe(-E.ENOENT);
  expect(guest.call(F.FUSE_MKDIR, sub, Buffer.concat([numbers(0o755, 0), text('new')])).error).toBe(-E.ENOENT);
  const dirFh = guest.ok(F.FUSE_OPENDIR, 1n, numbers(0o200000, 0)).readBigUInt64LE(0);
  expect(guest.call(F.FUSE_READDIRPLUS, 1n, numbers(dirFh, 0n, 4096, 0, 0n, 0, 0)).error).toBe(-E.ENOENT);
  expect(guest.read(node, fh, 0, 4).toString()).toBe('text');
  // Another one by its name is nothing of this share's.
  mkdirSync(share);
  writeFileSync(join(share, 'file'), 'another');
  expect(guest.call(F.FUSE_LOOKUP, 1n, text('file')).error).toBe(-E.ENOENT);
});
