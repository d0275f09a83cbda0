import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { hasTool } from '../unit/image/support.ts';

let image: string;
let folder: string;
let root: string;
let env: Record<string, string>;
beforeAll(async () => {
  image = busyboxImage();
  folder = mkdtempSync(join(tmpdir(), 'vmm-changes-'));
  root = join(folder, 'root');
  env = { VMM_STORE: join(folder, 'store') };
  mkdirSync(join(image, 'lib/inner'), { recursive: true });
  for (const name of ['one', 'two', 'inner/three']) writeFileSync(join(image, 'lib', name), name);
  mkdirSync(join(image, 'gone/below'), { recursive: true });
  writeFileSync(join(image, 'gone/below/file'), 'gone');
  // With layers of its own, as from a registry.
  expect(await cli('image', 'import', image, 'base:1')).toMatchObject({ status: 0 });
  expect(await cli('image', 'save', '-o', join(folder, 'base.tar'), 'base:1')).toMatchObject({ status: 0 });
  expect(await cli('image', 'load', '-i', join(folder, 'base.tar'))).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await cli('rm', '--root', root, '-f', 'changes');
  rmSync(image, { recursive: true });
  rmSync(folder, { recursive: true });
});

const cli = (...argv: string[]) => vmm(argv, { env });

/** Each kind of change that an overlay has a form of its own for; then all of what the container sees, as its kernel shows it. */
const SCRIPT = `
echo new >/new; mkdir -p /d/e; echo x >/d/e/f; mv /d/e /moved
rm /bin/tty; rm /bin/seq; mkdir /bin/seq; echo x >/bin/seq/x
mv /lib /lib2; echo more >>/lib2/one; rm /lib2/two; echo in >/lib2/in; mv /lib2/inner /lib2/outer; mkdir /lib; echo again >/lib/one
rm -r /gone; mkdir -p /gone/below; echo back >/gone/other
echo a >/a; ln /a /b; ln -s nowhere /link; ln -s ${'x/'.repeat(60)} /long; chmod 1700 /tmp; chmod 4711 /bin/busybox; touch -d '1999-12-31 23:59:59' /etc/group
dd if=/dev/zero of=/sparse bs=1 count=1 seek=30000000 2>/dev/null; dd if=/bin/busybox of=/sparse bs=4096 seek=1000 count=20 conv=notrunc 2>/dev/null
i=0; while [ $i -lt 60 ]; do echo $i >/d/file-with-a-name-$i; i=$((i+1)); done
find / -xdev | sort | while read -r f; do
  case $f in /dev*|/proc*|/sys*|/etc/hosts|/etc/hostname|/etc/resolv.conf|/) continue;; esac
  if [ -L "$f" ]; then echo "$f l $(stat -c %N "$f" | cut -d"'" -f4)"
  elif [ -d "$f" ]; then echo "$f d $(stat -c '%a %u %g' "$f")"
  else echo "$f f $(stat -c '%a %u %g %s %Y' "$f") $(md5sum <"$f" | cut -c1-32)"; fi
done`;

const WALK = `
import hashlib, os, stat, sys
top = sys.argv[1]
for base, dirs, files in os.walk(top):
    for name in dirs + files:
        path = os.path.join(base, name); at = path[len(top):]; st = os.lstat(path)
        if at.split('/')[1] in ('dev', 'proc', 'sys') or at in ('/etc/hosts', '/etc/hostname', '/etc/resolv.conf'): continue
        if stat.S_ISLNK(st.st_mode): print(at, 'l', os.readlink(path))
        elif stat.S_ISDIR(st.st_mode): print(at, 'd', '%o %d %d' % (st.st_mode & 0o7777, st.st_uid, st.st_gid))
        else: print(at, 'f', '%o %d %d %d %d' % (st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_size, int(st.st_mtime)), hashlib.md5(open(path, 'rb').read()).hexdigest())
`;
const listed = (directory: string): string[] => execFileSync('python3', ['-c', WALK, directory], { encoding: 'utf8', timeout: 60_000 }).split('\n').filter((line) => line !== '').sort();

describe('what a container has changed', () => {
  let seen: string[];
  it('is what its kernel shows: export', async () => {
    expect(await cli('create', '--root', root, '--accel', 'wasm', '-m', '128m', '--name', 'changes', '-e', 'MADE=yes', '--label', 'of=container', 'base:1', 'sh', '-c', SCRIPT)).toMatchObject({ status: 0 });
    expect((await cli('diff', '--root', root, 'changes')).stdout.toString()).toBe(''); // it never ran
    expect(await cli('start', '--root', root, 'changes')).toMatchObject({ status: 0 });
    expect((await cli('wait', '--root', root, 'changes')).stdout.toString()).toBe('0\n');
    seen = (await cli('logs', '--root', root, 'changes')).stdout.toString().split('\n').filter((line) => line !== '').sort();
    expect(seen.length).toBeGreaterThan(110);
    expect(await cli('export', '--root', root, '-o', join(folder, 'export.tar'), 'changes')).toMatchObject({ status: 0, stderr: '' });
    const out = join(folder, 'out');
    mkdirSync(out);
    execFileSync('tar', ['-C', out, '-xpf', join(folder, 'export.tar')], { timeout: 60_000 });
    expect(listed(out)).toEqual(seen);
    expect(readFileSync(join(folder, 'export.tar')).length).toBeLessThan(8_000_000); // holes stay holes
    expect((await cli('export', '--root', root, 'changes')).stdout.equals(readFileSync(join(folder, 'export.tar')))).toBe(true);
  });

  it('diff: added, changed, deleted', async () => {
    const lines = (await cli('diff', '--root', root, 'changes')).stdout.toString().split('\n');
    for (const line of ['A /new', 'A /moved/f', 'C /bin', 'D /bin/tty', 'C /bin/seq', 'A /bin/seq/x', 'A /lib2/one', 'A /lib2/outer/three', 'C /lib', 'D /lib/two', 'D /lib/inner', 'C /gone', 'A /gone/other', 'C /etc/group', 'C /tmp', 'A /b']) expect(lines).toContain(line);
    for (const line of ['A /lib2/two', 'A /d/e', 'C /etc/passwd']) expect(lines).not.toContain(line);
    expect(lines.filter((line) => / \/(dev|proc|sys|etc\/host)/.test(line))).toEqual([]);
  });

  it('commit: an image that runs, a layer over its own; podman finds the same files in it', async () => {
    const made = await cli('commit', '--root', root, '-a', 'me', '-m', 'why', '-c', 'CMD ["sh", "-c", "echo $MADE $MORE; cat /moved/f; ls /gone"]', '-c', 'ENV MORE="a b"', '-c', 'LABEL own=1', 'changes', 'made:2');
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect((await cli('run', '--accel', 'wasm', '-m', '128m', 'made:2')).stdout.toString()).toBe('yes a b\nx\nbelow\nother\n');
    expect((await cli('image', 'history', 'made:2')).stdout.toString()).toMatch(/commit.*why/);
    expect(await cli('image', 'save', '-o', join(folder, 'made.tar'), 'made:2')).toMatchObject({ status: 0 });
    const parts = JSON.parse(execFileSync('tar', ['-xOf', join(folder, 'made.tar'), 'manifest.json'], { encoding: 'utf8' })) as { Layers: string[]; Config: string }[];
    expect(parts[0]?.Layers).toHaveLength(2);
    const config = JSON.parse(execFileSync('tar', ['-xOf', join(folder, 'made.tar'), parts[0]?.Config as string], { encoding: 'utf8' })) as { author: string; config: { Labels: object } };
    expect(config).toMatchObject({ author: 'me', config: { Labels: { of: 'container', own: '1' } } });
    if (!hasTool('podman')) return;
    const podman = (...argv: string[]): string => execFileSync('podman', ['--root', join(folder, 'p'), '--runroot', join(folder, 'r'), '--storage-driver', 'vfs', ...argv], { encoding: 'utf8', timeout: 120_000, stdio: ['ignore', 'pipe', 'ignore'] });
    podman('load', '-i', join(folder, 'made.tar'));
    const at = podman('image', 'mount', 'made:2').trim();
    expect(listed(at)).toEqual(seen);
    podman('image', 'umount', 'made:2');
    podman('rmi', '-a', '-f');
  });

  it('what cannot be: one line each', async () => {
    for (const [argv, code] of [
      [['diff', 'nobody'], 'CONTAINER_NOT_FOUND'], [['export', '-o', '/none/such', 'changes'], 'OUTPUT_WRITE'], [['commit', '-c', 'RUN ls', 'changes'], 'USAGE'], [['commit', '-c', 'ENV x', 'changes'], 'USAGE'], [['commit', 'changes', 'Not A Name'], 'USAGE'],
    ] as const) expect((await cli(argv[0], '--root', root, ...argv.slice(1))).stderr).toMatch(new RegExp(`^vmm: [^\\n]*\\[${code}\\]\\n$`));
  });
});
