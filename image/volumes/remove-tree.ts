import { chmodSync, closeSync, constants, type Dirent, lstatSync, openSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

/** Entries between two looks at what else the process has to do. */
const ENTRIES_A_TURN = 512;

/**
 * Removes a directory with all that is in it; `parent` is a path to where it is, through a descriptor. Whatever its depth and its names,
 * three directories are open at most, no link is followed, and no path is longer than a few names: a directory that is not empty is
 * moved to the top first. Directories that their owner may not search are made so. Returns the bytes freed.
 */
export async function removeTree(parent: string, name: string): Promise<number> {
  const top = Buffer.from(`${parent}/${name}`);
  if (lstatSync(top, { throwIfNoEntry: false })?.isDirectory() !== true) return 0;
  const tree = new FlatTree(top);
  try {
    while (tree.pass()) await turn();
  } finally {
    tree.close();
  }
  rmdirSync(top);
  return tree.freed;
}

class FlatTree {
  readonly #fd: number;
  #moved = 0;
  freed = 0;

  constructor(top: Buffer) {
    this.#fd = openDirectory(top);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Empties some directories of the top; false when nothing is left in it. */
  pass(): boolean {
    let budget = ENTRIES_A_TURN;
    const entries = list(this.#fd);
    for (const entry of entries) {
      const path = below(this.#fd, entry.name);
      if (!entry.isDirectory()) this.#unlink(path);
      else if (this.#empty(path)) rmdirSync(path);
      if (--budget === 0) return true;
    }
    return entries.length > 0;
  }

  /** Takes what a directory of the top holds: files go, directories move to the top. True when it is empty then. */
  #empty(path: Buffer): boolean {
    const fd = openDirectory(path);
    try {
      for (const entry of list(fd)) {
        const inner = below(fd, entry.name);
        if (!entry.isDirectory()) this.#unlink(inner);
        else this.#lift(inner);
      }
      return true;
    } finally {
      closeSync(fd);
    }
  }

  #lift(path: Buffer): void {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    }
    // To move a directory its own `..` is written.
    chmodSync(path, 0o700);
    let target: Buffer;
    do target = below(this.#fd, Buffer.from(`moved-${this.#moved++}`));
    while (lstatSync(target, { throwIfNoEntry: false }) !== undefined);
    renameSync(path, target);
  }

  #unlink(path: Buffer): void {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    unlinkSync(path);
    if (stat !== undefined && stat.nlink === 1) this.freed += stat.blocks * 512;
  }
}

function below(fd: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}

function list(fd: number): Dirent<Buffer>[] {
  return readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true, encoding: 'buffer' });
}

function openDirectory(path: Buffer): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  try {
    const fd = openSync(path, flags);
    // Who may read its names may still be kept from its entries, and from taking them away.
    if (process.getuid?.() !== 0) chmodSync(`/proc/self/fd/${fd}`, 0o700);
    return fd;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    chmodSync(path, 0o700);
    return openSync(path, flags);
  }
}
