/** Names of the files that vmm keeps in each folder of a store (paths.ts). Nothing else in there is ever touched. */
import type { StoreFolder } from './paths.ts';

const FORMS: Readonly<Record<StoreFolder, RegExp>> = {
  rootfs: /^[0-9a-f]{64}\.erofs(\.[0-9a-f]{12}\.tmp)?$/,
  images: /^([0-9a-f]{64}|[0-9a-f]{128})\.json$/,
  names: /^[0-9a-f]{64}$/,
  sources: /^[0-9a-f]{64}$/,
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
