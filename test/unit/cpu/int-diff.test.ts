/** Integer instructions against this machine's own CPU (test/support/cpu/cpudiff.c). */
import { beforeAll, describe, expect, it } from 'vitest';
import { CASE_SIZE, CaseMaker, type CaseInfo, Rng } from '../../support/cpu/cases.ts';
import { BATCH, compare, setUp } from '../../support/cpu/diff.ts';
import { intMachine } from '../../support/cpu/int.ts';

/** Runs `total` cases; the texts of the first differences and the mnemonics that came up. */
function run(seed: number, total: number, kind: 'single' | 'sequence', step: boolean): { found: string[]; seen: Set<string> } {
  const m = intMachine(1);
  setUp(m);
  const maker = new CaseMaker(new Rng(seed));
  const found: string[] = [];
  const seen = new Set<string>();
  for (let done = 0; done < total; done += BATCH) {
    const n = Math.min(BATCH, total - done);
    const cases = Buffer.alloc(n * CASE_SIZE);
    const infos: CaseInfo[] = [];
    for (let i = 0; i < n; i++) {
      const info = maker[kind](cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE));
      infos.push(info);
      seen.add(info.mnemonic);
    }
    found.push(...compare(m, cases, infos, step).map((d) => d.text));
  }
  return { found: found.slice(0, 20), seen };
}

// the module may have to be compiled
beforeAll(() => void intMachine(1), 400_000);

describe('integer instructions do what the real CPU does', () => {
  it('40,000 single instructions in blocks of one: registers, flags, memory and faults equal', () => {
    const { found, seen } = run(1, 40_000, 'single', true);
    expect(found).toEqual([]);
    expect(seen.size).toBeGreaterThan(60);
  });

  it('40,000 single instructions in ordinary blocks: equal', () => {
    expect(run(2, 40_000, 'single', false).found).toEqual([]);
  });

  it('40,000 sequences that set and read flags, fused and with dead flags dropped: equal', () => {
    expect(run(3, 40_000, 'sequence', false).found).toEqual([]);
  });
});
