/** Directories of this host in a Linux guest: by `vmm boot --share` and `--root-share`. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';

let root: string;
let shared: string;
beforeEach(() => {
  root = busyboxImage();
  for (const applet of ['poweroff', 'ln', 'mv', 'chmod', 'mknod', 'mkfifo', 'rmdir', 'sync', 'truncate', 'cp', 'readlink', 'umount', 'cmp', 'flock']) if (!existsSync(join(root, 'bin', applet))) symlinkSync('busybox', join(root, 'bin', applet));
  mkdirSync(join(root, 'mnt'));
  shared = mkdtempSync(join(tmpdir(), 'vmm-shared-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
  rmSync(shared, { recursive: true, force: true });
});

/** Boots our kernel with the root share and runs a script as its init; what it wrote. */
async function run(script: string, ...options: string[]): Promise<string> {
  writeFileSync(join(root, 'init'), `#!/bin/sh\nexport PATH=/bin\nmount -t proc proc /proc\n${script}\necho the-end\npoweroff -f\n`);
  chmodSync(join(root, 'init'), 0o755);
  const { stdout, stderr, status } = await vmm(['boot', '-q', '--accel', 'wasm', '--memory', '128', '--root-share', `${root}${options.includes('ro-root') ? ',ro' : ''}`, '--append', 'quiet init=/init', '--timeout', '100s', ...options.filter((option) => option !== 'ro-root')]);
  const output = stdout.toString().replaceAll('\r', '');
  expect({ status, stderr, output }).toMatchObject({ status: 0, output: expect.stringMatching(/the-end/) });
  return output.slice(0, output.indexOf('the-end'));
}

describe('a root that is a directory of the host', () => {
  it('programs run from it, and what the guest does is done', async () => {
    const output = await run(`
      cd /root
      echo hello > a; mkdir d; mv a d/b; ln d/b c; ln -s c l; cat l; mkfifo p; chmod 600 c
      seq 1 2000 > numbers; md5sum numbers
      dd if=/dev/zero of=big bs=64k count=64 2>/dev/null; truncate -s 100 big; stat -c %s big
      for i in $(seq 1 100); do echo $i > f$i; done; ls f* | wc -l; rm f*
      cp /bin/busybox copy; cmp /bin/busybox copy && echo same
      (sleep 1; echo late > made; ) & exec 5> gone; rm gone; echo text >&5; wait; cat made`);
    expect(output).toMatch(/^hello$/m);
    expect(output).toMatch(new RegExp(`^${execFileSync('sh', ['-c', 'seq 1 2000 | md5sum']).toString().slice(0, 32)}`, 'm'));
    expect(output).toMatch(/^100\n100\nsame\nlate$/m);
    const at = (name: string): string => join(root, 'root', name);
    expect(readdirSync(join(root, 'root')).sort()).toEqual(['big', 'c', 'copy', 'd', 'l', 'made', 'numbers', 'p']);
    expect([lstatSync(at('c')).mode & 0o777, lstatSync(at('c')).nlink, readlinkSync(at('l')), lstatSync(at('p')).isFIFO()]).toEqual([0o600, 2, 'c', true]);
    expect(readFileSync(at('copy')).equals(readFileSync(join(root, 'bin', 'busybox')))).toBe(true);
  });

  it('read-only: the guest changes nothing, whatever it tries', async () => {
    const before = readdirSync(root).sort();
    const output = await run('mount -o remount,rw /; echo x > /new || echo refused; rm /etc/passwd || echo kept; chmod 777 /etc || echo as it was', 'ro-root');
    expect(output).toMatch(/refused\n[\s\S]*kept\n[\s\S]*as it was/);
    expect(readdirSync(root).sort()).toEqual([...before, 'init'].sort());
  });
});

it('--share: what the guest writes the host sees, and the other way round, while it runs', async () => {
  writeFileSync(join(shared, 'from-host'), 'from the host');
  const output = await run(`
    mount -t virtiofs data /mnt; cat /mnt/from-host; echo
    echo from the guest > /mnt/from-guest; sync
    umount /mnt; mount -t virtiofs data /mnt; cat /mnt/from-guest; mount -t virtiofs nothing /mnt || echo no such tag`, '--share', `data=${shared}`);
  expect(output).toMatch(/from the host\nfrom the guest\n[\s\S]*no such tag/);
  expect(readFileSync(join(shared, 'from-guest'), 'utf8')).toBe('from the guest\n');
});

it.each(['none', 'always'])('cache=%s: the same bytes', async (cache) => {
  const output = await run('mount -t virtiofs data /mnt; cd /mnt; dd if=/dev/urandom of=r bs=4k count=300 2>/dev/null; cp r s; cmp r s && md5sum r; cp /bin/busybox busybox; ./busybox echo runs', '--share', `data=${shared},cache=${cache}`);
  expect(output).toContain(execFileSync('md5sum', [join(shared, 's')]).toString().slice(0, 32));
  expect(output).toContain('runs');
});

it('idmap=xattr: owners, modes and device nodes of the guest stay beside the files; recursive=false: other file systems stay out', async () => {
  const there = process.getuid?.() === 0 ? join(shared, 'other') : undefined;
  if (there !== undefined) {
    mkdirSync(there);
    execFileSync('mount', ['-t', 'tmpfs', 'none', there], { timeout: 60_000 });
    writeFileSync(join(there, 'hidden'), '');
  }
  try {
    const output = await run(`
      mount -t virtiofs data /mnt; cd /mnt; touch f; chmod 4755 f; mknod n c 1 3; ls other
      umask 0; for name in f n; do stat -c '%n %a %F' $name; done`, '--share', `data=${shared},idmap=xattr,recursive=false`);
    expect(output).toMatch(/^f 4755 regular empty file\nn \d+ character special file$/m);
    expect(output).not.toContain('hidden');
    expect([lstatSync(join(shared, 'f')).mode & 0o7000, lstatSync(join(shared, 'n')).isFile()]).toEqual([0, true]);
  } finally {
    if (there !== undefined) execFileSync('umount', [there], { timeout: 60_000 });
  }
});

describe('bad input', () => {
  const refused = async (...options: string[]): Promise<string> => {
    const { status, stderr } = await vmm(['boot', '-q', '--accel', 'wasm', ...options]);
    expect(status).toBe(125);
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
    return stderr;
  };

  it('a counted run has none, and says why', async () => {
    expect(await refused('--icount', '--share', `a=${shared}`)).toMatch(/may change at any time/);
  });

  it('is one line: no directory, a socket’s place, no tag, a tag twice, an unknown option', async () => {
    expect(await refused('--share', 'a=/nowhere')).toMatch(/\/nowhere cannot be shared: ENOENT.*SHARE_PATH/s);
    expect(await refused('--share', 'a=/dev/null')).toMatch(/SHARE_PATH/);
    expect(await refused('--share', shared)).toMatch(/USAGE/);
    expect(await refused('--share', `a=${shared}`, '--share', `a=${shared}`)).toMatch(/twice.*USAGE/s);
    expect(await refused('--share', `a=${shared},fast`)).toMatch(/fast.*USAGE/s);
    expect(await refused('--share', `a=${shared},idmap=user`)).toMatch(/idmap=user is not an option.*USAGE/s);
    expect(await refused('--share', `${'t'.repeat(37)}=${shared}`)).toMatch(/36 bytes.*USAGE/s);
  });
});
