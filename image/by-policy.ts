import { resolve } from 'node:path';
import { statSync } from 'node:fs';
import { VmmError } from '../base/errors.ts';
import type { PullPolicy, ResolveOptions } from './options.ts';
import { checkedName, pullByPolicy, pullImage, trustedImage } from './pull.ts';
import type { ImageReference } from './sources/reference.ts';
import type { ImageRecord } from './store/record.ts';
import type { ImageStore } from './store/store.ts';
import { obeyPolicyForPath, storedVerdict } from './trust/policy/check.ts';

/** The image of a name where there is a policy file: what was let in by this very policy runs at once. Throws TRUST_*, IMAGE_*, REGISTRY_*, STORE_*. */
export async function imageByPolicy(text: string, path: string, policy: PullPolicy, options: ResolveOptions & { store: ImageStore }): Promise<ImageRecord> {
  const { store } = options;
  const stored = store.find(text);
  if (stored !== undefined && isId(stored, text)) return storedById(stored, path, store);
  let record = stored;
  if (options.contentTrust === true) record = await trustedImage(text, policy, options);
  else if (policy !== 'never' && (stored === undefined || policy !== 'missing')) record = await pullByPolicy(text, stored, policy, options);
  if (record === undefined) throw store.notFound(text, 'it is no path either');
  const full = await checkedName(text);
  if (storedVerdict(path, full, store.stampOf(full, record.id)) === 'yes') return record;
  if (policy === 'never') throw unchecked(full, path);
  // Nothing of its layers is fetched again: its signatures are.
  return (await pullImage(text, options)).record;
}

function isId(record: ImageRecord, text: string): boolean {
  return /^(sha\d+:)?[0-9a-f]{4,}$/.test(text) && record.id.replace(/^sha\d+:/, '').startsWith(text.replace(/^sha\d+:/, ''));
}

/** An id means what one of its image's names may. */
function storedById(record: ImageRecord, path: string, store: ImageStore): ImageRecord {
  let refused = unchecked(record.id, path);
  for (const name of store.named(record.id).names) {
    try {
      if (storedVerdict(path, name, store.stampOf(name, record.id)) === 'yes') return record;
    } catch (error) {
      if (!(error instanceof VmmError) || error.code !== 'TRUST_REJECTED') throw error;
      refused = error;
    }
  }
  throw refused;
}

function unchecked(what: string, path: string): VmmError {
  return new VmmError('TRUST_REJECTED', `${what} may not be used: it was not let in by ${path} as it is now`, { hint: 'pull it again, so that its signatures are looked at' });
}

/** Throws TRUST_REJECTED, TRUST_CONFIG for a path or an ACI that the policy does not let through; an ACI's name or address is a scope of `appc`. */
export function sourceByPolicy(reference: Exclude<ImageReference, { kind: 'name' }>, policyFile: string): void {
  if ('name' in reference) {
    obeyPolicyForPath(policyFile, 'appc', reference.name);
    return;
  }
  const path = resolve(reference.path);
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  obeyPolicyForPath(policyFile, reference.kind === 'path' ? (isDirectory ? 'dir' : 'tarball') : reference.kind, path);
}
