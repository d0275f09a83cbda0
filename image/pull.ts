import { createHash } from 'node:crypto';
import { VmmError } from '../base/errors.ts';
import { importSource } from './import.ts';
import type { Environment } from './registry/credentials.ts';
import { withRegistry } from './registry/endpoints.ts';
import type { Manifest, RegistryClient } from './registry/client.ts';
import { fullName, manifestReference, parseRegistryName, type RegistryName } from './registry/name.ts';
import { expandAlias, registriesConf } from './registry/registries-conf.ts';
import { registryImage } from './registry/source.ts';
import type { PullPolicy, ResolveOptions } from './options.ts';
import { policyPath } from './policy-place.ts';
import type { ImageSource } from './sources/source.ts';
import type { ImageRecord } from './store/record.ts';
import { Intake } from './store/intake.ts';
import { ImageStore, normalName } from './store/store.ts';
import type { Candidate } from './trust/policy/check.ts';

export interface PullOptions extends ResolveOptions {
  readonly env?: Environment;
  /** A server that says nothing for so long is given up, ms. */
  readonly idleMs?: number;
  /** See ClientOptions. */
  readonly tlsVerify?: boolean | undefined;
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
  const { name, short, env } = await namedImage(text, options);
  const store = options.store ?? new ImageStore(undefined, options.host);
  const signed = options.contentTrust === true && name.digest === undefined ? await signedDigest(name, env, options) : undefined;
  return fetchImage({ name, signed, short }, store, env, options);
}

function fetchImage(wanted: Wanted, store: ImageStore, env: Environment, options: PullOptions): Promise<Pulled> {
  return withRegistry(wanted.name, env, (client) => pullFrom(client, wanted, store, options), { ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }), tlsVerify: options.tlsVerify });
}

/** The registry's image that a user's text names. Throws IMAGE_REFERENCE, REGISTRY_CONFIG. */
async function namedImage(text: string, options: PullOptions): Promise<{ name: RegistryName; short: readonly string[]; env: Environment }> {
  const env = options.env ?? process.env;
  const alias = expandAlias(await registriesConf(env), text);
  const name = parseRegistryName(alias);
  // A run looks for what the user writes, and reads no configuration for it.
  return { name, short: alias === text || name.digest !== undefined ? [] : [normalName(text)], env };
}

/**
 * The image of a name that is no path, with content trust: the stored one if it is what is signed now, else what the registry has of
 * that digest. Throws TRUST_*, IMAGE_*, REGISTRY_*, STORE_*.
 */
export async function trustedImage(text: string, policy: PullPolicy, options: PullOptions & { store: ImageStore }): Promise<ImageRecord> {
  const { name, short, env } = await namedImage(text, options);
  const full = fullName(name);
  const signed = name.digest ?? (await signedDigest(name, env, options));
  const stored = options.store.digestOf(full) === signed ? options.store.find(full) : undefined;
  if (stored !== undefined && policy !== 'always') return stored;
  if (policy === 'never') throw new VmmError('IMAGE_NOT_FOUND', `what is signed for ${full} is not in the store`, { hint: 'fetch it with `vmm pull --content-trust`' });
  return (await fetchImage({ name, signed, short }, options.store, env, options)).record;
}

/** Docker Content Trust: the tag stands for what was signed, whatever the registry says. Loaded by who asks for it. */
async function signedDigest(name: RegistryName, env: Environment, { note, idleMs }: PullOptions): Promise<string> {
  const { signedTarget } = await import('./trust/notary/resolve.ts');
  return (await signedTarget(name, { env, note, idleMs })).digest;
}

interface Wanted {
  readonly name: RegistryName;
  /** The digest that was signed for its tag. */
  readonly signed: string | undefined;
  /** What it is called beside its full name. */
  readonly short: readonly string[];
}

async function pullFrom(client: RegistryClient, { name, signed, short }: Wanted, store: ImageStore, options: PullOptions): Promise<Pulled> {
  const manifest = await client.manifest(signed ?? manifestReference(name));
  const full = fullName(name);
  const intake = new Intake(store);
  const policy = policyPath(options.env ?? process.env);
  let verdict: Admitted | undefined;
  try {
    const imported = await importSource({
      store,
      text: `docker://${full}`,
      host: options.host,
      progress: options.progress,
      open: async () => {
        const source = await registryImage(client, name, manifest, intake, options.progress);
        if (policy !== undefined) verdict = await obey(policy, client, name, digestsOf(manifest, source), options.env ?? process.env);
        return source;
      },
      stamp: () => verdict?.stamp,
      signatures: () => verdict?.note,
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

/** By which policy an image was let in, and the signatures that were looked at. */
interface Admitted {
  readonly stamp: string;
  readonly note: string | undefined;
}

async function obey(policy: string, client: RegistryClient, name: RegistryName, digests: readonly string[], env: Environment): Promise<Admitted> {
  const [{ obeyPolicy }, { registrySignatures }] = await Promise.all([import('./trust/policy/check.ts'), import('./trust/policy/attached.ts')]);
  const signatures = registrySignatures(client, name, env);
  const stamp = await obeyPolicy(policy, { name, digests, signatures }, env);
  return { stamp, note: await signatures.note(digests) };
}

/** Of what the name stands for, and of the manifest that it leads to. */
function digestsOf(top: Manifest, { packed }: ImageSource): string[] {
  return packed?.manifest === undefined ? [top.digest] : [top.digest, `sha256:${createHash('sha256').update(packed.manifest).digest('hex')}`];
}

/** Looks at a registry's image without pulling it. Throws REGISTRY_*, IMAGE_*. */
export async function pullCandidate<T>(text: string, env: Environment, action: (candidate: Candidate) => Promise<T>): Promise<T> {
  const { name } = await namedImage(text, { env });
  const store = new ImageStore();
  return withRegistry(name, env, async (client) => {
    const manifest = await client.manifest(manifestReference(name));
    const intake = new Intake(store);
    try {
      const { registrySignatures } = await import('./trust/policy/attached.ts');
      return await action({ name, digests: digestsOf(manifest, await registryImage(client, name, manifest, intake, undefined)), signatures: registrySignatures(client, name, env) });
    } finally {
      intake.close();
    }
  });
}

/** The name in full that the store has a user's text under; a text that is no registry's name is its own. */
export async function checkedName(text: string, env: Environment = process.env): Promise<string> {
  try {
    return fullName((await namedImage(text, { env })).name);
  } catch (error) {
    if (error instanceof VmmError && error.code === 'IMAGE_REFERENCE') return text;
    throw error;
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
  const { name, env } = await namedImage(text, options);
  const known = name.digest ?? options.store.digestOf(fullName(name));
  return known !== undefined && (await withRegistry(name, env, (client) => client.digestOf(manifestReference(name)))) === known;
}
