import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { buildGuest, root } from '../support/guests.ts';
import { bundleProgram, type KvmPlace, kvmPlace } from '../support/nested.ts';

const GUESTS = ['ports', 'mmio', 'irq', 'smp', 'triple', 'badinsn', 'spin', 'halt', 'flood', 'cpuid'];
/** Code under TCG runs 3–30 times slower, and other work shares the processors. */
const NESTED_SLOWNESS = 20;

const LIMIT_MS = 240_000;

let place: KvmPlace;
let program: string;

beforeAll(async () => {
  for (const name of GUESTS) buildGuest(name);
  program = bundleProgram(join(root, 'test/nested/kvm-scenarios.ts'));
  place = await kvmPlace();
}, 300_000);

afterAll(async () => {
  await place?.close();
});

/** Runs a scenario of kvm-scenarios.ts where KVM is and returns what it printed. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of the program that ran elsewhere
async function result(name: string): Promise<any> {
  const env = { LIMIT_MS: `${LIMIT_MS}`, CHURN: '100', CHURN_RUN: '3' };
  const done = await place.run(`node --enable-source-maps ${program} ${root}/.cache/guests ${name}`, { env, timeoutMs: LIMIT_MS + 20_000 });
  expect(done.status, `${done.stdout}\n${done.stderr}`).toBe(0);
  return JSON.parse(done.stdout).result;
}

describe('KVM accelerator', { timeout: LIMIT_MS + 30_000 }, () => {
  test('port reads and writes of each size reach the bus, string output reaches COM1, power-off ends the run', async () => {
    expect(await result('ports')).toEqual({ exit: { kind: 'request' }, marks: [0x56, 0xff], serial: 'through COM1\n', entered: 1 });
  });

  test('MMIO reads reach the device, an unclaimed address reads all ones, QueueNotify is an ioeventfd and no exit', async () => {
    expect(await result('mmio')).toEqual({ exit: { kind: 'request' }, marks: [...Buffer.from('virt'), 0xff], mmio: 2, kicks: ['0.0'] });
  });

  test('an interrupt from the host wakes a halted guest through the IOAPIC', async () => {
    expect(await result('irq')).toEqual({ exit: { kind: 'request' }, marks: [0x10, 0x41] });
  });

  test('vCPUs 1 to 3 start by INIT and SIPI with their local APIC ids', async () => {
    expect(await result('smp')).toMatchObject({ exit: { kind: 'request' }, marks: [0x10, 0x42, 0x42, 0x43, 0x44] });
  });

  test('a triple fault ends the run, and the registers of all vCPUs can be read then', async () => {
    const { exit, other, cr0 } = await result('triple');
    expect(exit).toEqual({ kind: 'triple-fault', vcpu: 0 });
    expect(other).toBeGreaterThan(40);
    // KVM on AMD resets a vCPU at the shutdown intercept; on Intel CR0 has PE still.
    expect(['10', '60000010', '11']).toContain(cr0);
  });

  test('code where no memory is ends the run with KVM_EXIT_INTERNAL_ERROR in words', async () => {
    const { exit } = await result('badinsn');
    expect(exit.kind).toBe('error');
    expect(exit.reason).toMatch(/^KVM_EXIT_INTERNAL_ERROR: KVM cannot emulate the instruction \(1\)/);
  });

  test('each CPU model gives its features, the number of CPUs and the KVM signature', async () => {
    const models = await result('models');
    const [hostLow] = models.host;
    expect(hostLow & 1).toBe(1); // SSE3
    for (const name of ['host', 'baseline', 'x86-64-v2']) {
      const [, high, cpus, , signature] = models[name];
      expect(high & 0x80).toBe(0x80); // hypervisor present
      expect(cpus).toBe(2);
      expect(String.fromCharCode(signature)).toBe('K');
    }
    expect(models.baseline[0] & 1).toBe(0);
    expect(models['x86-64-v2'][0] & 1).toBe(1);
    expect(models.baseline[3]).toBe(0);
    expect(models['x86-64-v2'][3]).toBe(0);
  });
});

describe('KVM self test', { timeout: LIMIT_MS + 30_000 }, () => {
  test('a module of a vendor means hardware, no device means missing, without a module the test guest decides', async () => {
    const { real, missing, bare } = await result('selftest');
    expect(real.state).toBe('hardware');
    expect(missing).toMatchObject({ state: 'missing', detail: '/dev/no-kvm does not exist' });
    expect(bare).toMatchObject({ state: 'hardware', detail: 'no instruction is emulated' });
  });
});

describe('control from outside', { timeout: LIMIT_MS + 30_000 }, () => {
  test('a paused guest makes no exits and goes on after resume', async () => {
    expect(await result('pause')).toEqual({ counts: [0, 0, 0] });
  });

  test('a guest that spins, halts or floods is out within 100 ms, on the pool and on its worker', async () => {
    const limit = 100 * (place.nested ? NESTED_SLOWNESS : 1);
    const stops = await result('stops');
    for (const name of ['spin', 'halt', 'flood']) for (const ms of stops[name]) expect(ms, name).toBeLessThan(limit);
  });

  test('100 machines created and destroyed leave descriptors, threads and KVM flat, mappings nearly', async () => {
    const { before, after } = await result('churn');
    expect(after.fds).toBe(before.fds);
    expect(after.threads).toBe(before.threads);
    expect(after.vms).toBe(before.vms);
    // V8's heap takes and gives mappings of its own; one left a machine would be 100.
    expect(after.mappings - before.mappings).toBeLessThan(60);
    expect(after.rssMib - before.rssMib).toBeLessThan(40);
  });
});
