/** What is kept of a container: the documents in its folder. */
import type { Health, HealthCheck } from './health.ts';
import type { ImageProcessConfig } from '../../image/documents/config.ts';

export const RECORD_VERSION = 2;

/** What an owner does about its container's end. */
export interface RestartPolicy {
  readonly name: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  /** Of on-failure: how many times; 0 for no limit. */
  readonly most: number;
}

/** A port of the host's that leads to one of the container's. */
export interface ContainerPort {
  readonly protocol: 'tcp' | 'udp';
  /** Any of the host's when not given. */
  readonly address?: string | undefined;
  readonly host: number;
  /** Then one of `host` to this one, until a machine has it. */
  readonly hostLast?: number | undefined;
  readonly guest: number;
}

/** A card of the machine that a container has now. */
export interface RecordedCard {
  /** user, passt, tap, fd, unix. */
  readonly network: string;
  readonly mac: string;
  readonly addresses: readonly { readonly address: string; readonly prefix: number }[];
  readonly gateways: readonly string[];
  /** As the container's kernel calls it; eth0, eth1 … in this order when not given. */
  readonly name?: string | undefined;
}

/** A disk that is mounted in a container. */
export interface RecordedDisk {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly format: string;
}

export interface LogConfig {
  readonly driver: 'json-file' | 'none';
  /** Bytes of one file. */
  readonly maxSize?: number | undefined;
  /** So many files, the newest. */
  readonly maxFiles?: number | undefined;
}

/** A mount as it was asked for; the words are those of vmm/cli/mount-text.ts. */
export interface RecordedMount {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  readonly target: string;
  readonly readOnly: boolean;
  /** Of a bind: absolute, on the host. */
  readonly source?: string | undefined;
  /** Of a named volume; without one it is a directory of the container’s own root. */
  readonly name?: string | undefined;
}

/** What a container was asked to be, and the image that it was made of: `record.json`. Only its name and its limits change. */
export interface ContainerRecord {
  readonly version: number;
  readonly id: string;
  readonly name: string;
  /** As the user named it. */
  readonly image: string;
  /** What that was when the container was made: it stays so, whatever the name stands for later. */
  readonly imageId: string;
  /** Its disk in the store; the folder has a link to it where there can be one. */
  readonly rootfs: string;
  readonly config: ImageProcessConfig;
  readonly command: readonly string[];
  /** What runs: the entry point and its arguments. */
  readonly args?: readonly string[] | undefined;
  /** All that -v, --mount and --volumes-from have asked for. */
  readonly mounts?: readonly RecordedMount[] | undefined;
  /** NAME=VALUE: the whole environment, as it was when the container was made. */
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly created: string;
  /** `vmm run`'s words, and where they were said. */
  readonly argv: readonly string[];
  readonly folder: string;
  /** The id of the container in whose machine and network it runs (--network container:NAME). */
  readonly joins?: string | undefined;
  /** What it changes is kept on a disk in its folder. */
  readonly disk: boolean;
  readonly restart: RestartPolicy;
  /** What of the host's leads to it. */
  readonly ports?: readonly ContainerPort[] | undefined;
  /** How its health is checked; undefined: not at all. */
  readonly health?: HealthCheck | undefined;
  /** Where its output goes; not given: to files of 10 MiB, all of which are kept. */
  readonly log?: LogConfig | undefined;
  /** Options that `vmm update` has changed since, by their names in the table of `vmm run`. */
  readonly updated?: Readonly<Record<string, unknown>> | undefined;
  /** --rm. */
  readonly autoRemove: boolean;
  /** Of a run without a name on a terminal: it goes with the client that has started it, unless that leaves by its detach keys. */
  readonly bound?: boolean | undefined;
  /** --stop-timeout, seconds. */
  readonly stopTimeout: number | undefined;
}

/** Its last start, as its owner tells of it: `life.json`. */
export interface ContainerLife {
  /** Of the owner. */
  readonly pid: number;
  /** Its command has run once, in this life or an earlier one. */
  readonly ran: boolean;
  /** How often the owner has started it again since `vmm start`. */
  readonly restarts: number;
  /** ISO 8601; undefined: the command does not run yet, or could not. */
  readonly started: string | undefined;
  /** How it ended last; it may be started again. */
  readonly end: ContainerEnd | undefined;
  /** The owner waits to start it again. */
  readonly restarting: boolean;
  /** What of the host's leads to it, where ports were left to the host: as it chose. */
  readonly ports?: readonly ContainerPort[] | undefined;
  /** Its cards, and what the container's addresses on them are. */
  readonly cards?: readonly RecordedCard[] | undefined;
  /** Its mounts of the host's, where they are others than those that it was asked to have. */
  readonly mounts?: readonly RecordedMount[] | undefined;
  /** Disks that came while it ran. */
  readonly disks?: readonly RecordedDisk[] | undefined;
  /** The machine: bytes, CPUs. */
  readonly machine?: { readonly memory: number; readonly vcpus: number } | undefined;
  /** What its machine has last told, a full disk for example: it goes on. */
  readonly trouble?: string | undefined;
  /** Connections of the container's that its network has refused. */
  readonly denied?: DeniedCount | undefined;
  /** Its terminal has left it by the detach keys: what is known of it stays until it is removed. */
  readonly left?: boolean | undefined;
  /** All its processes are frozen. */
  readonly paused?: boolean | undefined;
  /** What its health check says; undefined without one. */
  readonly health?: Health | undefined;
}

/** What a user-mode network has refused in one life of a container. */
export interface DeniedCount {
  readonly count: number;
  /** The newest last: `protocol` tcp or udp, `target` ADDRESS:PORT, `time` as ISO 8601. */
  readonly last: readonly { readonly time: string; readonly protocol: string; readonly target: string; readonly why: string }[];
}

export interface ContainerEnd {
  readonly status: number;
  readonly started: string | undefined;
  readonly finished: string;
  readonly error: string | undefined;
  readonly outOfMemory: boolean;
}

/** `created`: its command has not run yet, or could not be started. `dead`: its owner was killed. */
export type State = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';

export interface Container {
  readonly record: ContainerRecord;
  readonly state: State;
  readonly life: ContainerLife | undefined;
  /** Of what does not run. */
  readonly end: ContainerEnd | undefined;
}

/** Is nothing of it kept beyond its end? */
export function passes({ autoRemove, bound }: Pick<ContainerRecord, 'autoRemove' | 'bound'>, life: Pick<ContainerLife, 'left'> | undefined): boolean {
  return autoRemove || (bound === true && life?.left !== true);
}

/** Has it an owner that answers? */
export function runs({ state }: Container): boolean {
  return state === 'running' || state === 'paused' || state === 'restarting';
}
