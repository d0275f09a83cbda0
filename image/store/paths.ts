import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';

/**
 * The store's folders:
 *
 *   rootfs/KEY.erofs        disks, by content key; readers keep the file open, so removing one never hurts a run
 *   images/HEX.json         one record an image (record.ts), by image id
 *   names/HASH              id and name, a line each; the file's name is the name's SHA-256
 *   sources/HASH            which image a file or directory held, by its stat fields: a second run reads nothing else
 *   tmp/                    work in progress
 *
 * Everything appears by rename, so concurrent runs and crashes never see half of anything.
 */
export interface StorePaths {
  readonly root: string;
  readonly rootfs: string;
  readonly images: string;
  readonly names: string;
  readonly sources: string;
  readonly tmp: string;
}

/** Where images are kept: $VMM_STORE, else vmm/ below the user's data directory ($XDG_DATA_HOME). */
export function storePaths(env: Readonly<Record<string, string | undefined>> = process.env): StorePaths {
  const root = env['VMM_STORE'] ? resolve(env['VMM_STORE']) : join(env['XDG_DATA_HOME'] || join(env['HOME'] || homedir(), '.local', 'share'), 'vmm');
  const dir = (name: string): string => join(root, name);
  return { root, rootfs: dir('rootfs'), images: dir('images'), names: dir('names'), sources: dir('sources'), tmp: dir('tmp') };
}

/** Makes the folders. Throws STORE_WRITE. */
export function prepareStore(paths: StorePaths): void {
  changing(paths, () => {
    for (const dir of [paths.rootfs, paths.images, paths.names, paths.sources, paths.tmp]) mkdirSync(dir, { recursive: true });
  });
}

/** Writes a small file whole or not at all. Throws STORE_WRITE. */
export function writeWhole(paths: StorePaths, path: string, text: string): void {
  const temporary = join(paths.tmp, randomBytes(8).toString('hex'));
  changing(paths, () => {
    try {
      writeFileSync(temporary, text, { mode: 0o644 });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

/** Runs what changes the store. Throws STORE_WRITE for what the file system says. */
export function changing<T>(paths: StorePaths, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('STORE_WRITE', `cannot write the image store ${paths.root}: ${code}`, {
      cause,
      hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space (vmm image prune) or set VMM_STORE' : 'set VMM_STORE to a directory of yours',
    });
  }
}

/** Runs what reads the store; undefined where something is not there. Throws STORE_READ. */
export function reading<T>(paths: StorePaths, action: () => T): T | undefined {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new VmmError('STORE_READ', `cannot read the image store ${paths.root}: ${code}`, { cause, hint: 'check its permissions or set VMM_STORE to a directory of yours' });
  }
}
