/** `--volumes-from`: what is mounted in another container that is kept. */
import { VmmError } from '../api/errors.ts';
import type { RecordedMount, StateFolder } from '../api/owner.ts';
import type { MountRequest } from './mount-text.ts';

export interface VolumesFrom {
  readonly container: string;
  /** Undefined: each as it is there. */
  readonly readOnly: boolean | undefined;
}

/** `CONTAINER[:ro|rw]`, with Docker’s `z` and `Z`, which relabel for SELinux. Throws USAGE. */
export function parseVolumesFrom(text: string, option: string): VolumesFrom {
  const [container = '', mode, ...more] = text.split(':');
  const words = mode?.split(',') ?? [];
  if (container === '' || more.length > 0 || !words.every((word) => /^(ro|rw|z|Z)$/.test(word)) || (words.includes('ro') && words.includes('rw'))) {
    throw new VmmError('USAGE', `${option}: ${text} is not CONTAINER[:ro|rw]`, { hint: 'for example --volumes-from data:ro' });
  }
  return { container, readOnly: words.includes('ro') ? true : words.includes('rw') ? false : undefined };
}

/** The mounts of these containers; of two for one place the later counts. `where`: where containers are kept. Throws CONTAINER_NOT_FOUND, USAGE. */
export async function takenFrom(sources: readonly VolumesFrom[], where: StateFolder | string | undefined): Promise<MountRequest[]> {
  const { StateFolder } = await import('../api/owner.ts');
  const state = where instanceof StateFolder ? where : new StateFolder(where);
  const found = new Map<string, MountRequest>();
  for (const { container, readOnly } of sources) {
    const { record } = await state.find(container);
    // A tmpfs is each container's own, with Docker too.
    for (const mount of record.mounts ?? []) if (mount.type !== 'tmpfs') found.set(mount.target, requestOf(mount, readOnly, container));
    const own = record.config.volumes.find((target) => !record.mounts?.some((mount) => mount.target === target));
    if (own !== undefined) throw nameless(container, own);
  }
  return [...found.values()];
}

function requestOf(mount: RecordedMount, readOnly: boolean | undefined, container: string): MountRequest {
  if (mount.type === 'volume' && mount.name === undefined) throw nameless(container, mount.target);
  return { ...(mount as MountRequest), option: '--volumes-from', readOnly: readOnly === true || mount.readOnly };
}

function nameless(container: string, target: string): VmmError {
  return new VmmError('USAGE', `--volumes-from: the volume ${target} of ${container} has no name: it is a part of that container`, { hint: `make ${container} with -v NAME:${target}` });
}
