/** `vmm inspect`: containers as Docker shows them (20.10, API 1.41), with what is true here. */
import { VmmError } from '../api/errors.ts';
import { type Container, type Health, runs, StateFolder } from '../api/owner.ts';
import { findVolume, storePaths } from '../api/volumes.ts';
import { HELP } from './common-options.ts';
import { mountsNow } from './device-list.ts';
import { inspectEach, type Row } from './inspect-each.ts';
import { bindings, networkSettings } from './inspect-network.ts';
import { sizesOf } from './container-size.ts';
import { flag, oneOf, value } from './options.ts';
import { networksOf } from './run-network.ts';
import type { RunOptions } from './run-options.ts';
import { MIB } from './sizes.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { optionsOf } from './record-options.ts';


/** Go's time without one. */
const NEVER = '0001-01-01T00:00:00Z';
const NANO = 1e9;
const OPTIONS = { root: ROOT, type: value('container|image|volume', 'what the names are of (default: containers, else images)', oneOf('container', 'image', 'volume')), size: flag('with what a container has changed and is in all, bytes', { short: 's' }), format: value('TEMPLATE', 'a Go template, or json', undefined, { short: 'f' }), help: HELP };

export const INSPECT_COMMAND: Subcommand = subcommand({ name: 'inspect', synopsis: '[OPTIONS] NAME…', about: 'Prints what is known of containers, images and volumes, as JSON.', options: OPTIONS }, [1, Number.POSITIVE_INFINITY, 'one name or more'], async (names, { root, format, type, size }) => {
  const state = type === undefined || type === 'container' ? new StateFolder(root) : undefined;
  return inspectEach(names, format, (text) => seen(text, type, state, size));
});

/** Throws CONTAINER_NOT_FOUND, IMAGE_NOT_FOUND, VOLUME_NOT_FOUND, and others. */
async function seen(text: string, type: 'container' | 'image' | 'volume' | undefined, state: StateFolder | undefined, size: boolean): Promise<Row> {
  if (type === 'volume') return (await import('./volume.ts')).volumeView(text);
  if (state !== undefined) {
    try {
      const one = await state.find(text);
      return { ...viewOf(one, state), ...(size ? sizesOf(one, state) : {}) };
    } catch (error) {
      if (type !== undefined || !(error instanceof VmmError) || error.code !== 'CONTAINER_NOT_FOUND') throw error;
    }
  }
  const { imageView } = await import('./image-view.ts');
  const image = imageView(text);
  if (image !== undefined) return image;
  throw type === 'image' ? new VmmError('IMAGE_NOT_FOUND', `there is no image ${text} in the store`, { hint: '`vmm images` lists them' }) : new VmmError('CONTAINER_NOT_FOUND', `there is no container and no image ${text}`, { hint: '`vmm ps -a` and `vmm images` list them' });
}

function viewOf(one: Container, folder: StateFolder): Row {
  const { record, life } = one;
  const { options } = optionsOf(record);
  const [path = '', ...args] = record.args ?? record.command;
  return {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: stateOf(one),
    Image: record.imageId,
    LogPath: `${folder.folder(record.id)}/log.0`,
    Name: `/${record.name}`,
    RestartCount: life?.restarts ?? 0,
    Driver: 'vmm',
    Platform: 'linux',
    HostConfig: hostConfigOf(one, options),
    Mounts: mountsOf(one),
    Config: configOf(one, options),
    NetworkSettings: networkSettings(one),
  };
}

function stateOf({ state, life, end }: Container): Row {
  const running = state === 'running' || state === 'paused' || state === 'restarting';
  return {
    Status: state,
    Running: running,
    Paused: state === 'paused',
    Restarting: state === 'restarting',
    OOMKilled: end?.outOfMemory ?? false,
    Dead: state === 'dead',
    Pid: state === 'running' || state === 'paused' ? (life?.pid ?? 0) : 0,
    ExitCode: end?.status ?? 0,
    Error: end?.error?.trimEnd() ?? life?.trouble ?? '',
    StartedAt: life?.started ?? end?.started ?? NEVER,
    FinishedAt: end?.finished ?? life?.end?.finished ?? NEVER,
    ...(life?.health === undefined ? {} : { Health: healthOf(life.health) }),
  };
}

function healthOf({ status, failingStreak, log }: Health): Row {
  return { Status: status, FailingStreak: failingStreak, Log: log.map(({ start, end, exitCode, output }) => ({ Start: start, End: end, ExitCode: exitCode, Output: output })) };
}

function mountsOf(one: Container): Row[] {
  const mounts = runs(one) ? mountsNow(one) : (one.record.mounts ?? []);
  // Docker has no such thing.
  const disks = ((runs(one) ? one.life?.disks : undefined) ?? []).map(({ source, target, readOnly }) => ({ Type: 'disk', Source: source, Destination: target, Mode: '', RW: !readOnly, Propagation: '' }));
  return [...mounts.flatMap((mount): Row[] => {
    const common = { Destination: mount.target, Mode: '', RW: !mount.readOnly };
    if (mount.type === 'bind') return [{ Type: 'bind', Source: mount.source, ...common, Propagation: 'rprivate' }];
    if (mount.type === 'tmpfs') return [{ Type: 'tmpfs', Source: '', ...common, Propagation: '' }];
    const source = mount.name === undefined ? '' : (findVolume(storePaths(), mount.name)?.path ?? '');
    return [{ Type: 'volume', Name: mount.name ?? '', Source: source, Driver: 'local', ...common, Propagation: '' }];
  }), ...disks];
}

function networkMode(cards: RunOptions['network']): string {
  const cable = cards.find((card) => card !== undefined)?.cable ?? 'none';
  return typeof cable === 'string' ? cable : cable.kind;
}

function hostConfigOf({ record }: Container, options: RunOptions): Row {
  const words = (given: readonly string[]): readonly string[] | null => (given.length === 0 ? null : given);
  return {
    Binds: words((record.mounts ?? []).filter(({ type, name }) => type !== 'tmpfs' && (type === 'bind' || name !== undefined)).map(({ source, name, target, readOnly }) => `${source ?? name}:${target}${readOnly ? ':ro' : ''}`)),
    LogConfig: { Type: record.log?.driver ?? 'json-file', Config: { ...(record.log?.maxSize === undefined ? {} : { 'max-size': `${record.log.maxSize}` }), ...(record.log?.maxFiles === undefined ? {} : { 'max-file': `${record.log.maxFiles}` }) } },
    NetworkMode: record.joins === undefined ? networkMode(networksOf(options)) : `container:${record.joins}`,
    PortBindings: bindings(record.ports ?? []),
    RestartPolicy: { Name: record.restart.name, MaximumRetryCount: record.restart.most },
    AutoRemove: record.autoRemove,
    VolumesFrom: words(options.volumesFrom.map(({ container, readOnly }) => `${container}${readOnly === undefined ? '' : readOnly ? ':ro' : ':rw'}`)),
    CapAdd: words(options.capAdd),
    CapDrop: words(options.capDrop),
    Dns: options.dns,
    DnsOptions: options.dnsOption,
    DnsSearch: options.dnsSearch,
    ExtraHosts: words(options.addHost.map(([name, address]) => `${name}:${address}`)),
    Privileged: options.privileged,
    ReadonlyRootfs: options.readOnly,
    SecurityOpt: words(options.securityOpt),
    CgroupnsMode: options.cgroupns ?? 'private',
    Init: options.init,
    GroupAdd: words(options.groupAdd),
    IpcMode: options.ipc ?? 'private',
    PidMode: options.pid ?? '',
    UTSMode: options.uts ?? '',
    OomScoreAdj: options.oomScoreAdj ?? 0,
    ShmSize: options.shmSize ?? 64 * MIB,
    Sysctls: Object.fromEntries(options.sysctl.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])),
    CpuShares: options.cpuShares ?? 0,
    CpuPeriod: options.cpuPeriod ?? 0,
    CpuQuota: options.cpuQuota ?? 0,
    CpusetCpus: options.cpusetCpus?.text ?? '',
    CpusetMems: options.cpusetMems ?? '',
    MemoryReservation: options.memoryReservation ?? 0,
    PidsLimit: options.pidsLimit ?? null,
    Memory: (options.memory ?? 0) * MIB,
    NanoCpus: options.cpus === undefined ? 0 : (options.cpus.quota ?? options.cpus.vcpus) * NANO,
    Tmpfs: Object.fromEntries(options.tmpfs.map(({ target, options: how }) => [target, how])),
  };
}

function configOf({ record }: Container, options: RunOptions): Row {
  const { config } = record;
  return {
    Hostname: options.hostname ?? record.id.slice(0, 12),
    Domainname: options.domainname ?? '',
    User: options.user ?? config.user,
    Tty: options.tty,
    OpenStdin: options.interactive,
    Env: record.env,
    Cmd: record.command.length > 0 || options.entrypoint !== undefined ? record.command : config.cmd,
    Image: record.image,
    Volumes: config.volumes.length === 0 ? null : Object.fromEntries(config.volumes.map((target) => [target, {}])),
    WorkingDir: options.workdir ?? config.workingDir,
    Entrypoint: options.entrypoint ?? (config.entrypoint.length === 0 ? null : config.entrypoint),
    Labels: Object.fromEntries(Object.entries(record.labels).toSorted(([a], [b]) => (a < b ? -1 : 1))), // Go prints maps so
    StopSignal: options.stopSignal === undefined ? (config.stopSignal ?? 'SIGTERM') : `${options.stopSignal}`,
    StopTimeout: record.stopTimeout,
    ...(record.health === undefined ? {} : { Healthcheck: { Test: record.health.test, Interval: record.health.intervalMs * 1e6, Timeout: record.health.timeoutMs * 1e6, StartPeriod: record.health.startPeriodMs * 1e6, Retries: record.health.retries } }),
  };
}
