/** A start with the blocks that come with our own kernel: used by containers and boots, and the guest does the same as without. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';

let image: string;
beforeAll(() => {
  image = busyboxImage();
});
afterAll(() => rmSync(image, { recursive: true }));

const used = (stderr: string): number => Number(/(\d+) blocks came decoded with the kernel/.exec(stderr)?.[1] ?? 0);

it.each([1, 2])('a counted container on %i vCPUs: the same counts and trace hash as decoded anew', async (cpus) => {
  const run = (jit: string) => vmm(['run', '--icount', '--timeline', '--cpus', String(cpus), '--jit', jit, image, 'sh', '-c', 'seq 1 500 | md5sum; ls / | wc -l']);
  const [kept, anew] = [await run('on'), await run('off')];
  expect(kept.status, kept.stderr).toBe(0);
  expect(used(kept.stderr)).toBeGreaterThan(40_000);
  expect(used(anew.stderr)).toBe(0);
  const same = ({ stdout, stderr }: typeof kept) => ({ stdout: stdout.toString(), stderr: stderr.replace(/^translated: .*\n/m, '') });
  expect(same(kept)).toEqual(same(anew));
});

it('a container and a boot in real time use them', async () => {
  const run = await vmm(['run', '--timeline', '--accel', 'wasm', image, 'true']);
  expect(run.status, run.stderr).toBe(0);
  expect(used(run.stderr)).toBeGreaterThan(40_000);
  const boot = await vmm(['boot', '--timeline', '--accel', 'wasm', '--append', 'panic=-1']);
  expect(used(boot.stderr), boot.stderr).toBeGreaterThan(20_000);
});
