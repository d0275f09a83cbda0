import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../base/errors.ts';
import { importSource } from './import.ts';
import { buildRootfs } from './rootfs/build.ts';
import { fromDocument } from './sources/oci.ts';
import type { ImageSource } from './sources/source.ts';
import { keptManifest, readBlob } from './store/blobs.ts';
import { changeStore } from './store/change.ts';
import { blobName, diskName } from './store/forms.ts';
import { checkStore, type Finding } from './store/fsck.ts';
import type { ImageRecord } from './store/record.ts';
import type { ImageStore } from './store/store.ts';
import { openNameless } from './tree/nameless.ts';

export interface FsckOptions {
  /** Removes what is damaged, and makes disks again whose layers are there. */
  readonly repair: boolean;
  /** Makes each disk again of its kept layers, and compares. */
  readonly data: boolean;
}

/** Checks a store, and mends it if asked. Returns a line for each fault, with what was done. Throws STORE_*. */
export async function fsckStore(store: ImageStore, { repair, data }: FsckOptions): Promise<{ text: string; mended: boolean }[]> {
  const findings = checkStore(store);
  if (data) {
    const known = new Set(findings.map(({ file }) => file));
    for (const { record } of store.list()) {
      if (!known.has(diskName(record.rootfs)) && !(await isAsItsLayers(store, record))) findings.push({ kind: 'disk', file: diskName(record.rootfs), text: `image ${record.id.replace(/^sha\d+:/, '').slice(0, 12)}: its disk is not what its layers give`, record });
    }
  }
  const told: { text: string; mended: boolean }[] = [];
  // Disks last: what they would be made of has been looked at.
  const order = ['blob', 'record', 'missing', 'disk', 'name', 'source'];
  for (const finding of [...findings].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))) {
    const done = repair ? await mend(store, finding) : undefined;
    told.push({ text: done === undefined ? finding.text : `${finding.text}; ${done}`, mended: done !== undefined });
  }
  return told;
}

/** What was done about it; undefined for nothing. */
async function mend(store: ImageStore, { kind, file, record }: Finding): Promise<string | undefined> {
  if (kind === 'missing') return undefined;
  if (kind === 'disk' && record !== undefined) {
    const source = await sourceOf(store, record).catch(() => undefined);
    await changeStore(store, (change) => change.removeDamaged('rootfs', file));
    if (source === undefined) return 'removed: its layers are not there';
    try {
      await importSource({ store, text: record.source, host: store.host, progress: undefined, open: async () => source, names: () => [], identity: async () => undefined });
      // The record as it was, with what it knew of its manifest and its source.
      await changeStore(store, (change) => change.put({ ...record, size: store.get(record.id)?.size ?? record.size }));
      return 'made again of its layers';
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      return `removed: it cannot be made again (${error.message})`;
    }
  }
  const folder = ({ blob: 'blobs', record: 'images', name: 'names' } as const)[kind as 'blob'];
  await changeStore(store, (change) => change.removeDamaged(folder, file));
  return 'removed';
}

/** An image's kept layers as something to import; undefined where the disk was not made of them. */
async function sourceOf(store: ImageStore, record: ImageRecord): Promise<ImageSource | undefined> {
  const kept = keptManifest(store.paths, record);
  if (kept === undefined || kept.config.digest !== record.id) return undefined;
  const blobs = {
    name: 'the store',
    document: async (digest: string) => {
      const bytes = readBlob(store.paths, digest);
      if (bytes === undefined) throw new VmmError('IMAGE_NOT_FOUND', `${digest} is not in the store`);
      return bytes;
    },
    layer: (digest: string) => ({ path: join(store.paths.blobs, blobName(digest)) }),
  };
  return fromDocument({ bytes: kept.bytes, mediaType: kept.mediaType, what: kept.digest }, { blobs, manifest: undefined, base: '', close: () => {} }, []);
}

/** Equal layers give equal disks, byte for byte. True where there is nothing to compare with. */
async function isAsItsLayers(store: ImageStore, record: ImageRecord): Promise<boolean> {
  const source = await sourceOf(store, record).catch(() => undefined);
  if (source === undefined) return true;
  const again = await changeStore(store, () => openNameless(store.paths.tmp));
  const disk = openSync(store.rootfsPath(record.rootfs), 'r');
  try {
    await buildRootfs({ layers: source.layers, out: { fd: again, name: 'a disk to compare with' }, tempDir: store.paths.tmp, contentKey: record.rootfs, hash: false, fsync: false });
    return sameBytes(disk, again);
  } catch (error) {
    // Damaged layers are told as such.
    if (error instanceof VmmError) return true;
    throw error;
  } finally {
    closeSync(again);
    closeSync(disk);
  }
}

function sameBytes(a: number, b: number): boolean {
  const [one, other] = [Buffer.allocUnsafe(1 << 20), Buffer.allocUnsafe(1 << 20)];
  for (let at = 0; ; ) {
    const n = readSync(a, one, 0, one.length, at);
    const m = readSync(b, other, 0, other.length, at);
    if (n !== m || !one.subarray(0, n).equals(other.subarray(0, m))) return false;
    if (n === 0) return true;
    at += n;
  }
}
