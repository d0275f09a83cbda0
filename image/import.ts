import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { buildRootfs } from './build.ts';
import { EMPTY_CONFIG } from './config.ts';
import { fingerprintDirectory, type HostFs, treeFromDirectory } from './dir.ts';
import { writeErofs } from './erofs/writer.ts';
import { openSource } from './open.ts';
import type { ImageReference } from './reference.ts';
import type { ImageSource } from './sources/source.ts';
import type { ImageRecord } from './store/record.ts';
import type { ImageStore } from './store/store.ts';

/** Imports one image into the store; an image that is there already is not read again. */
export async function importSource(
  store: ImageStore,
  reference: Exclude<ImageReference, { kind: 'name' }>,
  text: string,
  host: (() => Promise<HostFs | undefined>) | undefined,
): Promise<{ record: ImageRecord; names: readonly string[] }> {
  const source = await openSource(reference, store.paths.tmp);
  if ('directory' in source) return { record: await importDirectory(store, source.directory, text, await host?.()), names: [] };
  try {
    const known = store.get(source.id);
    if (known !== undefined) return { record: known, names: source.names };
    return { record: await importLayers(store, source, text), names: source.names };
  } finally {
    source.close();
  }
}

async function importLayers(store: ImageStore, source: ImageSource, text: string): Promise<ImageRecord> {
  // Images that differ in their configuration alone share a disk: it is keyed by the chain of layers.
  const key = hexOf(source.chainId ?? source.id);
  const out = store.rootfsPath(key);
  let size: number;
  if (existsSync(out)) {
    size = statSync(out).size;
  } else {
    ({ size } = await buildRootfs({ layers: source.layers, out, tempDir: store.paths.tmp }));
  }
  const record: ImageRecord = {
    version: 1, id: source.id, rootfs: key, size, config: source.config, created: source.created, imported: new Date().toISOString(), source: text,
  };
  store.put(record);
  return record;
}

async function importDirectory(store: ImageStore, path: string, text: string, host: HostFs | undefined): Promise<ImageRecord> {
  const options = host === undefined ? {} : { host };
  const id = `sha256:${createHash('sha256').update(fingerprintDirectory(path, options)).digest('hex')}`;
  const known = store.get(id);
  if (known !== undefined) return known;
  const { tree } = treeFromDirectory(path, options);
  const key = hexOf(id);
  const { size } = writeErofs(tree, store.rootfsPath(key), { contentKey: key });
  const record: ImageRecord = {
    version: 1, id, rootfs: key, size, config: EMPTY_CONFIG, created: undefined, imported: new Date().toISOString(), source: text,
  };
  store.put(record);
  return record;
}

function hexOf(digest: string): string {
  return digest.replace(/^sha(256|512):/, '').slice(0, 64);
}
