import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEVICES, Hostile } from './hostile.ts';

/** Declares one property for each device, with `cases` random programs; a failure prints the program, shrunk, and the seed. */
export function hostileTests(cases: number): void {
  test.each(DEVICES)('hostile drivers of %s: no trap, no access outside guest memory, bounded work', { timeout: 7_200_000 }, (name) => {
    const hostile = new Hostile(name);
    let ran = 0;
    const property = fc.property(fc.array(fc.nat(0xffff_ffff), { minLength: 20, maxLength: 400, size: 'max' }), (program) => {
      hostile.run(program);
      ran++;
    });
    fc.assert(property, { numRuns: cases });
    expect(ran).toBe(cases);
  });
}
