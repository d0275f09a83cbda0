import { beforeAll, describe, expect, it } from 'vitest';
import { fuzzCpu } from '../../support/cpu/fuzz.ts';
import { coreModule } from '../../support/cpu/guest.ts';

beforeAll(() => {
  coreModule();
});

describe('random bytes as guest code', () => {
  for (const seed of [1, 2, 3]) {
    it(`seed ${seed}: no trap of the module, no stray write, no endless instruction`, () => {
      const run = fuzzCpu(seed, 150);
      expect(run.failures).toEqual([]);
      // it did run code, and not only into shutdowns
      expect(run.instructions).toBeGreaterThan(1500n);
      expect(run.shutdowns).toBeLessThan(run.programs);
    });
  }
});
