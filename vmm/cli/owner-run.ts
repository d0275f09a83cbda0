import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerIo, type ContainerNetwork, type ContainerOptions, ContainerRun, DEFAULT_MEMORY_MIB, joinedContainer, macText } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { ownSymbols } from '../api/machine.ts';
import type { ContainerRecord, RecordedCard, StateFolder } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { roomOf } from './hotplug-option.ts';
import { jitOf } from './common-options.ts';
import { confineConfig } from './confine.ts';
import type { MountRequest } from './mount-text.ts';
import { openMounts } from './mounts.ts';
import type { OwnedContainer } from './owned.ts';
import { SPARE_DRIVES } from './owner-guests.ts';
import { JoinedRun } from './owner-joined.ts';
import { optionsOf } from './record-options.ts';
import { containerOptions, RUN, type RunOptions, sizedFor } from './run-options.ts';
import { MIB } from './sizes.ts';
import type { NetworkEvents } from './user-network.ts';

/** The container of a record, ready to run: all that it is made of is opened. `events`: of its network. Throws VmmError. */
export async function containerOf(record: ContainerRecord, state: StateFolder, io: ContainerIo, events: NetworkEvents): Promise<OwnedContainer> {
  const { options } = optionsOf(record);
  if (record.joins === undefined) return made(record, state, io, events, options);
  const { rootfs, container, mounts, tmpfs } = await partsOf(record, state, events, options);
  const limits: ContainerOptions = { memoryLimit: options.memory === undefined ? container.memoryLimit : options.memory * MIB, cpuQuota: container.cpuQuota ?? options.cpus?.vcpus };
  return new JoinedRun(record, state, joinedContainer(record.config, { ...container, ...limits, env: record.env, accounting: true, mounts, tmpfs }), rootfs, io);
}

/** The same without its command, network and limits: for who copies its files. Throws VmmError. */
export function filesOf(record: ContainerRecord, state: StateFolder, io: ContainerIo): Promise<ContainerRun> {
  const plain = parseArgs(['--idle', '--network', 'none', record.image], RUN).options;
  const { memory, readOnly, volume, mount, tmpfs, scratch, accel, jit, cpu } = optionsOf(record).options;
  return made(record, state, io, undefined, { ...plain, memory, readOnly, volume, mount, tmpfs, scratch, accel, jit, cpu });
}

interface Parts {
  readonly rootfs: string;
  readonly sized: RunOptions;
  readonly container: ContainerOptions;
  readonly mounts: NonNullable<ContainerOptions['mounts']>;
  readonly tmpfs: NonNullable<ContainerOptions['tmpfs']>;
}

async function partsOf(record: ContainerRecord, state: StateFolder, events: NetworkEvents | undefined, options: RunOptions): Promise<Parts> {
  const { id, config } = record;
  enter(record.folder);
  const { operands } = optionsOf(record);
  const own = join(state.folder(id), 'rootfs');
  const rootfs = existsSync(own) ? own : record.rootfs;
  if (!existsSync(rootfs)) throw new VmmError('IMAGE_NOT_FOUND', `the image ${record.imageId} of the container is not in the store any more`, { hint: 'import or pull it again' });
  const { mounts, tmpfs } = await openMounts((record.mounts as readonly MountRequest[] | undefined) ?? [...options.volume, ...options.mount], { rootfs }, () => {});
  const sized = sizedFor(config, options);
  // The environment was read when the container was made.
  const container = containerOptions({ ...options, name: record.name, env: [], envFile: [] }, config, operands.slice(1), () => id.slice(0, 12), undefined, events);
  return { rootfs, sized, container, mounts, tmpfs: [...options.tmpfs, ...tmpfs] };
}

async function made(record: ContainerRecord, state: StateFolder, io: ContainerIo, events: NetworkEvents | undefined, options: RunOptions): Promise<ContainerRun> {
  const folder = state.folder(record.id);
  const { rootfs, sized, container, mounts, tmpfs } = await partsOf(record, state, events, options);
  const room = roomOf(options.hotplug);
  return new ContainerRun(
    { rootfs, config: record.config },
    { ...container, env: record.env, accounting: true, mounts, tmpfs, scratch: record.disk ? { kept: join(folder, 'disk') } : options.scratch },
    {
      memoryMib: sized.memory,
      vcpus: sized.cpus?.vcpus,
      accel: options.accel,
      cpuModel: options.cpu,
      jit: jitOf(options.jit),
      ...room,
      symbols: ownSymbols,
      spareDisks: events === undefined ? 0 : sparesBeside(container.network?.cards.length ?? 0, room),
      confine: { ...confineConfig('after-entry', { gdb: undefined }), write: [folder], remove: [state.names, state.sockets, folder] },
    },
    io,
  );
}

/** Drives for `vmm device`, and for containers that join as many as are left of a machine's 19 slots beside its console, vsock, rng, balloon, two disks, shares and cards. */
function sparesBeside(cards: number, { spareDisks = 0, spareCards = 0 }: ReturnType<typeof roomOf>): number {
  return spareDisks + Math.max(0, Math.min(SPARE_DRIVES, 12 - cards - spareCards - spareDisks));
}

/** How large the machine of its next start is; of one that joins another's, how large that is. */
export async function machineOf(record: ContainerRecord, state: StateFolder): Promise<{ readonly memory: number; readonly vcpus: number }> {
  const joined = record.joins === undefined ? undefined : (await state.read(record.joins))?.life?.machine;
  if (joined !== undefined) return joined;
  const { memory = DEFAULT_MEMORY_MIB, cpus } = sizedFor(record.config, optionsOf(record).options);
  return { memory: memory * MIB, vcpus: cpus?.vcpus ?? 1 };
}

/** What is kept of the cards of a machine. */
export function cardsOf({ cards }: ContainerNetwork): RecordedCard[] {
  return cards.map(({ card: { cable, mac }, interface: { addresses, routes } }) => ({
    network: cable.kind,
    mac: macText(mac),
    addresses: addresses.map(({ address, prefix }) => ({ address, prefix })),
    gateways: [...new Set(routes.flatMap(({ gateway }) => gateway ?? []))],
  }));
}

/** What the user's words name is beneath where they were said. */
function enter(folder: string): void {
  try {
    process.chdir(folder);
  } catch (cause) {
    throw new VmmError('CONTAINER_START', `${folder}, where the container was made, cannot be entered: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'its volumes may be named from there: make it again' });
  }
}
