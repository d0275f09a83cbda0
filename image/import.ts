import { VmmError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { accountsOf } from './rootfs/accounts.ts';
import { EarlierImage } from './erofs/earlier.ts';
import { writeErofsTo } from './erofs/writer.ts';
import { EMPTY_CONFIG } from './documents/config.ts';
import { buildRootfs } from './rootfs/build.ts';
import { type DirectoryTree, type Skipped, treeFromDirectory } from './rootfs/dir.ts';
import type { ImportNotes } from './rootfs/layers.ts';
import type { DirectorySource } from './sources/open.ts';
import type { ImageSource } from './sources/source.ts';
import { keptManifest } from './store/blobs.ts';
import { changeStore, type StoreChange, type TemporaryFile } from './store/change.ts';
import { Intake } from './store/intake.ts';
import { keepImage } from './keep.ts';
import { type ImageRecord, RECORD_VERSION } from './store/record.ts';
import { type ImageStore, isImageName, signaturesOf } from './store/store.ts';
import type { FileStamp } from './tree/content.ts';
import type { LoadHost } from './tree/host.ts';
import { quoteName } from './tree/names.ts';
import type { Progress } from './tree/progress.ts';

/** Images that were made under the same words are looked at, at most. */
const EARLIER_MAX = 8;

/** What an import is asked for. */
export interface ImportJob {
  readonly store: ImageStore;
  /** Opens what is to be imported; `tempDir` makes the folder for its temporary files, and the store where there is none. */
  open(tempDir: () => Promise<string>): Promise<ImageSource | DirectorySource>;
  /** The reference as the user wrote it. */
  readonly text: string;
  readonly host: LoadHost | undefined;
  readonly progress: Progress | undefined;
  /** What to call the image, of the names that it gives itself. The store's lock is held. */
  names(own: readonly string[]): readonly string[];
  /** Keeps manifest, configuration and layers as they come, for push and save; else the disk alone. */
  readonly intake?: Intake;
  /** What the names stand for at their registry. */
  readonly digest?: string;
  /** The policy by which it was let in. */
  stamp?(): string | undefined;
  /** What was seen of the signatures of what the names stand for: a later policy is held against it. */
  signatures?(): string | undefined;
  /** How the source looks, once it has been read, if that tells whether it changes; undefined: it is not to be noted. */
  identity(): Promise<string | undefined>;
  /** For how long the source holds it: a line that is noted with its identity. */
  freshness?(): string;
}

/** What an import notes of its source beside the image itself. */
type Origin = Pick<ImageRecord, 'config' | 'created' | 'aciManifest' | 'signedBy'>;

export interface Imported {
  readonly record: ImageRecord;
  /** What it is called now. */
  readonly names: readonly string[];
  /** What was left out or found odd without being an error, a line each. */
  readonly notes: readonly string[];
}

/** An image that was read so far that its record is known but for the size of its disk. */
interface Draft {
  readonly record: Omit<ImageRecord, 'size'>;
  readonly names: readonly string[];
  readonly identity: string | undefined;
  readonly accounts: ImageSource['accounts'];
}

/**
 * Imports one image into the store; layers that are there already are not read again. What counts on something in the
 * store, a disk or a record, and what makes it known happen under one hold of the lock: nobody removes it in between.
 * Throws IMAGE_*, STORE_*.
 */
export async function importSource(job: ImportJob): Promise<Imported> {
  const source = await job.open(() => temporaryFolder(job.store));
  if ('directory' in source) return importDirectory(job, source.directory);
  try {
    return await importLayers(job, source);
  } finally {
    await source.close();
  }
}

/** Makes the store where there is none. */
async function temporaryFolder(store: ImageStore): Promise<string> {
  await changeStore(store, (change) => change.sweepTemporary());
  return store.paths.tmp;
}

async function importLayers(job: ImportJob, source: ImageSource): Promise<Imported> {
  const { store, intake } = job;
  const key = contentKey(source);
  const drafted: Draft = { record: recordOf(source.id, key, job.text, source), names: source.names.filter(isImageName), identity: await job.identity(), accounts: source.accounts };
  const there = await changeStore(store, (change) => reuse(change, job, drafted));
  if (there !== undefined && (await keepsEnough(job, source, there.record))) return there;
  const manifest = intake === undefined || source.packed === undefined ? undefined : await keepImage(source, source.packed, intake);
  const draft: Draft = { ...drafted, record: { ...drafted.record, ...(manifest === undefined ? {} : { manifest }) } };
  if (there !== undefined) return addLayers(job, source, draft);
  const notes: string[] = [];
  const imported = await withDisk(job, draft, async (file) => {
    const built = await buildRootfs({
      layers: source.layers, out: { fd: file.fd, name: store.rootfsPath(key) }, tempDir: store.paths.tmp, contentKey: key, hash: false, ...progressOf(job), ...(source.adjust === undefined ? {} : { adjust: source.adjust }),
    });
    notes.push(...layerNotes(built.notes));
    return built.size;
  });
  return { ...imported, notes };
}

/** True when the store has all of an image that the job wants kept. */
async function keepsEnough({ store, intake }: ImportJob, { packed }: ImageSource, record: ImageRecord): Promise<boolean> {
  if (intake === undefined || packed === undefined) return true;
  const kept = keptManifest(store.paths, record);
  if (kept === undefined || (packed.manifest !== undefined && !kept.bytes.equals(packed.manifest))) return false;
  return Intake.has(store, [...kept.layers, kept.config]);
}

/** The disk is there, its layers are not: they are fetched, or were copied, to be kept. */
async function addLayers(job: ImportJob, source: ImageSource, draft: Draft): Promise<Imported> {
  for (const { data } of source.layers) if (Symbol.asyncIterator in data) for await (const _ of data);
  return changeStore(job.store, (change) => {
    const size = change.wholeDisk(draft.record.rootfs);
    if (size === undefined) throw new VmmError('STORE_WRITE', `${job.store.paths.root}: the image was removed meanwhile`, { hint: 'try again' });
    const record = { ...draft.record, size };
    job.intake?.commit(change);
    change.put(record);
    return { ...named(change, job, draft, record), notes: [] };
  });
}

async function importDirectory(job: ImportJob, path: string): Promise<Imported> {
  const host = await job.host?.();
  let earlier: EarlierImage | undefined;
  try {
    const walked = treeFromDirectory(path, {
      ...(host === undefined ? {} : { host }),
      earlier: (root) => {
        earlier = earlierImage(job, root);
        return earlier;
      },
    });
    return await importTree(job, walked, host !== undefined);
  } finally {
    earlier?.close();
  }
}

/** The youngest image of the directory that the store has: what has not changed since is taken from it. */
function earlierImage({ store, text }: ImportJob, root: FileStamp): EarlierImage | undefined {
  const images = store.list().map(({ record }) => record).filter(({ source }) => source === text);
  images.sort((a, b) => (a.imported < b.imported ? 1 : -1));
  for (const { rootfs } of images.slice(0, EARLIER_MAX)) {
    const found = EarlierImage.open(store.rootfsPath(rootfs), root);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function importTree(job: ImportJob, { tree, fingerprint, origin, skipped, skippedCount }: DirectoryTree, attributes: boolean): Promise<Imported> {
  const { store } = job;
  // Without the FFI library attributes are missing: that is another image.
  const id = `sha256:${sha256(attributes ? fingerprint : `${fingerprint} without attributes`)}`;
  const key = hexKey(id);
  // Nothing but a walk tells whether a directory has changed: it has no identity.
  const draft: Draft = { record: recordOf(id, key, job.text, { config: EMPTY_CONFIG, created: undefined }), names: [], identity: undefined, accounts: undefined };
  // A second run of it has nothing to change in the store, and takes no lock.
  const found = store.get(id);
  if (found?.rootfs === key && found.version === RECORD_VERSION && job.names([]).length === 0) return { record: found, names: [], notes: [] };
  await temporaryFolder(store);
  const there = await changeStore(store, (change) => reuse(change, job, draft));
  if (there !== undefined) return there;
  const imported = await withDisk(job, draft, (file) => writeErofsTo(tree, file.fd, store.rootfsPath(key), { contentKey: key, hash: false, origin, ...progressOf(job) }).size);
  return { ...imported, notes: skippedNotes(skipped, skippedCount) };
}

function recordOf(id: string, rootfs: string, source: string, { config, created, aciManifest, signedBy }: Origin): Draft['record'] {
  const aci = { ...(aciManifest === undefined ? {} : { aciManifest }), ...(signedBy === undefined ? {} : { signedBy }) };
  return { version: RECORD_VERSION, id, rootfs, config, created, imported: new Date().toISOString(), source, ...aci };
}

/** The record of a disk that is there. Throws IMAGE_NOT_FOUND when it is to run as the owner of a file that it has not. */
function wholeRecord({ record, accounts }: Draft, disk: string, size: number): ImageRecord {
  return accounts === undefined ? { ...record, size } : { ...record, size, config: { ...record.config, user: accountsOf(disk, accounts) } };
}

/** Takes the image as the store has it, or its disk with a record of its own. */
function reuse(change: StoreChange, job: ImportJob, draft: Draft): Imported | undefined {
  const found = job.store.get(draft.record.id);
  // An image that depends on others may have another disk by now.
  const known = found?.rootfs === draft.record.rootfs ? found : undefined;
  const size = known?.size ?? change.wholeDisk(draft.record.rootfs);
  if (size === undefined) return undefined;
  const { signedBy } = draft.record;
  // What was once verified stays so; what is now, is.
  const current = known?.version === RECORD_VERSION && signedBy !== undefined && known.signedBy === undefined ? { ...known, signedBy } : known;
  const record = current?.version === RECORD_VERSION ? current : wholeRecord(draft, job.store.rootfsPath(draft.record.rootfs), size);
  if (record !== known) change.put(record);
  return { ...named(change, job, draft, record), notes: [] };
}

/** Has the disk written while others may use the store, then makes it and the image known. */
async function withDisk(job: ImportJob, draft: Draft, write: (file: TemporaryFile) => number | Promise<number>): Promise<Omit<Imported, 'notes'>> {
  const file = await changeStore(job.store, (change) => change.temporary());
  try {
    const size = await write(file);
    return await changeStore(job.store, async (change) => {
      await change.addDisk(draft.record.rootfs, file);
      job.intake?.commit(change);
      const record = wholeRecord(draft, `/proc/self/fd/${file.fd}`, size);
      change.put(record);
      return named(change, job, draft, record);
    });
  } finally {
    file.discard();
  }
}

function named(change: StoreChange, job: ImportJob, draft: Draft, record: ImageRecord): Omit<Imported, 'notes'> {
  const names = job.names(draft.names);
  const signatures = job.signatures?.();
  for (const name of names) {
    change.setName(name, record.id, job.digest, job.stamp?.());
    if (signatures !== undefined) change.setSource(signaturesOf(name), record.id, signatures);
  }
  if (draft.identity !== undefined) change.setSource(draft.identity, record.id, job.freshness?.());
  return { record, names };
}

/** Images that differ in their configuration alone share a disk: it is keyed by the chain of layers, where that says all about it. */
function contentKey(source: ImageSource): string {
  if (source.content !== undefined) return hexKey(source.content);
  if (source.chainId === undefined || source.adjust !== undefined) return hexKey(source.id);
  return source.chainId === '' ? sha256('no layers') : hexKey(source.chainId);
}

function progressOf({ progress }: ImportJob): { progress?: Progress } {
  return progress === undefined ? {} : { progress };
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

/** A digest as a file's name. */
function hexKey(digest: string): string {
  return digest.replace(/^sha(256|512):/, '').slice(0, 64);
}
