/**
 * Random hostile drivers against each device. VMM_CASES sets how many for each (npm run test:long: a million in all);
 * a failure prints the program, shrunk, and the seed.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEVICES, Hostile } from '../../support/hostile.ts';

const cases = Number(process.env.VMM_CASES ?? 300);

test.each(DEVICES)('hostile drivers of %s: no trap, no access outside guest memory, bounded work', { timeout: 3_600_000 }, (name) => {
  const hostile = new Hostile(name);
  let ran = 0;
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff_ffff), { minLength: 20, maxLength: 400, size: 'max' }), (program) => {
      hostile.run(program);
      ran++;
    }),
    { numRuns: cases },
  );
  expect(ran).toBe(cases);
});
