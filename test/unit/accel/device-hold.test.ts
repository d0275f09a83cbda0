/** Devices that are to stand, and one of them cannot: its call of the host does not end. */
import { expect, it } from 'vitest';
import { DeviceHold } from '../../../vmm/accel/device-hold.ts';
import type { AcceleratorContext } from '../../../vmm/accel/types.ts';
import { SharedWords } from '../../../vmm/threads/words.ts';

const BELL = 1;

it('a hold that is taken back is no longer waited for, and the next one waits again', async () => {
  const words = new SharedWords();
  const hold = new DeviceHold({ devices: [] } as unknown as AcceleratorContext, words, () => {});
  hold.thread(BELL, new Promise(() => {}));
  const first = hold.begin();
  expect(words.held(BELL)).toBe(true);
  hold.end();
  await first;
  expect({ held: words.held(BELL), on: hold.on }).toEqual({ held: false, on: false });
  let stands = false;
  const second = hold.begin().then(() => {
    stands = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(stands).toBe(false);
  words.over(BELL);
  await second;
});
