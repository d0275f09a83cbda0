import { beforeAll, describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { buildGuest, root } from '../support/guests/programs.ts';
import { bundleProgram, type KvmPlace, kvmPlace } from '../support/nested/machine.ts';
import { HANG_MS } from '../support/limits.ts';

const GUESTS = ['ports', 'mmio', 'irq', 'smp', 'triple', 'badinsn', 'spin', 'halt', 'flood', 'cpuid'];
const SCENARIOS = ['ports', 'mmio', 'irq', 'smp', 'triple', 'badinsn', 'models', 'selftest', 'pause', 'stops', 'churn'];
/** Code under TCG runs 3–30 times slower, and other work shares the processors. */
const NESTED_SLOWNESS = 20;
const MACHINES = 12;

interface Outcome {
  readonly result?: unknown;
  /** What the scenario's process said when it ended without a result. */
  readonly failure?: string;
}

const outcomes = new Map<string, Outcome>();
let nested = false;

/** All scenarios in one process, whose start is most of a scenario's time; one that does not end costs a process of its own. */
beforeAll(async () => {
  for (const name of GUESTS) buildGuest(name);
  const program = bundleProgram(join(root, 'test/nested/kvm-scenarios.ts'));
  let place: KvmPlace | undefined;
  const env = { LIMIT_MS: `${HANG_MS}`, CHURN: `${MACHINES}`, CHURN_RUN: '3' };
  try {
    while (outcomes.size < SCENARIOS.length) {
      // Two processors, so that a kick has to reach another one.
      place ??= await kvmPlace({ cpus: 2 });
      nested = place.nested;
      const rest = SCENARIOS.slice(outcomes.size);
      const done = await place.run(`node --enable-source-maps ${program} ${root}/.cache/guests ${rest.join(' ')}`, { env, timeoutMs: HANG_MS }).catch((error: Error & { stdout?: Buffer }) => {
        // The job did not even end by its own limit: its machine is gone.
        place = undefined;
        return { status: error.message, stdout: error.stdout?.toString() ?? '', stderr: '' };
      });
      for (const line of done.stdout.split('\n').slice(0, -1)) {
        const { name, result } = JSON.parse(line) as { name: string; result: unknown };
        outcomes.set(name, { result });
      }
      const unfinished = SCENARIOS[outcomes.size];
      if (unfinished !== undefined) outcomes.set(unfinished, { failure: `status ${done.status}\n${done.stderr}` });
    }
  } finally {
    await place?.close();
  }
}, 900_000);

/** What a scenario of kvm-scenarios.ts printed. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of the program that ran elsewhere
function result(name: string): any {
  const outcome = outcomes.get(name);
  expect(outcome?.failure, outcome?.failure).toBeUndefined();
  return outcome?.result;
}

describe('KVM accelerator', () => {
  test('port reads and writes of each size reach the bus, string output reaches COM1, power-off ends the run', () => {
    expect(result('ports')).toEqual({ exit: { kind: 'request' }, marks: [0x56, 0xff], serial: 'through COM1\n', entered: 1 });
  });

  test('MMIO reads reach the device, an unclaimed address reads all ones, QueueNotify is an ioeventfd and no exit', () => {
    expect(result('mmio')).toEqual({ exit: { kind: 'request' }, marks: [...Buffer.from('virt'), 0xff], mmio: 2, kicks: ['0.0'] });
  });

  test('an interrupt from the host wakes a halted guest through the IOAPIC', () => {
    expect(result('irq')).toEqual({ exit: { kind: 'request' }, marks: [0x10, 0x41] });
  });

  test('vCPUs 1 to 3 start by INIT and SIPI with their local APIC ids', () => {
    expect(result('smp')).toMatchObject({ exit: { kind: 'request' }, marks: [0x10, 0x42, 0x42, 0x43, 0x44] });
  });

  test('a triple fault ends the run, and the registers of all vCPUs can be read then', () => {
    const { exit, other, cr0 } = result('triple');
    expect(exit).toEqual({ kind: 'triple-fault', vcpu: 0 });
    expect(other).toBeGreaterThan(40);
    // KVM on AMD resets a vCPU at the shutdown intercept; on Intel CR0 has PE still.
    expect(['10', '60000010', '11']).toContain(cr0);
  });

  test('code where no memory is ends the run with KVM_EXIT_INTERNAL_ERROR in words', () => {
    const { exit } = result('badinsn');
    expect(exit.kind).toBe('error');
    expect(exit.reason).toMatch(/^KVM_EXIT_INTERNAL_ERROR: KVM cannot emulate the instruction \(1\)/);
  });

  test('each CPU model gives its features, the number of CPUs and the KVM signature', () => {
    const models = result('models');
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

describe('KVM self test', () => {
  test('a module of a vendor means hardware, no device means missing, without a module the test guest decides', () => {
    const { real, missing, bare } = result('selftest');
    expect(real.state).toBe('hardware');
    expect(missing).toMatchObject({ state: 'missing', detail: '/dev/no-kvm does not exist' });
    expect(bare).toMatchObject({ state: 'hardware', detail: 'no instruction is emulated' });
  });
});

describe('control from outside', () => {
  test('a paused guest makes no exits and goes on after resume', () => {
    expect(result('pause')).toEqual({ counts: [0, 0, 0] });
  });

  test('a guest that spins, halts or floods is out within 100 ms; a pause before its thread is up holds, too', () => {
    const limit = 100 * (nested ? NESTED_SLOWNESS : 1);
    const stops = result('stops');
    for (const name of ['spin', 'halt', 'flood']) for (const ms of stops[name]) expect(ms, name).toBeLessThan(limit);
  });

  test(`${MACHINES} machines created and destroyed leave descriptors, threads and KVM flat, mappings nearly`, () => {
    const { before, after, names } = result('churn');
    expect(after.fds).toBe(before.fds);
    expect(after.threads, names.join()).toBe(before.threads);
    expect(after.vms).toBe(before.vms);
    // V8's heap takes and gives mappings of its own; one left a machine would be more.
    expect(after.mappings - before.mappings).toBeLessThan(MACHINES);
    expect(after.rssMib - before.rssMib).toBeLessThan(40);
  });
});
