import { constants } from 'node:os';
import { randomBytes } from '../../base/random.ts';
import type { ImageProcessConfig } from '../../image/documents/config.ts';
import { capabilitySet } from './capabilities.ts';
import { containerEnvironment } from './env.ts';
import { type ContainerNetwork, NO_NETWORK } from './network.ts';
import type { Rlimit } from './limits.ts';
import type { ContainerMount } from './mounts.ts';
import type { DiskRate, Rate } from '../guest/guest.ts';
import type { Security } from './security.ts';
import { signalNumber } from './signals.ts';
import { imageQuota, imageSecurity } from './isolation.ts';
import { isSystemd, SYSTEMD_STOP_SIGNAL, type SystemdMode } from './systemd.ts';

export interface TmpfsMount {
  readonly target: string;
  /** Mount options as the user wrote them, comma separated. */
  readonly options: string;
}

/** A container as the user asked for it: everything is already checked, and what is absent has Docker's defaults. */
export interface ContainerOptions {
  /** Twelve random hex digits. */
  readonly name?: string | undefined;
  /** As `name`. */
  readonly hostname?: string | undefined;
  /** Replaces the image's command. */
  readonly command?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  /** No command: its first process is init's own, which does nothing but reap. Others are started in it. */
  readonly idle?: boolean | undefined;
  /** NAME=VALUE, the whole environment (`containerEnvironment`); the image's with PATH and HOSTNAME. */
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly readOnly?: boolean | undefined;
  readonly tmpfs?: readonly TmpfsMount[] | undefined;
  /** Directories and files of the host, and named volumes. */
  readonly mounts?: readonly ContainerMount[] | undefined;
  readonly rlimits?: readonly Rlimit[] | undefined;
  /** Bit n is capability n of linux/capability.h (`capabilitySet`). */
  readonly capabilities?: bigint | undefined;
  /** As Docker has it when not given. */
  readonly security?: Security | undefined;
  /** Whether PID 1 is a service manager; `true` when not given. */
  readonly systemd?: SystemdMode | undefined;
  /** `host`: the machine's cgroups are seen from their root. */
  readonly cgroupns?: 'private' | 'host' | undefined;
  readonly init?: boolean | undefined;
  readonly interactive?: boolean | undefined;
  readonly tty?: boolean | undefined;
  /** The image's, else SIGTERM. */
  readonly stopSignal?: number | undefined;
  /** cpu.max as a fraction of one CPU's time, when `--cpus` was not whole. */
  readonly cpuQuota?: number | undefined;
  /** Cards and names; none when not given. */
  readonly network?: ContainerNetwork | undefined;
  /** Bytes that the container's processes may have together; the image's. */
  readonly memoryLimit?: number | undefined;
  /** Further settings of its cgroup (v2): "pids.max=100". */
  readonly cgroup?: readonly string[] | undefined;
  /** Settings of the guest's kernel: "net.core.somaxconn=1024". */
  readonly sysctls?: readonly string[] | undefined;
  /** Further groups of the command, by name or number. */
  readonly groups?: readonly string[] | undefined;
  /** -1000 to 1000; the image's. */
  readonly oomScoreAdj?: number | undefined;
  readonly domainname?: string | undefined;
  /** Bytes of /dev/shm, 64 MiB; 'none': nothing can be written there. */
  readonly shm?: number | 'none' | undefined;
  /** Namespaces that are the machine's own. */
  readonly shared?: readonly ('pid' | 'ipc' | 'uts')[] | undefined;
  /** Its memory, processes and disks are counted (`GuestContainer.stats`), which costs it a little. */
  readonly accounting?: boolean | undefined;
  /**
   * Where changes are kept: a scratch disk of so many bytes, guest memory, or a disk that outlives the container (`makeKeptDisk`), by its path.
   * The largest disk that the host has room for when not given.
   */
  readonly scratch?: number | 'tmpfs' | { readonly kept: string } | undefined;
  /** How fast its disks are, and its mounts of the host's together; no limits when not given. Not in counted runs. */
  readonly limits?: { readonly disks?: { readonly image?: DiskRate | undefined; readonly changes?: DiskRate | undefined } | undefined; readonly mounts?: Rate | undefined } | undefined;
}

const SHM_BYTES = 64 * 1024 ** 2;

/** What has no default stays undefined. */
type Optional = 'oomScoreAdj' | 'domainname' | 'entrypoint' | 'workdir' | 'user' | 'cpuQuota' | 'memoryLimit' | 'scratch';
export type WholeOptions = { readonly [K in keyof ContainerOptions]-?: K extends Optional ? ContainerOptions[K] : NonNullable<ContainerOptions[K]> };

/** The same with every default in its place. Throws USAGE for an image's stop signal that does not exist. */
export function withDefaults(options: ContainerOptions, image: ImageProcessConfig): WholeOptions {
  const hostname = options.hostname ?? randomId();
  const tty = options.tty ?? false;
  const systemd = options.systemd ?? 'true';
  return {
    name: options.name ?? randomId(),
    hostname,
    command: options.command ?? [],
    entrypoint: options.entrypoint,
    idle: options.idle ?? false,
    env: options.env ?? containerEnvironment({ image: image.env, envFiles: [], env: [], hostname, tty, host: () => undefined }),
    workdir: options.workdir,
    user: options.user,
    readOnly: options.readOnly ?? false,
    tmpfs: options.tmpfs ?? [],
    mounts: options.mounts ?? [],
    rlimits: options.rlimits ?? [],
    capabilities: options.capabilities ?? capabilitySet([], [], image.isolation),
    security: { ...(options.security?.privileged === true ? {} : imageSecurity(image)), ...options.security },
    systemd,
    cgroupns: options.cgroupns ?? 'private',
    init: options.init ?? false,
    interactive: options.interactive ?? false,
    tty,
    stopSignal: options.stopSignal ?? stopSignalOf(image, isSystemd(systemd, processArguments(image, options.entrypoint, options.command ?? []))),
    cpuQuota: options.cpuQuota ?? imageQuota(image),
    memoryLimit: options.memoryLimit ?? image.isolation?.memory,
    network: options.network ?? NO_NETWORK,
    cgroup: options.cgroup ?? [],
    sysctls: options.sysctls ?? [],
    groups: [...(image.isolation?.groups ?? []), ...(options.groups ?? [])],
    oomScoreAdj: options.oomScoreAdj ?? image.isolation?.oomScoreAdj,
    domainname: options.domainname,
    shm: options.shm ?? SHM_BYTES,
    shared: options.shared ?? [],
    accounting: options.accounting ?? false,
    scratch: options.scratch,
    limits: options.limits ?? {},
  };
}

function stopSignalOf(image: ImageProcessConfig, systemd: boolean): number {
  if (image.stopSignal !== undefined) return signalNumber(image.stopSignal, 'the image’s StopSignal');
  return systemd ? SYSTEMD_STOP_SIGNAL : constants.signals.SIGTERM;
}

/** Docker's rule: `--entrypoint` drops the image's command too; a command replaces the image's. */
export function processArguments(image: ImageProcessConfig, entrypoint: readonly string[] | undefined, command: readonly string[]): string[] {
  if (entrypoint !== undefined) return [...entrypoint, ...command];
  return [...image.entrypoint, ...(command.length > 0 ? command : image.cmd)];
}

/** Twelve hex digits, as Docker's short container ids and default host names. */
export function randomId(): string {
  return randomBytes(6).toString('hex');
}
