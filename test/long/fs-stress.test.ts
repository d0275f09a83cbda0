import { it } from 'vitest';
import { fsstress, fsx } from '../support/devices/fs-stress.ts';

const seeds = Array.from({ length: 5 }, (_, i) => 200 + i);

it.each(seeds)('100,000 operations on one file, seed %d', (seed) => fsx(seed, 100_000), 600_000);

it.each(seeds)('100,000 operations on names, seed %d', (seed) => fsstress(seed, 100_000), 600_000);
