import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { readSmallFile } from '../store/folder.ts';
import { reading, type StorePaths } from '../store/paths.ts';
import { isVolumeName, parseVolumeRecord, type VolumeRecord } from './record.ts';

/** Of the store; not one of STORE_FOLDERS, whose files all are vmm's own: what a volume holds is its user's. */
export const VOLUMES = 'volumes';
/** What a volume's folder holds: its record; its content; and content that is not whole yet. */
export const RECORD = 'volume.json';
export const DATA = '_data';
export const FILLING = '_filling';
const OWN: ReadonlySet<string> = new Set([RECORD, DATA, FILLING]);

/** A volume as it is listed. */
export interface StoredVolume {
  readonly record: VolumeRecord;
  /** Its content. */
  readonly path: string;
}

export function volumePath(paths: StorePaths, name: string): string {
  return `${paths.root}/${VOLUMES}/${name}`;
}

/** The volumes of a store, by name. What has no record that can be understood is left out, and never touched. Throws STORE_READ. */
export function listVolumes(paths: StorePaths): StoredVolume[] {
  const names = reading(paths, () => readdirSync(`${paths.root}/${VOLUMES}`)) ?? [];
  return names.filter(isVolumeName).sort().flatMap((name) => findVolume(paths, name) ?? []);
}

/** Undefined where there is none. Throws STORE_READ. */
export function findVolume(paths: StorePaths, name: string): StoredVolume | undefined {
  if (!isVolumeName(name)) return undefined;
  const path = volumePath(paths, name);
  if (reading(paths, () => lstatSync(path))?.isDirectory() !== true) return undefined;
  const bytes = readSmallFile(paths, `${path}/${RECORD}`);
  try {
    return bytes === undefined ? undefined : { record: parseVolumeRecord(bytes, name), path: `${path}/${DATA}` };
  } catch (error) {
    if (error instanceof VmmError && error.code === 'IMAGE_BAD') return undefined;
    throw error;
  }
}

export function noSuchVolume(name: string): VmmError {
  return new VmmError('VOLUME_NOT_FOUND', `No such volume: ${name.slice(0, 300)}`, { hint: 'see `vmm volume ls`' });
}

/** The folder of one volume, held open, which is what is locked: all goes through its descriptor, so that nothing is reached through a link. */
export class VolumeFolder {
  readonly fd: number;
  readonly #path: string;

  /** Throws the file system's error: ENOENT where there is no volume, ELOOP and ENOTDIR for what is none. */
  constructor(path: string) {
    this.#path = path;
    this.fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  }

  /** A path of one of its entries for as long as it is open. */
  path(entry: string): string {
    return `/proc/self/fd/${this.fd}/${entry}`;
  }

  /** False when somebody has removed it, and perhaps made another one of this name. */
  isCurrent(): boolean {
    const own = fstatSync(this.fd);
    const there = lstatSync(this.#path, { throwIfNoEntry: false });
    return there !== undefined && there.ino === own.ino && there.dev === own.dev;
  }

  /** An entry that vmm did not put there. */
  stranger(): string | undefined {
    return readdirSync(this.path('.')).find((name) => !OWN.has(name));
  }

  close(): void {
    closeSync(this.fd);
  }
}
