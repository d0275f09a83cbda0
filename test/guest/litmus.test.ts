/** x86-TSO on vCPUs that run at the same time; test/long/cpu-litmus.test.ts has the large numbers. */
import { beforeAll, expect, it } from 'vitest';
import { hasAssembler, prepareCore } from '../support/cpu/guest.ts';
import { litmus, relaxed } from '../support/cpu/litmus.ts';

const KINDS = ['plain', 'mfence', 'lock', 'xchg'];

beforeAll(prepareCore);

it.skipIf(!hasAssembler)('SB, MP and LB on two vCPUs: no forbidden outcome, and SB without fences shows its relaxed one', async () => {
  // Rare on a busy machine, so a run that shows none does not count
  for (let attempt = 1; ; attempt++) {
    const results = await litmus(2, 20_000, 60);
    expect(results.map((r) => r.name)).toEqual(KINDS.flatMap((kind) => ['SB', 'MP', 'LB'].map((test) => `${test} ${kind}`)));
    for (const r of results) expect(r).toMatchObject({ runs: 20_480, forbidden: 0 });
    if (relaxed(results) > 0) return;
    expect(attempt, 'runs of SB without its relaxed outcome').toBeLessThan(10);
  }
});

it.skipIf(!hasAssembler)('IRIW on four vCPUs: no forbidden outcome', async () => {
  const results = await litmus(4, 30_000, 60);
  expect(results.map((r) => r.name)).toEqual(KINDS.map((kind) => `IRIW ${kind}`));
  for (const r of results) expect(r).toMatchObject({ runs: 32_768, forbidden: 0 });
});
