import { realpathSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { OpenVolume } from '../../image/volumes/use.ts';
import { VmmError } from '../../base/errors.ts';
import type { Mount } from '../agent/spec.ts';
import { SHARE_TAG, type ShareExport } from '../guest/guest.ts';

const MS_RDONLY = 1;

/** How long a guest may take what it knows of a share for true: not at all, a second, or as long as nobody else changes it. */
export type ShareCache = 'none' | 'auto' | 'always';

/** A directory or file of the host in a container. */
export interface BindMount {
  readonly type: 'bind';
  /** Absolute, on the host. */
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  /** What is mounted below the source on the host is seen, too; true. */
  readonly recursive?: boolean | undefined;
  readonly cache?: ShareCache | undefined;
  /** What programs of the host change there the container's hear of by inotify(7); false. */
  readonly watch?: boolean | undefined;
}

/** A named volume, opened (`openVolume`) and kept open while the container runs; or none: a directory of the container's own root. */
export interface VolumeMount {
  readonly type: 'volume';
  readonly volume?: OpenVolume | undefined;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  /** As of a bind; false. */
  readonly recursive?: boolean | undefined;
  readonly cache?: ShareCache | undefined;
  readonly watch?: boolean | undefined;
}

export type ContainerMount = BindMount | VolumeMount;

/** What the share device has for a container, and the container's mounts of it. */
export interface MountPlan {
  readonly exports: readonly ShareExport[];
  readonly mounts: readonly Mount[];
}

/** Checks what lies on the host. Mounts of one source with one policy share an export, so that the guest sees one file system. Throws MOUNT_SOURCE, USAGE. */
export function planMounts(mounts: readonly ContainerMount[]): MountPlan {
  const exports = new Map<string, ShareExport>();
  const planned = mounts.map((mount): Mount => {
    const { target, readOnly = false } = mount;
    if (mount.type === 'volume' && mount.volume === undefined) return { target, source: { kind: 'root', path: target }, flags: readOnly ? MS_RDONLY : 0 };
    const path = mount.type === 'bind' ? hostPath(mount.source) : (mount.volume as OpenVolume).path;
    const policy = { path, readOnly, recursive: mount.recursive ?? mount.type === 'bind', cache: mount.cache ?? 'auto', watch: mount.watch ?? false, quota: mount.type === 'volume' ? mount.volume?.record.size : undefined };
    const key = JSON.stringify(policy);
    const known = exports.get(key) ?? { name: `${exports.size}`, ...policy };
    exports.set(key, known);
    return { target, source: { kind: 'share', tag: SHARE_TAG }, subpath: known.name, flags: readOnly ? MS_RDONLY : 0 };
  });
  return { exports: [...exports.values()], mounts: planned };
}

/** Where a source is, links followed. Throws MOUNT_SOURCE for what cannot be shared. */
export function hostPath(source: string): string {
  const bad = (what: string, hint: string, cause?: unknown): VmmError => new VmmError('MOUNT_SOURCE', `${source} ${what}`, { hint, cause });
  try {
    const path = realpathSync(source);
    const stat = statSync(path);
    if (stat.isDirectory() || stat.isFile()) return path;
    const kind = stat.isSocket() ? 'a socket' : stat.isFIFO() ? 'a FIFO' : 'a device';
    throw bad(`is ${kind}: a guest has a kernel of its own, on whose other side nobody is`, kind === 'a device' ? 'see --device for those of the guest' : 'directories and files can be mounted');
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const { code = 'error' } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw bad('does not exist: bind source path does not exist', 'make it first', cause);
    throw bad(`cannot be mounted: ${code}`, 'check the path', cause);
  }
}

/** Mounts in the order in which they have to be made: a path before what lies below it. Throws USAGE when two are for the same. */
export function inOrder(mounts: readonly Mount[]): Mount[] {
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw new VmmError('USAGE', `Duplicate mount point: ${target}`, { hint: 'mount one thing there' });
    targets.add(target);
  }
  const depth = ({ target }: Mount): number => posix.normalize(target).split('/').length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}
