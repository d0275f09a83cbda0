/** A container with the translator: boot and programs run translated, on one vCPU in lockstep with the interpreter. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';

const SCRIPT = 'for k in 1 2; do (i=0; while [ $i -lt 400 ]; do i=$((i+1)); done; echo $i) & done; wait; seq 1 20000 | sha256sum; seq 1 20000 | gzip | zcat | tail -n 1';

let image: string;
let store: string;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

/** Every block is translated as soon as it is found, up to the limits. */
const run = (jit: string, cpus: number) =>
  vmm(['run', '--timeline', '--accel', 'wasm', '--jit', jit, '--cpus', String(cpus), image, 'sh', '-c', SCRIPT], { env: { VMM_STORE: store, VMM_JIT_THRESHOLD: '0' } });

it('a start translates nothing, and needs no thread for it', { timeout: 120_000 }, async () => {
  const start = await vmm(['run', '--timeline', '--accel', 'wasm', '--jit', 'on', image, 'true'], { env: { VMM_STORE: store } });
  expect(start.status).toBe(0);
  expect(start.stderr).toMatch(/translated: 0\.0 % of \d+\.\d M instructions; 0 regions in 0 modules, 0 KB; emitted in 0 ms/);
});

it('boot and programs, translated: the output of the interpreter; --timeline tells of it; lockstep finds no difference', async () => {
  const plain = await run('off', 1);
  expect(plain.status).toBe(0);
  expect(plain.stderr).not.toContain('translated');
  for (const [jit, cpus] of (process.env['VMM_LONG'] === '1' ? [['check', 1], ['on', 1], ['on', 2], ['on', 4]] : [['check', 1], ['on', 4]]) as [string, number][]) {
    const translated = await run(jit, cpus);
    expect(translated, `--jit ${jit}, ${cpus} vCPUs: ${translated.stderr}`).toMatchObject({ status: 0, stdout: plain.stdout });
    const [, share = '0', regions = '0'] = /translated: ([\d.]+) % of .*?; (\d+) regions/.exec(translated.stderr) ?? [];
    expect(Number(regions)).toBeGreaterThan(500);
    expect(Number(share)).toBeGreaterThan(1);
    const [, compared] = /; (\d+) runs compared with the interpreter, /.exec(translated.stderr) ?? [];
    if (jit === 'check') expect(Number(compared)).toBeGreaterThan(10_000);
    else expect(compared).toBeUndefined();
  }
});
