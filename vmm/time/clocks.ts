import { hostRandom } from '../host/random.ts';

/** What a core's instance takes of time and chance; virtual in a counted run. */
export interface Clocks {
  /** Monotonic nanoseconds, the same in all threads. */
  now(): number;
  /** Nanoseconds since the epoch. */
  wall(): number;
  /** Random bytes for the guest: RDRAND, the entropy device. */
  random(length: number): Uint8Array;
}

/** Two readings that belong together are no further apart than this, nanoseconds. */
const TOGETHER_NS = 5000;
const ATTEMPTS = 50;

function monotonic(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1e9 + nanos;
}

/** What to add to this thread's `performance.now()`. A thread that is put aside between two readings would have a clock of its own. */
function clockOrigin(): number {
  let [origin, least] = [0, Number.POSITIVE_INFINITY];
  for (let attempt = 0, before = monotonic(); attempt < ATTEMPTS && least > TOGETHER_NS; attempt++) {
    const here = performance.now() * 1e6;
    const after = monotonic();
    if (after - before < least) [origin, least] = [(before + after) / 2 - here, after - before];
    before = after;
  }
  return origin;
}

/** The host's. `now` is CLOCK_MONOTONIC in nanoseconds as a double: `performance.now()` counts from another point in each thread. */
export function hostClocks(): Clocks {
  const origin = clockOrigin();
  return {
    now: () => performance.now() * 1e6 + origin,
    wall: () => Date.now() * 1e6,
    random: hostRandom,
  };
}
