/** A small form of test/long/containers.test.ts. */
import { expect, it } from 'vitest';
import { leftAfter, many } from '../support/cli/many.ts';

it('three containers at once, started, used, stopped, removed: nothing is left', async () => {
  const some = await many();
  await some.life('first');
  const before = await leftAfter(some);
  expect({ ...before, folder: [], store: [] }).toEqual({ folder: [], store: [], containers: [], names: [], sockets: [], listening: [], processes: [] });
  await Promise.all(['a', 'b', 'c'].map((name) => some.life(name)));
  expect(await leftAfter(some)).toEqual(before);
  some.close();
});
