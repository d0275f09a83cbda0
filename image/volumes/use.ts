import { lstatSync, readdirSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../../base/errors.ts';
import { tryLock } from '../store/lock.ts';
import { cannotChange } from '../store/paths.ts';
import type { ImageStore } from '../store/store.ts';
import { createVolume, type NewVolume } from './change.ts';
import { copyFromImage, imageHasDirectory } from './fill.ts';
import { DATA, FILLING, VolumeFolder, volumePath } from './folder.ts';
import type { VolumeRecord } from './record.ts';
import { removeTree } from './remove-tree.ts';

const TRY_MS = 10;
/** Of those who only look whether a volume is used, too: they hold its lock for a moment. */
const TRIES_UNTOLD = 20;

/** A volume that this process uses: nobody can remove it before `close`, or the end of the process, however it ends. */
export interface OpenVolume extends Disposable {
  readonly record: VolumeRecord;
  /** Its content. */
  readonly path: string;
  /** The descriptor whose lock keeps it. */
  readonly fd: number;
  close(): void;
}

export interface VolumeUse extends NewVolume {
  readonly name: string;
  /** What an empty one is filled from: a directory of an image's disk, if there is one. */
  readonly from?: { readonly disk: string; readonly path: string } | undefined;
  /** One line for the user. */
  readonly note?: ((text: string) => void) | undefined;
}

/** Makes a volume where there is none, fills an empty one, and keeps it from being removed. Throws VOLUME_NAME, STORE_*. */
export async function openVolume(store: ImageStore, use: VolumeUse): Promise<OpenVolume> {
  for (;;) {
    const { record, path } = await createVolume(store, use);
    let folder: VolumeFolder;
    try {
      folder = new VolumeFolder(volumePath(store.paths, use.name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue; // removed again
      throw cannotChange(store.paths, error);
    }
    try {
      if (record.device === undefined) await fillWhenEmpty(store, folder, use);
      await shareLock(store, folder, use);
      if (folder.isCurrent()) {
        isEmpty(folder); // it is a directory
        return { record, path, fd: folder.fd, close: () => folder.close(), [Symbol.dispose]: () => folder.close() };
      }
    } catch (error) {
      folder.close();
      throw cannotChange(store.paths, error);
    }
    folder.close();
  }
}

async function shareLock(store: ImageStore, folder: VolumeFolder, { name, note }: VolumeUse): Promise<void> {
  for (let tries = 0; !(await tryLock(folder.fd, store.host, 'shared')); tries++) {
    if (tries === TRIES_UNTOLD) note?.(`the volume ${name} is being filled or removed by another vmm: waiting for it`);
    await sleep(TRY_MS);
  }
}

/**
 * As Docker: whenever a run begins with an empty volume. While others use it nothing is done. The copy takes the empty directory's place
 * by one rename(2), so that a volume has all of the image's content or none, whatever ends the process.
 */
async function fillWhenEmpty(store: ImageStore, folder: VolumeFolder, { name, from, note }: VolumeUse): Promise<void> {
  if (from === undefined || !isEmpty(folder) || !imageHasDirectory(from.disk, from.path)) return;
  for (let tries = 0; !(await tryLock(folder.fd, store.host)); tries++) {
    if (tries === TRIES_UNTOLD) return;
    await sleep(TRY_MS);
  }
  if (!folder.isCurrent() || !isEmpty(folder)) return;
  await removeTree(folder.path('.'), FILLING);
  const host = await store.host?.();
  try {
    const filled = await copyFromImage(from.disk, from.path, folder.path(FILLING), { host, owners: process.getuid?.() === 0 });
    renameSync(folder.path(FILLING), folder.path(DATA));
    if (filled.incomplete > 0) note?.(`the volume ${name} has ${filled.entries} entries of the image, ${filled.incomplete} of them without an attribute or owner that cannot be kept here`);
  } catch (error) {
    await removeTree(folder.path('.'), FILLING);
    throw error;
  }
}

function isEmpty(folder: VolumeFolder): boolean {
  try {
    if (!lstatSync(folder.path(DATA)).isDirectory()) throw new VmmError('STORE_FOREIGN', `${DATA} of a volume is no directory`, { hint: 'nothing was changed; remove the volume with `vmm volume rm`' });
    return readdirSync(folder.path(DATA)).length === 0;
  } catch (error) {
    if (error instanceof VmmError) throw error;
    throw new VmmError('STORE_READ', `the volume's content cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`, { cause: error, hint: 'remove it with `vmm volume rm`' });
  }
}
