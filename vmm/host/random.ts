import { createRequire } from 'node:module';

let crypto: typeof import('node:crypto') | undefined;

/** Bytes of the host's entropy. Node takes 7 ms to load what makes them, which a thread that needs none shall not wait for. */
export function hostRandom(length: number): Uint8Array {
  crypto ??= createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto');
  return crypto.randomBytes(length);
}
