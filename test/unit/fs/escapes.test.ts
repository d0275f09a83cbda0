/** Ways out of a shared directory, by a guest whose kernel sends what it likes. */
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';

let outside: string;
let dir: string;
let guest: FsGuest;
const SECRET = 'not for the guest';
const root = process.getuid?.() === 0;

beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'vmm-fs-'));
  dir = join(outside, 'shared');
  mkdirSync(join(dir, 'sub'), { recursive: true });
  writeFileSync(join(outside, 'secret'), SECRET);
  writeFileSync(join(dir, 'file'), 'shared');
  writeFileSync(join(dir, 'sub', 'inner'), 'inner');
  guest = new FsGuest(dir).mount();
});
afterEach(() => {
  guest.close();
  expect(guest.core.canariesIntact()).toBe(true);
  expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe(SECRET);
  expect(readdirSync(outside).sort()).toEqual(['secret', 'shared']);
  rmSync(outside, { recursive: true, force: true });
});

/** Paths that this process has open beneath `where`. */
const openBeneath = (where: string): string[] => readdirSync('/proc/self/fd').flatMap((fd) => {
  try {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    return path.startsWith(where) ? [path] : [];
  } catch {
    return [];
  }
});

/** Each operation with a name, given as its last part. */
const NAMED: [string, number, (name: Buffer) => Buffer][] = [
  ['LOOKUP', F.FUSE_LOOKUP, (name) => name],
  ['MKDIR', F.FUSE_MKDIR, (name) => Buffer.concat([numbers(0o755, 0), name])],
  ['MKNOD', F.FUSE_MKNOD, (name) => Buffer.concat([numbers(0o100644, 0, 0, 0), name])],
  ['SYMLINK', F.FUSE_SYMLINK, (name) => Buffer.concat([name, text('x')])],
  ['UNLINK', F.FUSE_UNLINK, (name) => name],
  ['RMDIR', F.FUSE_RMDIR, (name) => name],
  ['CREATE', F.FUSE_CREATE, (name) => Buffer.concat([numbers(0o102, 0o644, 0, 0), name])],
  ['RENAME from', F.FUSE_RENAME, (name) => Buffer.concat([numbers(1n), name, text('stolen')])],
  ['RENAME to', F.FUSE_RENAME, (name) => Buffer.concat([numbers(1n), text('file'), name])],
  ['RENAME2', F.FUSE_RENAME2, (name) => Buffer.concat([numbers(1n, 0, 0), text('file'), name])],
  ['LINK', F.FUSE_LINK, (name) => Buffer.concat([numbers(1n), name])],
];

describe.each(NAMED)('%s', (_, opcode, body) => {
  it.each([['..'], ['.'], [''], ['/'], ['/etc/passwd'], ['../secret'], ['sub/../../secret'], ['sub/inner'], ['a/']])('by the name %j is refused', (name) => {
    expect(guest.call(opcode, 1n, body(text(name))).error).toBe(-E.EINVAL);
  });

  it('by a name without an end is refused', () => {
    expect(guest.call(opcode, 1n, body(Buffer.from('abc'))).error).toBeLessThan(0);
  });
});

describe('links', () => {
  it('are never followed: not as a directory, not to open, not to change', () => {
    symlinkSync(outside, join(dir, 'out'));
    symlinkSync(join(outside, 'secret'), join(dir, 'leak'));
    const out = guest.lookup('out').node;
    expect(guest.call(F.FUSE_LOOKUP, out, text('secret')).error).toBe(-E.ENOTDIR);
    expect(guest.call(F.FUSE_OPENDIR, out, numbers(0, 0)).error).toBe(-E.ENOTDIR);
    const leak = guest.lookup('leak').node;
    expect(guest.call(F.FUSE_OPEN, leak, numbers(2, 0)).error).toBeLessThan(0);
    expect(guest.call(F.FUSE_SETATTR, leak, numbers(F.FATTR_SIZE, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0, 0, 0, 0, 0)).error).toBeLessThan(0);
    const before = lstatSync(join(outside, 'secret'));
    guest.call(F.FUSE_SETATTR, leak, numbers(F.FATTR_MODE | F.FATTR_UID, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o777, 0, 1234, 0, 0));
    const after = lstatSync(join(outside, 'secret'));
    expect([after.mode, after.uid]).toEqual([before.mode, before.uid]);
    guest.call(F.FUSE_SETXATTR, leak, Buffer.concat([numbers(1, 0, 0, 0), text('user.a'), Buffer.from('x')]));
    expect(() => execFileSync('python3', ['-c', `import os; os.getxattr(${JSON.stringify(join(outside, 'secret'))}, 'user.a')`], { stdio: 'ignore' })).toThrow();
  });

  it('of the kernel (/proc/self/root, /proc/self/fd) lead nowhere', () => {
    const proc = new FsGuest('/proc/self').mount();
    const magic = proc.lookup('root').node;
    expect(proc.call(F.FUSE_LOOKUP, magic, text('etc')).error).toBe(-E.ENOTDIR);
    const cwd = proc.walk('cwd');
    expect(proc.call(F.FUSE_OPENDIR, cwd, numbers(0, 0)).error).toBe(-E.ENOTDIR);
    proc.close();
    guest = new FsGuest(dir).mount();
  });

  it('that take the place of a directory that the guest knows', () => {
    const inner = guest.walk('sub/inner');
    const sub = guest.walk('sub');
    guest.session.paths.closeAll();
    renameSync(join(dir, 'sub'), join(dir, 'was'));
    symlinkSync(outside, join(dir, 'sub'));
    writeFileSync(join(dir, 'was', 'secret'), '');
    for (const node of [inner, sub]) expect(guest.call(F.FUSE_GETATTR, node, numbers(0, 0, 0n)).error).toBeLessThan(0);
    expect(guest.call(F.FUSE_LOOKUP, sub, text('secret')).error).toBeLessThan(0);
    expect(guest.call(F.FUSE_CREATE, sub, Buffer.concat([numbers(0o102, 0o644, 0, 0), text('made')])).error).toBeLessThan(0);
    expect(existsSync(join(outside, 'made'))).toBe(false);
  });

  it('that come and go while the guest walks', () => {
    symlinkSync(outside, join(dir, 'swap'));
    for (let turn = 0; turn < 200; turn++) {
      renameSync(join(dir, 'swap'), join(dir, 'link'));
      renameSync(join(dir, 'sub'), join(dir, 'swap'));
      renameSync(join(dir, 'link'), join(dir, 'sub'));
      const { error, data } = guest.call(F.FUSE_LOOKUP, 1n, text('sub'));
      renameSync(join(dir, 'sub'), join(dir, 'link'));
      renameSync(join(dir, 'swap'), join(dir, 'sub'));
      renameSync(join(dir, 'link'), join(dir, 'swap'));
      if (error === 0) expect(guest.call(F.FUSE_LOOKUP, data.readBigUInt64LE(0), text('secret')).error).toBeLessThan(0);
      guest.session.paths.closeAll();
    }
  });
});

describe('what is no file or directory', () => {
  it('a FIFO, a socket, a device: seen, never opened', () => {
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    const nodes = [guest.lookup('fifo').node];
    if (root) {
      execFileSync('mknod', [join(dir, 'null'), 'c', '1', '3']);
      execFileSync('mknod', [join(dir, 'disk'), 'b', '7', '250']);
      nodes.push(guest.lookup('null').node, guest.lookup('disk').node);
    }
    for (const node of nodes) {
      for (const flags of [0, 1, 2]) expect(guest.call(F.FUSE_OPEN, node, numbers(flags, 0)).error).toBe(-E.EOPNOTSUPP);
      expect(guest.call(F.FUSE_SETATTR, node, numbers(F.FATTR_SIZE, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0, 0, 0, 0, 0)).error).toBe(-E.EINVAL);
    }
    // Without O_EXCL: what is there by that name is not opened either.
    expect(guest.call(F.FUSE_CREATE, 1n, Buffer.concat([numbers(0o102, 0o644, 0, 0), text('fifo')])).error).toBeLessThan(0);
  });

  it('a FIFO in the place of a file that the guest knows', () => {
    const { node } = guest.lookup('file');
    guest.session.paths.closeAll();
    rmSync(join(dir, 'file'));
    execFileSync('mkfifo', [join(dir, 'file')]);
    expect(guest.call(F.FUSE_OPEN, node, numbers(0, 0)).error).toBe(-E.ESTALE);
  });
});

describe('numbers that are not the guest’s', () => {
  it('inodes that it never got, has forgotten, or that are another’s now', () => {
    const { node } = guest.lookup('file');
    for (const wrong of [0n, 2n + 1000n, node + (1n << 32n), 0xffff_ffff_ffff_ffffn, 1n << 40n]) expect(guest.call(F.FUSE_GETATTR, wrong, numbers(0, 0, 0n)).error).toBe(-E.ESTALE);
    guest.forget(node, 1);
    expect(guest.call(F.FUSE_GETATTR, node, numbers(0, 0, 0n)).error).toBe(-E.ESTALE);
    expect(guest.lookup('file').node).not.toBe(node);
  });

  it('forgotten too often, and the root', () => {
    const { node } = guest.lookup('file');
    guest.forget(node, 1000);
    guest.forget(1n, 1000);
    expect(guest.lookup('file').attr.size).toBe(6);
    const list = Buffer.concat([numbers(3, 0), numbers(1n, 5n, node, 5n, 12345n, 5n)]);
    guest.raw(Buffer.concat([guest.header(F.FUSE_BATCH_FORGET, 0n, list.length), list]), [{ gpa: guest.places.input, len: 40 + list.length }], guest.hiprio);
    expect(guest.lookup('file').attr.size).toBe(6);
  });

  it('handles of other inodes, closed ones, and those never given', () => {
    const { node } = guest.lookup('file');
    const other = guest.walk('sub/inner');
    const fh = guest.open(node, 2);
    const read = (inode: bigint, handle: bigint): number => guest.call(F.FUSE_READ, inode, numbers(handle, 0n, 10, 0, 0n, 0, 0)).error;
    expect(read(node, fh)).toBe(0);
    expect(read(other, fh)).toBe(-E.EBADF);
    guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
    for (const handle of [fh, fh + 1n, 0xffff_ffffn, 0xffff_ffff_ffff_ffffn]) expect(read(node, handle)).toBe(-E.EBADF);
  });
});

describe('a share that is read-only', () => {
  it('takes no operation that changes anything', () => {
    const ro = new FsGuest(dir, { readOnly: true }).mount();
    const { node } = ro.lookup('file');
    const changes: [number, bigint, Buffer][] = [
      ...NAMED.filter(([name]) => name !== 'LOOKUP' && !name.startsWith('RENAME') && name !== 'LINK').map(([, opcode, body]): [number, bigint, Buffer] => [opcode, 1n, body(text('file'))]),
      [F.FUSE_RENAME, 1n, Buffer.concat([numbers(1n), text('file'), text('x')])],
      [F.FUSE_LINK, 1n, Buffer.concat([numbers(node), text('x')])],
      [F.FUSE_OPEN, node, numbers(1, 0)],
      [F.FUSE_OPEN, node, numbers(2, 0)],
      [F.FUSE_OPEN, node, numbers(0o1000, 0)],
      [F.FUSE_TMPFILE, 1n, Buffer.concat([numbers(0o20200002, 0o600, 0, 0), text('/')])],
      [F.FUSE_SETATTR, node, numbers(F.FATTR_MODE, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o777, 0, 0, 0, 0)],
      [F.FUSE_SETXATTR, node, Buffer.concat([numbers(1, 0, 0, 0), text('user.a'), Buffer.from('x')])],
      [F.FUSE_REMOVEXATTR, node, text('user.a')],
    ];
    for (const [opcode, inode, body] of changes) expect({ opcode, error: ro.call(opcode, inode, body).error }).toEqual({ opcode, error: -E.EROFS });
    const fh = ro.open(node);
    expect(ro.read(node, fh, 0, 10).toString()).toBe('shared');
    for (const [opcode, body] of [[F.FUSE_WRITE, Buffer.concat([numbers(fh, 0n, 1, 0, 0n, 0, 0), Buffer.from('x')])], [F.FUSE_FALLOCATE, numbers(fh, 0n, 10n, 0, 0)]] as const) expect(ro.call(opcode, node, body).error).toBeLessThan(0);
    ro.close();
    guest = new FsGuest(dir).mount();
    expect([readFileSync(join(dir, 'file'), 'utf8'), readdirSync(dir).sort()]).toEqual(['shared', ['file', 'sub']]);
  });
});

describe('several exports', () => {
  beforeEach(() => {
    guest.close();
    mkdirSync(join(dir, 'other'));
    guest = new FsGuest(undefined);
    guest.share(join(dir, 'sub'), { name: 'a' });
    guest.share(join(dir, 'other'), { name: 'b' });
    guest.share(join(dir, 'file'), { name: 'f' });
    guest.mount();
  });

  it('are the root’s names, directories as file systems of their own', () => {
    expect(guest.list(1n).sort()).toEqual(['.', '..', 'a', 'b', 'f']);
    expect(guest.list(1n, true).sort()).toEqual(['.', '..', 'a', 'b', 'f']);
    expect([guest.lookup('a').attr.flags, guest.lookup('f').attr.flags]).toEqual([F.FUSE_ATTR_SUBMOUNT, 0]);
    expect(guest.getattr(1n).mode).toBe(0o40555);
    expect(guest.call(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text('x')])).error).toBe(-E.EROFS);
    const { node } = guest.lookup('f');
    expect(guest.read(node, guest.open(node), 0, 10).toString()).toBe('shared');
  });

  it('nothing goes from one to the other by a rename, a link or a copy', () => {
    const [a, b] = [guest.lookup('a').node, guest.lookup('b').node];
    const { node: inner } = guest.lookup('inner', a);
    expect(guest.call(F.FUSE_RENAME, a, Buffer.concat([numbers(b), text('inner'), text('x')])).error).toBe(-E.EXDEV);
    expect(guest.call(F.FUSE_LINK, b, Buffer.concat([numbers(inner), text('x')])).error).toBe(-E.EXDEV);
    const made = guest.create('y', 0o102, 0o644, b);
    expect(guest.call(F.FUSE_COPY_FILE_RANGE, inner, numbers(guest.open(inner), 0n, made.node, made.fh, 0n, 5n, 0n)).error).toBe(-E.EXDEV);
  });

  it('one that is withdrawn: nothing of it is open, all that the guest has of it is stale, the others stay', () => {
    const a = guest.lookup('a').node;
    const { node: inner } = guest.lookup('inner', a);
    const fh = guest.open(inner);
    guest.list(a, true);
    const share = guest.session.shares[0];
    if (share === undefined) throw new Error('no share');
    guest.session.withdraw(share);
    // Its own descriptor is the main thread's to close.
    expect(openBeneath(join(dir, 'sub')).length).toBe(1);
    expect(guest.call(F.FUSE_READ, inner, numbers(fh, 0n, 10, 0, 0n, 0, 0)).error).toBe(-E.ESTALE);
    expect(guest.call(F.FUSE_LOOKUP, a, text('inner')).error).toBe(-E.ESTALE);
    expect(guest.call(F.FUSE_LOOKUP, 1n, text('a')).error).toBe(-E.ENOENT);
    expect(guest.lookup('b').attr.mode & 0o170000).toBe(0o40000);
  });
});

describe.runIf(root)('other file systems beneath', () => {
  it('are seen as such, or are no part of the share', () => {
    execFileSync('mount', ['-t', 'tmpfs', 'none', join(dir, 'sub')]);
    try {
      writeFileSync(join(dir, 'sub', 'x'), '');
      expect(guest.lookup('sub').attr.flags).toBe(F.FUSE_ATTR_SUBMOUNT);
      expect(guest.walk('sub/x')).toBeGreaterThan(1n);
      guest.close();
      guest = new FsGuest(dir, { crossing: false }).mount();
      expect(guest.call(F.FUSE_LOOKUP, 1n, text('sub')).error).toBe(-E.EXDEV);
      expect(guest.lookup('file').attr.size).toBe(6);
      guest.list(1n, true);
    } finally {
      guest.close();
      execFileSync('umount', [join(dir, 'sub')]);
    }
    guest = new FsGuest(dir).mount();
  });
});

it('hard links lead to the file itself, and out of the share they do not go', () => {
  linkSync(join(dir, 'file'), join(dir, 'second'));
  expect(guest.call(F.FUSE_LINK, 1n, Buffer.concat([numbers(guest.lookup('second').node), text('../third')])).error).toBe(-E.EINVAL);
  expect(lstatSync(join(dir, 'file')).nlink).toBe(2);
});
