import { randomBytes } from '../../base/random.ts';

/** Bytes of the host's entropy, for a guest. */
export function hostRandom(length: number): Uint8Array {
  return randomBytes(length);
}
