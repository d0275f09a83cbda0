import { constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { blobName } from './forms.ts';
import type { ImageStore } from './store.ts';

/** Opens a blob of the store. Throws IMAGE_NOT_FOUND. */
export function openBlob(store: ImageStore, digest: string): number {
  try {
    return openSync(join(store.paths.blobs, blobName(digest)), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('IMAGE_NOT_FOUND', `${digest} is not in the store any more`, { cause, hint: 'pull or import the image again' });
  }
}

/** What was read is not what its digest says. */
export function damaged(digest: string): VmmError {
  return new VmmError('IMAGE_DIGEST', `the store’s ${digest} is damaged`, { hint: 'see `vmm image fsck --repair`, then pull or import the image again' });
}
