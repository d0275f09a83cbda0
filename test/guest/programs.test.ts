// Compiled programs in a container on the software CPU: the output is that of this machine's own CPU and kernel.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';
import { THREADS_C } from '../support/guests/debian-cases.ts';

let image: string;
let store: string;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
  const source = join(image, 'threads.c');
  writeFileSync(source, THREADS_C);
  for (const compiler of ['gcc', 'musl-gcc']) execFileSync(compiler, ['-O2', '-static', '-pthread', '-o', join(image, 'bin', `threads-${compiler}`), source]);
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

describe('threads, signals, faults, timers and children on two vCPUs', () => {
  it.each([['glibc', 'gcc'], ['musl', 'musl-gcc']])('with %s: output as natively', async (_, compiler) => {
    const program = `threads-${compiler}`;
    const native = execFileSync(join(image, 'bin', program), { encoding: 'utf8' });
    expect(native).toMatch(/^threads: 160000 160000 turn 400 joined 140 own( 20000){8}\n/);
    const result = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', '--cpus', '2', image, program], { env: { VMM_STORE: store } });
    expect(result.stdout.toString(), `status ${result.status}: ${result.stderr}`).toBe(native);
    expect(result.status).toBe(0);
  });
});
