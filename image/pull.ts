import { VmmError } from '../base/errors.ts';
import { importSource } from './import.ts';
import type { Environment } from './registry/credentials.ts';
import { withRegistry } from './registry/endpoints.ts';
import type { RegistryClient } from './registry/client.ts';
import { fullName, manifestReference, parseRegistryName, type RegistryName } from './registry/name.ts';
import { expandAlias, registriesConf } from './registry/registries-conf.ts';
import { registryImage } from './registry/source.ts';
import type { PullPolicy, ResolveOptions } from './options.ts';
import type { ImageRecord } from './store/record.ts';
import { Intake } from './store/intake.ts';
import { ImageStore, normalName } from './store/store.ts';

export interface PullOptions extends ResolveOptions {
  readonly env?: Environment;
  /** A server that says nothing for so long is given up, ms. */
  readonly idleMs?: number;
}

export interface Pulled {
  readonly record: ImageRecord;
  /** In full: `docker.io/library/debian:12`. */
  readonly name: string;
  /** Digest of the manifest or index that the name stands for. */
  readonly digest: string;
}

/** Fetches an image by its name from its registry into the store, under its full name. Throws IMAGE_*, REGISTRY_*, STORE_*. */
export async function pullImage(text: string, options: PullOptions = {}): Promise<Pulled> {
  const env = options.env ?? process.env;
  const alias = expandAlias(await registriesConf(env), text);
  const name = parseRegistryName(alias);
  // A run looks for what the user writes, and reads no configuration for it.
  const short = alias === text || name.digest !== undefined ? [] : [normalName(text)];
  const store = options.store ?? new ImageStore(undefined, options.host);
  return withRegistry(name, env, (client) => pullFrom(client, name, short, store, options), options.idleMs === undefined ? {} : { idleMs: options.idleMs });
}

async function pullFrom(client: RegistryClient, name: RegistryName, short: readonly string[], store: ImageStore, options: PullOptions): Promise<Pulled> {
  const manifest = await client.manifest(manifestReference(name));
  const full = fullName(name);
  const intake = new Intake(store);
  try {
    const imported = await importSource({
      store,
      text: `docker://${full}`,
      host: options.host,
      progress: options.progress,
      open: () => registryImage(client, name, manifest, intake, options.progress),
      names: () => [full, ...short],
      identity: async () => undefined,
      intake,
      digest: manifest.digest,
    });
    for (const note of imported.notes) options.note?.(note);
    return { record: imported.record, name: full, digest: manifest.digest };
  } finally {
    intake.close();
  }
}

/** The image of a name that is no path, from the store or the registry as `policy` has it. Throws IMAGE_*, REGISTRY_*, STORE_*. */
export async function pullByPolicy(text: string, stored: ImageRecord | undefined, policy: Exclude<PullPolicy, 'never'>, options: PullOptions & { store: ImageStore }): Promise<ImageRecord> {
  if (policy === 'missing' && stored !== undefined) return stored;
  // Names of this machine alone, ids, and what is no name of a registry are in no registry.
  if (stored === undefined && /^localhost\//.test(text)) throw options.store.notFound(text, 'names of localhost are not pulled');
  try {
    if (stored !== undefined && policy === 'newer' && (await isNewest(text, options))) return stored;
    return (await pullImage(text, options)).record;
  } catch (error) {
    if (stored !== undefined && policy === 'newer') {
      options.note?.(`the stored image runs, since the registry cannot be asked: ${(error as Error).message}`);
      return stored;
    }
    if (!(error instanceof VmmError) || stored !== undefined) throw error;
    const tags = options.store.otherTags(text);
    throw new VmmError(error.code, `no image ${text} in the store; pulling it: ${error.message}`, { cause: error.cause, hint: tags.length > 0 ? `the store has ${tags.slice(0, 10).join(', ')}` : (error.hint ?? '') });
  }
}

/** True when the registry's name still stands for what the stored image was pulled as. */
async function isNewest(text: string, options: PullOptions & { store: ImageStore }): Promise<boolean> {
  const env = options.env ?? process.env;
  const name = parseRegistryName(expandAlias(await registriesConf(env), text));
  const known = name.digest ?? options.store.digestOf(fullName(name));
  return known !== undefined && (await withRegistry(name, env, (client) => client.digestOf(manifestReference(name)))) === known;
}
