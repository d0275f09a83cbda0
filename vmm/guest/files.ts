import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VmmError } from '../../base/errors.ts';

export type GuestFile = 'vmlinux' | 'initramfs.cpio' | 'scratch.ext4' | 'System.map';

/** Path of one of the guest's own files, which set-up unpacked into .cache/guest/ of the checkout (bundles lie in dist/). Throws NOT_BUILT. */
export function guestFile(name: GuestFile): string {
  const path = fileURLToPath(new URL(`../.cache/guest/${name}`, import.meta.url));
  if (!existsSync(path)) throw new VmmError('NOT_BUILT', `the guest's ${name} is not unpacked`, { hint: 'run `npm run setup` in the checkout' });
  return path;
}
