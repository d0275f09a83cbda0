/** As test/guest/litmus.test.ts, 10^6 runs of each test. */
import { beforeAll, expect, it } from 'vitest';
import { prepareCore } from '../support/cpu/guest.ts';
import { litmus, relaxed } from '../support/cpu/litmus.ts';

const RUNS = 1_000_000;

beforeAll(prepareCore);

for (const cpus of [2, 4] as const) {
  it(`10^6 runs of ${cpus === 2 ? 'SB, MP and LB on two' : 'IRIW on four'} vCPUs: no forbidden outcome`, { timeout: 1_800_000 }, async () => {
    const results = await litmus(cpus, RUNS, 1700);
    for (const r of results) {
      console.log(`${r.name}: ${r.runs} runs, ${[...r.outcomes].map(([outcome, n]) => `${outcome.toString(2).padStart(2 * cpus, '0')} ${n}`).join(', ')}`);
      expect(r.forbidden, r.name).toBe(0);
      expect(r.runs).toBeGreaterThanOrEqual(RUNS);
    }
    expect(results).toHaveLength(cpus === 2 ? 12 : 4);
    if (cpus === 2) expect(relaxed(results), 'SB without fences: both read the old value').toBeGreaterThan(0);
  });
}
