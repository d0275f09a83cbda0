/** init's part of shares: in test mode a directory stands for the device's root (test/unit/agent/harness.ts). */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mount } from '../../../vmm/agent/spec.ts';
import { type Guest, reasonToSkip, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();
const MS_RDONLY = 1;
const SHARE = { kind: 'share', tag: 'vmm' } as const;
const mount = (target: string, subpath: string, flags = 0): Mount => ({ target, source: SHARE, subpath, flags });

describe.skipIf(skip !== undefined)(`init: shares${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  let share: string;
  beforeAll(async () => {
    guest = startGuest();
    share = join(guest.directory, 'shares', 'vmm');
    for (const name of ['dir/sub', 'other', 'gone']) mkdirSync(join(share, name), { recursive: true });
    writeFileSync(join(share, 'dir', 'file'), 'of dir\n');
    writeFileSync(join(share, 'one'), 'one file\n');
    symlinkSync('/etc', join(guest.root, 'link'));
    symlinkSync('../../../../../../outside/deep', join(guest.root, 'out'));
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  it('one share: read-only for one mount, writable for another, in either order', async () => {
    for (const [first, second] of [['/ro', '/rw'], ['/rw', '/ro']] as const) {
      const mounts = [first, second].map((target) => mount(target, 'dir', target === '/ro' ? MS_RDONLY : 0));
      const result = await sh(guest, 'touch /ro/x 2>/dev/null || echo refused; echo x > /rw/x && cat /ro/x; rm /rw/x', { mounts });
      expect(result.stdout).toBe('refused\nx\n');
    }
  });

  it('directories and files of it, and paths below them; another container at the same time', async () => {
    const mounts = [mount('/a/b', 'dir/sub'), mount('/etc/one', 'one', MS_RDONLY), mount('/etc/passwd', 'dir/file')];
    const result = await sh(guest, 'echo x > /a/b/y; cat /etc/one /etc/passwd; echo z > /etc/one', { mounts });
    expect(result.stdout).toBe('one file\nof dir\n');
    expect(result.stderr).toContain('Read-only file system');
    expect(readFileSync(join(share, 'dir', 'sub', 'y'), 'utf8')).toBe('x\n');
  });

  it('targets behind links of the image stay inside the root; what is missing is made', async () => {
    const mounts = [mount('/link/new', 'other'), mount('/out/in', 'other'), mount('/not/there', 'one')];
    const result = await sh(guest, 'touch /etc/new/inside; ls /outside/deep/in; cat /not/there; stat -c %a /not', { mounts });
    expect(result.stdout).toBe('inside\none file\n755\n');
  });

  it('a volume of the image below a mount is a directory of the root, not of what is mounted above it', async () => {
    mkdirSync(join(guest.root, 'data', 'own'), { recursive: true });
    writeFileSync(join(guest.root, 'data', 'own', 'kept'), 'of the image\n');
    mkdirSync(join(share, 'dir', 'own'), { recursive: true });
    const mounts: Mount[] = [mount('/data', 'dir'), { target: '/data/own', source: { kind: 'root', path: '/data/own' } }];
    const result = await sh(guest, 'ls /data/own; echo more > /data/own/more; cat /data/file', { mounts, readOnly: true });
    expect(result.stdout).toBe('kept\nof dir\n');
    expect(execFileSync('ls', ['-A', join(share, 'dir', 'own')], { encoding: 'utf8' })).toBe('');
  });

  it.each<[string, Mount]>([
    ["cannot mount on '/etc/passwd': a directory goes on a directory, a file on a file", mount('/etc/passwd', 'dir')],
    ["cannot mount on '/etc': a directory goes on a directory, a file on a file", mount('/etc', 'one')],
    ["cannot mount on '/etc/passwd/x': a directory goes on a directory, a file on a file", mount('/etc/passwd/x', 'one')],
    ["mount source 'vmm' of '/x': No such file or directory", mount('/x', 'nothing')],
    ["mount source 'vmm' of '/x': No such file or directory", mount('/x', '../../rootfs')],
  ])('%s', async (message, asked) => {
    await expect(sh(guest, 'true', { mounts: [asked] })).rejects.toThrow(message);
  });

  it('a mount below a read-only one finds no directory there, and none is made', async () => {
    await expect(sh(guest, 'true', { mounts: [mount('/m', 'other', MS_RDONLY), mount('/m/deep', 'dir')] })).rejects.toThrow("cannot mount on '/m/deep': Read-only file system");
  });

  it('exports come and go', async () => {
    await guest.session.exportAdded('vmm', 'dir');
    await expect(guest.session.exportAdded('vmm', 'later')).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    mkdirSync(join(share, 'later'));
    await guest.session.exportAdded('vmm', 'later');
    expect((await sh(guest, 'touch /x/y && echo mounted', { mounts: [mount('/x', 'later')] })).stdout).toBe('mounted\n');
    await guest.session.exportLeaving('vmm', 'later');
    rmSync(join(share, 'later'), { recursive: true });
    await guest.session.exportLeaving('vmm', 'later');
    await expect(sh(guest, 'true', { mounts: [mount('/x', 'later')] })).rejects.toThrow('No such file');
    for (const name of ['', '.', '..', 'a/b', 'x'.repeat(256)]) await expect(guest.session.exportAdded('vmm', name)).rejects.toMatchObject({ code: 'AGENT_INVALID' });
  });
});
