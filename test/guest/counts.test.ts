/** Counts of one start of `vmm run` against the baseline in the tree: never wall time. To take over what has changed: node bench/counts/main.ts --save */
import { describe, expect, test } from 'vitest';
import { baselineText, findings, readBaseline } from '../../bench/counts/baseline.ts';
import { measure } from '../../bench/counts/measure.ts';

test('one start takes no more than the baseline allows', () => expect(findings(measure(), readBaseline())).toEqual([]));

describe('a finding is', () => {
  const baseline = { 'system calls': { count: 100, percent: 4 }, modules: { count: 20, percent: 0 } };
  test.each([
    [{ 'system calls': 104, modules: 20 }, []],
    [{ 'system calls': 105, modules: 20 }, ["system calls: 105, more than the baseline's 100 + 4 %"]],
    [{ 'system calls': 100, modules: 21 }, ["modules: 21, more than the baseline's 20"]],
    [{ 'system calls': 80, modules: 18 }, ["system calls: 80, well below the baseline's 100: keep it"]],
    [{ 'system calls': 100 }, ['modules: only in the baseline']],
    [{ 'system calls': 100, modules: 20, other: 1 }, ['other: only measured']],
  ])('%j', (counts, expected) => expect(findings(counts, baseline)).toEqual(expected));

  test('none, right after the counts have become the baseline', () => {
    const counts = { 'guest instructions': 3, 'system calls': 5 };
    expect(findings(counts, JSON.parse(baselineText(counts)))).toEqual([]);
  });
});
