import { VmmError } from '../../../base/errors.ts';
import type { Environment } from '../../registry/credentials.ts';
import { fullName, type RegistryName } from '../../registry/name.ts';
import { TrustCache } from './cache.ts';
import { trustPinning } from './pinning.ts';
import { findTarget, type SignedTarget, type TrustData, updateTrust } from './repository.ts';
import { gunOf, NotaryServer } from './server.ts';

export interface TrustOptions {
  readonly env: Environment;
  readonly note?: ((text: string) => void) | undefined;
  /** A server that says nothing for so long is given up, ms. */
  readonly idleMs?: number | undefined;
}

/** A repository's trust data as of now. Throws TRUST_*, REGISTRY_*. */
export async function trustDataOf(name: RegistryName, { env, note, idleMs }: TrustOptions): Promise<TrustData> {
  const gun = gunOf(name);
  const source = new NotaryServer(name, env, 'pull', idleMs);
  try {
    return await updateTrust({ gun, source, cache: new TrustCache(env, gun), pinning: trustPinning(env), note });
  } finally {
    source.close();
  }
}

/** What a name's tag stands for by its trust data; a name with a digest is its own word. Throws TRUST_*, REGISTRY_*. */
export async function signedTarget(name: RegistryName, options: TrustOptions): Promise<SignedTarget> {
  const target = findTarget(await trustDataOf(name, options), name.tag ?? 'latest');
  if (target === undefined) throw new VmmError('TRUST_UNSIGNED', `${fullName(name)} is not signed`, { hint: 'see `vmm trust inspect`; without content trust it can be had' });
  return target;
}
