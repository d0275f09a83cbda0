/** What comes to a container while it runs, and goes: directories and files of the host, disks, network cards. */
import { posix } from 'node:path';
import { EBUSY } from '../../assembly/contract/generated/errno.ts';
import { AgentError } from '../agent/errors.ts';
import { type InterfaceConfig, macText } from '../agent/network.ts';
import type { Mount } from '../agent/spec.ts';
import { VmmError } from '../../base/errors.ts';
import { type GuestConfig, SHARE_TAG, type ShareExport } from '../guest/guest.ts';
import type { ContainerRun } from './run.ts';

const MS_RDONLY = 1;
/** What one machine may be given; a disk needs a drive, and a card a spare one. */
const MOUNTS_MAX = 128;

export type DiskFormat = 'ext4' | 'erofs';

export interface AddedMount extends Omit<ShareExport, 'name'> {
  /** Absolute, in the container. */
  readonly target: string;
}

export interface AddedDisk {
  readonly path: string;
  readonly fd?: number | undefined;
  readonly readOnly: boolean;
  readonly format: DiskFormat;
  readonly target: string;
}

type CableSpec = NonNullable<GuestConfig['cards']>[number]['cable'];

/** What a container that runs is given and loses, one after the other; starts in the same machine have what there is then. */
export class LiveDevices {
  readonly #run: ContainerRun;
  #numbers = 0;
  /** Ids of disks, by their targets. */
  readonly #disks = new Map<string, string>();
  /** Cards with a cable, by their index. */
  readonly #cards: Set<number>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(run: ContainerRun) {
    this.#run = run;
    this.#cards = new Set(run.network.cards.keys());
  }

  /** Throws MOUNT_TARGET, SHARE_PATH, AGENT_MOUNT, USAGE; then nothing of it is left. */
  mount({ target, ...source }: AddedMount): Promise<void> {
    return this.#next(async () => {
      this.#refuse(target);
      const { guest } = this.#run;
      const name = `later-${++this.#numbers}`;
      await guest.addShare({ ...source, name });
      await this.#attach({ target, source: { kind: 'share', tag: SHARE_TAG }, subpath: name, flags: source.readOnly === true ? MS_RDONLY : 0 }, () => guest.withdrawShare(name));
    });
  }

  /** Throws as `mount`, and DISK_*. */
  disk({ target, format, ...disk }: AddedDisk): Promise<void> {
    return this.#next(async () => {
      this.#refuse(target);
      const { guest } = this.#run;
      const id = `later-${++this.#numbers}`;
      await guest.addDisk({ ...disk, id });
      // A journal that is not empty cannot be replayed on what is not written.
      const data = disk.readOnly && format === 'ext4' ? { data: 'noload' } : {};
      await this.#attach({ target, source: { kind: 'block', serial: id, fstype: format, ...data }, flags: disk.readOnly ? MS_RDONLY : 0 }, () => guest.removeDisk(id));
      this.#disks.set(target, id);
    });
  }

  /** Resolves with its name in the container and its Ethernet address. Throws NET_*, AGENT_SYSTEM. */
  card(cable: CableSpec, given: Omit<InterfaceConfig, 'mac'>): Promise<{ readonly name: string; readonly mac: string }> {
    return this.#next(async () => {
      const { guest } = this.#run;
      const { card, mac } = await guest.plugCard(cable);
      try {
        await guest.network({ interfaces: [{ ...given, mac }] });
      } catch (error) {
        await guest.unplugCard(card);
        throw error;
      }
      this.#cards.add(card);
      return { name: cardName(card), mac: macText(mac) };
    });
  }

  /**
   * Takes away what is mounted on a target, or the card of a name (eth0). `force`: though it is in use: who has something open there meets errors.
   * Throws DEVICE_BUSY, DEVICE_NOT_FOUND.
   */
  remove(name: string, force: boolean): Promise<void> {
    return this.#next(async () => {
      const card = [...this.#cards].find((each) => cardName(each) === name);
      if (card !== undefined) {
        await this.#run.guest.unplugCard(card);
        this.#cards.delete(card);
        return;
      }
      const mount = this.#mounts.find((each) => each.target === name && (each.source?.kind === 'share' || this.#disks.has(name)));
      if (mount === undefined) throw new VmmError('DEVICE_NOT_FOUND', `the container has no device ${name} that could be taken away`, { hint: '`vmm device ls` lists what it has' });
      await this.#detach(mount, force);
    });
  }

  get #mounts(): readonly Mount[] {
    return this.#run.spec.mounts ?? [];
  }

  #refuse(target: string): void {
    if (!target.startsWith('/') || posix.normalize(target) !== target || target === '/') throw new VmmError('MOUNT_TARGET', `${target} is no place in a container`, { hint: 'give an absolute path' });
    if (this.#mounts.some((mount) => mount.target === target)) throw new VmmError('MOUNT_TARGET', `something is mounted on ${target} already`, { hint: 'take it away first, or choose another place' });
    if (this.#mounts.length >= MOUNTS_MAX) throw new VmmError('MOUNT_TARGET', `the container has ${MOUNTS_MAX} mounts, which is the most`, { hint: 'take one away first' });
  }

  async #attach(mount: Mount, undo: () => Promise<void>): Promise<void> {
    try {
      await this.#run.container.changeMount(mount, 'add');
    } catch (error) {
      await undo();
      throw error;
    }
    this.#run.spec.mounts = [...this.#mounts, mount];
  }

  async #detach(mount: Mount, force: boolean): Promise<void> {
    const { guest, container, spec } = this.#run;
    const id = this.#disks.get(mount.target);
    try {
      await container.changeMount(mount, force ? 'detach' : 'remove');
    } catch (error) {
      if (isBusy(error)) throw busy(mount.target, error);
      // The container has unmounted it itself, or its first process has ended: then the device goes all the same.
      if (!(error instanceof AgentError) || error.code !== 'AGENT_NOT_FOUND') throw error;
    }
    if (id !== undefined) {
      // What is detached and open keeps the disk: it is taken out, and what is not written by then is lost.
      await guest.removeDisk(id).catch((error: unknown) => {
        if (!isBusy(error)) throw error;
        if (!force) throw busy(mount.target, error);
        guest.machine.removeDisk(id);
      });
      this.#disks.delete(mount.target);
    }
    spec.mounts = this.#mounts.filter((each) => each !== mount);
    const { subpath } = mount;
    if (id === undefined && subpath !== undefined && !this.#mounts.some((each) => each.source?.kind === 'share' && each.subpath === subpath)) await guest.withdrawShare(subpath);
  }

  /** One change at a time. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

/** As the kernel counts those of a machine. */
function cardName(index: number): string {
  return `eth${index}`;
}

function isBusy(error: unknown): boolean {
  return error instanceof AgentError && error.errno === EBUSY;
}

function busy(target: string, cause: unknown): VmmError {
  return new VmmError('DEVICE_BUSY', `${target} is in use in the container`, { cause, hint: 'end what has files open there, or works there; --force takes it away all the same' });
}
