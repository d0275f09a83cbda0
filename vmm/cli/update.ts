/** `vmm update`: limits of a container, now and for its next starts. */
import { hostFs } from '../api/images.ts';
import { type Container, runs, type StateFolder } from '../api/owner.ts';
import { VmmError } from '../api/errors.ts';
import { HELP } from './common-options.ts';
import { ask, each, NAMES } from './containers.ts';
import { dockerOption } from './docker-options.ts';
import { cgroupSettings } from './limit-options.ts';
import type { Command } from './options.ts';
import { optionsOf } from './record-options.ts';
import { RUN, type RunOptions } from './run-options.ts';
import { MIB } from './sizes.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const { cpus, memory, pidsLimit, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems, memoryReservation, memorySwap, kernelMemory, blkioWeight, restart } = RUN.options;
const LIMITS = { cpus, memory, pidsLimit, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems, memoryReservation, memorySwap, kernelMemory, blkioWeight, restart };
const UPDATE = {
  name: 'update', synopsis: '[OPTIONS] CONTAINER…', about: 'Changes limits of containers, of those that run at once.',
  options: { root: ROOT, ...LIMITS, help: HELP }, foreign: dockerOption,
} satisfies Command;
const PERIOD_US = 100_000;

export const UPDATE_COMMAND: Subcommand = subcommand(UPDATE, NAMES, (names, { root, help: _, ...limits }) => {
  const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)) as Partial<RunOptions>;
  if (Object.keys(given).length === 0) throw new VmmError('USAGE', 'update: nothing is to be changed', { hint: 'see `vmm update --help`' });
  return each(root, names, (one, state, text) => update(one, state, text, given));
});

async function update(one: Container, state: StateFolder, text: string, given: Partial<RunOptions>): Promise<void> {
  const { record } = one;
  const options = { ...optionsOf(record).options, ...given };
  if (record.autoRemove && given.restart !== undefined && given.restart.name !== 'no') throw new VmmError('USAGE', 'conflicting options: --restart and --rm', { hint: 'it goes when it has ended' });
  const settings = [...cgroupSettings(options), ...timeOf(given), ...(given.memory === undefined ? [] : [`memory.max=${given.memory * MIB}`])];
  if (runs(one)) {
    refuseLarger(one, text, options);
    await ask(one, state, { ask: 'update', cgroup: settings, restart: given.restart, ...(given.memory === undefined ? {} : { memory: given.memory * MIB }) });
  }
  await state.change(record.id, hostFs, (now) => ({ ...now, restart: given.restart ?? now.restart, updated: { ...now.updated, ...given } }));
  state.tell(record, 'update');
}

/** --cpus, whose whole numbers are CPUs of the machine at a start. */
function timeOf({ cpus: share }: Partial<RunOptions>): string[] {
  return share === undefined ? [] : [`cpu.max=${Math.round((share.quota ?? share.vcpus) * PERIOD_US)} ${PERIOD_US}`];
}

/** A machine that runs is as large as it is. */
function refuseLarger({ life }: Container, text: string, { memory: mib = 0, cpus: share, cpusetCpus: set }: RunOptions): void {
  const machine = life?.machine;
  if (machine === undefined) return;
  const hint = 'stop it first: the next start makes a larger one';
  if (mib * MIB > machine.memory) throw new VmmError('CONTAINER_STATE', `the machine of container ${text} has ${machine.memory / MIB}m`, { hint });
  if (Math.max(share?.vcpus ?? 0, (set?.highest ?? -1) + 1) > machine.vcpus) throw new VmmError('CONTAINER_STATE', `the machine of container ${text} has ${machine.vcpus} CPU${machine.vcpus === 1 ? '' : 's'}`, { hint });
}
