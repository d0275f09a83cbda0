import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, statSync, utimesSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { VmmError } from '../vmm/errors.ts';
import { EMPTY_CONFIG, type ImageProcessConfig } from './config.ts';

/** An image that is ready to run. */
export interface ResolvedImage {
  /** Path of the EROFS file; it stays in place while the run lasts. */
  readonly rootfs: string;
  readonly config: ImageProcessConfig;
}

/** Where images are kept: $VMM_STORE, else vmm/ below the user's data directory ($XDG_DATA_HOME). */
export function storeDirectory(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env['VMM_STORE']) return resolve(env['VMM_STORE']);
  return join(env['XDG_DATA_HOME'] || join(env['HOME'] || homedir(), '.local', 'share'), 'vmm');
}

/** Finds or imports the image that `reference` names. Throws IMAGE_REFERENCE for a name that cannot be one. */
export async function resolveImage(reference: string): Promise<ResolvedImage> {
  if (!existsSync(reference) || !statSync(reference).isDirectory()) {
    throw new VmmError('IMAGE_REFERENCE', `no image ${reference}`, { hint: 'give a directory' });
  }
  return { rootfs: await directoryRootfs(reference), config: EMPTY_CONFIG };
}

/** The EROFS file of a directory, made anew when anything in it changed. */
async function directoryRootfs(path: string): Promise<string> {
  const { fingerprintDirectory, treeFromDirectory, writeErofs } = await import('./index.ts');
  const blobs = join(storeDirectory(), 'rootfs');
  mkdirSync(blobs, { recursive: true });
  const fingerprint = fingerprintDirectory(path);
  const key = createHash('sha256').update(fingerprint).digest('hex');
  const file = join(blobs, `${key}.erofs`);
  if (existsSync(file)) {
    // The time of last use: `vmm image prune` goes by it.
    utimesSync(file, new Date(), new Date());
    return file;
  }
  const { tree } = treeFromDirectory(path);
  writeErofs(tree, file, { contentKey: key });
  return file;
}
