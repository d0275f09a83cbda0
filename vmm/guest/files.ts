import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VmmError } from '../../base/errors.ts';
import { type PackedFile, unpack } from '../../base/unpack.ts';
import { userCache } from '../../base/user-cache.ts';

/** Empty file systems: of these sizes, and one that grows to any. */
export type ScratchSeed = 'scratch-64m.seed' | 'scratch-1g.seed' | 'scratch-4g.seed' | 'scratch-16g.seed';

export type GuestFile = 'vmlinux' | 'initramfs.cpio' | 'System.map' | ScratchSeed;

const HINT = 'in a checkout run `npm run setup`; else install the package again';

const unpacked = new Map<GuestFile, string>();
let note: string | undefined;

/**
 * Path of one of the guest's own files: in a checkout what set-up has unpacked into .cache/guest/ (bundles lie in dist/), in an installed package
 * what comes with it, unpacked into the user's cache by the first who needs it. Throws NOT_BUILT.
 */
export function guestFile(name: GuestFile): string {
  const built = fileURLToPath(new URL(`../.cache/guest/${name}`, import.meta.url));
  if (existsSync(built)) return built;
  let path = unpacked.get(name);
  if (path === undefined) {
    path = unpackOwn(name);
    unpacked.set(name, path);
    // A kernel's names are wanted when a machine ends badly: this process may write no file then.
    if (name === 'vmlinux') guestFile('System.map');
  }
  return path;
}

/** What to say, under -v, about how the guest's files were found: that the cache cannot be written, and why. */
export function guestFilesNote(): string | undefined {
  return note;
}

function unpackOwn(name: GuestFile): string {
  try {
    const folder = new URL('./guest/', import.meta.url);
    const files = JSON.parse(readFileSync(new URL('manifest.json', folder), 'utf8')) as Record<GuestFile, PackedFile>;
    const { path, why } = unpack(userCache('guest'), name, { ...files[name], source: fileURLToPath(new URL(files[name].source, folder)) });
    if (why !== undefined) note ??= `the guest's files run from memory: ${why}`;
    return path;
  } catch (cause) {
    throw new VmmError('NOT_BUILT', `the guest's ${name} cannot be unpacked`, { cause, hint: HINT });
  }
}
