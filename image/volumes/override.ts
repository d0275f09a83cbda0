import type { ErofsStat } from '../erofs/reader.ts';

/** containers/storage and fuse-overlayfs: what an object is to those who see it through them. */
export const OVERRIDE_XATTR = 'user.containers.override_stat';

/** `uid:gid:mode:type`, as the share's device reads it (vmm/devices/fs/owners.ts). */
export function overrideOf({ uid, gid, mode, type, devMajor, devMinor }: ErofsStat): string {
  const kind = type === 'char' || type === 'block' ? `${type}-${devMajor}-${devMinor}` : type === 'fifo' ? 'pipe' : type;
  return `${uid}:${gid}:${mode.toString(8).padStart(4, '0')}:${kind}`;
}
