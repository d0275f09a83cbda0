import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { VmmError } from '../vmm/errors.ts';
import type { ImageProcessConfig } from './config.ts';
import type { HostFs } from './dir.ts';
import { type ImageReference, parseReference, REFERENCE_FORMS } from './reference.ts';
import { ImageStore } from './store/store.ts';
import type { ImageRecord } from './store/record.ts';

/** An image that is ready to run. */
export interface ResolvedImage {
  /** Path of the EROFS file; it may be removed once it is open. */
  readonly rootfs: string;
  readonly config: ImageProcessConfig;
}

export interface ResolveOptions {
  readonly store?: ImageStore;
  /** What Node cannot do: extended attributes, sparse files (vmm/host). */
  readonly host?: () => Promise<HostFs | undefined>;
}

/**
 * Finds the image that `reference` names, importing it when it has changed or was never seen. On the way to a second run
 * nothing but the source's stat fields and the record are read. Throws VmmError IMAGE_*, STORE_*.
 */
export async function resolveImage(reference: string, options: ResolveOptions = {}): Promise<ResolvedImage> {
  const store = options.store ?? new ImageStore();
  const parsed = parseReference(reference, existsSync);
  const record = parsed.kind === 'name' ? byName(store, parsed.name) : (knownSource(store, parsed) ?? (await importImage(reference, options)).record);
  store.touch(record);
  return { rootfs: store.rootfsPath(record.rootfs), config: record.config };
}

function byName(store: ImageStore, name: string): ImageRecord {
  const record = store.find(name);
  if (record === undefined) throw new VmmError('IMAGE_NOT_FOUND', `no image ${name}: not a path, and not in the store`, { hint: `give ${REFERENCE_FORMS}` });
  return record;
}

/** Imports what a reference names and records it under its own names and `names`. */
export async function importImage(reference: string, options: ResolveOptions = {}, names: readonly string[] = []): Promise<{ record: ImageRecord; names: readonly string[] }> {
  const store = options.store ?? new ImageStore();
  const parsed = parseReference(reference, existsSync);
  if (parsed.kind === 'name') throw new VmmError('IMAGE_NOT_FOUND', `${reference} is not a path`, { hint: `give ${REFERENCE_FORMS}` });
  store.prepare();
  const { importSource } = await import('./import.ts');
  const imported = await importSource(store, parsed, reference, options.host);
  const all = names.length > 0 ? names : imported.names;
  for (const name of all) store.setName(name, imported.record.id);
  const identity = sourceIdentity(parsed);
  // A directory's identity needs a walk of it; importSource does that itself.
  if (identity !== undefined) store.setSource(identity, imported.record.id);
  return { record: imported.record, names: all };
}

function knownSource(store: ImageStore, reference: Exclude<ImageReference, { kind: 'name' }>): ImageRecord | undefined {
  const identity = sourceIdentity(reference);
  return identity === undefined ? undefined : store.sourceImage(identity);
}

/** What tells whether a file, or an OCI layout by its index, is still the same; undefined for a plain directory. */
function sourceIdentity(reference: Exclude<ImageReference, { kind: 'name' }>): string | undefined {
  let path = resolve(reference.path);
  let stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat?.isDirectory()) {
    path = ['index.json', 'manifest.json'].map((name) => join(path, name)).find((file) => existsSync(file)) ?? '';
    if (path === '' || !(existsSync(join(path, '..', 'oci-layout')) || existsSync(join(path, '..', 'version')))) return undefined;
    stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  }
  if (stat === undefined) return undefined;
  const tag = 'tag' in reference ? (reference.tag ?? '') : '';
  return JSON.stringify([reference.kind, path, tag, stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].map(String));
}
