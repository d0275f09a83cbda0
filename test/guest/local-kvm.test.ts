/**
 * A /dev/kvm that is there and is no hardware: small guests run on it, slowly in ring 0 and natively in ring 3. Real Linux guests
 * do not belong on it. Where KVM is hardware, test/nested has the same scenarios and more.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildRing3 } from '../../bench/guest/build.mjs';
import { vmm } from '../support/cli/cli.ts';
import { buildGuest, root } from '../support/guests/programs.ts';
import { bundleProgram, hasHardwareKvm, hasKvm } from '../support/nested/machine.ts';
import { HANG_MS } from '../support/limits.ts';

const LIMIT_MS = HANG_MS / 2;
const MACHINES = process.env.VMM_LONG ? 3000 : 200;
const MIB = 1 << 20;

describe.skipIf(!hasKvm() || hasHardwareKvm())('the local /dev/kvm, without hardware', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-local-kvm-'));
  let program = '';
  beforeAll(() => {
    for (const name of ['ports', 'mmio', 'irq', 'smp', 'spin', 'halt', 'flood', 'cpuid']) buildGuest(name);
    program = bundleProgram(join(root, 'test/nested/kvm-scenarios.ts'), 'local-kvm');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A scenario of kvm-scenarios.ts in a process of its own. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON of the program
  function scenario(name: string): any {
    const env = { ...process.env, LIMIT_MS: `${LIMIT_MS}`, CHURN: `${MACHINES}`, CHURN_RUN: `${MACHINES}` };
    return JSON.parse(execFileSync(process.execPath, [program, join(root, '.cache/guests'), name], { env, encoding: 'utf8', timeout: 2 * LIMIT_MS, killSignal: 'SIGKILL' })).result;
  }

  test.each([
    ['ports', { exit: { kind: 'request' }, marks: [0x56, 0xff], serial: 'through COM1\n', entered: 1 }],
    ['mmio', { exit: { kind: 'request' }, marks: [...Buffer.from('virt'), 0xff], mmio: 2, kicks: ['0.0'] }],
    ['irq', { exit: { kind: 'request' }, marks: [0x10, 0x41] }],
    ['smp', { exit: { kind: 'request' }, marks: [0x10, 0x42, 0x42, 0x43, 0x44] }],
    ['pause', { counts: [0, 0, 0] }],
  ])('%s', (name, expected) => {
    expect(scenario(name)).toMatchObject(expected);
  });

  test('a guest that spins, halts or floods can be stopped', () => {
    const stops = scenario('stops');
    for (const name of ['spin', 'halt', 'flood']) expect(stops[name].length, name).toBeGreaterThan(0);
  });

  test('the self test sees that ring 0 is emulated', () => {
    const { real, bare } = scenario('selftest');
    expect([real.state, bare.state]).toEqual(['emulated', 'emulated']);
  });

  test.each([['run', '--timeout', '5s', '--accel', 'kvm', '/', '/bin/true'], ['boot', '--timeout', '5s', '--accel', 'kvm']])('Linux does not belong on it: vmm %s says so', async (...args) => {
    const { status, stderr } = await vmm(args);
    expect({ status, stderr }).toEqual({ status: 125, stderr: expect.stringMatching(/^vmm: KVM cannot run Linux: .*--accel.*\[ACCEL_KVM\]\n$/) });
  });

  test('vmm accel names it, and what takes its place', async () => {
    expect((await vmm(['accel'])).stdout.toString()).toMatch(/^kvm {3}emulated: .*\nwasm .*\nauto {2}wasm\n$/);
  });

  test(`${MACHINES} machines that run a guest, one after the other: each ends, and nothing is left`, () => {
    const { before, after } = scenario('churn');
    expect({ fds: after.fds, threads: after.threads }).toEqual({ fds: before.fds, threads: before.threads });
    // V8's heaps take and give mappings and pages of their own.
    expect(after.mappings - before.mappings).toBeLessThan(100 + MACHINES / 10);
    expect(after.rssMib - before.rssMib).toBeLessThan(60);
  });

  test('a driver in ring 3 reads and writes a disk, 32 requests at a time', async () => {
    const kernel = join(folder, 'disk.elf');
    buildRing3('bench/io/ring3-disk.c', kernel);
    const disk = join(folder, 'disk.img');
    writeFileSync(disk, Buffer.concat(Array.from({ length: 8 }, (_, i) => Buffer.alloc(MIB, i + 1))));
    const { status, stdout, stderr } = await vmm(['boot', '-q', '--accel', 'kvm', '--memory', '32', '--exit-on', 'port', '--timeout', '600', '--kernel', kernel, '--disk', disk, '--append', 'io=1000,8']);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.toString().match(/^io (?!warm)\S+/gm)).toEqual(['io read-4k-depth-1', 'io read-4k-depth-32', 'io read-1m', 'io write-1m', 'io END']);
    // What it read last, the eighth MiB, it has written to all.
    expect(readFileSync(disk).equals(Buffer.alloc(8 * MIB, 8))).toBe(true);
  });
});
