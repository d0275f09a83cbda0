/** What an owner does for `vmm device`: its client has opened what the container is given, and passes the descriptors. */
import { closeSync, readlinkSync } from 'node:fs';
import { type ContainerRun, LiveDevices } from '../api/containers.ts';
import type { DescriptorInbox } from '../api/devices.ts';
import { VmmError } from '../api/errors.ts';
import type { AddedDevice, Ask, ContainerLife, ContainerRecord, RecordedCard, Reply, StateFolder } from '../api/owner.ts';
import { roomOf } from './hotplug-option.ts';
import { refusedBy } from './owner-service.ts';
import { cardsOf } from './owner-run.ts';
import { inboxAt } from './passed.ts';
import { optionsOf } from './record-options.ts';

type Told = (change: Partial<ContainerLife>, action: string, about: Readonly<Record<string, string>>) => void;
/** What is known to the outside of what a container has. */
type Lists = { readonly [K in 'mounts' | 'disks' | 'cards']: NonNullable<ContainerLife[K]> };
type Added<K> = Extract<AddedDevice, { kind: K }>;

export class OwnerDevices {
  readonly #run: ContainerRun;
  readonly #record: ContainerRecord;
  readonly #live: LiveDevices;
  readonly #room: ReturnType<typeof roomOf>;
  readonly #told: Told;
  /** Undefined: the machine has no room for anything that comes from outside. */
  readonly #inbox: DescriptorInbox | undefined;
  /** Descriptors whose locks keep volumes, by the targets of their mounts. */
  readonly #kept = new Map<string, number>();
  /** What has changed of the lists. */
  #lists: Partial<Lists> = {};

  /** Before the process gives up its rights. `told`: something has come, or gone. Throws HostCallError. */
  constructor(run: ContainerRun, record: ContainerRecord, state: StateFolder, told: Told) {
    this.#run = run;
    this.#record = record;
    this.#told = told;
    const { hotplug } = optionsOf(record).options;
    this.#room = roomOf(hotplug);
    // The machine has more drives: those are for containers that join it.
    this.#live = new LiveDevices(run, { drives: this.#room.spareDisks ?? 0 });
    if (hotplug.length === 0) return;
    this.#inbox = inboxAt(state.descriptorSocket(record.id));
  }

  close(): void {
    this.#inbox?.close();
  }

  /** Never rejects. `life`: what is known now. `held`: somebody reads its disk. */
  async answer(ask: Extract<Ask, { ask: 'plug' | 'unplug' }>, life: ContainerLife, held: boolean): Promise<Reply> {
    const fds: number[] = [];
    try {
      // First of all: until then it takes room of the socket and holds locks, whatever is answered.
      if (ask.ask === 'plug') fds.push(...(this.#inbox?.take(ask.token) ?? []));
      await this.#run.process.started;
      if (held) throw new VmmError('CONTAINER_BUSY', 'the container’s files are just being read', { hint: 'try again' });
      if (life.paused === true) throw new VmmError('CONTAINER_STATE', 'the container is paused', { hint: '`vmm unpause` it first' });
      if (life.restarting) throw new VmmError('CONTAINER_STATE', 'the container waits to be started again', { hint: 'try again' });
      return ask.ask === 'plug' ? await this.#plug(fds, ask.device, () => this.#now(life)) : await this.#unplug(ask.device, ask.force, () => this.#now(life));
    } catch (error) {
      return refusedBy(error);
    } finally {
      // What is used has been copied.
      for (const fd of fds) closeSync(fd);
    }
  }

  /** The lists as they are when a change is done, not when it was asked for. */
  #now(life: ContainerLife): Lists {
    const { mounts = this.#record.mounts ?? [], disks = [], cards = life.cards ?? [] } = this.#lists;
    return { mounts, disks, cards: cards.map((card, index) => ({ name: `eth${index}`, ...card })) };
  }

  #change(change: Partial<Lists>, action: string, device: string): Reply {
    this.#lists = { ...this.#lists, ...change };
    this.#told(change, action, { device });
    return { done: true, device };
  }

  /** What is to stay open is taken out of `fds`. */
  async #plug(fds: number[], device: AddedDevice, now: () => Lists): Promise<Reply> {
    if (device.kind === 'card' && device.network === 'user') return this.#again(now);
    this.#refuseRoom(device.kind);
    const [fd, lock] = fds;
    if (fd === undefined) throw new VmmError('OWNER_REFUSED', 'no descriptor came with the device', { hint: 'try again' });
    if (device.kind === 'mount') {
      await this.#mount(device, fd);
      if (lock !== undefined) {
        fds.splice(fds.indexOf(lock), 1);
        this.#kept.set(device.target, lock);
      }
      const { kind: _, volume, source, target, readOnly } = device;
      return this.#change({ mounts: [...now().mounts, volume === undefined ? { type: 'bind', source, target, readOnly } : { type: 'volume', name: volume, target, readOnly }] }, 'device_add', target);
    }
    if (device.kind === 'disk') {
      const { kind: _, source, ...rest } = device;
      await this.#live.disk({ ...rest, path: source, fd });
      return this.#change({ disks: [...now().disks, { source, ...rest }] }, 'device_add', device.target);
    }
    return this.#card(device, fd, now);
  }

  #refuseRoom(kind: AddedDevice['kind']): void {
    const { sharesLater, spareDisks, spareCards } = this.#room;
    const [has, word] = kind === 'mount' ? [sharesLater, 'mounts'] : kind === 'disk' ? [spareDisks, 'disks'] : [spareCards, 'cards'];
    if (has === undefined) throw new VmmError('DEVICE_ROOM', `the container’s machine has no room for ${word} that come later`, { hint: `make it with --hotplug ${word}` });
  }

  async #mount({ target, readOnly, recursive, cache, quota, source }: Added<'mount'>, fd: number): Promise<void> {
    const path = `/proc/self/fd/${fd}`;
    const { sharesLater } = this.#room;
    const real = readlinkSync(path);
    if (Array.isArray(sharesLater) && !sharesLater.some((folder: string) => real === folder || real.startsWith(folder === '/' ? folder : `${folder}/`))) {
      throw new VmmError('DEVICE_ROOM', `${source} is in no folder that the container was made for`, { hint: `--hotplug mounts=DIR said ${sharesLater.join(', ')}` });
    }
    await this.#live.mount({ path, target, readOnly, recursive, cache, quota });
  }

  async #card({ network, addresses, routes, mtu }: Added<'card'>, fd: number, now: () => Lists): Promise<Reply> {
    const { name, mac } = await this.#live.card({ kind: 'fd', fd, copy: true }, { addresses, routes, mtu });
    const gateways = [...new Set(routes.flatMap(({ gateway }) => gateway ?? []))];
    return this.#change({ cards: [...now().cards, { name, network, mac, addresses, gateways }] }, 'device_add', name);
  }

  /** The user-mode network that the container began with, after it was taken away. */
  async #again(now: () => Lists): Promise<Reply> {
    const { cards } = this.#run.network;
    const index = cards.findIndex(({ card }, at) => card.cable.kind === 'user' && !now().cards.some(({ name }) => name === `eth${at}`));
    const one = cards[index];
    if (one === undefined) throw new VmmError('DEVICE_ROOM', now().cards.some(({ network }) => network === 'user') ? 'the container has its user-mode network' : 'a container that has begun without a user-mode network cannot have one later: its process may make no connections', { hint: 'make it with --network user' });
    const { name } = await this.#live.card(one.card.cable, { ...one.interface, mtu: one.card.mtu });
    const again = { ...(cardsOf(this.#run.network)[index] as RecordedCard), name };
    return this.#change({ cards: [...now().cards, again] }, 'device_add', name);
  }

  async #unplug(device: string, force: boolean, now: () => Lists): Promise<Reply> {
    await this.#live.remove(device, force);
    const lock = this.#kept.get(device);
    if (lock !== undefined) closeSync(lock);
    this.#kept.delete(device);
    const { mounts, disks, cards } = now();
    return this.#change({ mounts: mounts.filter(({ target }) => target !== device), disks: disks.filter(({ target }) => target !== device), cards: cards.filter(({ name }) => name !== device) }, 'device_remove', device);
  }
}
