/** Names of the files that vmm keeps in each folder of a store (paths.ts). Nothing else in there is ever touched. */
import { VmmError } from '../../base/errors.ts';
import type { StoreFolder } from './paths.ts';

const FORMS: Readonly<Record<StoreFolder, RegExp>> = {
  rootfs: /^[0-9a-f]{64}\.erofs(\.[0-9a-f]{12}\.tmp)?$/,
  images: /^([0-9a-f]{64}|[0-9a-f]{128})\.json$/,
  names: /^[0-9a-f]{64}$/,
  sources: /^[0-9a-f]{64}$/,
  blobs: /^([0-9a-f]{64}|[0-9a-f]{128})$/,
  partial: /^([0-9a-f]{64}|[0-9a-f]{128})$/,
  tmp: /^([0-9a-f]{16}|\.spool-[0-9a-f]{12}|archive-[0-9a-f]{12})$/,
};

/** True for a name of vmm's own form. */
export function isOwnName(folder: StoreFolder, name: string): boolean {
  return FORMS[folder].test(name);
}

/** A disk while it was written: versions without a lock left such files in rootfs/. */
export function isUnfinishedDisk(name: string): boolean {
  return name.endsWith('.tmp');
}

/** File name of a disk in rootfs/. */
export function diskName(key: string): string {
  return `${key}.erofs`;
}

/** File name of a record in images/. */
export function recordName(id: string): string {
  return `${id.replace(/^sha(256|512):/, '')}.json`;
}

/** File name of a blob in blobs/ and partial/. Throws IMAGE_BAD for what is no digest: nothing else becomes a path. */
export function blobName(digest: string): string {
  const hex = /^(?:sha256:([0-9a-f]{64})|sha512:([0-9a-f]{128}))$/.exec(digest);
  if (hex === null) throw new VmmError('IMAGE_BAD', `${JSON.stringify(digest.slice(0, 80))} is not a digest`, { hint: 'sha256 and sha512 are known' });
  return hex[1] ?? (hex[2] as string);
}
