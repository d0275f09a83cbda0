import { monotonicNs } from '../../base/monotonic.ts';
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

/** The host's. */
export function hostClocks(): Clocks {
  return {
    now: monotonicNs,
    wall: () => Date.now() * 1e6,
    random: hostRandom,
  };
}
