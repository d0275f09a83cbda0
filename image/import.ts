import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { buildRootfs } from './rootfs/build.ts';
import { EMPTY_CONFIG } from './documents/config.ts';
import { type HostFs, type Skipped, treeFromDirectory } from './rootfs/dir.ts';
import { ErofsImage } from './erofs/reader.ts';
import { writeErofs } from './erofs/writer.ts';
import type { ImportNotes } from './rootfs/layers.ts';
import { openSource } from './sources/open.ts';
import type { PathReference } from './sources/reference.ts';
import type { ImageSource } from './sources/source.ts';
import { quoteName } from './tree/names.ts';
import type { ImageRecord } from './store/record.ts';
import { type ImageStore, isImageName } from './store/store.ts';

export interface Imported {
  readonly record: ImageRecord;
  /** Usable names that the image gives itself. */
  readonly names: readonly string[];
  /** What was left out or found odd without being an error, a line each. */
  readonly notes: readonly string[];
  /** False for a plain directory: nothing but a walk tells whether it has changed. */
  readonly layered: boolean;
}

/** Imports one image into the store; layers that are there already are not read again. `text` is the reference as the user wrote it. */
export async function importSource(store: ImageStore, reference: PathReference, text: string, host: (() => Promise<HostFs | undefined>) | undefined): Promise<Imported> {
  const source = await openSource(reference, store.paths.tmp);
  if ('directory' in source) return importDirectory(store, source.directory, text, await host?.());
  try {
    const names = source.names.filter(isImageName);
    const known = store.get(source.id);
    if (known !== undefined) return { record: known, names, notes: [], layered: true };
    return { ...(await importLayers(store, source, text)), names, layered: true };
  } finally {
    source.close();
  }
}

async function importLayers(store: ImageStore, source: ImageSource, text: string): Promise<{ record: ImageRecord; notes: string[] }> {
  const key = contentKey(source);
  const out = store.rootfsPath(key);
  const notes: string[] = [];
  let size: number;
  if (isWhole(out)) {
    ({ size } = statSync(out));
  } else {
    const built = await buildRootfs({
      layers: source.layers, out, tempDir: store.paths.tmp, contentKey: key, ...(source.adjust === undefined ? {} : { adjust: source.adjust }),
    });
    size = built.size;
    notes.push(...layerNotes(built.notes));
  }
  const record: ImageRecord = {
    version: 1, id: source.id, rootfs: key, size, config: source.config, created: source.created, imported: new Date().toISOString(), source: text,
  };
  store.put(record);
  return { record, notes };
}

/** A disk appears whole, but a power cut or a full disk may have cut it since. */
function isWhole(disk: string): boolean {
  if (!existsSync(disk)) return false;
  try {
    const image = new ErofsImage(disk);
    image.close();
    return image.whole;
  } catch {
    return false;
  }
}

/** Images that differ in their configuration alone share a disk: it is keyed by the chain of layers, where that says all about it. */
function contentKey(source: ImageSource): string {
  if (source.chainId === undefined || source.adjust !== undefined) return hexKey(source.id);
  return source.chainId === '' ? sha256('no layers') : hexKey(source.chainId);
}

async function importDirectory(store: ImageStore, path: string, text: string, host: HostFs | undefined): Promise<Imported> {
  const { tree, fingerprint, skipped, skippedCount } = treeFromDirectory(path, host === undefined ? {} : { host });
  // Without the FFI library attributes are missing: that is another image.
  const id = `sha256:${sha256(host === undefined ? `${fingerprint} without attributes` : fingerprint)}`;
  const known = store.get(id);
  if (known !== undefined) return { record: known, names: [], notes: [], layered: false };
  const key = hexKey(id);
  const { size } = writeErofs(tree, store.rootfsPath(key), { contentKey: key });
  const record: ImageRecord = {
    version: 1, id, rootfs: key, size, config: EMPTY_CONFIG, created: undefined, imported: new Date().toISOString(), source: text,
  };
  store.put(record);
  return { record, names: [], notes: skippedNotes(skipped, skippedCount), layered: false };
}

function layerNotes({ droppedXattrs, missingEndMarkers }: ImportNotes): string[] {
  const notes: string[] = [];
  if (missingEndMarkers > 0) notes.push(`${missingEndMarkers} of the image's archives end without an end marker: they may be cut off`);
  if (droppedXattrs > 0) notes.push(`${droppedXattrs} extended attributes were left out: EROFS cannot hold them, or they belong to overlayfs`);
  return notes;
}

function skippedNotes(skipped: readonly Skipped[], count: number): string[] {
  if (count === 0) return [];
  const first = skipped[0] as Skipped;
  return [`${count} ${count === 1 ? 'thing of the directory was' : 'things of the directory were'} left out (sockets, what other file systems hold, unusable attributes), first ${quoteName(first.path)}: ${first.reason}`];
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A digest as a file's name. */
function hexKey(digest: string): string {
  return digest.replace(/^sha(256|512):/, '').slice(0, 64);
}
