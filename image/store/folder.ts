import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync, type Stats, unlinkSync } from 'node:fs';
import { isOwnName } from './forms.ts';
import { reading, type StoreFolder, type StorePaths } from './paths.ts';

/** Largest file of a store that is read whole, bytes: records of real images have some KiB. */
const SMALL_MAX = 4 << 20;

/** A small file of the store; undefined when it is absent or no regular file. Never follows a link, never waits for a FIFO. Throws STORE_READ. */
export function readSmallFile(paths: StorePaths, path: string): Buffer | undefined {
  const fd = reading(paths, () => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
  if (fd === undefined) return undefined;
  try {
    return reading(paths, () => {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > SMALL_MAX) return undefined;
      const bytes = Buffer.allocUnsafe(stat.size);
      let done = 0;
      for (let n = 1; n > 0 && done < bytes.length; done += n) n = readSync(fd, bytes, done, bytes.length - done, done);
      return bytes.subarray(0, done);
    });
  } finally {
    closeSync(fd);
  }
}

/** Names in a folder that have vmm's own form; none when it is absent. Throws STORE_READ. */
export function ownNames(paths: StorePaths, folder: StoreFolder): string[] {
  return (reading(paths, () => readdirSync(paths[folder])) ?? []).filter((name) => isOwnName(folder, name));
}

/**
 * A folder of the store that is held open while the store changes. All goes through its descriptor: were the folder replaced
 * by a link meanwhile, nothing of the link's target would be touched. Only regular files of vmm's own names are.
 */
export class OpenFolder {
  readonly folder: StoreFolder;
  readonly #fd: number;

  /** `root` is a descriptor of the store's folder. Throws the file system's error: ELOOP or ENOTDIR for a link. */
  constructor(root: number, folder: StoreFolder) {
    this.folder = folder;
    this.#fd = openSync(`/proc/self/fd/${root}/${folder}`, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  }

  /** A path of a file in it, for as long as it is open. Throws for what is no name of ours. */
  path(name: string): string {
    if (!isOwnName(this.folder, name)) throw new Error(`${this.folder}/${name} is no file of the store`);
    return `/proc/self/fd/${this.#fd}/${name}`;
  }

  /** What vmm keeps in it: regular files of its own names. */
  *files(): Generator<{ name: string; stat: Stats }> {
    for (const name of readdirSync(`/proc/self/fd/${this.#fd}`)) {
      const stat = isOwnName(this.folder, name) ? lstatSync(this.path(name), { throwIfNoEntry: false }) : undefined;
      if (stat?.isFile() === true) yield { name, stat };
    }
  }

  /** Removes a file; false when there is none. */
  remove(name: string): boolean {
    if (lstatSync(this.path(name), { throwIfNoEntry: false })?.isFile() !== true) return false;
    unlinkSync(this.path(name));
    return true;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
