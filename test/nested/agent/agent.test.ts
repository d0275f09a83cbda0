import { copyFileSync, mkdirSync, realpathSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NestedMachine } from '../../../scripts/nested/machine.mjs';
import { PROJECT } from '../../unit/agent/harness.ts';
import { HANG_MS } from '../../support/limits.ts';

const directory = join(PROJECT, '.cache/test-dist/agent');

let machine: NestedMachine;

/** Runs main.ts in the nested machine behind `prepare` and returns its results. */
async function runNested(prepare: string): Promise<Record<string, unknown>> {
  const env = `export PATH=${directory}:$PATH VMM_TEST_PROJECT=${PROJECT}`;
  const { status, stdout, stderr } = await machine.run(`${env}; modprobe -a loop erofs vsock_loopback && ${prepare} node ${join(directory, 'main.mjs')}`, { timeoutMs: HANG_MS });
  expect(status, stderr + stdout).toBe(0);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

beforeAll(async () => {
  mkdirSync(directory, { recursive: true });
  const outfile = join(directory, 'main.mjs');
  await build({ entryPoints: [join(PROJECT, 'test/nested/agent/main.ts')], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node24', supported: { using: false }, logLevel: 'silent' });
  // busybox's unshare has no --kill-child.
  copyFileSync(realpathSync('/usr/bin/unshare'), join(directory, 'unshare'));
  execFileSync('gcc', ['-static', '-O1', '-o', join(directory, 'vsock-relay'), join(PROJECT, 'test/nested/agent/vsock-relay.c')]);
  machine = await NestedMachine.boot({ take: [directory, join(PROJECT, 'guest-kernel/artifacts')] });
}, 300_000);
afterAll(() => machine?.close());

describe('init in a machine with cgroup v2 and all capabilities', () => {
  let results: Record<string, unknown>;

  beforeAll(async () => {
    results = await runNested('');
  });

  it.each([
    ['memory.max 32m, a process that takes more', { stdout: '137\n', outOfMemory: true }],
    ['no memory limit, killed by a signal', { outOfMemory: false }],
    ['pids.max 5, ten children', true],
    ['cpu.max 10 %, a busy loop', { throttled: true, files: ['cpu.stat'] }],
    ['limits above the hard ones, oom_score_adj below 0', '1048576\nunlimited\n-500\n'],
    ['the cgroup is seen as the root, read-only', "0::/\n/sys/fs/cgroup/cgroup.procs\n1\nmkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system\n"],
    [
      'root on EROFS, scratch seed grown to 64 GiB',
      { megabytes: expect.toSatisfy((mb: number) => mb > 62_000), group: 'root:x:0:', moved: 'alice', sparse: true },
    ],
    ['scratch as a kill -9 of the VMM leaves it', expect.toSatisfy((status: number) => status <= 1)],
  ])('%s', (name, expected) => {
    expect(results[name]).toEqual(expected);
  });
});

describe('init over the kernel\'s own vsock (loopback)', () => {
  let results: Record<string, unknown>;

  beforeAll(async () => {
    results = await runNested('vsock-relay /tmp/current && VMM_TEST_VSOCK=/tmp/current');
  });

  it.each([
    ['output apart, status', { stdout: 'out\n', stderr: 'err\n', status: 3 }],
    ['5 MB through stdout, a slow reader', { status: 7, bytes: 5 * 2 ** 20 }],
    ['2 MB of input through cat, its end passed on', { status: 0, bytes: 2 * 2 ** 20 }],
    ['the host closes stdout', true],
    ['a terminal', 'typed\r\n<typed>\r\n9 10\r\n'],
    ['20 processes at once, then an orderly end', { good: true, exit: 0 }],
  ])('%s', (name, expected) => {
    expect(results[name]).toEqual(expected);
  });
});
