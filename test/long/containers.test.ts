/** Containers one after the other, and several at once: no file, socket or process is left. VMM_CONTAINERS is how many, 100 by default. */
import { expect, it } from 'vitest';
import { leftAfter, many } from '../support/cli/many.ts';

const COUNT = Number(process.env['VMM_CONTAINERS'] ?? 100);
const AT_ONCE = 10;
const LIMIT_MS = 60_000;

it(`${COUNT} containers one after the other, then ${AT_ONCE} at once`, { timeout: (COUNT + AT_ONCE) * LIMIT_MS }, async () => {
  const some = await many();
  await some.life('first');
  const before = await leftAfter(some);
  for (let i = 0; i < COUNT; i++) await some.life(`one-${i}`);
  expect(await leftAfter(some)).toEqual(before);
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => some.life(`many-${i}`)));
  expect(await leftAfter(some)).toEqual(before);
  some.close();
});
