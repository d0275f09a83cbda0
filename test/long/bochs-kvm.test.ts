/** KVM by kvm_intel, on Bochs's processor: the accelerator's scenarios, and gdb's whole table, breakpoints and watchpoints included. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runOnBochs } from '../support/nested/bochs-kvm.ts';
import { buildGdbGuests, GDB_CASES, gdbJob } from '../support/guests/gdb-cases.ts';
import { buildGuest, root } from '../support/guests/programs.ts';
import { takeGdb } from '../support/nested/cli.ts';
import { bundleProgram } from '../support/nested/machine.ts';

const LIMIT_S = 1500;
const GUESTS = ['ports', 'mmio', 'irq', 'triple'];
const OUT = '/run/out';

let dir: string;
let program: string;
let gdb: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-bochs-gdb-'));
  for (const name of GUESTS) buildGuest(name);
  program = bundleProgram(join(root, 'test/nested/kvm-scenarios.ts'));
  buildGdbGuests(dir);
  mkdirSync(join(dir, 'gdb'));
  gdb = takeGdb(join(dir, 'gdb'));
}, 300_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

let files: Map<string, string>;
/**
 * The case without breakpoints is for QEMU's TCG (test/nested): Bochs tells of a step whose instruction KVM had still to map before
 * that instruction has run.
 */
const cases = GDB_CASES.map((c, i) => ({ ...c, i })).filter(({ accel, nested }) => accel === undefined && nested === undefined);

beforeAll(async () => {
  const script = [
    `ls /sys/module >${OUT}/modules`,
    `LIMIT_MS=60000 node ${program} ${root}/.cache/guests ${GUESTS.join(' ')} selftest`,
    // A run that does not end shows on the console how far it came.
    ...cases.map(({ i }) => `echo gdb ${i} >/dev/ttyS0\n${gdbJob(dir, i, gdb, { console: `${OUT}/console${i}`, err: `${OUT}/err${i}`, text: `${OUT}/text${i}` })}\necho $status >${OUT}/status${i}`),
  ];
  files = await runOnBochs(script.join('\n'), { take: [dir], seconds: LIMIT_S });
}, (LIMIT_S + 60) * 1000);

it('is driven by kvm_intel, and guests run on it', () => {
  expect(files.get('modules')?.split('\n')).toContain('kvm_intel');
  const results = new Map((files.get('stdout') ?? '').trim().split('\n').map((line) => {
    const { name, result } = JSON.parse(line) as { name: string; result: unknown };
    return [name, result] as const;
  }));
  expect(results.get('ports'), files.get('stderr')).toEqual({ exit: { kind: 'request' }, marks: [0x56, 0xff], serial: 'through COM1\n', entered: 1 });
  expect(results.get('mmio')).toMatchObject({ exit: { kind: 'request' }, kicks: ['0.0'] });
  expect(results.get('irq')).toEqual({ exit: { kind: 'request' }, marks: [0x10, 0x41] });
  expect(results.get('triple')).toMatchObject({ exit: { kind: 'triple-fault', vcpu: 0 } });
  expect(results.get('selftest')).toMatchObject({ real: { state: 'hardware' } });
});

it.each(cases)('gdb: $name', ({ i, check }) => {
  const text = `${files.get(`err${i}`)}${files.get(`text${i}`)}`;
  check({ text, status: Number(files.get(`status${i}`)), console: files.get(`console${i}`) ?? '' });
});
