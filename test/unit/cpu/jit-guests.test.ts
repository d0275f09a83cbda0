/** Guests and random code with all of it translated, in lockstep with the interpreter, and by several vCPUs at the same time. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { fuzzCpu } from '../../support/cpu/fuzz.ts';
import { assemble, hasAssembler, prepareCore, runGuest, runGuestThreads } from '../../support/cpu/guest.ts';
import type { InlineJit } from '../../support/cpu/inline-jit.ts';
import { litmus } from '../../support/cpu/litmus.ts';

const expected = (name: string): string => readFileSync(new URL(`../../programs/cpu/${name}.txt`, import.meta.url), 'latin1');

beforeAll(prepareCore, 120_000);

describe.skipIf(!hasAssembler)('test guests, all of their code translated', () => {
  const guests = ['paging', 'remap', 'crossing', 'strings', 'traps', 'manual'];
  // smc is over before a slice of 20,000 is
  const cases = [['smc', 61], ...guests.flatMap((name) => [[name, 61], [name, 20_000]] as const)] as const;

  it.each(cases)('%s in slices of %i: the output, no difference in lockstep', (name, slice) => {
    const run = runGuest(assemble(name), { slice, jit: 'check', seconds: 100 });
    expect(run).toMatchObject({ output: expected(name), end: 0 });
    expect(run.jits?.[0]?.insns).toBeGreaterThan(0n);
    expect(run.jits?.[0]?.compared).toBeGreaterThan(0);
  }, 120_000);

  it('counted time: traps and smp4 retire the same instructions as interpreted', () => {
    for (const [name, cpus] of [['traps', 1], ['smp4', 4]] as const) {
      const [plain, translated] = [undefined, 'on' as const].map((jit) => runGuest(assemble(name), { cpus, timeMode: 1, seconds: 100, ...(jit === undefined ? {} : { jit }) }));
      expect(translated).toMatchObject({ output: plain?.output, end: plain?.end, icount: plain?.icount });
    }
  }, 240_000);

  it('code that is made all the time: the same sum; translations up to their limits, then the least used are given back', () => {
    const plain = runGuest(assemble('makes_code'), { seconds: 100 });
    expect(plain).toMatchObject({ output: expect.stringMatching(/^sum 0*4a2284\r?\n/), end: 0 });
    const limits = { modules: 40, regions: 400, bytes: 1 << 20 };
    for (const jit of ['on', 'check'] as const) {
      const run = runGuest(assemble('makes_code'), { slice: 1000, jit, jitLimits: limits, seconds: 100 });
      expect(run).toMatchObject({ output: plain.output, end: 0 });
      const [{ counts, held, insns }] = run.jits as [InlineJit];
      expect(insns).toBeGreaterThan(1000n);
      expect(counts).toMatchObject({ stopped: false });
      expect(counts.modules).toBeGreaterThan(2 * limits.modules);
      expect(counts.givenBack).toBeGreaterThan(limits.modules);
      expect(held.modules).toBeGreaterThan(0);
      expect(held.modules).toBeLessThanOrEqual(limits.modules + 1);
      expect(held.regions).toBeLessThan(limits.regions + 50); // one batch beyond
      expect(held.bytes).toBeLessThan(limits.bytes + (1 << 19));
    }
  }, 120_000);

  it('all blocks dropped now and then: the same sum; translations of what is gone are given back', () => {
    let turns = 0;
    const run = runGuest(assemble('makes_code'), {
      slice: 1000, jit: 'on', seconds: 100, before: (core) => {
        if (++turns % 100 === 0) core.blocks_drop();
      },
    });
    expect(run).toMatchObject({ output: expect.stringMatching(/^sum 0*4a2284\r?\n/), end: 0 });
    const [{ counts, held }] = run.jits as [InlineJit];
    expect(turns).toBeGreaterThan(300);
    expect(held.regions).toBe(counts.regions - counts.givenBack);
    expect(held.regions).toBeLessThan(counts.regions / 2);
  }, 120_000);

  it('smp4, four vCPUs at the same time', async () => {
    const run = await runGuestThreads(assemble('smp4'), { cpus: 4, seconds: 100, jit: 'on' });
    expect(run).toMatchObject({ output: expected('smp4'), end: 0 });
  }, 120_000);

  it('SB, MP and LB on two vCPUs: no outcome that x86-TSO forbids', async () => {
    const results = await litmus(2, 20_000, 60, 'on');
    for (const r of results) expect(r).toMatchObject({ runs: 20_480, forbidden: 0 });
  }, 120_000);
});

it('random code: translations do what the interpreter does', { timeout: 300_000 }, () => {
  let compared = 0;
  for (const seed of [11, 12]) {
    const run = fuzzCpu(seed, 100, 2000, true);
    expect(run.failures).toEqual([]);
    compared += run.compared;
  }
  expect(compared).toBeGreaterThan(100);
});
