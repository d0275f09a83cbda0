import { posix } from 'node:path';
import type { ContainerSpec, Mount, ProvidedFile, WindowSize } from '../agent/spec.ts';
import type { ImageProcessConfig } from '../../image/documents/config.ts';
import { VmmError } from '../../base/errors.ts';
import { cpuWeight } from './isolation.ts';
import { inOrder } from './mounts.ts';
import { hostsFile, resolvFile } from './network.ts';
import { processArguments, type WholeOptions } from './options.ts';
import { securitySpec, writableMounts } from './security.ts';
import { isSystemd, SYSTEMD_CGROUP, systemdEnvironment, systemdMounts } from './systemd.ts';

/** Serial numbers by which init finds its disks. */
export const ROOT_SERIAL = 'root';
export const SCRATCH_SERIAL = 'scratch';

// mount(2)
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_RELATIME = 1 << 21;
const MS_STRICTATIME = 1 << 24;

/** Docker's mounts of a container without volumes (moby's oci/defaults.go lists the same targets). */
const STANDARD_MOUNTS: readonly Mount[] = [
  { target: '/proc', fstype: 'proc', flags: MS_NOSUID | MS_NOEXEC | MS_NODEV },
  { target: '/dev', fstype: 'tmpfs', flags: MS_NOSUID | MS_STRICTATIME, data: 'mode=755,size=65536k' },
  { target: '/dev/pts', fstype: 'devpts', flags: MS_NOSUID | MS_NOEXEC, data: 'newinstance,ptmxmode=0666,mode=0620,gid=5' },
  { target: '/sys', fstype: 'sysfs', flags: MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY },
  { target: '/sys/fs/cgroup', fstype: 'cgroup2', device: 'cgroup', flags: MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY },
  { target: '/dev/mqueue', fstype: 'mqueue', flags: MS_NOSUID | MS_NOEXEC | MS_NODEV },
  { target: '/dev/shm', fstype: 'tmpfs', device: 'shm', flags: MS_NOSUID | MS_NOEXEC | MS_NODEV, data: 'mode=1777,size=65536k' },
];

/** As Docker sets them for a container with a network of its own: any user may bind port 80 and ping. */
const SYSCTLS = ['net.ipv4.ip_unprivileged_port_start=0', 'net.ipv4.ping_group_range=0 2147483647'];

/** The built-in that a container without a command runs (docs/agent-protocol.md). */
const IDLE = ['idle'];

/** No limits: a cgroup counts what has a setting. The disk is the root's. */
const ACCOUNTING = ['memory.max=max', 'pids.max=max', 'io.max=254:0 rbps=max'];

const CPU_PERIOD_US = 100_000;

export interface SpecInput {
  readonly image: ImageProcessConfig;
  readonly options: WholeOptions;
  readonly size: WindowSize | undefined;
  /** There is a scratch disk. */
  readonly scratch: boolean;
  /** Of `options.mounts`, as the guest has them (planMounts). */
  readonly mounts?: readonly Mount[] | undefined;
}

/** What init is asked to start. Throws USAGE when neither image nor user name a command. */
export function containerSpec({ image, options, size, scratch, mounts = [] }: SpecInput): ContainerSpec {
  const args = options.idle ? IDLE : processArguments(image, options.entrypoint, options.command);
  if (args.length === 0 || args[0] === '') {
    throw new VmmError('USAGE', 'no command specified: the image names none', { hint: 'add the command behind the image' });
  }
  const { capabilities: caps, security } = options;
  const { isolation = {} } = image;
  const user = options.user ?? image.user;
  const root = isRoot(user);
  const workdir = options.workdir ?? image.workingDir;
  const systemd = isSystemd(options.systemd, args);
  const asked = [...options.tmpfs.map(tmpfsMount), ...mounts];
  const own = systemd ? systemdMounts(asked.map(({ target }) => target)) : [];
  const spec: ContainerSpec = {
    args,
    env: systemd ? systemdEnvironment(options.env) : options.env,
    cwd: workdir === '' ? '/' : workdir,
    stdin: options.interactive,
    tty: options.tty,
    ...(options.idle ? { builtin: true, stdout: false, stderr: false } : {}),
    // As runc: another user's process starts without effective capabilities, its bounding set stays.
    capabilities: root
      ? { bounding: caps, effective: caps, permitted: caps, inheritable: 0n, ambient: 0n }
      : { bounding: caps, effective: 0n, permitted: 0n, inheritable: 0n, ambient: 0n },
    rlimits: options.rlimits,
    root: { kind: 'block', serial: ROOT_SERIAL, fstype: 'erofs', readOnly: true },
    overlay: scratch ? { kind: 'block', serial: SCRATCH_SERIAL, ...(typeof options.scratch === 'object' ? { kept: true } : {}) } : { kind: 'tmpfs' },
    readOnly: options.readOnly,
    mounts: allMounts(withShm(standardMounts(security.privileged === true, systemd), options.shm), image.volumes, [...own, ...asked]),
    files: containerFiles(options),
    hostname: options.hostname,
    ...(options.domainname === undefined ? {} : { domain: options.domainname }),
    ...securitySpec(security, caps),
    sysctls: [...SYSCTLS, ...options.sysctls],
    cgroup: [
      ...(options.accounting ? ACCOUNTING : []),
      ...(options.cpuQuota === undefined ? [] : [`cpu.max=${Math.round(options.cpuQuota * CPU_PERIOD_US)} ${CPU_PERIOD_US}`]),
      ...(options.memoryLimit === undefined ? [] : [`memory.max=${options.memoryLimit}`]),
      ...(isolation.cpuShares === undefined ? [] : [`cpu.weight=${cpuWeight(isolation.cpuShares)}`]),
      ...(systemd || security.privileged === true ? SYSTEMD_CGROUP : []),
      ...options.cgroup,
    ],
    ...namespacesOf(options),
    init: options.init,
    stopSignal: options.stopSignal,
  };
  if (user !== '') spec.user = user;
  if (options.groups.length > 0) spec.groups = options.groups;
  if (options.oomScoreAdj !== undefined) spec.oomScoreAdj = options.oomScoreAdj;
  if (options.tty && size !== undefined) spec.size = size;
  return spec;
}

function namespacesOf({ cgroupns, shared }: WholeOptions): Pick<ContainerSpec, 'namespaces'> {
  const own = [...shared, ...(cgroupns === 'host' ? ['cgroup' as const] : [])];
  return own.length === 0 ? {} : { namespaces: Object.fromEntries(own.map((name) => [name, 'vm'])) };
}

function withShm(mounts: readonly Mount[], shm: number | 'none'): readonly Mount[] {
  // init mounts one where none is asked for: of 'none' nothing can be written to it.
  const given = shm === 'none' ? { flags: MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, data: 'size=4k' } : { data: `mode=1777,size=${Math.ceil(shm / 1024)}k` };
  return mounts.map((mount) => (mount.target === '/dev/shm' ? { ...mount, ...given } : mount));
}

export function standardMounts(privileged = false, systemd = false): readonly Mount[] {
  if (privileged) return writableMounts(STANDARD_MOUNTS);
  return systemd ? writableMounts(STANDARD_MOUNTS, ['/sys/fs/cgroup']) : STANDARD_MOUNTS;
}

/** A standard mount gives way to what is asked for there. */
function allMounts(standard: readonly Mount[], volumes: readonly string[], asked: readonly Mount[]): Mount[] {
  const targets = new Set(asked.map(({ target }) => target));
  const kept = standard.filter(({ target }) => !targets.has(target));
  return [...kept, ...inOrder([...volumeMounts(volumes, new Set([...kept.map(({ target }) => target), ...targets])), ...asked])];
}

/**
 * The image's volumes: directories of the container's own root, so that the image's content is there, bound on themselves, so
 * that they stay writable when the root does not. What is mounted there otherwise comes first.
 */
function volumeMounts(volumes: readonly string[], taken: ReadonlySet<string>): Mount[] {
  const targets = new Set(volumes.map((volume) => posix.normalize(`/${volume}`).replace(/(.)\/$/, '$1')));
  return [...targets].filter((target) => target !== '/' && !taken.has(target)).map((target) => ({ target, source: { kind: 'root', path: target } }));
}

/** No user named is root. */
export function isRoot(user: string): boolean {
  const name = user.split(':')[0];
  return name === '' || name === '0' || name === 'root';
}

/** As Docker has them: mounts over the image's files, which the container may write to and the host may change later. */
function containerFiles({ hostname, domainname, network }: WholeOptions): ProvidedFile[] {
  const kept = (target: string, content: string): ProvidedFile => ({ target, content, kept: true });
  const files = [kept('/etc/hostname', `${hostname}\n`), kept('/etc/hosts', hostsFile(domainname === undefined ? hostname : `${hostname}.${domainname} ${hostname}`, network))];
  if (network.resolver !== undefined) files.push(kept('/etc/resolv.conf', resolvFile(network.resolver)));
  return files;
}

/** Flags of mount(8)'s option words; the others are tmpfs's own data. Docker's defaults are noexec, nosuid, nodev. */
const FLAG_WORDS: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  nosuid: [MS_NOSUID, 0],
  suid: [0, MS_NOSUID],
  nodev: [MS_NODEV, 0],
  dev: [0, MS_NODEV],
  noexec: [MS_NOEXEC, 0],
  exec: [0, MS_NOEXEC],
  relatime: [MS_RELATIME, 0],
  strictatime: [MS_STRICTATIME, 0],
};
const TMPFS_DATA = /^(size|nr_blocks|nr_inodes|mode|uid|gid|huge|inode64|inode32)(=.*)?$/;

function tmpfsMount({ target, options }: { target: string; options: string }): Mount {
  let flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const data: string[] = [];
  for (const word of options.split(',').filter((w) => w !== '')) {
    const flag = FLAG_WORDS[word];
    if (flag !== undefined) flags = (flags | flag[0]) & ~flag[1];
    else if (TMPFS_DATA.test(word)) data.push(word);
    else throw new VmmError('USAGE', `--tmpfs: ${word} is not an option of tmpfs`, { hint: 'for example size=64m,mode=1777,exec' });
  }
  return { target, fstype: 'tmpfs', flags, data: data.join(',') };
}
