/** Lockstep beside devices that write guest memory on threads of their own: what differs for that is no difference, and what they wrote stays. */
import { beforeAll, expect, it } from 'vitest';
import { VIRTIO_ID_ENTROPY } from '../../../assembly/contract/generated/virtio.ts';
import { CPU_BASE, JIT_CHECK_BASE, RAM_BASE } from '../../../assembly/core/layout.ts';
import { Lockstep } from '../../../vmm/jit/lockstep.ts';
import { intMachine } from '../../support/cpu/int.ts';

beforeAll(() => {
  intMachine(); // compiles the core
}, 120_000);

const SLOT = 3;
const PAGE = 0x5000;
const OURS = RAM_BASE + PAGE + 16;
const THEIRS = OURS + 2; // in the same word

function start() {
  const machine = intMachine();
  expect(machine.call('device_new', SLOT, VIRTIO_ID_ENTROPY, 0n, 1, 8, 0)).toBe(0);
  const device = machine.call('device_at', SLOT);
  const { view } = machine;
  const run = {
    /** What a device does, at any time. */
    device: () => {
      machine.call('device_lock', device);
      view.setUint8(THEIRS, view.getUint8(THEIRS) + 1);
      machine.call('device_unlock', device);
    },
    /** The translation, or the interpreter: a register and a byte. */
    guest: (value: number) => {
      machine.setGpr(0, BigInt(value));
      view.setUint8(OURS, value);
    },
    begin: () => {
      machine.call('check_begin', CPU_BASE);
      machine.call('check_page', CPU_BASE, PAGE);
    },
    rewind: () => Boolean(machine.call('check_rewind', CPU_BASE)),
    compare: () => {
      machine.call('check_compare', CPU_BASE, JIT_CHECK_BASE, 0n, 1);
    },
    bytes: () => [view.getUint8(OURS), view.getUint8(THEIRS)],
    lock: () => machine.call('device_lock', device),
    unlock: () => machine.call('device_unlock', device),
  };
  machine.call('check_clear');
  run.guest(1);
  return { ...run, lockstep: new Lockstep(machine.memory) };
}

it('nobody else writes: the same is the same, and what differs is told', () => {
  const t = start();
  for (const interpreted of [2, 3]) {
    t.begin();
    t.guest(2);
    expect(t.rewind()).toBe(true);
    expect(t.bytes()).toEqual([1, 0]);
    t.guest(interpreted);
    t.compare();
    expect(t.lockstep.different).toBe(interpreted - 2);
    t.guest(1);
  }
  expect(t.lockstep).toMatchObject({ compared: 2, skipped: 0 });
  expect(t.lockstep.difference).toContain('register, memory');
});

it('a device writes during the translation: it is not undone', () => {
  const t = start();
  t.begin();
  t.guest(2);
  t.device();
  expect(t.rewind()).toBe(false);
  expect(t.bytes()).toEqual([2, 1]);
  expect(t.lockstep).toMatchObject({ compared: 0, skipped: 1, different: 0 });
});

it('a device is at work when the translation begins, or when it ends: it is not undone', () => {
  for (const before of [true, false]) {
    const t = start();
    if (before) t.lock();
    t.begin();
    if (before) t.unlock();
    t.guest(2);
    if (!before) t.lock();
    expect(t.rewind()).toBe(false);
    expect(t.bytes()).toEqual([2, 0]);
  }
});

it('a device writes before the interpreter reads: no difference; its byte in a word that the guest wrote stays', () => {
  const t = start();
  t.begin();
  t.guest(2);
  expect(t.rewind()).toBe(true);
  t.device();
  t.guest(3);
  t.compare();
  expect(t.bytes()).toEqual([3, 1]);
  expect(t.lockstep).toMatchObject({ compared: 0, skipped: 1, different: 0, difference: undefined });
});
