/** What a pod's apps have mounted (App Container specification 0.8.11, "Pod Manifest Schema", mounts and volumes). */
import { posix } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import type { App } from '../../image/appc/schema/app.ts';
import type { PodMount, Volume } from '../../image/appc/schema/pod-manifest.ts';

/** One mount of an app. */
export interface AppMount {
  readonly volume: Volume;
  readonly target: string;
  readonly readOnly: boolean;
  /** The volume is there for this mount point alone, which nobody gave one for. */
  readonly implied: boolean;
}

/** Of one app: each is a mount in the guest, and an export of the share. */
const MOST_MOUNTS = 1024;

export interface AppMounts {
  readonly mounts: readonly AppMount[];
  /** Mount points that nobody gave a volume for: they have an empty one. */
  readonly implied: readonly string[];
}

/**
 * The mounts of one app: first those that its entry in the pod manifest lists, then a volume for each mount point of its image that is not
 * covered. A mount point without a volume gets an empty one. `decides`: what a volume says of readOnly counts alone (rkt); else either makes it so.
 * Throws POD_VOLUME.
 */
export function appMounts(name: string, app: App, listed: readonly PodMount[], volumes: readonly Volume[], decides = false): AppMounts {
  const readOnlyOf = (volume: Volume, point: boolean): boolean => (decides ? (volume.readOnly ?? point) : volume.readOnly === true || point);
  const asked = listed.length + app.mountPoints.length;
  if (asked > MOST_MOUNTS) throw new VmmError('POD_VOLUME', `app ${name}: ${asked} mounts and mount points, there may be ${MOST_MOUNTS}`, { hint: 'mount directories that hold the others' });
  const mounts: AppMount[] = [];
  const implied: string[] = [];
  const covered = new Set<string>();
  const add = (volume: Volume, path: string, readOnly: boolean, isImplied = false): void => {
    const target = posix.resolve('/', path);
    if (target === '/') throw new VmmError('POD_VOLUME', `app ${name}: volume ${volume.name} cannot be mounted on the root`, { hint: 'mount it on a directory below' });
    if (covered.has(target)) throw new VmmError('POD_VOLUME', `app ${name}: two volumes are mounted on ${target}`, { hint: 'mount one there' });
    covered.add(target);
    mounts.push({ volume, target, readOnly, implied: isImplied });
  };
  for (const { volume: wanted, path: given, mountPoint, appVolume } of listed) {
    const path = mountPoint === undefined ? given : app.mountPoints.find((point) => point.name === mountPoint)?.path;
    if (path === undefined) throw new VmmError('POD_VOLUME', `app ${name}: it has no mount point ${mountPoint}`, { hint: 'name one of its image, or give a path' });
    const volume = appVolume ?? volumes.find((each) => each.name === wanted);
    if (volume === undefined) throw new VmmError('POD_VOLUME', `app ${name}: could not find volume ${wanted}`, { hint: 'add it to the pod’s volumes' });
    add(volume, path, readOnlyOf(volume, app.mountPoints.find((point) => point.name === (mountPoint ?? wanted))?.readOnly ?? false));
  }
  for (const point of app.mountPoints) {
    if (covered.has(posix.resolve('/', point.path))) continue;
    const volume = volumes.find((each) => each.name === point.name);
    if (volume !== undefined) {
      add(volume, point.path, readOnlyOf(volume, point.readOnly));
      continue;
    }
    implied.push(point.name);
    add({ name: `${name}-${point.name}`, kind: 'empty', readOnly: undefined, mode: 0o755, uid: 0, gid: 0 }, point.path, point.readOnly, true);
  }
  return { mounts, implied };
}
