import { expect, test } from 'vitest';
import { EEXIST, EINVAL, ENOSPC } from '../../../assembly/contract/generated/errno.ts';
import { loadCore } from '../../support/devices/core.ts';

const core = loadCore();
const { bus_add: busAdd } = core.x as unknown as { bus_add: (space: number, base: bigint, len: bigint, kind: number, arg: number) => number };
const MMIO = 1;
const PIO = 0;

test('an empty range is refused', () => {
  core.restart();
  expect(busAdd(MMIO, 0x1000n, 0n, 1, 0)).toBe(-EINVAL);
});

test('a range that wraps the address space is refused', () => {
  core.restart();
  expect(busAdd(MMIO, 0xffff_ffff_ffff_f000n, 0x2000n, 1, 0)).toBe(-EINVAL);
});

test('ports above 0xffff are refused', () => {
  core.restart();
  expect(busAdd(PIO, 0xfff8n, 16n, 1, 0)).toBe(-EINVAL);
});

test.each([
  [0x1000n, 0x1000n],
  [0x0800n, 0x1000n],
  [0x1fffn, 1n],
  [0x0000n, 0x8000n],
  [0x1400n, 0x10n],
])('a range at %s of %s bytes that overlaps 0x1000..0x2000 is refused', (base, len) => {
  core.restart();
  expect(busAdd(MMIO, 0x1000n, 0x1000n, 99, 0)).toBe(0);
  expect(busAdd(MMIO, base, len, 99, 0)).toBe(-EEXIST);
});

test('neighbours, and the same numbers in the other space, are no overlap', () => {
  core.restart();
  expect(busAdd(MMIO, 0x1000n, 0x1000n, 99, 0)).toBe(0);
  expect(busAdd(MMIO, 0x2000n, 0x1000n, 99, 0)).toBe(0);
  expect(busAdd(MMIO, 0x0n, 0x1000n, 99, 0)).toBe(0);
  expect(busAdd(PIO, 0x1000n, 0x1000n, 99, 0)).toBe(0);
});

test('the 65th range is refused', () => {
  core.restart();
  for (let i = 0; i < 64; i++) expect(busAdd(MMIO, BigInt(i) * 0x1000n, 0x1000n, 99, 0)).toBe(0);
  expect(busAdd(MMIO, 0x10_0000n, 0x1000n, 99, 0)).toBe(-ENOSPC);
});

test.each([
  [1, 0xff],
  [2, 0xffff],
  [4, 0xffff_ffff],
])('an unclaimed port of %i bytes reads all ones and is counted', (size, ones) => {
  core.restart();
  expect(core.x.bus_pio_read!(0x1234, size) >>> 0).toBe(ones);
  core.x.bus_pio_write!(0x1234, size, 0);
  expect(core.x.machine_counter!(0)).toBe(2);
});

test('unclaimed MMIO reads all ones at each size and is counted', () => {
  core.restart();
  for (const size of [1, 2, 4, 8]) {
    expect(BigInt.asUintN(64, core.x.bus_mmio_read(0xd000_0000n, size))).toBe((1n << BigInt(size * 8)) - 1n);
  }
  core.x.bus_mmio_write(0xffff_ffff_ffff_fff8n, 8, 0n);
  expect(core.x.machine_counter!(1)).toBe(5);
});

test('an access that starts in a range and ends behind it is unclaimed', () => {
  core.restart();
  expect(core.x.rng_add!(2)).toBe(0);
  expect(core.x.bus_mmio_read(0xd000_2ffen, 4)).toBe(0xffff_ffffn);
  expect(core.x.machine_counter!(1)).toBe(1);
});

test('each virtio slot answers at its own place only', () => {
  core.restart();
  expect(core.x.rng_add!(2)).toBe(0);
  expect(core.x.console_add!(0, 80, 25)).toBe(0);
  expect(core.x.bus_mmio_read(0xd000_2008n, 4)).toBe(4n);
  expect(core.x.bus_mmio_read(0xd000_0008n, 4)).toBe(3n);
  expect(core.x.bus_mmio_read(0xd000_1008n, 4)).toBe(0xffff_ffffn);
});

test('a slot that is taken is refused, as is one beyond the last', () => {
  core.restart();
  expect(core.x.rng_add!(2)).toBe(0);
  expect(core.x.console_add!(2, 80, 25)).toBe(-16);
  expect(core.x.rng_add!(19)).toBe(-EINVAL);
});

test('trace tells of accesses with address, size, direction and value', () => {
  core.restart();
  core.x.machine_trace!(3);
  core.x.bus_pio_write!(0x80, 1, 0x42);
  core.x.bus_mmio_read(0xd000_0000n, 4);
  const [pio, mmio] = core.host.events;
  expect(pio).toEqual({ kind: 16, a: 0x80 | (1 << 16) | (1 << 24), b: 0x42n });
  expect(mmio).toEqual({ kind: 17, a: 0xd000_0000, b: 0xffff_ffffn | (4n << 56n) });
});
