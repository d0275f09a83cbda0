/** As test/unit/cpu/int-diff.test.ts, 10^7 cases. The batches' numbers make the seeds (Rng drops the lowest bit). */
import { expect, it } from 'vitest';
import { CASE_SIZE, CaseMaker, type CaseInfo, Rng } from '../support/cpu/cases.ts';
import { BATCH, compare, setUp } from '../support/cpu/diff.ts';
import { intMachine } from '../support/cpu/int.ts';

/** VMM_CASES: fewer. */
const TOTAL = Number(process.env['VMM_CASES'] ?? 10_000_000);

it(`${TOTAL} random instructions and sequences: equal to the real CPU`, { timeout: 3_600_000 }, () => {
  const m = intMachine(1);
  setUp(m);
  const found: string[] = [];
  const cases = Buffer.alloc(BATCH * CASE_SIZE);
  for (let done = 0, batch = 0; done < TOTAL && found.length < 20; done += BATCH, batch++) {
    const maker = new CaseMaker(new Rng(1000 + 2 * batch));
    const infos: CaseInfo[] = [];
    for (let i = 0; i < BATCH; i++) {
      const to = cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE);
      infos.push(batch % 4 === 3 ? maker.sequence(to) : maker.single(to));
    }
    found.push(...compare(m, cases, infos, batch % 4 === 0).map((d) => `batch ${batch}: ${d.text}`));
  }
  expect(found).toEqual([]);
});
