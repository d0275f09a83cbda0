import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerIo, type ContainerNetwork, ContainerRun, DEFAULT_MEMORY_MIB, macText } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { ownSymbols } from '../api/machine.ts';
import type { ContainerRecord, RecordedCard, StateFolder } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { roomOf } from './hotplug-option.ts';
import { jitOf } from './common-options.ts';
import { confineConfig } from './confine.ts';
import type { MountRequest } from './mount-text.ts';
import { openMounts } from './mounts.ts';
import { optionsOf } from './record-options.ts';
import { containerOptions, RUN, type RunOptions, sizedFor } from './run-options.ts';
import { MIB } from './sizes.ts';
import type { NetworkEvents } from './user-network.ts';

/** The container of a record, ready to run: all that it is made of is opened. `events`: of its network. Throws VmmError. */
export function containerOf(record: ContainerRecord, state: StateFolder, io: ContainerIo, events: NetworkEvents): Promise<ContainerRun> {
  return made(record, state, io, events, optionsOf(record).options);
}

/** The same without its command, network and limits: for who copies its files. Throws VmmError. */
export function filesOf(record: ContainerRecord, state: StateFolder, io: ContainerIo): Promise<ContainerRun> {
  const plain = parseArgs(['--idle', '--network', 'none', record.image], RUN).options;
  const { memory, readOnly, volume, mount, tmpfs, scratch, accel, jit, cpu } = optionsOf(record).options;
  return made(record, state, io, undefined, { ...plain, memory, readOnly, volume, mount, tmpfs, scratch, accel, jit, cpu });
}

async function made(record: ContainerRecord, state: StateFolder, io: ContainerIo, events: NetworkEvents | undefined, options: RunOptions): Promise<ContainerRun> {
  const { id, config } = record;
  const folder = state.folder(id);
  enter(record.folder);
  const { operands } = optionsOf(record);
  const own = join(folder, 'rootfs');
  const rootfs = existsSync(own) ? own : record.rootfs;
  if (!existsSync(rootfs)) throw new VmmError('IMAGE_NOT_FOUND', `the image ${record.imageId} of the container is not in the store any more`, { hint: 'import or pull it again' });
  const { mounts, tmpfs } = await openMounts((record.mounts as readonly MountRequest[] | undefined) ?? [...options.volume, ...options.mount], { rootfs }, () => {});
  const sized = sizedFor(config, options);
  // The environment was read when the container was made.
  const container = containerOptions({ ...options, name: record.name, env: [], envFile: [] }, config, operands.slice(1), () => id.slice(0, 12), undefined, events);
  return new ContainerRun(
    { rootfs, config },
    { ...container, env: record.env, accounting: true, mounts, tmpfs: [...options.tmpfs, ...tmpfs], scratch: record.disk ? { kept: join(folder, 'disk') } : options.scratch },
    {
      memoryMib: sized.memory,
      vcpus: sized.cpus?.vcpus,
      accel: options.accel,
      cpuModel: options.cpu,
      jit: jitOf(options.jit),
      ...roomOf(options.hotplug),
      symbols: ownSymbols,
      confine: { ...confineConfig('after-entry', { gdb: undefined }), write: [folder], remove: [state.names, state.sockets, folder] },
    },
    io,
  );
}

/** How large the machine of its next start is. */
export function machineOf(record: ContainerRecord): { readonly memory: number; readonly vcpus: number } {
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
