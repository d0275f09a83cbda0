/** A vCPU's head start on the main thread: when it ends, and that another instance of the core goes on where it was. */
import { RUN_BUDGET, RUN_SHUTDOWN } from '../../../assembly/contract/vcpu.ts';
import { beforeEach, expect, test } from 'vitest';
import { headStart } from '../../../vmm/accel/head-start.ts';
import type { CoreExports } from '../../../vmm/core/exports.ts';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, type SysMachine, testCore } from '../../support/cpu/sys.ts';

const CODE = 0x20_0000;
const RAX = 0;
const HLT = [0xf4];
const UD2 = [0x0f, 0x0b];
/** mov $n, %ecx; add %rcx, %rax; dec %ecx; jnz back: 3n + 1 instructions. */
const sum = (n: number): number[] => [0xb9, n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, 0, 0x48, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9];

let m: SysMachine;
let core: CoreExports;
let turns: number;
const instructions = (): number => Number(m.get64(FIELD.icount));

beforeEach(() => {
  m = intMachine();
  m.call('enter_long64', 0, BigInt(CODE), 0n, 0x1_0000, 0x5000, 0xff);
  for (let pa = 0; pa < 0x80_0000; pa += 4096) m.map(BigInt(pa), pa, PTE.P | PTE.W);
  m.call('update_paging', m.cpu());
  m.setGpr(RAX, 0n);
  core = m.x as unknown as CoreExports;
  turns = 0;
});

function load(...code: (readonly number[])[]): void {
  new Uint8Array(m.memory.buffer).set(code.flat(), 0x800_0000 + CODE);
  m.set64(FIELD.rip, BigInt(CODE));
}

test('it goes on for as long as it is wanted, and the event loop has its turn between two slices', async () => {
  load(sum(10_000_000), HLT);
  let [ticks, over] = [0, false];
  const tick = (): void => {
    ticks++;
    if (!over) setImmediate(tick);
  };
  setImmediate(tick);
  expect(await headStart(core, () => turns++ < 5)).toBeUndefined();
  over = true;
  expect(ticks).toBeGreaterThanOrEqual(4);
  expect(instructions()).toBeGreaterThanOrEqual(5 * 100_000);
  expect(instructions()).toBeLessThan(5 * 100_000 + 5 * 64);
});

test('none when the thread has begun already', async () => {
  load(sum(100), HLT);
  expect(await headStart(core, () => false)).toBeUndefined();
  expect(instructions()).toBe(0);
});

test('it ends where the vCPU waits: its thread waits on', async () => {
  load(sum(100), HLT);
  expect(await headStart(core, () => turns++ < 100)).toBeUndefined();
  expect([turns, m.gpr(RAX)]).toEqual([1, 5050n]);
});

test('what ends the vCPU is told: a triple fault', async () => {
  load(UD2);
  expect(await headStart(core, () => turns++ < 100)).toBe(RUN_SHUTDOWN);
});

test('another instance over the same memory goes on in the middle of a loop', async () => {
  const n = 200_000;
  load(sum(n), HLT);
  await headStart(core, () => turns++ < 3);
  const before = instructions();
  expect(before).toBeLessThan(3 * n);
  const nothing = (): number => 0;
  const host = Object.fromEntries(['irq', 'kick', 'blk', 'console', 'fs', 'net', 'vsock', 'event', 'discard', 'random', 'now', 'wall'].map((name) => [name, nothing]));
  const other = new WebAssembly.Instance(testCore(), { env: { memory: m.memory, abort: nothing }, host }).exports as unknown as CoreExports;
  while (other.cpu_run(m.cpu(), 100_000) === RUN_BUDGET);
  expect(m.gpr(RAX)).toBe((BigInt(n) * BigInt(n + 1)) / 2n);
  expect(instructions()).toBeGreaterThan(before);
});
