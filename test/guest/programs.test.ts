// Compiled programs in a container on the software CPU: the output is that of this machine's own CPU and kernel.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';
import { THREADS_C } from '../support/guests/debian-cases.ts';
import { buildI386Sockets } from '../support/guests/i386.ts';

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

describe('a program of i386', () => {
  it('has sockets by socketcall, and of Docker’s filter what can be seen there', async () => {
    const program = join(image, 'bin', 'i386-sockets');
    buildI386Sockets(program);
    const [native] = execFileSync(program, { encoding: 'utf8' }).split('\n');
    expect(native).toBe('a byte came through');
    const result = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', image, 'i386-sockets'], { env: { VMM_STORE: store } });
    // The family of a socketcall lies in memory, where no filter looks (docs/decisions/0012-container-walls.md).
    const verdicts = ['socketcall: socket AF_VSOCK ok', 'socket AF_VSOCK EPERM', 'socket AF_INET ok', 'unshare CLONE_NEWUSER EPERM', 'mount EPERM', 'keyctl EPERM', 'io_uring_setup EPERM', 'clone3 ENOSYS'];
    expect(result.stdout.toString().trimEnd().split('\n'), result.stderr).toEqual([native, ...verdicts]);
    expect(result.status).toBe(0);
  });
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
