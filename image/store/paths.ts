import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';

/**
 * The store's folders, and a file `vmm-store` that marks it (marker.ts):
 *
 *   rootfs/KEY.erofs        disks, by content key; readers keep the file open, so removing one never hurts a run
 *   images/HEX.json         one record an image (record.ts), by image id
 *   names/HASH              id and name, a line each; the file's name is the name's SHA-256
 *   sources/HASH            which image a file or directory held, by its stat fields: a second run reads nothing else
 *   blobs/HEX               manifests, configurations and layers as registries have them, by digest (intake.ts)
 *   partial/HEX             blobs of which a part has come; locked while somebody fetches them
 *   tmp/                    work in progress
 *
 * Everything appears by rename, so readers need no lock and crashes never leave half of anything. Who changes the store
 * holds its lock (lock.ts).
 */
export const STORE_FOLDERS = ['rootfs', 'images', 'names', 'sources', 'blobs', 'partial', 'tmp'] as const;
export type StoreFolder = (typeof STORE_FOLDERS)[number];
export type StorePaths = { readonly root: string } & Readonly<Record<StoreFolder, string>>;

/** Where images are kept: $VMM_STORE, else vmm/ below the user's data directory ($XDG_DATA_HOME). */
export function storePaths(env: Readonly<Record<string, string | undefined>> = process.env): StorePaths {
  const root = env['VMM_STORE'] ? resolve(env['VMM_STORE']) : join(env['XDG_DATA_HOME'] || join(env['HOME'] || homedir(), '.local', 'share'), 'vmm');
  const dir = (name: StoreFolder): string => join(root, name);
  return { root, rootfs: dir('rootfs'), images: dir('images'), names: dir('names'), sources: dir('sources'), blobs: dir('blobs'), partial: dir('partial'), tmp: dir('tmp') };
}

/** Runs what changes the store. Throws STORE_WRITE for what the file system says. */
export function changing<T>(paths: StorePaths, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw cannotChange(paths, cause);
  }
}

export function cannotChange(paths: StorePaths, cause: unknown): VmmError {
  if (cause instanceof VmmError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? 'error';
  return new VmmError('STORE_WRITE', `cannot write the image store ${paths.root}: ${code}`, {
    cause,
    hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space (vmm image prune) or set VMM_STORE' : 'set VMM_STORE to a directory of yours',
  });
}

/** Runs what reads the store; undefined where something is not there or no file. Throws STORE_READ. */
export function reading<T>(paths: StorePaths, action: () => T): T | undefined {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENXIO'].includes(code)) return undefined;
    throw new VmmError('STORE_READ', `cannot read the image store ${paths.root}: ${code}`, { cause, hint: 'check its permissions or set VMM_STORE to a directory of yours' });
  }
}
