import { linear_ranges, RAM_BASE, RANGE_STATE } from '../../assembly/core/layout.ts';

/** The parts of the linear memory below guest RAM that a machine's state consists of: [start, end) in bytes. Used by tests, until machines are saved to files. */
export function stateRanges(): (readonly [start: number, end: number])[] {
  const table = linear_ranges();
  const found: (readonly [number, number])[] = [];
  for (let i = 0; i < table.length; i += 2) if (table[i + 1] === RANGE_STATE) found.push([table[i] as number, table[i + 2] ?? RAM_BASE]);
  return found;
}
