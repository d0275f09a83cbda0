/** The map of the linear memory: its table of ranges against the constants that name them. */
import { expect, test } from 'vitest';
import * as layout from '../../../assembly/core/layout.ts';

const constants = Object.entries(layout).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
const ranges = layout.linear_ranges();
const starts = ranges.filter((_, i) => i % 2 === 0);
const kinds = ranges.filter((_, i) => i % 2 === 1);
const end = (i: number): number => starts[i + 1] ?? layout.RAM_BASE;

test('ranges ascend from 0 to guest RAM, whole pages each', () => {
  expect(starts[0]).toBe(0);
  expect(kinds.length).toBe(starts.length);
  for (const [i, start] of starts.entries()) {
    expect(start % layout.PAGE_SIZE).toBe(0);
    expect(end(i)).toBeGreaterThan(start);
  }
  for (const kind of kinds) expect([layout.RANGE_FREE, layout.RANGE_STATE, layout.RANGE_DERIVED]).toContain(kind);
});

test('each area of the map starts a range that is said to be state or derived', () => {
  const bases = constants.filter(([name]) => name.endsWith('_BASE') && name !== 'RAM_BASE');
  expect(bases.length).toBeGreaterThan(15);
  for (const [name, base] of bases) {
    const at = starts.indexOf(base);
    expect(at, name).toBeGreaterThanOrEqual(0);
    expect(kinds[at], name).not.toBe(layout.RANGE_FREE);
  }
});

test.each([
  ['MACHINE', layout.MACHINE_SIZE], ['DEBUG', layout.DEBUG_SIZE], ['COUNT', layout.COUNT_SIZE], ['VSOCK', layout.VSOCK_SIZE], ['LEGACY', layout.LEGACY_SIZE],
  ['IRQCHIP', layout.IRQCHIP_SIZE], ['STATIC', layout.STATIC_SIZE], ['BLOCK', layout.BLOCK_SIZE], ['DEVICE', layout.DEVICE_STRIDE * layout.DEVICE_MAX],
  ['KVM_RUN', layout.KVM_RUN_STRIDE * layout.VCPU_MAX], ['SCRATCH', layout.SCRATCH_STRIDE * layout.SCRATCH_MAX], ['CPU', layout.CPU_STRIDE * layout.VCPU_MAX],
  ['BLK', layout.BLK_STRIDE * layout.DEVICE_MAX], ['EXEC_LOG', layout.EXEC_LOG_ENTRY * layout.EXEC_LOG_MAX],
])('%s lies in its range', (name, size) => {
  const base = layout[`${name}_BASE` as 'CPU_BASE'];
  expect(end(starts.indexOf(base)) - base).toBeGreaterThanOrEqual(size);
});
