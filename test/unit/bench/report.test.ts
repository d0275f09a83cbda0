/** The benchmarks' harness, and that docs/measurements.md is what their results give. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { figure, holds, inTurns, middle, ROOT, type Row, ratio, targetText } from '../../../bench/harness.ts';
import { pageOf, resultsOnDisk } from '../../../bench/report.ts';

describe('docs/measurements.md', () => {
  test('is what bench/results/ gives', () => {
    expect(readFileSync(join(ROOT, 'docs/measurements.md'), 'utf8')).toBe(pageOf(resultsOnDisk()));
  });

  test('has figures, and each section names a command whose file is there', () => {
    const results = resultsOnDisk();
    expect(results.length).toBeGreaterThan(0);
    for (const { command, rows } of results) {
      const [program, file = ''] = command.split(' ');
      expect(program).toMatch(/^(node|npm|npx)$/);
      if (program === 'node') expect(existsSync(join(ROOT, file)), file).toBe(true);
      expect(rows.length).toBeGreaterThan(0);
    }
  });
});

describe('the harness', () => {
  test('runs variants in turns, and who begins changes; the warm-up does not count', async () => {
    const order: string[] = [];
    const variant = (name: string) => () => order.push(name);
    const samples = await inTurns({ a: variant('a'), b: variant('b') }, { rounds: 3, warmUp: 1 });
    expect(order.join('')).toBe('baabbaab');
    expect(samples).toEqual({ a: [3, 6, 7], b: [4, 5, 8] }); // what push returned
  });

  test('a ratio is the median of the pairs, with bounds from five pairs on', () => {
    expect(ratio([2, 3, 4], [1, 1, 1])).toEqual({ value: 3, unit: 'ratio', samples: 3 });
    // n = 5: the extremes are the one-sided 95 % bounds (1/2^5 < 0.05 < 6/2^5).
    expect(ratio([2, 3, 4, 5, 60], [1, 1, 1, 1, 10])).toEqual({ value: 4, unit: 'ratio', samples: 5, low: 2, high: 6 });
    expect(() => ratio([1], [1, 2])).toThrow('1 and 2 samples are no pairs');
  });

  const row = (target: Row['target']): Row => ({ what: 'x', ...middle([1, 1.01, 1.02, 1.03, 1.04], 'ratio'), ...(target ? { target } : {}) });
  test.each([
    [{ atMost: 1.02 }, true], [{ atMost: 1.01 }, false], [{ atMost: 1, of: 'low' }, true], [{ atMost: 1.03, of: 'high' }, false], [{ atLeast: 1.02 }, true], [{ atLeast: 1.03 }, false],
  ] as const)('target %j holds: %s', (target, expected) => expect(holds(row(target))).toBe(expected));

  test('a target on a bound that a row has not is a mistake', () => {
    expect(() => holds({ what: 'x', value: 1, unit: 'ms', target: { atMost: 2, of: 'low' } })).toThrow('no low');
    expect(holds({ what: 'x', value: 1, unit: 'ms' })).toBeUndefined();
  });

  test('figures and targets as text', () => {
    expect(figure({ what: '', value: 1.234, unit: 'ratio', low: 1.1, high: 1.5, samples: 31 })).toBe('1.23 (1.10–1.50, 31 pairs)');
    expect(figure({ what: '', value: 450_305, unit: '/s' })).toBe('450,305 /s');
    expect(figure({ what: '', value: 0.016, unit: 'ratio', samples: 3 })).toBe('0.016 (3 pairs)');
    expect(targetText({ atMost: 1.02, of: 'low' })).toBe('lower bound ≤ 1.02');
    expect(targetText({ atLeast: 1 })).toBe('≥ 1');
  });
});
