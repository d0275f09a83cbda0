import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VmmError } from '../../base/errors.ts';

/** A file of the guest that set-up unpacked into .cache/guest/ of the checkout (this bundle lies in dist/). */
export function guestFile(name: 'vmlinux' | 'initramfs.cpio' | 'scratch.ext4' | 'System.map'): string {
  const path = fileURLToPath(new URL(`../.cache/guest/${name}`, import.meta.url));
  if (!existsSync(path)) throw new VmmError('NOT_BUILT', `the guest's ${name} is not unpacked`, { hint: 'run `npm run setup` in the checkout' });
  return path;
}
