/** What comes to a container while it runs, and goes: directories and files of the host, disks, network cards. */
import { readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { EBUSY } from '../../assembly/contract/generated/errno.ts';
import { AgentError } from '../agent/errors.ts';
import { type InterfaceConfig, macText } from '../agent/network.ts';
import type { Mount, MountAction } from '../agent/spec.ts';
import { VmmError } from '../../base/errors.ts';
import { inTime, Turns } from '../../base/turns.ts';
import { type GuestConfig, SHARE_TAG, type ShareExport } from '../guest/guest.ts';
import type { ContainerRun } from './run.ts';

const MS_RDONLY = 1;
/** How long the guest may take to answer, ms. */
const GUEST_MS = 20_000;
/** What one machine may be given; a disk needs a drive, and a card a spare one. */
const MOUNTS_MAX = 128;

/** Of this process: a name is used once. */
let numbers = 0;

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
  readonly #guestMs: number;
  readonly #drives: number;
  /** Ids of disks, by their targets. */
  readonly #disks = new Map<string, string>();
  /** Cards with a cable, by their index. */
  readonly #cards: Set<number>;
  readonly #changes = new Turns();

  /** `guestMs`: how long the guest may take to answer. `drives`: how many disks there may be at once, whatever empty drives the machine has. */
  constructor(run: ContainerRun, { guestMs = GUEST_MS, drives = Number.POSITIVE_INFINITY }: { readonly guestMs?: number; readonly drives?: number } = {}) {
    this.#run = run;
    this.#guestMs = guestMs;
    this.#drives = drives;
    this.#cards = new Set(run.network.cards.keys());
  }

  /** Throws MOUNT_TARGET, SHARE_PATH, AGENT_MOUNT, USAGE; then nothing of it is left. */
  mount({ target, ...source }: AddedMount): Promise<void> {
    return this.#changes.next(async () => {
      this.#refuse(target);
      const { guest } = this.#run;
      const name = `later-${++numbers}`;
      const mount: Mount = { target, source: { kind: 'share', tag: SHARE_TAG }, subpath: name, flags: source.readOnly === true ? MS_RDONLY : 0 };
      // Whoever asks for it later names it by its path.
      const path = source.path.startsWith('/proc/self/fd/') ? readlinkSync(source.path) : source.path;
      await this.#attach(mount, () => guest.addShare({ ...source, name }), () => this.#withdraw(name));
      this.#run.shares = [...this.#run.shares, { ...source, path, name }];
    });
  }

  /** Throws as `mount`, and DISK_*. */
  disk({ target, format, ...disk }: AddedDisk): Promise<void> {
    return this.#changes.next(async () => {
      this.#refuse(target);
      if (this.#disks.size >= this.#drives) throw new VmmError('DISK_SPARE', `disk ${disk.path}: the machine has no empty drive`, { hint: 'take a disk away first, or make the container with --hotplug disks=N' });
      const { guest } = this.#run;
      const id = `later-${++numbers}`;
      // A journal that is not empty cannot be replayed on what is not written.
      const data = disk.readOnly && format === 'ext4' ? { data: 'noload' } : {};
      const mount: Mount = { target, source: { kind: 'block', serial: id, fstype: format, ...data }, flags: disk.readOnly ? MS_RDONLY : 0 };
      guest.machine.addDisk({ ...disk, id });
      await this.#attach(mount, () => guest.diskAdded(id), () => this.#eject(id, true));
      this.#disks.set(target, id);
    });
  }

  /** Resolves with its name in the container and its Ethernet address. Throws NET_*, AGENT_SYSTEM. */
  card(cable: CableSpec, given: Omit<InterfaceConfig, 'mac'>): Promise<{ readonly name: string; readonly mac: string }> {
    return this.#changes.next(async () => {
      const { guest } = this.#run;
      const { card, mac } = await guest.plugCard(cable, (answer) => this.#within(answer));
      try {
        await this.#within(guest.network({ interfaces: [{ ...given, mac }] }));
      } catch (error) {
        await guest.machine.unplugCard(card);
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
    return this.#changes.next(async () => {
      const card = [...this.#cards].find((each) => cardName(each) === name);
      if (card !== undefined) {
        // Whatever the guest says: who is cut off may not want to be.
        await this.#within(this.#run.guest.releaseCard(card)).catch(() => {});
        await this.#run.guest.machine.unplugCard(card);
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

  async #attach(mount: Mount, add: () => Promise<void>, undo: () => Promise<void>): Promise<void> {
    try {
      await this.#within(add());
      await this.#change(mount, 'add');
    } catch (error) {
      await undo();
      throw error;
    }
    this.#run.spec.mounts = [...this.#mounts, mount];
  }

  /** What the guest has not done in time it shall not do later, when the host has let go of it. */
  async #change(mount: Mount, action: MountAction): Promise<void> {
    const unwanted = new AbortController();
    try {
      await this.#within(this.#run.container.changeMount(mount, action, unwanted.signal));
    } finally {
      unwanted.abort();
    }
  }

  async #detach(mount: Mount, force: boolean): Promise<void> {
    const { spec } = this.#run;
    const id = this.#disks.get(mount.target);
    if (!force && id === undefined && this.#lends(mount)) throw new VmmError('DEVICE_BUSY', `${mount.target} is in use in a container that has joined this one’s machine`, { hint: 'end that one; --force takes it away all the same' });
    try {
      await this.#change(mount, force ? 'detach' : 'remove');
    } catch (error) {
      if (isBusy(error)) throw busy(mount.target, error);
      // The container has unmounted it itself, or its first process has ended: then the device goes all the same.
      if (!force && !(error instanceof AgentError && error.code === 'AGENT_NOT_FOUND')) throw error;
    }
    if (id !== undefined) {
      await this.#eject(id, force).catch((error: unknown) => {
        throw isBusy(error) ? busy(mount.target, error) : error;
      });
      this.#disks.delete(mount.target);
    }
    spec.mounts = this.#mounts.filter((each) => each !== mount);
    const { subpath } = mount;
    if (id === undefined && subpath !== undefined && !this.#shared(subpath)) await this.#withdraw(subpath);
  }

  #shared(name: string, but?: Mount): boolean {
    return this.#mounts.some((each) => each !== but && each.source?.kind === 'share' && each.subpath === name);
  }

  /** Would others lose it? */
  #lends(mount: Mount): boolean {
    const { subpath = '' } = mount;
    return (this.#run.lent.get(subpath) ?? 0) > 0 && !this.#shared(subpath, mount);
  }

  /** The host lets go of it, whatever the guest says. A file system of the host's that does not answer holds nothing up: its descriptor is closed when it does. */
  async #withdraw(name: string): Promise<void> {
    const { guest } = this.#run;
    this.#run.shares = this.#run.shares.filter((each) => each.name !== name);
    await this.#within(guest.releaseShare(name)).catch(() => {});
    await this.#within(guest.machine.withdrawExport(SHARE_TAG, name)).catch((error: unknown) => {
      if (!(error instanceof VmmError && error.code === 'DEVICE_BUSY')) throw error;
    });
  }

  /** `force`: what is still open in the guest loses its disk, and with it what is not written. */
  async #eject(id: string, force: boolean): Promise<void> {
    const { guest } = this.#run;
    try {
      await this.#within(guest.releaseDisk(id));
    } catch (error) {
      if (!force) throw error;
    }
    guest.machine.removeDisk(id);
  }

  /** A guest that answers nothing does not hold its host up. */
  #within<T>(answer: Promise<T>): Promise<T> {
    return inTime(answer, this.#guestMs, () => new VmmError('DEVICE_BUSY', `the guest does not answer within ${this.#guestMs / 1000} s`, { hint: 'try again; `vmm device rm --force` takes a device away all the same' }));
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
