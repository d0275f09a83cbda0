/** CPU, devices, loaders and images run where only Node's own API is there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

  it('--accel kvm says what is missing', async () => {
    const result = await run(['boot', '-q', '--accel', 'kvm', '--memory', '32', '--kernel', buildGuest('ports')]);
    expect(result.status).toBe(125);
    expect(result.stderr).toMatch(/koffi|\/dev\/kvm/);
  });
});
