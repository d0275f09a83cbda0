/** What a process gives back at its guest's first rest, and when: never while the guest is held, never at a machine's cost. */
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Accelerator } from '../../../vmm/accel/types.ts';
import { giveBackAtRest } from '../../../vmm/machine/rest.ts';

const LOOK_MS = 2000;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function accelerator(rest: Accelerator['rest']): Accelerator {
  return { rest, idle: () => true } as unknown as Accelerator;
}

const hasGc = (): boolean => runInNewContext('typeof gc') === 'function';

it('a guest that is held does not rest: it does when it goes on', async () => {
  let stands = true;
  const rest = vi.fn(async () => true);
  const end = giveBackAtRest(accelerator(rest), false, () => stands);
  await vi.advanceTimersByTimeAsync(LOOK_MS * 5);
  expect(rest).not.toHaveBeenCalled();
  stands = false;
  await vi.advanceTimersByTimeAsync(LOOK_MS * 5);
  expect(rest).toHaveBeenCalledTimes(1);
  end();
});

it('a rest that was not possible is tried again, once it was no more', async () => {
  const rest = vi.fn(async () => true).mockResolvedValueOnce(false);
  giveBackAtRest(accelerator(rest), false, () => false);
  await vi.advanceTimersByTimeAsync(LOOK_MS * 9);
  expect(rest).toHaveBeenCalledTimes(2);
  expect(vi.getTimerCount()).toBe(0);
});

it('what this host cannot do ends nothing', async () => {
  const failures: unknown[] = [];
  const failed = (error: unknown): void => void failures.push(error);
  process.on('unhandledRejection', failed);
  try {
    const rest = vi.fn(async () => {
      throw new Error("Cannot find function 'malloc_trim' in shared library");
    });
    giveBackAtRest(accelerator(rest), false, () => false);
    await vi.advanceTimersByTimeAsync(LOOK_MS * 5);
    vi.useRealTimers();
    await new Promise((resolve) => setImmediate(resolve));
    expect({ calls: rest.mock.calls.length, failures }).toEqual({ calls: 1, failures: [] });
  } finally {
    process.off('unhandledRejection', failed);
  }
});

it.each([[true], [false]])('V8 has its gc for a moment, and in a process that is ours alone (%s)', async (own) => {
  expect(hasGc()).toBe(false);
  let during: boolean | undefined;
  const end = giveBackAtRest(accelerator(async () => {
    during = hasGc();
    return false;
  }), own, () => false);
  await vi.advanceTimersByTimeAsync(LOOK_MS * 2);
  end();
  expect({ during, after: hasGc() }).toEqual({ during: own, after: false });
});
