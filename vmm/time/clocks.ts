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

/** The host's. `now` is CLOCK_MONOTONIC in nanoseconds as a double: `performance.now()` counts from another point in each thread. */
export function hostClocks(): Clocks {
  const [seconds, nanos] = process.hrtime();
  const origin = seconds * 1e9 + nanos - performance.now() * 1e6;
  return {
    now: () => performance.now() * 1e6 + origin,
    wall: () => Date.now() * 1e6,
    random: hostRandom,
  };
}
