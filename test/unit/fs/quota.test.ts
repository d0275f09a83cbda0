/** Quotas of shares: what a guest's operations take is what du of the host says, and no more than is allowed. */
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { countTree } from '../../../vmm/devices/fs/quota.ts';
import { FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';
import { Random } from '../../support/random.ts';

const MIB = 1 << 20;
let dir: string;
let guest: FsGuest;
// A file system in memory, whose counts do not change when it writes to a disk.
beforeEach(() => {
  dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vmm-quota-'));
});
afterEach(() => {
  guest.close();
  rmSync(dir, { recursive: true, force: true });
});

const mounted = (quota: number): FsGuest => (guest = new FsGuest(dir, { quota }).mount());
const used = (): number => {
  const share = guest.session.shares[0];
  return share?.quota?.used(() => countTree(share.fd, guest.session.stat)) ?? Number.NaN;
};
const du = (): number => Number(execFileSync('du', ['-s', '-B1', dir], { encoding: 'utf8', timeout: 60_000 }).split('\t')[0]);
const write = (node: bigint, fh: bigint, offset: number, length: number): number => guest.call(F.FUSE_WRITE, node, Buffer.concat([numbers(fh, BigInt(offset), length, 0, 0n, 0, 0), Buffer.alloc(length, 'x')])).error;
const release = (node: bigint, fh: bigint): void => void guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
const unlink = (name: string): number => guest.call(F.FUSE_UNLINK, 1n, text(name)).error;

describe('what is there already', () => {
  it('is counted once: files with two names, links, directories in directories', () => {
    mkdirSync(join(dir, 'a/b/c'), { recursive: true });
    for (let i = 0; i < 500; i++) writeFileSync(join(dir, 'a', `file${i}`), 'x'.repeat(i * 40));
    writeFileSync(join(dir, 'a/b/c/large'), Buffer.alloc(3 * MIB));
    linkSync(join(dir, 'a/b/c/large'), join(dir, 'again'));
    symlinkSync('/etc', join(dir, 'link'));
    mounted(100 * MIB);
    const { fd } = guest.session.shares[0] as { fd: number };
    expect(countTree(fd, guest.session.stat)).toBe(du());
  });

  it('that is too deep to be counted is more than any quota', () => {
    mkdirSync(join(dir, ...Array<string>(300).fill('d')), { recursive: true });
    mounted(100 * MIB);
    expect(guest.call(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text('one')])).error).toBe(-E.ENOSPC);
  });
});

describe('a quota', () => {
  it('ends writes that would grow a file, and no others; what is removed is free again', () => {
    mounted(MIB);
    const { node, fh } = guest.create('file');
    expect(write(node, fh, 0, MIB - 4096)).toBe(0);
    expect(write(node, fh, MIB - 4096, 8192)).toBe(-E.ENOSPC);
    expect(write(node, fh, MIB - 4096, 4096)).toBe(0);
    expect(used()).toBe(du());
    expect(write(node, fh, 100, 50_000)).toBe(0);
    expect(guest.call(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text('dir')])).error).toBe(-E.ENOSPC);
    expect(guest.call(F.FUSE_CREATE, 1n, Buffer.concat([numbers(2, 0o644, 0, 0), text('other')])).error).toBe(-E.ENOSPC);
    expect(guest.call(F.FUSE_FALLOCATE, node, numbers(fh, BigInt(MIB), 4096n, 0, 0)).error).toBe(-E.ENOSPC);
    // A hole is made, and filled again.
    guest.ok(F.FUSE_FALLOCATE, node, numbers(fh, 0n, 65536n, 3, 0));
    expect(used()).toBe(MIB - 65536);
    expect(write(node, fh, 0, 65536)).toBe(0);
    expect(write(node, fh, MIB, 1)).toBe(-E.ENOSPC);
    release(node, fh);
    expect(unlink('file')).toBe(0);
    expect([used(), du()]).toEqual([0, 0]);
  });

  it('counts a file that lost its name until it is closed, by all who have it open', () => {
    mounted(MIB);
    const { node, fh } = guest.create('file');
    write(node, fh, 0, 500_000);
    const other = guest.open(node, 2);
    const full = used();
    unlink('file');
    release(node, fh);
    expect(used()).toBe(full);
    expect(write(node, other, 500_000, 600_000)).toBe(-E.ENOSPC);
    release(node, other);
    expect(used()).toBe(0);
  });

  it('is not got round by a hole beside what was set aside', () => {
    mounted(MIB);
    const { node, fh } = guest.create('file');
    guest.ok(F.FUSE_SETATTR, node, Buffer.concat([numbers(F.FATTR_SIZE, 0, fh, BigInt(8 * MIB)), Buffer.alloc(64)]));
    guest.ok(F.FUSE_FALLOCATE, node, numbers(fh, BigInt(8 * MIB), BigInt(MIB - 8192), 1, 0));
    let written = 0;
    for (let at = 0; at < 8 * MIB && write(node, fh, at, 65536) === 0; at += 65536) written += 65536;
    expect(written).toBeLessThanOrEqual(65536);
    expect(du()).toBeLessThan(MIB + 65536);
  });

  it('a copy of no more than there is room for is made, whatever length is asked for', () => {
    mounted(40 * MIB);
    const [from, to] = [guest.create('from'), guest.create('to')];
    expect(write(from.node, from.fh, 0, MIB)).toBe(0);
    const copied = guest.ok(F.FUSE_COPY_FILE_RANGE, from.node, numbers(from.fh, 0n, to.node, to.fh, 0n, BigInt(Number.MAX_SAFE_INTEGER), 0n));
    expect([copied.readUInt32LE(0), used()]).toEqual([MIB, du()]);
  });

  it('is the size of the file system that the guest sees', () => {
    writeFileSync(join(dir, 'there'), Buffer.alloc(MIB));
    mounted(4 * MIB);
    const stat = guest.ok(F.FUSE_STATFS, 1n);
    const size = stat.readUInt32LE(40);
    expect([0, 8, 16].map((at) => Number(stat.readBigUInt64LE(at)) * size)).toEqual([4 * MIB, 3 * MIB, 3 * MIB]);
  });

  it('a reset, with files open that have no name, leaves nothing counted', () => {
    mounted(MIB);
    const { node, fh } = guest.create('file');
    write(node, fh, 0, 500_000);
    unlink('file');
    guest.driver.write(0x70, 0);
    guest.run(0xffff);
    expect(guest.session.shares[0]?.quota?.used(() => 0)).toBe(0);
  });

  it('all exports of one directory have the same', () => {
    mounted(MIB);
    guest.share(dir, { name: 'again', quota: 5 * MIB });
    expect(guest.session.shares[1]?.quota).toBe(guest.session.shares[0]?.quota);
  });
});

it.each([1, 2, 3])('any operations, seed %d: never above the limit by more than a request, and as du counts', (seed) => {
  const generator = new Random(seed);
  const next = (limit: number): number => generator.below(limit);
  const limit = 700_000;
  mounted(limit);
  const open = new Map<string, { node: bigint; fh: bigint }>();
  const name = (): string => `f${next(12)}`;
  let refused = 0;
  for (let turn = 0; turn < 1500; turn++) {
    const one = name();
    const file = open.get(one);
    switch (next(9)) {
      case 0:
        if (file === undefined && !existsSync(join(dir, one)) && used() < limit) open.set(one, guest.create(one));
        break;
      case 1: case 2: case 3:
        if (file !== undefined && write(file.node, file.fh, next(300_000), 1 + next(100_000)) === -E.ENOSPC) refused++;
        break;
      case 4:
        if (file !== undefined) guest.call(F.FUSE_SETATTR, file.node, Buffer.concat([numbers(F.FATTR_SIZE, 0, file.fh, BigInt(next(300_000))), Buffer.alloc(64)]));
        break;
      case 5:
        if (file !== undefined) {
          release(file.node, file.fh);
          open.delete(one);
        }
        break;
      case 6:
        if (file === undefined) unlink(one);
        break;
      case 7:
        if (file === undefined) guest.call(F.FUSE_RENAME, 1n, Buffer.concat([numbers(1n), text(one), text(`g${next(4)}`)]));
        break;
      default:
        if (file !== undefined) guest.call(F.FUSE_LINK, 1n, Buffer.concat([numbers(file.node), text(`l${next(6)}`)]));
        else if (next(2) === 0) unlink(`l${next(6)}`);
    }
    expect(used()).toBeLessThanOrEqual(limit + 100_000);
  }
  for (const { node, fh } of open.values()) release(node, fh);
  expect(refused).toBeGreaterThan(0);
  expect(used()).toBe(du());
  for (const each of readdirSync(dir)) unlink(each);
  expect([used(), readdirSync(dir).length, statSync(dir).size >= 0]).toEqual([0, 0, true]);
});
