import { realpathSync, statSync } from 'node:fs';
import { VmmError } from '../api/errors.ts';

/** Slots of a machine are few, and each costs its guest a moment at the start. */
const MOST = 8;

/** Room for what comes while a container runs. */
export type Room =
  /** Directories and files of the host, wherever they lie, or in a folder. */
  | { readonly kind: 'mounts'; readonly folder: string | undefined }
  | { readonly kind: 'disks' | 'cards'; readonly count: number };

/** Throws USAGE. */
export function parseHotplug(text: string, option: string): Room {
  const at = text.indexOf('=');
  const [kind, what] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  if (kind === 'mounts' && what !== '') return { kind, folder: what };
  const count = what === undefined ? 1 : /^\d$/.test(what) ? Number(what) : 0;
  if ((kind === 'disks' || kind === 'cards') && count > 0 && count <= MOST) return { kind, count };
  throw new VmmError('USAGE', `${option}: ${text} is no room for a device`, { hint: `mounts, mounts=DIR, disks=N or cards=N, with N from 1 to ${MOST}` });
}

/** What a machine with such room has. A folder is found from the working directory. Throws MOUNT_SOURCE, USAGE. */
export function roomOf(rooms: readonly Room[]): { readonly sharesLater?: true | readonly string[]; readonly spareDisks?: number; readonly spareCards?: number } {
  const folders = rooms.flatMap((room) => (room.kind === 'mounts' ? [room.folder] : []));
  const [spareDisks, spareCards] = (['disks', 'cards'] as const).map((kind) => rooms.reduce((sum, room) => sum + (room.kind === kind ? room.count : 0), 0));
  const paths = folders.filter((folder) => folder !== undefined);
  return {
    ...(folders.length === 0 ? {} : { sharesLater: paths.length < folders.length ? true : paths.map(folderOf) }),
    ...(spareDisks ? { spareDisks } : {}),
    ...(spareCards ? { spareCards } : {}),
  };
}

function folderOf(path: string): string {
  try {
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) return real;
  } catch (cause) {
    throw new VmmError('MOUNT_SOURCE', `--hotplug mounts=${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'name a folder that is there' });
  }
  throw new VmmError('MOUNT_SOURCE', `--hotplug mounts=${path} is no folder`, { hint: 'name a folder' });
}
