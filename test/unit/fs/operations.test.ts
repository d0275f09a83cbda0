/** FUSE operations against this host's own file system: what the guest does is seen here, and the other way round. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FS_WRITEBACK } from '../../../assembly/contract/fs.ts';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { readXattrs } from '../../../vmm/host/sys.ts';
import { entry, FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';

let dir: string;
let guest: FsGuest;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-fs-'));
  writeFileSync(join(dir, 'file'), 'hello');
  mkdirSync(join(dir, 'sub'));
  guest = new FsGuest(dir).mount();
});
afterEach(() => {
  guest.close();
  expect(guest.core.canariesIntact()).toBe(true);
  rmSync(dir, { recursive: true, force: true });
});

const at = (...names: string[]): string => join(dir, ...names);

describe('INIT', () => {
  it.each([[31, 31], [36, 36], [41, 41], [99, 41]])('version 7.%d is answered with 7.%d', (asked, answered) => {
    guest.mount(asked);
    expect([guest.init.readUInt32LE(0), guest.init.readUInt32LE(4)]).toEqual([7, answered]);
  });

  it('an older one is refused, a younger major version is answered with ours, and what is not offered is not taken', () => {
    const init = (major: number, minor: number, flags: number): ReturnType<FsGuest['call']> => guest.call(F.FUSE_INIT, 0n, Buffer.concat([numbers(major, minor, 0, flags, 0), Buffer.alloc(44)]));
    expect(init(7, 30, 0xffff_ffff).error).toBe(-E.EIO);
    expect(init(6, 1, 0).error).toBe(-E.EIO);
    expect(init(8, 0, 0)).toMatchObject({ error: 0 });
    const needed = Number(F.FUSE_MAX_PAGES | F.FUSE_SETXATTR_EXT);
    expect(init(7, 41, needed).data.readUInt32LE(12)).toBe(needed);
  });

  it('nothing is served before it', () => {
    const fresh = new FsGuest(dir);
    expect(fresh.call(F.FUSE_LOOKUP, 1n, text('file')).error).toBe(-E.EIO);
    fresh.close();
  });
});

describe('names', () => {
  it('a lookup tells what lstat tells, of links as themselves', () => {
    symlinkSync('/etc', at('link'));
    for (const name of ['file', 'sub', 'link']) {
      const { attr } = guest.lookup(name);
      const stat = lstatSync(at(name));
      expect({ ino: Number(attr.ino), mode: attr.mode, size: attr.size, nlink: attr.nlink, uid: attr.uid }).toEqual({ ino: stat.ino, mode: stat.mode, size: stat.size, nlink: stat.nlink, uid: stat.uid });
    }
    expect(guest.ok(F.FUSE_READLINK, guest.lookup('link').node).toString()).toBe('/etc');
  });

  it('what does not exist, and what is no directory', () => {
    expect(guest.call(F.FUSE_LOOKUP, 1n, text('nothing')).error).toBe(-E.ENOENT);
    expect(guest.call(F.FUSE_LOOKUP, guest.lookup('file').node, text('x')).error).toBe(-E.ENOTDIR);
    expect(guest.call(F.FUSE_LOOKUP, 1n, text('x'.repeat(256))).error).toBe(-E.ENAMETOOLONG);
  });

  it('two names of one file are one inode', () => {
    linkSync(at('file'), at('sub', 'other'));
    expect(guest.lookup('other', guest.lookup('sub').node).node).toBe(guest.lookup('file').node);
  });

  it('mkdir, mknod, symlink, link, rename, unlink, rmdir', () => {
    const made = entry(guest.ok(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o750, 0), text('new')])));
    expect(lstatSync(at('new')).mode & 0o7777).toBe(0o750);
    guest.ok(F.FUSE_MKNOD, made.node, Buffer.concat([numbers(0o010640, 0, 0, 0), text('fifo')]));
    expect(lstatSync(at('new', 'fifo')).isFIFO()).toBe(true);
    guest.ok(F.FUSE_SYMLINK, made.node, Buffer.concat([text('s'), text('../file')]));
    expect(readlinkSync(at('new', 's'))).toBe('../file');
    guest.ok(F.FUSE_LINK, made.node, Buffer.concat([numbers(guest.lookup('file').node), text('hard')]));
    expect(statSync(at('file')).nlink).toBe(2);
    guest.ok(F.FUSE_RENAME, made.node, Buffer.concat([numbers(1n), text('hard'), text('moved')]));
    expect(readdirSync(at('new')).sort()).toEqual(['fifo', 's']);
    expect(readFileSync(at('moved'), 'utf8')).toBe('hello');
    guest.ok(F.FUSE_UNLINK, made.node, text('s'));
    guest.ok(F.FUSE_UNLINK, made.node, text('fifo'));
    guest.ok(F.FUSE_RMDIR, 1n, text('new'));
    expect(existsSync(at('new'))).toBe(false);
  });

  it('a directory that is moved takes what is beneath it along', () => {
    mkdirSync(at('sub', 'a'));
    writeFileSync(at('sub', 'a', 'deep'), 'deep');
    const node = guest.walk('sub/a/deep');
    guest.ok(F.FUSE_RENAME2, 1n, Buffer.concat([numbers(1n, 0, 0), text('sub'), text('elsewhere')]));
    guest.session.paths.closeAll();
    expect(guest.getattr(node).size).toBe(4);
    // By the host, it is gone for the guest.
    renameSync(at('elsewhere'), at('third'));
    guest.session.paths.closeAll();
    expect(guest.call(F.FUSE_GETATTR, node, numbers(0, 0, 0n)).error).toBe(-E.ENOENT);
  });

  it('RENAME2: NOREPLACE, EXCHANGE, and flags that do not exist', () => {
    writeFileSync(at('b'), 'b');
    const [file, other] = [guest.lookup('file').node, guest.lookup('b').node];
    const rename = (flags: number): number => guest.call(F.FUSE_RENAME2, 1n, Buffer.concat([numbers(1n, flags, 0), text('file'), text('b')])).error;
    expect(rename(1)).toBe(-E.EEXIST);
    expect(rename(2)).toBe(0);
    expect(readFileSync(at('file'), 'utf8')).toBe('b');
    expect([guest.lookup('file').node, guest.lookup('b').node]).toEqual([other, file]);
    expect(guest.getattr(file).size).toBe(5);
    expect(rename(8)).toBe(-E.EINVAL);
  });

  it('another file by the same name is another inode, and the one before is stale', () => {
    const { node } = guest.lookup('file');
    guest.session.paths.closeAll();
    renameSync(at('file'), at('old'));
    writeFileSync(at('file'), 'another');
    expect(guest.call(F.FUSE_GETATTR, node, numbers(0, 0, 0n)).error).toBe(-E.ESTALE);
    expect(guest.lookup('file').node).not.toBe(node);
  });

  it.each([false, true])('a directory of 2,000 names is listed whole and once; plus: %s', (plus) => {
    const names = Array.from({ length: 2000 }, (_, i) => `name-${i}-${'x'.repeat(i % 100)}`);
    for (const name of names) writeFileSync(at('sub', name), '');
    expect(guest.list(guest.lookup('sub').node, plus).sort()).toEqual(['.', '..', ...names].sort());
  });

  it('READDIRPLUS learns of what it lists, and FORGET unlearns it', () => {
    for (let i = 0; i < 20; i++) writeFileSync(at('sub', `${i}`), '');
    const sub = guest.lookup('sub').node;
    const before = guest.session.nodes.count;
    guest.list(sub, true);
    expect(guest.session.nodes.count).toBe(before + 20);
    for (let i = 0; i < 20; i++) guest.forget(guest.lookup(`${i}`, sub).node, 2);
    expect(guest.session.nodes.count).toBe(before);
    // Of names that are remembered a parent stays, and goes with the last of them.
    guest.lookup('0', sub);
    guest.forget(sub, 1);
    expect(guest.session.nodes.count).toBe(before + 1);
    guest.forget(guest.session.nodes.known(0, guest.session.stat) === 0 ? 0n : guest.lookup('0', sub).node, 2);
    expect(guest.session.nodes.count).toBe(before - 1);
  });
});

describe('files', () => {
  it('open, read, write, close', () => {
    const { node } = guest.lookup('file');
    const fh = guest.open(node, 2);
    expect(guest.read(node, fh, 1, 100).toString()).toBe('ello');
    expect(guest.write(node, fh, 5, Buffer.from(' world'))).toBe(6);
    expect(readFileSync(at('file'), 'utf8')).toBe('hello world');
    guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
    expect(guest.call(F.FUSE_READ, node, numbers(fh, 0n, 10, 0, 0n, 0, 0)).error).toBe(-E.EBADF);
  });

  it('a megabyte in many pieces comes whole, both ways', () => {
    const bytes = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 7) ^ (i >> 8)));
    const { node, fh } = guest.create('big');
    expect(guest.write(node, fh, 0, bytes)).toBe(bytes.length);
    expect(readFileSync(at('big')).equals(bytes)).toBe(true);
    expect(guest.read(node, fh, 0, bytes.length).equals(bytes)).toBe(true);
  });

  it('CREATE: new, there already, exclusive, a link', () => {
    const { node, fh } = guest.create('new', 0o101, 0o640);
    expect(lstatSync(at('new')).mode & 0o7777).toBe(0o640);
    guest.write(node, fh, 0, Buffer.from('x'));
    expect(guest.create('file', 0o102).node).toBe(guest.lookup('file').node);
    const exclusive = (name: string): number => guest.call(F.FUSE_CREATE, 1n, Buffer.concat([numbers(0o302, 0o644, 0, 0), text(name)])).error;
    expect(exclusive('file')).toBe(-E.EEXIST);
    symlinkSync('/etc/vmm-never', at('link'));
    expect(exclusive('link')).toBe(-E.EEXIST);
    expect(guest.call(F.FUSE_CREATE, 1n, Buffer.concat([numbers(0o102, 0o644, 0, 0), text('link')])).error).toBeLessThan(0);
    expect(existsSync('/etc/vmm-never')).toBe(false);
  });

  it('a guest that holds writes back reads what it opened to write, and says itself where the end is', () => {
    const held = new FsGuest(dir, { cache: 'always', writeback: true }, FS_WRITEBACK).mount();
    expect(held.init.readUInt32LE(12) & Number(F.FUSE_WRITEBACK_CACHE)).not.toBe(0);
    const { node } = held.lookup('file');
    const fh = held.open(node, 0o2001); // O_WRONLY | O_APPEND
    expect(held.read(node, fh, 0, 5).toString()).toBe('hello');
    held.write(node, fh, 1, Buffer.from('E'));
    expect(readFileSync(at('file'), 'utf8')).toBe('hEllo');
    const made = held.create('made', 0o2101);
    held.write(made.node, made.fh, 3, Buffer.from('x'));
    held.write(made.node, made.fh, 0, Buffer.from('y'));
    expect(readFileSync(at('made'), 'latin1')).toBe('y\0\0x');
    held.close();
  });

  it('without it no writes are held back, whatever a driver asks for', () => expect(guest.init.readUInt32LE(12) & Number(F.FUSE_WRITEBACK_CACHE)).toBe(0));

  it('O_TRUNC and O_APPEND', () => {
    const { node } = guest.lookup('file');
    const append = guest.open(node, 0o2001);
    guest.write(node, append, 0, Buffer.from('!'));
    expect(readFileSync(at('file'), 'utf8')).toBe('hello!');
    guest.open(node, 0o1001);
    expect(statSync(at('file')).size).toBe(0);
  });

  it('one that is unlinked while it is open stays', () => {
    const { node } = guest.lookup('file');
    const fh = guest.open(node, 2);
    guest.ok(F.FUSE_UNLINK, 1n, text('file'));
    expect(existsSync(at('file'))).toBe(false);
    expect(guest.read(node, fh, 0, 10).toString()).toBe('hello');
    expect(guest.getattr(node).nlink).toBe(0);
    guest.ok(F.FUSE_SETATTR, node, Buffer.concat([numbers(1, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o600, 0, 0, 0, 0)]));
    expect(guest.getattr(node).mode & 0o777).toBe(0o600);
    // Opened once more, as by /proc/self/fd in the guest.
    expect(guest.read(node, guest.open(node), 0, 10).toString()).toBe('hello');
  });

  it('O_TMPFILE, and a name for it', () => {
    const data = guest.ok(F.FUSE_TMPFILE, 1n, Buffer.concat([numbers(0o20200002, 0o600, 0, 0), text('/')]));
    const [node, fh] = [data.readBigUInt64LE(0), data.readBigUInt64LE(128)];
    guest.write(node, fh, 0, Buffer.from('unseen'));
    expect(readdirSync(dir).sort()).toEqual(['file', 'sub']);
    guest.ok(F.FUSE_LINK, 1n, Buffer.concat([numbers(node), text('seen')]));
    expect(readFileSync(at('seen'), 'utf8')).toBe('unseen');
  });

  it('setattr: size, mode, times; fallocate, lseek, copy_file_range, fsync, syncfs, statfs', () => {
    const { node } = guest.lookup('file');
    const set = (valid: number, size: bigint, mtime: bigint, mode: number): Buffer => guest.ok(F.FUSE_SETATTR, node, numbers(valid, 0, 0n, size, 0n, 0n, mtime, 0n, 0, 5, 0, mode, 0, 0, 0, 0));
    set(F.FATTR_SIZE | F.FATTR_MODE | F.FATTR_MTIME, 3n, 1000n, 0o600);
    const stat = statSync(at('file'), { bigint: true });
    expect([stat.size, stat.mode & 0o777n, stat.mtimeNs]).toEqual([3n, 0o600n, 1000_000_000_005n]);
    const fh = guest.open(node, 2);
    guest.ok(F.FUSE_FALLOCATE, node, numbers(fh, 0n, 10_000n, 0, 0));
    expect(statSync(at('file')).size).toBe(10_000);
    truncateSync(at('file'), 1 << 20);
    expect(guest.ok(F.FUSE_LSEEK, node, numbers(fh, 3n, 3, 0)).readBigUInt64LE(0)).toBe(3n); // SEEK_DATA
    expect(guest.call(F.FUSE_LSEEK, node, numbers(fh, 500_000n, 3, 0)).error).toBe(-E.ENXIO);
    const { node: other, fh: to } = guest.create('copy');
    expect(guest.ok(F.FUSE_COPY_FILE_RANGE, node, numbers(fh, 0n, other, to, 0n, 10_000n, 0n)).readUInt32LE(0)).toBe(10_000);
    expect(readFileSync(at('copy')).equals(readFileSync(at('file')).subarray(0, 10_000))).toBe(true);
    guest.ok(F.FUSE_FSYNC, node, numbers(fh, 1, 0));
    guest.ok(F.FUSE_SYNCFS, 1n, numbers(0n));
    expect(guest.ok(F.FUSE_STATFS, 1n).readUInt32LE(40)).toBeGreaterThanOrEqual(512);
  });

  it('STATX tells the time of birth, and what GETATTR tells', () => {
    const { node } = guest.lookup('file');
    const data = guest.ok(F.FUSE_STATX, node, numbers(0, 0, 0n, 0, 0xfff)).subarray(32);
    const stat = statSync(at('file'), { bigint: true });
    expect([data.readBigUInt64LE(0x20), data.readBigUInt64LE(0x28), BigInt(data.readUInt16LE(0x1c)), data.readBigUInt64LE(0x50) * 1_000_000_000n + BigInt(data.readUInt32LE(0x58))]).toEqual([stat.ino, stat.size, stat.mode, stat.birthtimeNs]);
    expect(data.length).toBe(256);
  });

  it('extended attributes: set, get, list, remove; a value that has no room', () => {
    const { node } = guest.lookup('file');
    guest.ok(F.FUSE_SETXATTR, node, Buffer.concat([numbers(5, 0, 0, 0), text('user.a'), Buffer.from('value')]));
    expect(Buffer.from(readXattrs(at('file')).get('user.a') ?? []).toString()).toBe('value');
    expect(guest.ok(F.FUSE_GETXATTR, node, Buffer.concat([numbers(0, 0), text('user.a')])).readUInt32LE(0)).toBe(5);
    expect(guest.ok(F.FUSE_GETXATTR, node, Buffer.concat([numbers(100, 0), text('user.a')])).toString()).toBe('value');
    expect(guest.call(F.FUSE_GETXATTR, node, Buffer.concat([numbers(2, 0), text('user.a')])).error).toBe(-E.ERANGE);
    expect(guest.ok(F.FUSE_LISTXATTR, node, numbers(100, 0)).toString()).toContain('user.a\0');
    guest.ok(F.FUSE_REMOVEXATTR, node, text('user.a'));
    expect(guest.call(F.FUSE_GETXATTR, node, Buffer.concat([numbers(100, 0), text('user.a')])).error).toBe(-E.ENODATA);
  });

  it('a write by who may not keep set-id bits takes them away', () => {
    chmodSync(at('file'), 0o6755);
    const { node } = guest.lookup('file');
    const fh = guest.open(node, 2);
    guest.write(node, fh, 0, Buffer.from('x'), 0);
    if (process.getuid?.() === 0) expect(statSync(at('file')).mode & 0o7777).toBe(0o6755);
    guest.write(node, fh, 0, Buffer.from('x'), F.FUSE_WRITE_KILL_SUIDGID);
    expect(statSync(at('file')).mode & 0o7777).toBe(0o755);
  });

  it('auto: a file that was not written keeps its pages at the next open', () => {
    const { node } = guest.lookup('file');
    const flags = (): number => guest.ok(F.FUSE_OPEN, node, numbers(0, 0)).readUInt32LE(8);
    expect([flags(), flags()]).toEqual([0, F.FOPEN_KEEP_CACHE]);
    writeFileSync(at('file'), 'changed by the host');
    expect([flags(), flags()]).toEqual([0, F.FOPEN_KEEP_CACHE]);
  });
});

describe.runIf(process.getuid?.() === 0)('as root', () => {
  it('what is made is its caller’s, by the group that the kernel names where there is one', () => {
    chmodSync(dir, 0o777);
    [guest.uid, guest.gid] = [1234, 567];
    guest.ok(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text('theirs')]));
    guest.create('file2');
    guest.ok(F.FUSE_SYMLINK, 1n, Buffer.concat([text('link'), text('x')]));
    for (const name of ['theirs', 'file2', 'link']) expect([lstatSync(at(name)).uid, lstatSync(at(name)).gid], name).toEqual([1234, 567]);
    [guest.uid, guest.gid] = [0, 0];
    guest.create('mine');
    expect(lstatSync(at('mine')).uid).toBe(0);
    expect(process.getuid?.()).toBe(0);
  });

  it('a set-group-id directory gives its group, and the bit only to who is in it', () => {
    mkdirSync(at('team'));
    execFileSync('chown', ['0:777', at('team')]);
    chmodSync(at('team'), 0o2777);
    const team = guest.lookup('team').node;
    [guest.uid, guest.gid] = [1234, 567];
    const groups = Buffer.concat([numbers(16, F.FUSE_EXT_GROUPS, 1, 777)]);
    guest.call(F.FUSE_CREATE, team, Buffer.concat([numbers(0o102, 0o2750, 0, 0), text('inside'), groups]), 4096, 2);
    guest.call(F.FUSE_CREATE, team, Buffer.concat([numbers(0o102, 0o2750, 0, 0), text('outside')]));
    expect([lstatSync(at('team', 'inside')).gid, lstatSync(at('team', 'outside')).gid]).toEqual([777, 777]);
    expect([lstatSync(at('team', 'inside')).mode & 0o7777, lstatSync(at('team', 'outside')).mode & 0o7777]).toEqual([0o2750, 0o750]);
  });
});

it('unlinkSync of the host is seen at once by who asks', () => {
  guest.lookup('file');
  unlinkSync(at('file'));
  expect(guest.call(F.FUSE_LOOKUP, 1n, text('file')).error).toBe(-E.ENOENT);
});
