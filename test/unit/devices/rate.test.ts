import { expect, test } from 'vitest';
import { RateLimiter, TokenBucket } from '../../../vmm/devices/rate.ts';

/** Takes requests of `size` as soon as they may go until `end`, by a clock of the test's own: how many went. */
function requests(bucket: TokenBucket, size: number, end: number): number {
  let count = 0;
  for (let now = 0; now < end; ) {
    const wait = bucket.wait(now);
    if (wait === 0) {
      bucket.take(size);
      count++;
    } else now += wait;
  }
  return count;
}

test.each([1, 10, 100, 1000, 5000])('the mean holds for requests of %i', (size) => {
  const bucket = new TokenBucket({ perSecond: 1000, burst: 100 }, 0);
  const moved = requests(bucket, size, 100_000) * size;
  expect(moved).toBeGreaterThanOrEqual(100_000);
  expect(moved).toBeLessThanOrEqual(100_000 + 100 + size);
});

test('after a quiet time the burst goes at once, and no more than that', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burst: 50 }, 0);
  expect(bucket.wait(1_000_000)).toBe(0);
  for (let i = 0; i < 50; i++) {
    expect(bucket.wait(1_000_000)).toBe(0);
    bucket.take(1);
  }
  expect(bucket.wait(1_000_000)).toBe(1);
});

test('a tenth of a second is the burst when none is given', () => {
  const bucket = new TokenBucket({ perSecond: 1000 }, 0);
  bucket.take(100);
  expect(bucket.wait(0)).toBe(1);
  bucket.take(100);
  expect(bucket.wait(0)).toBe(101);
});

test('of two limits the tighter one counts', () => {
  const limiter = new RateLimiter({ bytes: { perSecond: 1000, burst: 1000 }, operations: { perSecond: 10, burst: 1 } }, 0);
  expect(limiter.wait(0)).toBe(0);
  limiter.took(1);
  limiter.took(1);
  expect(limiter.wait(0)).toBe(200);
  expect(limiter.wait(200)).toBe(0);
});

test('no limit is none', () => {
  const limiter = new RateLimiter({}, 0);
  for (let i = 0; i < 1000; i++) limiter.took(1e9);
  expect(limiter.wait(0)).toBe(0);
});
