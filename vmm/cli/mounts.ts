import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ContainerMount, TmpfsMount } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore, type ResolvedImage } from '../api/images.ts';
import { type OpenVolume, openBelow, openVolume } from '../api/volumes.ts';
import type { StateFolder } from '../api/owner.ts';
import type { BindRequest, MountRequest, VolumeRequest } from './mount-text.ts';
import type { VolumesFrom } from './volumes-from.ts';

interface MountOptions {
  readonly volume: readonly MountRequest[];
  readonly mount: readonly MountRequest[];
  readonly volumesFrom: readonly VolumesFrom[];
  readonly root: string | undefined;
}

/** What -v, --mount and --volumes-from ask for; a target of -v or --mount is nobody else’s. Throws CONTAINER_NOT_FOUND, VOLUMES_FROM, USAGE. */
export async function mountRequests({ volume, mount, volumesFrom, root }: MountOptions, state?: StateFolder): Promise<readonly MountRequest[]> {
  const own = [...volume, ...mount];
  if (volumesFrom.length === 0) return own;
  const { takenFrom } = await import('./volumes-from.ts');
  const taken = await takenFrom(volumesFrom, state ?? root);
  const targets = new Set(own.map(({ target }) => target));
  return [...taken.filter(({ target }) => !targets.has(target)), ...own];
}

/** What -v and --mount ask for, ready: directories are made, volumes opened for as long as this process lives. Throws MOUNT_SOURCE, VOLUME_*, STORE_*. */
export async function openMounts(requests: readonly MountRequest[], image: Pick<ResolvedImage, 'rootfs'>, note: (text: string) => void): Promise<{ mounts: ContainerMount[]; tmpfs: TmpfsMount[] }> {
  const mounts: ContainerMount[] = [];
  const tmpfs: TmpfsMount[] = [];
  for (const request of requests) {
    if (request.type === 'tmpfs') tmpfs.push({ target: request.target, options: request.options });
    else if (request.type === 'bind') mounts.push(bind(request));
    else await volume(request, image, note, { mounts, tmpfs });
  }
  return { mounts, tmpfs };
}

function bind({ source, target, readOnly, recursive, cache, watch, make, option }: BindRequest): ContainerMount {
  if (make) makeSource(source);
  // Docker's words, for who looks for them.
  else if (!existsSync(source)) throw new VmmError('MOUNT_SOURCE', `${option}: invalid mount config for type "bind": bind source path does not exist: ${source}`, { hint: 'make it first, or let -v make it' });
  return { type: 'bind', source, target, readOnly, recursive, cache, watch };
}

/** As Docker's -v does where nothing is. */
function makeSource(path: string): void {
  if (existsSync(path)) return;
  try {
    makeFolders(path);
  } catch (cause) {
    throw new VmmError('MOUNT_SOURCE', `${path} cannot be made: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'make it first' });
  }
}

function makeFolders(path: string): void {
  if (!existsSync(dirname(path))) makeFolders(dirname(path));
  mkdirSync(path);
}

async function volume(request: VolumeRequest, image: Pick<ResolvedImage, 'rootfs'>, note: (text: string) => void, to: { readonly mounts: ContainerMount[]; readonly tmpfs: TmpfsMount[] }): Promise<void> {
  const { name, target, readOnly, cache, watch, noCopy, labels, size, device: made, subpath } = request;
  if (name === undefined) {
    to.mounts.push({ type: 'volume', target, readOnly });
    return;
  }
  const from = noCopy || subpath !== undefined ? undefined : { disk: image.rootfs, path: target };
  // Open, and so in use, for as long as this process lives.
  const opened = await openVolume(new ImageStore(undefined, hostFs), { name, labels, size, device: made, from, note });
  const { device } = opened.record;
  if (device === undefined) to.mounts.push({ type: 'volume', volume: subpath === undefined ? opened : part(opened, subpath), target, readOnly, cache, watch });
  else if (subpath !== undefined && device.type === 'tmpfs') throw new VmmError('USAGE', `the volume ${name} is empty memory: nothing lies at ${subpath}`, { hint: 'leave volume-subpath away' });
  else if (device.type === 'tmpfs') to.tmpfs.push({ target, options: [device.o, ...(readOnly ? ['ro'] : [])].filter((word) => word !== '').join(',') });
  else {
    const words = device.o.split(',');
    const there = { ...opened, path: openBelow(device.device, subpath ?? '') };
    to.mounts.push({ type: 'volume', volume: there, target, readOnly: readOnly || words.includes('ro'), recursive: words.includes('rbind'), cache, watch });
  }
}

/** What lies beneath. A quota is counted over the whole of a volume. */
function part(opened: OpenVolume, subpath: string): OpenVolume {
  if (opened.record.size !== undefined) throw new VmmError('USAGE', `the volume ${opened.record.name} has a size: it is mounted as a whole`, { hint: 'leave volume-subpath away' });
  return { ...opened, path: openBelow(opened.path, subpath) };
}
