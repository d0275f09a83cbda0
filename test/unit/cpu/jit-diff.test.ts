import { expect, it } from 'vitest';
import { CASE_SIZE, type CaseInfo, CaseMaker, Rng } from '../../support/cpu/cases.ts';
import { intMachine } from '../../support/cpu/int.ts';
import { JitDiff, ROUND } from '../../support/cpu/jit-diff.ts';
import { OpCases } from '../../support/cpu/op-cases.ts';
import { SseCases } from '../../support/cpu/sse-cases.ts';

const ROUNDS = Number(process.env['VMM_ROUNDS'] ?? 16);

it(`${ROUNDS * ROUND} random instructions and sequences: translated as interpreted`, { timeout: 600_000 }, () => {
  const diff = new JitDiff(intMachine(1));
  const found: string[] = [];
  const cases = Buffer.alloc(ROUND * CASE_SIZE);
  for (let round = 0; round < ROUNDS && found.length < 20; round++) {
    const maker = new CaseMaker(new Rng(77 + 2 * round));
    const infos: CaseInfo[] = [];
    for (let i = 0; i < ROUND; i++) {
      const to = cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE);
      infos.push(round % 2 === 1 ? maker.sequence(to) : maker.single(to));
    }
    found.push(...diff.round(cases, infos).map((text) => `round ${round}: ${text}`));
  }
  expect(found).toEqual([]);
  // 32-bit cases stay interpreted, and so do those that fault at once; the rest must really have run translated
  expect(diff.counts.regions).toBeGreaterThan(ROUNDS * ROUND * 0.4);
  expect(diff.insns).toBeGreaterThan(BigInt(ROUNDS * ROUND) / 2n);
});

it(`${ROUNDS * ROUND} random SSE instructions with edge values: translated as interpreted`, { timeout: 600_000 }, () => {
  const diff = new JitDiff(intMachine(1));
  const cases = Buffer.alloc(ROUND * CASE_SIZE);
  const found: string[] = [];
  for (let round = 0; round < ROUNDS && found.length < 20; round++) {
    const maker = new SseCases(new Rng(4711 + round));
    const infos = Array.from({ length: ROUND }, (_, i) => maker.make(cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE)));
    found.push(...diff.round(cases, infos).map((text) => `round ${round}: ${text}`));
  }
  expect(found).toEqual([]);
  expect(diff.counts.regions).toBeGreaterThan(ROUNDS * ROUND * 0.4);
  expect(diff.insns).toBeGreaterThan(BigInt(ROUNDS * ROUND) * 5n);
});

it(`${ROUNDS * ROUND} multiplications, divisions, bit, shift and locked instructions between setters and readers of flags: translated as interpreted`, { timeout: 600_000 }, () => {
  const diff = new JitDiff(intMachine(1));
  const cases = Buffer.alloc(ROUND * CASE_SIZE);
  const found: string[] = [];
  for (let round = 0; round < ROUNDS && found.length < 20; round++) {
    const maker = new OpCases(new Rng(1234 + 7919 * round));
    const infos = Array.from({ length: ROUND }, (_, i) => maker.make(cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE)));
    found.push(...diff.round(cases, infos).map((text) => `round ${round}: ${text}`));
  }
  expect(found).toEqual([]);
  expect(diff.counts.regions).toBeGreaterThan(ROUNDS * ROUND * 0.4);
  expect(diff.insns).toBeGreaterThan(BigInt(ROUNDS * ROUND) * 2n);
});
