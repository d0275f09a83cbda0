/** A sandbox in a machine of this process. */
import { resolve } from 'node:path';
import { type ResolvedImage, resolveImage } from '../../image/resolve.ts';
import { ImageStore } from '../../image/store/store.ts';
import type { OpenVolume } from '../../image/volumes/use.ts';
import { containerEnvironment } from '../container/env.ts';
import { imageCpus, imageMemory } from '../container/isolation.ts';
import type { ContainerMount } from '../container/mounts.ts';
import { randomId, type TmpfsMount } from '../container/options.ts';
import { ContainerRun } from '../container/run.ts';
import { hostFs } from '../guest/host-fs.ts';
import { LocalBox } from './local-box.ts';
import { sandboxNetwork } from './network.ts';
import { environmentOf, type SandboxOptions } from './options.ts';
import { type KeptSecrets, SECRETS_FOLDER } from './secrets.ts';
import { unless } from './unless.ts';

const MIB = 1024 ** 2;
const ignore = (): void => {};

/** Throws VmmError, and the reason of an aborted `signal`; then nothing of it is left. */
export async function createLocal(options: SandboxOptions, secrets: KeptSecrets): Promise<LocalBox> {
  const { signal, cpus } = options;
  const image = await imageOf(options);
  signal?.throwIfAborted();
  const volumes = await openVolumes(options, image);
  const gone = (): void => {
    for (const volume of volumes.open) volume.close();
  };
  let run: ContainerRun;
  try {
    const name = options.name ?? randomId();
    const hostname = options.hostname ?? name.slice(0, 64).replace(/[^a-zA-Z0-9.-]|[.-]$/g, '0');
    const vcpus = cpus === undefined ? imageCpus(image.config) : Math.ceil(cpus);
    run = new ContainerRun(image, {
      name,
      hostname,
      idle: true,
      env: containerEnvironment({ image: image.config.env, envFiles: [], env: environmentOf(options.env), hostname, tty: false, host: ignore as () => undefined }),
      workdir: options.workdir,
      user: options.user,
      readOnly: options.readOnly,
      mounts: volumes.mounts,
      tmpfs: [...volumes.tmpfs, ...(secrets.files.length > 0 ? [{ target: SECRETS_FOLDER, options: 'mode=1777,size=16m' }] : [])],
      scratch: options.scratch,
      accounting: true,
      cpuQuota: cpus === undefined || Number.isInteger(cpus) ? undefined : cpus,
      network: await sandboxNetwork(options.network),
    }, { memoryMib: options.memory ?? imageMemory(image.config), vcpus, accel: options.accel }, { stdout: ignore, stderr: ignore });
  } catch (error) {
    gone();
    throw error;
  }
  return LocalBox.start(run, { mounted: volumes.mounts.length > 0, gone, signal });
}

async function imageOf({ image, store, pull, signal }: SandboxOptions): Promise<ResolvedImage> {
  if (typeof image !== 'string') return image;
  // A pull goes on for the store: only who waits for it is let go.
  return unless(signal, resolveImage(image, { host: hostFs, pull: pull ?? 'missing', ...(store === undefined ? {} : { store }) }));
}

interface Volumes {
  readonly mounts: readonly ContainerMount[];
  readonly tmpfs: readonly TmpfsMount[];
  readonly open: readonly OpenVolume[];
}

/** Volumes are this sandbox's until it has ended. */
async function openVolumes({ volumes = {}, store }: SandboxOptions, image: ResolvedImage): Promise<Volumes> {
  const [mounts, tmpfs, open]: [ContainerMount[], TmpfsMount[], OpenVolume[]] = [[], [], []];
  try {
    for (const [target, volume] of Object.entries(volumes)) {
      if ('bind' in volume) mounts.push({ type: 'bind', source: resolve(volume.bind), target, readOnly: volume.readOnly });
      else if ('named' in volume) {
        const { openVolume } = await import('../../image/volumes/use.ts');
        const opened = await openVolume(store ?? new ImageStore(undefined, hostFs), { name: volume.named, from: { disk: image.rootfs, path: target } });
        open.push(opened);
        mounts.push({ type: 'volume', volume: opened, target, readOnly: volume.readOnly });
      } else tmpfs.push({ target, options: `mode=1777,exec${volume.tmpfs.size === undefined ? '' : `,size=${Math.ceil(volume.tmpfs.size / MIB)}m`}` });
    }
    return { mounts, tmpfs, open };
  } catch (error) {
    for (const volume of open) volume.close();
    throw error;
  }
}
