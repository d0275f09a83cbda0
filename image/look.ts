import type { ClientOptions, Referrer } from './registry/client.ts';
import type { Environment } from './registry/credentials.ts';
import { withRegistry } from './registry/endpoints.ts';
import { manifestReference, parseRegistryName, type RegistryName } from './registry/name.ts';
import { expandAlias, registriesConf } from './registry/registries-conf.ts';

/** The registry's image that a user names. Throws IMAGE_REFERENCE, REGISTRY_CONFIG. */
async function named(text: string, env: Environment): Promise<RegistryName> {
  return parseRegistryName(expandAlias(await registriesConf(env), text));
}

/** The tags of a repository. Throws REGISTRY_*. */
export async function listTags(text: string, env: Environment, options: Pick<ClientOptions, 'tlsVerify'> = {}): Promise<string[]> {
  return withRegistry(await named(text, env), env, (client) => client.tags(), options);
}

/** What a registry has that refers to an image. Throws REGISTRY_*, IMAGE_NOT_FOUND. */
export async function findReferrers(text: string, env: Environment): Promise<Referrer[]> {
  const name = await named(text, env);
  return withRegistry(name, env, async (client) => client.referrers(name.digest ?? (await client.manifest(manifestReference(name))).digest));
}
