import { describe, expect, it } from 'vitest';
import { fuzzCpu } from '../../support/cpu-fuzz.ts';

describe('random bytes as guest code', () => {
  for (const seed of [1, 2, 3]) {
    it(`seed ${seed}: no trap of the module, no stray write, no endless instruction`, () => {
      const run = fuzzCpu(seed, 300);
      expect(run.failures).toEqual([]);
      // it did run code, and not only into shutdowns
      expect(run.instructions).toBeGreaterThan(3000n);
      expect(run.shutdowns).toBeLessThan(run.programs);
    });
  }
});
