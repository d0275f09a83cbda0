/** Docker's options of a container's resources and names, in the guest's own terms: cgroup v2, whose files its kernel documents (cgroup-v2.rst). */
import { cpuWeight, parseDeviceRule, parseSysctl } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { flag, group, list, type OptionValues, type Read, value } from './options.ts';
import { MIB, parseSize } from './sizes.ts';

const CPUS_MAX = 32;
/** What cfs takes, µs (sched/core.c). */
const PERIOD = [1000, 1_000_000] as const;
const DEFAULT_PERIOD = 100_000;

const integer = (least: number, most: number, hint: string): Read<number> => (text, option) => {
  const number = Number(text);
  if (!/^-?\d{1,12}$/.test(text) || number < least || number > most) throw new VmmError('USAGE', `${option}: ${text} is not from ${least} to ${most}`, { hint });
  return number;
};
const bytes: Read<number> = (text, option) => parseSize(text, option, 'bytes');
const swap: Read<number> = (text, option) => (text === '-1' ? -1 : bytes(text, option));

export const LIMIT_OPTIONS = {
  ...group('Limits', {
    pidsLimit: value('N', 'the most processes and threads (-1: as many as the machine can have)', integer(-1, 4_194_304, 'for example 100')),
    shmSize: value('SIZE', 'size of /dev/shm (default 64m)', bytes),
    cpuShares: value('N', 'weight of its CPU time, as cgroup v1 counts it (1024)', integer(0, 262_144, 'for example 512'), { short: 'c' }),
    cpuPeriod: value('MICROSECONDS', 'the period of --cpu-quota (default 100000)', integer(...PERIOD, 'for example 100000')),
    cpuQuota: value('MICROSECONDS', 'CPU time in each period; more than a period is more than one CPU', integer(-1, CPUS_MAX * PERIOD[1], 'for example 50000')),
    cpusetCpus: value('LIST', 'CPUs of the machine to run on, which has as many: 0-1,3', cpuList),
    cpusetMems: value('0', 'memory nodes: the machine has one', onlyNode),
    memoryReservation: value('SIZE', 'memory that is taken from it last', bytes),
    oomScoreAdj: value('N', 'who is killed first where memory is short, -1000 to 1000', integer(-1000, 1000, 'for example 500')),
  }),
  ...group('Container', {
    groupAdd: list('GROUP', 'a further group of the command, by name or number', groupName),
    sysctl: list('NAME=VALUE', 'a setting of the guest’s kernel', parseSysctl),
    domainname: value('NAME', 'domain name inside', domainName),
    ipc: value('private|shareable|none|host', 'System V IPC and /dev/shm: its own, with a /dev/shm that is empty and read-only, or the machine’s', space('private', 'shareable', 'none', 'host')),
    pid: value('host', 'see all processes of the machine', space('host')),
    uts: value('host', 'have the machine’s host name', space('host')),
    userns: value('host', 'user numbers are the machine’s, as they are anyway', space('host')),
    deviceCgroupRule: list('TYPE MAJOR:MINOR ACCESS', 'what it may do with devices: c 10:200 rwm', parseDeviceRule),
    storageOpt: list('size=SIZE', 'as --scratch SIZE', storageSize),
  }),
  ...group('Accepted for Docker’s sake, without effect', {
    memorySwap: value('SIZE', 'the guest has no swap', swap),
    memorySwappiness: value('N', 'the guest has no swap', integer(-1, 100, 'for example 60')),
    kernelMemory: value('SIZE', 'counts as memory', bytes),
    oomKillDisable: flag('not in cgroup v2'),
    blkioWeight: value('N', 'nobody else is at the machine’s disks', integer(0, 1000, 'from 10 to 1000')),
    blkioWeightDevice: list('DISK:N', 'likewise'),
    cgroupParent: value('PATH', 'the machine has one container', undefined),
  }),
};

export type LimitOptions = OptionValues<typeof LIMIT_OPTIONS>;
type Sized = LimitOptions & { readonly memory: number | undefined; readonly cpus: { readonly vcpus: number; readonly quota: number | undefined } | undefined };

/** What the guest's cgroup is told. Throws USAGE for options that exclude each other. */
export function cgroupSettings(options: Sized): string[] {
  refuseConflicts(options);
  const { pidsLimit, cpuShares, cpuQuota, cpuPeriod, cpusetCpus, cpusetMems, memoryReservation } = options;
  return [
    ...(pidsLimit === undefined ? [] : [`pids.max=${pidsLimit <= 0 ? 'max' : pidsLimit}`]),
    ...(cpuShares === undefined || cpuShares === 0 ? [] : [`cpu.weight=${cpuWeight(Math.max(2, cpuShares))}`]),
    ...(cpuQuota === undefined && cpuPeriod === undefined ? [] : [`cpu.max=${cpuQuota === undefined || cpuQuota <= 0 ? 'max' : cpuQuota} ${cpuPeriod ?? DEFAULT_PERIOD}`]),
    ...(cpusetCpus === undefined ? [] : [`cpuset.cpus=${cpusetCpus.text}`]),
    ...(cpusetMems === undefined ? [] : [`cpuset.mems=${cpusetMems}`]),
    ...(memoryReservation === undefined || memoryReservation === 0 ? [] : [`memory.low=${memoryReservation}`]),
  ];
}

/** CPUs that the machine has to have for what was asked, where --cpus says nothing. */
export function wantedCpus({ cpusetCpus, cpuQuota = 0, cpuPeriod = DEFAULT_PERIOD }: LimitOptions): number | undefined {
  const most = Math.max(cpusetCpus === undefined ? 0 : cpusetCpus.highest + 1, cpuQuota > cpuPeriod ? Math.ceil(cpuQuota / cpuPeriod) : 0);
  return most === 0 ? undefined : Math.min(most, CPUS_MAX);
}

function refuseConflicts({ cpus, cpuQuota, cpuPeriod, cpusetCpus, memory, memorySwap, memoryReservation }: Sized): void {
  const conflict = (what: string, hint: string): VmmError => new VmmError('USAGE', `conflicting options: ${what}`, { hint });
  if (cpus !== undefined && (cpuQuota !== undefined || cpuPeriod !== undefined)) throw conflict('--cpus and --cpu-quota or --cpu-period', 'leave one of them away');
  if (cpuQuota !== undefined && cpuQuota > 0 && cpuQuota < PERIOD[0]) throw new VmmError('USAGE', `--cpu-quota: ${cpuQuota} is less than ${PERIOD[0]}`, { hint: 'give 1000 or more' });
  if (cpus !== undefined && cpusetCpus !== undefined && cpusetCpus.highest >= cpus.vcpus) throw conflict(`--cpus ${cpus.vcpus} and --cpuset-cpus ${cpusetCpus.text}`, 'the machine has as many CPUs as --cpus says, from 0 on');
  const bytesOf = memory === undefined ? undefined : memory * MIB;
  if (memorySwap !== undefined && memorySwap > 0 && (bytesOf === undefined || memorySwap < bytesOf)) throw conflict(bytesOf === undefined ? '--memory-swap without --memory' : '--memory-swap is less than --memory', 'it counts memory and swap together');
  if (memoryReservation !== undefined && bytesOf !== undefined && memoryReservation > bytesOf) throw conflict('--memory-reservation is more than --memory', 'give less');
}

function cpuList(text: string, option: string): { readonly text: string; readonly highest: number } {
  const ends = text.split(',').map((part) => /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part)?.slice(1).map((end) => (end === undefined ? undefined : Number(end))));
  const wrong = ends.some((part) => part === undefined || Number(part[1] ?? CPUS_MAX) < Number(part[0]));
  const highest = Math.max(...ends.map((part) => part?.[1] ?? part?.[0] ?? 0));
  if (wrong || highest >= CPUS_MAX) throw new VmmError('USAGE', `${option}: ${text} is no list of CPUs from 0 to ${CPUS_MAX - 1}`, { hint: 'for example 0-1,3' });
  return { text, highest };
}

function onlyNode(text: string, option: string): '0' {
  if (text !== '0') throw new VmmError('USAGE', `${option}: ${text}: the machine has one memory node`, { hint: 'write 0' });
  return text;
}

function groupName(text: string, option: string): string {
  if (text === '' || text.length > 256 || /[:\0\n]/.test(text)) throw new VmmError('USAGE', `${option}: ${JSON.stringify(text)} is no group`, { hint: 'a name of the image’s /etc/group, or a number' });
  return text;
}

function domainName(text: string, option: string): string {
  if (text.length > 64 || !/^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is not a domain name`, { hint: 'letters, digits, dots and hyphens, at most 64' });
  return text;
}

function space<const T extends string>(...words: readonly T[]): Read<T> {
  return (text, option) => {
    const word = words.find((one) => one === text);
    if (word !== undefined) return word;
    if (text.startsWith('container:')) throw new VmmError('USAGE', `${option} ${text} is not supported yet: each container has a machine of its own`, { hint: 'the apps of a pod share one: see --pod' });
    throw new VmmError('USAGE', `${option}: ${text} is not known`, { hint: words.join(', ') });
  };
}

function storageSize(text: string, option: string): number {
  const size = /^size=(.+)$/.exec(text)?.[1];
  if (size === undefined) throw new VmmError('USAGE', `${option}: ${text} is not known`, { hint: 'size=10g is what there is' });
  return parseSize(size, option, 'bytes');
}
