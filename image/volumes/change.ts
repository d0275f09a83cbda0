import { randomBytes } from 'node:crypto';
import { closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { changeStore, type StoreChange } from '../store/change.ts';
import { tryLock } from '../store/lock.ts';
import { cannotChange } from '../store/paths.ts';
import type { ImageStore } from '../store/store.ts';
import { DATA, findVolume, listVolumes, noSuchVolume, RECORD, type StoredVolume, VOLUMES, VolumeFolder, volumePath } from './folder.ts';
import { checkVolumeName, recordText, type VolumeDevice, type VolumeRecord } from './record.ts';
import { removeTree } from './remove-tree.ts';

/** A volume that is being made or removed, by a process that lives or not: volumes appear and go by rename. No name of a volume begins so. */
const UNFINISHED = /^\.(new|gone)-[0-9a-f]{16}$/;

export interface NewVolume {
  /** 64 random hex digits, as Docker's anonymous volumes. */
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Its quota, bytes. */
  readonly size?: number | undefined;
  /** What its uses mount instead of its own directory. */
  readonly device?: VolumeDevice | undefined;
}

/** Makes a volume; one of this name that is there stays as it is. Throws VOLUME_NAME, STORE_*. */
export async function createVolume(store: ImageStore, { name, labels = {}, size, device }: NewVolume): Promise<StoredVolume> {
  const record: VolumeRecord = { name: name === undefined ? randomBytes(32).toString('hex') : checkVolumeName(name), created: new Date().toISOString(), labels, anonymous: name === undefined, ...(size === undefined ? {} : { size }), ...(device === undefined ? {} : { device }) };
  const there = findVolume(store.paths, record.name);
  if (there !== undefined) return there;
  await changeStore(store, (change) => {
    const folder = openFolder(change);
    try {
      // Somebody else may have made it before the lock was had.
      if (findVolume(store.paths, record.name) === undefined) make(store, folder, record);
    } finally {
      closeSync(folder);
    }
  });
  const made = findVolume(store.paths, record.name);
  if (made === undefined) throw new VmmError('STORE_FOREIGN', `${store.paths.root}/${VOLUMES}/${record.name} is no volume: it has no record of vmm's`, { hint: 'nothing was changed; move it away, or use another name' });
  return made;
}

/** Removes a volume that nobody uses; the bytes freed. Throws VOLUME_NOT_FOUND, VOLUME_BUSY, STORE_*. */
export async function removeVolume(store: ImageStore, name: string): Promise<number> {
  if (findVolume(store.paths, name) === undefined) throw noSuchVolume(name);
  const open: { close(): void }[] = [];
  try {
    const { volumes, gone } = await changeStore(store, async (change) => {
      const folder = openFolder(change);
      open.push({ close: () => closeSync(folder) });
      const volume = openVolumeFolder(store, name);
      open.push(volume);
      return { volumes: folder, gone: await takeAway(store, folder, volume, name) };
    });
    // Without the store's lock, for a large one takes a while; but with its own, so that nobody else sweeps it.
    return await removeTree(`/proc/self/fd/${volumes}`, gone);
  } catch (cause) {
    throw cannotChange(store.paths, cause);
  } finally {
    for (const file of open) file.close();
  }
}

/** Removes all volumes that nobody uses and `wanted` takes. */
export async function pruneVolumes(store: ImageStore, wanted: (volume: VolumeRecord) => boolean): Promise<{ names: string[]; freed: number }> {
  const names: string[] = [];
  let freed = 0;
  for (const { record } of listVolumes(store.paths)) {
    if (!wanted(record)) continue;
    try {
      freed += await removeVolume(store, record.name);
      names.push(record.name);
    } catch (error) {
      if (!(error instanceof VmmError) || !/^VOLUME_(BUSY|NOT_FOUND)$/.test(error.code)) throw error;
    }
  }
  return { names, freed: freed + (await sweep(store)) };
}

/** Whether a run uses it: somebody holds its lock. */
export async function isVolumeUsed(store: ImageStore, name: string): Promise<boolean> {
  let folder: VolumeFolder;
  try {
    folder = new VolumeFolder(volumePath(store.paths, name));
  } catch {
    return false; // gone meanwhile
  }
  try {
    return !(await tryLock(folder.fd, store.host));
  } finally {
    folder.close();
  }
}

/** What dead processes left goes; the bytes freed. */
async function sweep(store: ImageStore): Promise<number> {
  if (lstatSync(`${store.paths.root}/${VOLUMES}`, { throwIfNoEntry: false }) === undefined) return 0;
  return changeStore(store, async (change) => {
    const volumes = openFolder(change);
    try {
      let freed = 0;
      for (const name of readdirSync(`/proc/self/fd/${volumes}`)) if (UNFINISHED.test(name)) freed += await sweepOne(store, volumes, name);
      return freed;
    } finally {
      closeSync(volumes);
    }
  });
}

async function sweepOne(store: ImageStore, volumes: number, name: string): Promise<number> {
  let folder: VolumeFolder;
  try {
    folder = new VolumeFolder(`/proc/self/fd/${volumes}/${name}`);
  } catch {
    return 0; // removed meanwhile, or no directory and so not ours
  }
  try {
    return (await tryLock(folder.fd, store.host)) ? await removeTree(`/proc/self/fd/${volumes}`, name) : 0;
  } finally {
    folder.close();
  }
}

/** The folder of volumes, made where there is none; never through a link. */
function openFolder(change: StoreChange): number {
  const path = `/proc/self/fd/${change.root}/${VOLUMES}`;
  makeFolders(path);
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw cause;
    throw new VmmError('STORE_FOREIGN', `${VOLUMES} in the image store is not a directory`, { cause, hint: 'nothing was changed; links are not followed there: bind-mount it, or set VMM_STORE' });
  }
}

/** Whole or not at all. */
function make(store: ImageStore, folder: number, record: VolumeRecord): void {
  const at = `/proc/self/fd/${folder}`;
  const fresh = `.new-${randomBytes(8).toString('hex')}`;
  // Whose ids containers have here is nobody of this host: only the store's owner gets through.
  mkdirSync(`${at}/${fresh}`, { mode: 0o700 });
  mkdirSync(`${at}/${fresh}/${DATA}`, { mode: 0o755 });
  writeFileSync(`${at}/${fresh}/${RECORD}`, recordText(record), { flag: 'wx', mode: 0o600 });
  try {
    renameSync(`${at}/${fresh}`, `${at}/${record.name}`);
  } catch (error) {
    // Somebody else's; `fresh` is swept later.
    if (!/^(ENOTEMPTY|EEXIST|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw cannotChange(store.paths, error);
  }
}

function openVolumeFolder(store: ImageStore, name: string): VolumeFolder {
  try {
    return new VolumeFolder(volumePath(store.paths, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noSuchVolume(name);
    throw error;
  }
}

/** Out of the way under another name; nobody can use it then. */
async function takeAway(store: ImageStore, volumes: number, volume: VolumeFolder, name: string): Promise<string> {
  if (!(await tryLock(volume.fd, store.host))) throw new VmmError('VOLUME_BUSY', `remove ${name}: volume is in use`, { hint: 'a vmm that runs has it mounted' });
  const stranger = volume.stranger();
  if (stranger !== undefined) throw new VmmError('STORE_FOREIGN', `remove ${name}: ${JSON.stringify(stranger.slice(0, 200))} in its folder is not vmm's`, { hint: 'nothing was changed; move it away first' });
  const gone = `.gone-${randomBytes(8).toString('hex')}`;
  renameSync(`/proc/self/fd/${volumes}/${name}`, `/proc/self/fd/${volumes}/${gone}`);
  return gone;
}
