/** Translations in lockstep with the interpreter, at length: random bytes, and single instructions with edge values. */
import { beforeAll, expect, it } from 'vitest';
import { CASE_SIZE, type CaseInfo, CaseMaker, Rng } from '../support/cpu/cases.ts';
import { fuzzCpu } from '../support/cpu/fuzz.ts';
import { prepareCore } from '../support/cpu/guest.ts';
import { intMachine } from '../support/cpu/int.ts';
import { JitDiff, ROUND } from '../support/cpu/jit-diff.ts';
import { OpCases } from '../support/cpu/op-cases.ts';
import { SseCases } from '../support/cpu/sse-cases.ts';

/** Translated runs of random bytes. */
const RUNS = Number(process.env['VMM_LOCKSTEP_RUNS'] ?? 200_000);
const CASES = Number(process.env['VMM_LOCKSTEP_CASES'] ?? 1_000_000);
/** A machine's translations are kept for good: a new one after so many rounds. */
const ROUNDS_OF_ONE = 200;

beforeAll(prepareCore, 120_000);

it(`${RUNS} translated runs of random bytes: no difference`, { timeout: 7_200_000 }, () => {
  let compared = 0;
  for (let seed = 1000; compared < RUNS; seed++) {
    const run = fuzzCpu(seed, 200, 4000, true);
    expect(run.failures).toEqual([]);
    compared += run.compared;
  }
});

const kinds: readonly (readonly [string, (seed: number) => (to: Buffer) => CaseInfo])[] = [
  ['SSE instructions', (seed) => {
    const maker = new SseCases(new Rng(seed));
    return (to) => maker.make(to);
  }],
  ['multiplications, divisions, bit, shift and locked instructions', (seed) => {
    const maker = new OpCases(new Rng(seed * 7919));
    return (to) => maker.make(to);
  }],
  ['integer instructions and sequences', (seed) => {
    const maker = new CaseMaker(new Rng(seed));
    return (to) => (seed % 2 === 0 ? maker.single(to) : maker.sequence(to));
  }],
];

it.each(kinds)(`${CASES} random %s: translated as interpreted`, { timeout: 7_200_000 }, (_, makerOf) => {
  const cases = Buffer.alloc(ROUND * CASE_SIZE);
  let diff = new JitDiff(intMachine(1));
  for (let round = 0; round < CASES / ROUND; round++) {
    if (round % ROUNDS_OF_ONE === ROUNDS_OF_ONE - 1) diff = new JitDiff(intMachine(1));
    const make = makerOf(90_000 + round);
    const infos = Array.from({ length: ROUND }, (_case, i) => make(cases.subarray(i * CASE_SIZE, (i + 1) * CASE_SIZE)));
    expect(diff.round(cases, infos).map((text) => `round ${round}: ${text}`)).toEqual([]);
  }
});
