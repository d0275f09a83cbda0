import { createHash } from 'node:crypto';

const PERIOD = 65_521;
const ONE = Uint8Array.from({ length: PERIOD }, (_, i) => (Math.imul(i, 0x9e3779b1) >>> 24) ^ (i & 255));
const LONG = Buffer.concat([ONE, ONE, ONE, ONE]);

/** `length` bytes (at most 2^17) of an endless text, from `at` on. Its period is a prime, so that none that is in a wrong place fits. */
export function pattern(at: number, length: number): Uint8Array {
  const start = at % PERIOD;
  return LONG.subarray(start, start + length);
}

/** Its first `length` bytes, as the client says what it has read. */
export function patternHash(length: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < length; at += 1 << 16) hash.update(pattern(at, Math.min(1 << 16, length - at)));
  return `${length} ${hash.digest('hex')}`;
}
