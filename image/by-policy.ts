import { resolve } from 'node:path';
import { statSync } from 'node:fs';
import { VmmError } from '../base/errors.ts';
import type { PullPolicy, ResolveOptions } from './options.ts';
import { checkedName, pullByPolicy, pullImage, trustedImage } from './pull.ts';
import { parseRegistryName } from './registry/name.ts';
import { manifestOf } from './appc/stored.ts';
import type { ImageReference, PathReference } from './sources/reference.ts';
import type { ImageRecord } from './store/record.ts';
import { changeStore } from './store/change.ts';
import { type ImageStore, signaturesOf } from './store/store.ts';
import { obeyPolicyForAci } from './trust/policy/appc.ts';
import { judgeKept, obeyPolicyForPath, storedVerdict } from './trust/policy/check.ts';
import { pathScopes } from './trust/policy/policy.ts';

/** The image of a name where there is a policy file: what was let in by this very policy runs at once. Throws TRUST_*, IMAGE_*, REGISTRY_*, STORE_*. */
export async function imageByPolicy(text: string, path: string, policy: PullPolicy, options: ResolveOptions & { store: ImageStore }): Promise<ImageRecord> {
  const { store } = options;
  const stored = store.find(text);
  // An ACI's name is no registry's: it is judged once it is found.
  if (stored?.aciManifest !== undefined) return stored;
  if (stored !== undefined && isId(stored, text)) return storedById(stored, path, store);
  let record = stored;
  if (options.contentTrust === true) record = await trustedImage(text, policy, options);
  else if (policy !== 'never' && (stored === undefined || policy !== 'missing')) record = await pullByPolicy(text, stored, policy, options);
  if (record === undefined) throw store.notFound(text, 'it is no path either');
  const full = await checkedName(text);
  if (storedVerdict(path, full, store.stampOf(full, record.id)) === 'yes') return record;
  if (await keptVerdict(path, full, record, store, policy === 'never')) return record;
  if (policy === 'never') throw unchecked(full, path);
  // Nothing of its layers is fetched again: its signatures are.
  return (await pullImage(text, options)).record;
}

function isId(record: ImageRecord, text: string): boolean {
  return /^(sha\d+:)?[0-9a-f]{4,}$/.test(text) && record.id.replace(/^sha\d+:/, '').startsWith(text.replace(/^sha\d+:/, ''));
}

/** An id means what one of its image's names may. */
async function storedById(record: ImageRecord, path: string, store: ImageStore): Promise<ImageRecord> {
  let refused = unchecked(record.id, path);
  for (const name of store.named(record.id).names) {
    try {
      if (storedVerdict(path, name, store.stampOf(name, record.id)) === 'yes' || (await keptVerdict(path, name, record, store, true))) return record;
    } catch (error) {
      if (!(error instanceof VmmError) || error.code !== 'TRUST_REJECTED') throw error;
      refused = error;
    }
  }
  throw refused;
}

/**
 * Whether the policy, which has changed, lets in an image by the signatures that it had when it came. Then this is noted, as well as may be. What
 * refuses it is thrown when `last`: else its registry may have other signatures by now.
 */
async function keptVerdict(path: string, full: string, { id }: ImageRecord, store: ImageStore, last: boolean): Promise<boolean> {
  const note = store.sourceNote(signaturesOf(full), id);
  if (note === '') return false;
  let stamp: string | undefined;
  try {
    stamp = await judgeKept(path, parseRegistryName(full), note, process.env);
  } catch (error) {
    if (!(error instanceof VmmError) || error.code !== 'TRUST_REJECTED' || last) throw error;
  }
  if (stamp === undefined) return false;
  if (stamp === store.stampOf(full, id)) return true;
  try {
    await changeStore(store, (change) => change.setName(full, id, store.digestOf(full), stamp));
  } catch (error) {
    if (!(error instanceof VmmError)) throw error; // a store that we may only read serves runs too
  }
  return true;
}

function unchecked(what: string, path: string): VmmError {
  return new VmmError('TRUST_REJECTED', `${what} may not be used: it was not let in by ${path} as it is now`, { hint: 'pull it again, so that its signatures are looked at' });
}

/** Throws TRUST_REJECTED, TRUST_CONFIG for a path that the policy does not let through; an ACI by name or URL is judged once it is known. */
export function sourceByPolicy(reference: ImageReference, policyFile: string): void {
  if (!('name' in reference)) obeyPolicyForPath(policyFile, ...placeOf(reference));
}

function placeOf(reference: PathReference): [transport: string, path: string] {
  const path = resolve(reference.path);
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return [reference.kind === 'path' ? (isDirectory ? 'dir' : 'tarball') : reference.kind, path];
}

/** The image that a reference has led to, before it runs: what only its record tells. Throws TRUST_REJECTED, TRUST_CONFIG. */
export async function foundByPolicy(reference: ImageReference, record: ImageRecord, policyFile: string): Promise<void> {
  const name = record.aciManifest === undefined ? undefined : manifestOf(record)?.name;
  if (reference.kind === 'name' && name === undefined) return;
  const { signedBy } = record;
  // What is no ACI is signed by nobody here: it passes where nothing is asked.
  if (!('name' in reference)) {
    const [transport, path] = placeOf(reference);
    await obeyPolicyForAci(policyFile, { what: `${transport}:${path}`, transport, scopes: pathScopes(path), name: name ?? '', signedBy: name === undefined ? undefined : signedBy }, process.env);
    return;
  }
  const scopes = [...(reference.kind === 'aci-url' ? pathScopes(reference.name) : []), ...pathScopes(name ?? '')];
  await obeyPolicyForAci(policyFile, { what: `aci:${name ?? reference.name}`, transport: 'appc', scopes, name: name ?? '', signedBy }, process.env);
}
