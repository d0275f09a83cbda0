import { expect, test } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { loadCore } from '../../support/devices/core.ts';

const core = loadCore();
const guestPtr = (gpa: bigint, len: bigint) => (core.x as unknown as { guest_ptr: (gpa: bigint, len: bigint) => number }).guest_ptr(gpa, len) >>> 0;

test.each([
  [0, 1],
  [0x1001, 1],
  [0xc000_1000, 1],
  [0x10_0000, 0],
  [0x10_0000, 33],
])('machine_init of %i bytes and %i vCPUs is refused', (ram, vcpus) => {
  expect(core.x.machine_init!(ram, vcpus, 0)).toBe(-22);
});

test('guest_ptr of the first and the last byte of RAM', () => {
  core.restart();
  expect(guestPtr(0n, 1n)).toBe(RAM_BASE);
  expect(guestPtr(BigInt(core.ramBytes - 1), 1n)).toBe(RAM_BASE + core.ramBytes - 1);
  expect(guestPtr(0n, BigInt(core.ramBytes))).toBe(RAM_BASE);
});

test.each([
  [0n, 0n],
  [BigInt(4 << 20), 1n],
  [BigInt((4 << 20) - 1), 2n],
  [0n, BigInt((4 << 20) + 1)],
  [0xffff_ffff_ffff_ffffn, 1n],
  [0xffff_ffff_ffff_ffffn, 2n],
  [1n, 0xffff_ffff_ffff_ffffn],
  [0x1_0000_0000n, 1n],
  [0xffff_ffff_0000_0000n, 0x1_0000_0001n],
])('guest_ptr(%s, %s) is out of range', (gpa, len) => {
  core.restart();
  expect(guestPtr(gpa, len)).toBe(0);
});

test('guest_written marks each page of the range, and nothing else', () => {
  core.restart();
  core.x.guest_written!(0x3fff, 0x2002);
  expect(core.x.guest_dirty_take!(0) >>> 0).toBe(0b111_1000);
  expect(core.x.guest_dirty_take!(0) >>> 0).toBe(0);
});

test('guest_written of a large range marks whole words of the bitmap', () => {
  core.restart();
  core.x.guest_written!(31 << 12, 66 << 12);
  expect([0, 1, 2, 3].map((word) => core.x.guest_dirty_take!(word) >>> 0)).toEqual([0x8000_0000, 0xffff_ffff, 0xffff_ffff, 1]);
});

test('guest_written outside RAM does nothing', () => {
  core.restart();
  core.x.guest_written!(core.ramBytes - 1, 2);
  expect(core.x.guest_dirty_take!((core.ramBytes >>> 17) - 1)).toBe(0);
});

test('a guest that writes marks for ever makes a bounded number of events', () => {
  core.restart();
  core.x.power_add!();
  for (let i = 0; i < 5000; i++) core.x.bus_pio_write!(0x601, 1, 0x40);
  const marks = core.host.events.filter(({ kind }) => kind === 8).length;
  expect(marks).toBeGreaterThan(100);
  expect(marks).toBeLessThanOrEqual(1024);
});

test('the first event that ends the run is kept', () => {
  core.restart();
  core.x.power_add!();
  expect(core.x.machine_exit_request!()).toBe(0);
  core.x.bus_pio_write!(0x601, 1, 0x40);
  expect(core.x.machine_exit_request!()).toBe(0);
  core.x.bus_pio_write!(0x600, 1, 3);
  core.x.bus_pio_write!(0x600, 1, 1);
  expect(core.x.machine_exit_request!()).toBe(3);
  expect(core.host.events.map((event) => [event.kind, event.a])).toEqual([[8, 0x40], [3, 3], [1, 1]]);
  core.x.machine_exit_clear!();
  expect(core.x.machine_exit_request!()).toBe(0);
});
