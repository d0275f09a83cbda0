/** Owners, modes and device nodes that are kept beside the files, as fuse-overlayfs keeps them. */
import { chmodSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { readXattrs, setXattr } from '../../../vmm/host/sys.ts';
import { entry, FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';

const NAME = 'user.containers.override_stat';
let dir: string;
let guest: FsGuest;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-fs-'));
  writeFileSync(join(dir, 'file'), 'x');
  chmodSync(join(dir, 'file'), 0o644);
  guest = new FsGuest(dir, { mapped: true }).mount();
});
afterEach(() => {
  guest.close();
  rmSync(dir, { recursive: true, force: true });
});

const beside = (name: string): string | undefined => {
  const value = readXattrs(join(dir, name)).get(NAME);
  return value === undefined ? undefined : Buffer.from(value).toString();
};
const set = (node: bigint, valid: number, { mode = 0, uid = 0, gid = 0 }): number => guest.call(F.FUSE_SETATTR, node, numbers(valid, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, mode, 0, uid, gid, 0)).error;
const seen = (name: string): number[] => {
  const { uid, gid, mode } = guest.lookup(name).attr;
  return [uid, gid, mode & 0o7777];
};

it('this user’s files are root’s in the guest, and nothing is written beside them without need', () => {
  expect(seen('file')).toEqual([0, 0, 0o644]);
  guest.create('new', 0o102, 0o644);
  expect([seen('new'), beside('new')]).toEqual([[0, 0, 0o644], undefined]);
});

it('chown and chmod are kept beside the file; set-id bits go with a new owner; the host’s user keeps its access', () => {
  const { node } = guest.lookup('file');
  expect(set(node, F.FATTR_MODE, { mode: 0o4750 })).toBe(0);
  expect(seen('file')).toEqual([0, 0, 0o4750]);
  expect(set(node, F.FATTR_UID | F.FATTR_GID, { uid: 1000, gid: 2000 })).toBe(0);
  expect([seen('file'), beside('file')]).toEqual([[1000, 2000, 0o750], '1000:2000:0750:file']);
  expect(set(node, F.FATTR_MODE, { mode: 0 })).toBe(0);
  expect([seen('file'), lstatSync(join(dir, 'file')).mode & 0o7777]).toEqual([[1000, 2000, 0], 0o600]);
  expect([lstatSync(join(dir, 'file')).uid, lstatSync(join(dir, 'file')).gid]).toEqual([process.getuid?.(), process.getgid?.()]);
});

it('what a user of the guest makes is that user’s, in a set-group-id directory that group’s', () => {
  const team = entry(guest.ok(F.FUSE_MKDIR, 1n, Buffer.concat([numbers(0o755, 0), text('team')])));
  set(team.node, F.FATTR_GID | F.FATTR_MODE, { gid: 777, mode: 0o2775 });
  [guest.uid, guest.gid] = [1234, 567];
  guest.create('mine', 0o102, 0o600);
  guest.create('ours', 0o102, 0o660, team.node);
  guest.ok(F.FUSE_MKDIR, team.node, Buffer.concat([numbers(0o775, 0), text('sub')]));
  expect(seen('mine')).toEqual([1234, 567, 0o600]);
  const ours = guest.lookup('ours', team.node).attr;
  expect([ours.uid, ours.gid]).toEqual([1234, 777]);
  expect(guest.lookup('sub', team.node).attr.mode & 0o7777).toBe(0o2775);
});

it('device nodes, FIFOs and sockets are plain files of the host that the guest sees as what they are', () => {
  const make = (name: string, mode: number, rdev = 0): void => void guest.ok(F.FUSE_MKNOD, 1n, Buffer.concat([numbers(mode, rdev, 0, 0), text(name)]));
  make('null', 0o020666, 0x103);
  make('disk', 0o060660, (0x12 << 12 << 8) | (8 << 8) | 0x34);
  make('fifo', 0o010644);
  make('socket', 0o140755);
  for (const name of ['null', 'disk', 'fifo', 'socket']) expect(lstatSync(join(dir, name)).isFile(), name).toBe(true);
  expect(['null', 'disk', 'fifo', 'socket'].map((name) => guest.lookup(name).attr.mode)).toEqual([0o020666, 0o060660, 0o010644, 0o140755]);
  expect([guest.lookup('null').attr.rdev, beside('null'), beside('fifo')]).toEqual([0x103, '0:0:0666:char-1-3', '0:0:0644:pipe']);
});

it('what is beside a file is nothing that the guest sees or sets', () => {
  const { node } = guest.lookup('file');
  set(node, F.FATTR_UID, { uid: 5 });
  expect(guest.call(F.FUSE_GETXATTR, node, Buffer.concat([numbers(100, 0), text(NAME)])).error).toBe(-E.ENODATA);
  expect(guest.call(F.FUSE_SETXATTR, node, Buffer.concat([numbers(1, 0, 0, 0), text(NAME), Buffer.from('x')])).error).toBe(-E.EPERM);
  expect(guest.call(F.FUSE_REMOVEXATTR, node, text(NAME)).error).toBe(-E.ENODATA);
  setXattr(join(dir, 'file'), 'user.other', Buffer.from('1'));
  expect(guest.ok(F.FUSE_LISTXATTR, node, numbers(1000, 0)).toString()).toBe('user.other\0');
});

it('nonsense there is as nothing, and no file becomes a directory by it', () => {
  for (const value of ['', 'x', '1:2', '1:2:8', '99999999999:0:0644', '-1:0:0644']) {
    setXattr(join(dir, 'file'), NAME, Buffer.from(value));
    expect(seen('file'), value).toEqual([0, 0, 0o644]);
  }
  setXattr(join(dir, 'file'), NAME, Buffer.from('0:0:0755:dir'));
  expect(guest.lookup('file').attr.mode).toBe(0o100755);
  setXattr(join(dir, 'file'), NAME, Buffer.from('7:8:040755'));
  expect(guest.lookup('file').attr).toMatchObject({ uid: 7, gid: 8, mode: 0o100755 });
});
