/** CPU, devices, loaders and images run where only Node's own API is there. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';
import { buildGuest } from '../support/guests/programs.ts';

const node = ['--require', fileURLToPath(new URL('../support/cli/no-ffi.cjs', import.meta.url))];
let image: string;
let dir: string;
beforeAll(() => {
  image = busyboxImage();
  dir = mkdtempSync(join(tmpdir(), 'vmm-no-ffi-'));
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(dir, { recursive: true });
});

describe('without the FFI library', () => {
  const run = (args: readonly string[], stdin?: string) => vmm(args, { node, stdin, env: { VMM_STORE: join(dir, 'store') } });

  it('an image is imported, a container runs on two vCPUs, with its input, output and status', async () => {
    const result = await run(['run', '-q', '--accel', 'auto', '-m', '128m', '--cpus', '2', '-i', image, 'sh', '-c', 'cat; nproc; exit 7'], 'through a pipe\n');
    expect(result).toMatchObject({ status: 7, stderr: '' });
    expect(result.stdout.toString()).toBe('through a pipe\n2\n');
  });

  it('changes on a scratch disk are read back', async () => {
    const result = await run(['run', '-q', '-m', '128m', '--scratch', '64m', image, 'sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null && sync && wc -c < /big']);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout.toString()).toBe(`${20 * 1024 ** 2}\n`);
  });

  it('a kernel boots with a disk of its own', async () => {
    const disk = join(dir, 'disk');
    writeFileSync(disk, Buffer.alloc(1024 ** 2, 1));
    const result = await run(['boot', '-q', '--memory', '32', '--kernel', buildGuest('ports'), '--disk', `${disk},ro`]);
    expect(result).toMatchObject({ status: 0, stderr: '' });
  });

  it('a directory is shared, by Node’s own functions, and what is missing is said', async () => {
    const share = join(dir, 'share');
    mkdirSync(join(share, 'sub'), { recursive: true });
    writeFileSync(join(share, 'sub', 'file'), 'from the host\n');
    const root = busyboxImage(join(dir, 'root'));
    mkdirSync(join(root, 'mnt'));
    for (const applet of ['poweroff', 'mv', 'ln', 'truncate', 'chmod']) symlinkSync('busybox', join(root, 'bin', applet));
    writeFileSync(join(root, 'init'), `#!/bin/sh
      export PATH=/bin
      mount -t virtiofs data /mnt; cd /mnt; cat sub/file; find . | sort
      seq 1 3000 > numbers; md5sum numbers; mkdir d; mv numbers d/n; ln -s n d/l; cat d/l | wc -l; rm sub/file; truncate -s 10 d/n; chmod 600 d/n; stat -c '%s %a' d/n
      cat ../etc/passwd > d/passwd; mkdir d/many; for i in $(seq 1 60); do echo $i > d/many/$i; done; ls d/many | wc -l
      poweroff -f`);
    chmodSync(join(root, 'init'), 0o755);
    const result = await run(['boot', '--accel', 'wasm', '--memory', '128', '--root-share', root, '--share', `data=${share}`, '--append', 'quiet init=/init', '--timeout', '100s']);
    const output = result.stdout.toString().replaceAll('\r', '');
    expect({ status: result.status, output }).toMatchObject({ status: 0 });
    expect(result.stderr).toMatch(/shares without the FFI library: no owners, locks/);
    expect(output).toMatch(/^from the host\n\.\n\.\/sub\n\.\/sub\/file\n[0-9a-f]{32} {2}numbers\n3000\n10 600\n60$/m);
    expect(readdirSync(join(share, 'd')).sort()).toEqual(['l', 'many', 'n', 'passwd']);
    expect(readdirSync(join(share, 'sub'))).toEqual([]);
  });

  it('--accel kvm says what is missing', async () => {
    const result = await run(['boot', '-q', '--accel', 'kvm', '--memory', '32', '--kernel', buildGuest('ports')]);
    expect(result.status).toBe(125);
    expect(result.stderr).toMatch(/koffi|\/dev\/kvm/);
  });
});
