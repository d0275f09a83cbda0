/** How long a thread was kept from its work: not what others did meanwhile. */
import { expect, it } from 'vitest';
import { ThreadClock } from '../../../vmm/jit/thread-clock.ts';

it('time in which the thread did not run does not count, beyond a tick of the kernel', () => {
  const clock = new ThreadClock();
  clock.start();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  expect(clock.passed()).toBeLessThan(100);
});

it('time in which it did counts', () => {
  const clock = new ThreadClock();
  const before = process.threadCpuUsage();
  clock.start();
  while (process.threadCpuUsage(before).user < 60_000) {
    // until the kernel has counted so much
  }
  expect(clock.passed()).toBeGreaterThan(40);
});
