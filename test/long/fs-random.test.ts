import { expect, it } from 'vitest';
import { sweep } from '../support/devices/fs-random.ts';

it.each(Array.from({ length: 10 }, (_, i) => 100 + i))('100,000 random requests of seed %d', (seed) => {
  expect(sweep(seed, 100_000).size).toBeGreaterThan(100);
}, 600_000);
