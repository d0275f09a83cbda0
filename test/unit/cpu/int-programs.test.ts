/** Compiled C on the software CPU gives the native results, and a floor under its speed. */
import { beforeAll, describe, expect, it } from 'vitest';
import { intMachine } from '../../support/cpu/int.ts';
import { compilePrograms, native, PROGRAMS, software } from '../../support/cpu/programs.ts';

const TURNS = [300_000, 8, 8, 5, 3000];
/** A tenth of what an idle machine gives after tier-up: only a dispatcher that V8 no longer optimises falls below. */
const FLOOR_MIPS = 25;

beforeAll(() => {
  intMachine();
  compilePrograms();
}, 400_000);

describe('programs', () => {
  it.each(PROGRAMS.map((name, i) => [name, i] as const))('%s: the native result', (_name, i) => {
    expect(software(intMachine(), i, TURNS[i] as number).result).toBe(native(i, TURNS[i] as number));
  });

  it(`quicksort runs above ${FLOOR_MIPS} million instructions a second of CPU time, best of five`, () => {
    const m = intMachine();
    const speeds = Array.from({ length: 5 }, () => software(m, 3, 20)).map((o) => o.instructions / o.milliseconds / 1000);
    expect(Math.max(...speeds)).toBeGreaterThan(FLOOR_MIPS);
  });
});
