import { expect, it } from 'vitest';
import { fuzzCpu } from '../support/cpu/fuzz.ts';

it('a million blocks of random bytes: no trap of the module, no stray write, no endless instruction', () => {
  let blocks = 0n;
  for (let seed = 100; blocks < 1_000_000n && seed < 400; seed++) {
    const run = fuzzCpu(seed, 2000);
    expect(run.failures).toEqual([]);
    blocks += run.blocks;
  }
  expect(blocks).toBeGreaterThanOrEqual(1_000_000n);
}, 3_600_000);
