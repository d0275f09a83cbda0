/**
 * What clients say to the owner of a container, on its socket (in a folder of mode 0700: its user alone can connect). One line of JSON asks, one
 * answers, then the connection ends; after `exec` and `attach` both sides go on in frames (frames.ts). The version comes first in both lines: an owner
 * of another version refuses by name.
 */
import type { RestartPolicy } from './record.ts';

export type { AddedDevice };

export const PROTOCOL_VERSION = 4;
/** Bytes of a line: as much as execve(2) takes of arguments, more or less. */
export const MAX_LINE = 1 << 20;
/** Bytes of standard input that a client may have on the way (TAKEN says what has arrived). */
export const INPUT_WINDOW = 1 << 18;

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** A command in the running container. */
export interface ExecAsk {
  readonly ask: 'exec';
  readonly args: readonly string[];
  /** NAME=VALUE, over the container's own. */
  readonly env: readonly string[];
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly privileged: boolean;
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Nobody listens: the conversation ends once it runs. */
  readonly detach: boolean;
  readonly size?: Size | undefined;
}

/** Takes part in the container's own streams. */
export interface AttachAsk {
  readonly ask: 'attach';
  readonly stdin: boolean;
  readonly size?: Size | undefined;
}

interface Address {
  readonly address: string;
  readonly prefix: number;
}

/** What a container that runs is given. Its descriptors come beside (DescriptorInbox), by `token`; the paths are names for people. */
type AddedDevice =
  /** One descriptor, O_PATH, of a directory or a file; of a named volume a second one, whose lock keeps it. */
  | { readonly kind: 'mount'; readonly source: string; readonly volume?: string | undefined; readonly target: string; readonly readOnly: boolean; readonly recursive: boolean; readonly cache: 'none' | 'auto' | 'always'; readonly quota?: number | undefined }
  /** One, of a raw image or block device. */
  | { readonly kind: 'disk'; readonly source: string; readonly target: string; readonly readOnly: boolean; readonly format: 'ext4' | 'erofs' }
  /** One, of a tap or a connected socket; of the user-mode network none: it is the one that the container began with. */
  | { readonly kind: 'card'; readonly network: string; readonly addresses: readonly Address[]; readonly routes: readonly { readonly to: Address; readonly gateway?: string | undefined }[]; readonly mtu?: number | undefined };

/**
 * Another container's process has this machine run it. Descriptors of its disks come beside (DescriptorInbox), by `token`: of the image, which cannot be written, and of its changes. The
 * conversation goes on as after `exec`, with the container's own command; its end is that of the container, and the container's disks are whole then.
 */
export interface JoinAsk {
  readonly ask: 'join';
  readonly id: string;
  /** What init is asked for but for root, files and host name, as JSON (vmm/container/spec-text.ts). */
  readonly spec: string;
  readonly token: string;
  /** The image's disk: a name for people, where a descriptor came. */
  readonly root: string;
  /** The disk that keeps its changes; else they are in memory. */
  readonly changes?: string | undefined;
  /** Directories of the host that it has mounted: by the names in `spec`. */
  readonly shares: readonly { readonly name: string; readonly path: string; readonly readOnly: boolean }[];
  /** How long it may take to stop when this machine ends. */
  readonly seconds: number;
}

/** Of a container that has joined: `exec` has a process's `spec` and goes on as `exec` does, `update` has `cgroup`. */
export interface InsideAsk {
  readonly ask: 'inside';
  readonly id: string;
  readonly what: 'exec' | 'pause' | 'resume' | 'stats' | 'sync' | 'update';
  readonly spec?: string | undefined;
  readonly cgroup?: readonly string[] | undefined;
}

export type Ask =
  | { readonly ask: 'wait' }
  | { readonly ask: 'signal'; readonly signal: number }
  /** The stop signal, after so many seconds SIGKILL; answered when the container has ended. `keep`: one of --rm is left to the client, which starts or removes it. */
  | { readonly ask: 'stop'; readonly seconds: number; readonly keep?: boolean }
  /** Freezes all its processes, and thaws them. */
  | { readonly ask: 'pause' }
  | { readonly ask: 'resume' }
  /** Its processes stand, and its disk has all that they wrote, until the connection ends. Before that FAILED: it is to be stopped. */
  | { readonly ask: 'hold' }
  /** Settings of its cgroup; bytes of memory; what is to be done at its end. */
  | { readonly ask: 'update'; readonly cgroup: readonly string[]; readonly memory?: number | undefined; readonly restart?: RestartPolicy | undefined }
  | { readonly ask: 'plug'; readonly token: string; readonly device: AddedDevice }
  /** `force`: though it is in use. */
  | { readonly ask: 'unplug'; readonly device: string; readonly force: boolean }
  /** Its figures. */
  | { readonly ask: 'stats' }
  /** One of init's own commands, as its root or as a user, '' for the container's; goes on as `exec` does. */
  | { readonly ask: 'builtin'; readonly args: readonly string[]; readonly stdin: boolean; readonly user?: string | undefined }
  | ExecAsk
  | AttachAsk
  | JoinAsk
  | InsideAsk;

/** A container's figures, of its cgroup and its machine. */
export interface Stats {
  /** CPU time of its processes since their start, µs. */
  readonly cpuUs: number;
  /** When they were taken, by the host's clock, ms since 1970. */
  readonly at: number;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly memoryLimit: number;
  readonly pids: number;
  readonly blockRead: number;
  readonly blockWritten: number;
  /** Of the machine’s cards, all together. */
  readonly netReceived: number;
  readonly netSent: number;
}

export type Answer =
  /** `tty`, `stdin`: what is talked to has a terminal, reads input. `late`: --timeout has ended it. */
  | { readonly version: number; readonly done: true; readonly status?: number | undefined; readonly late?: boolean | undefined; readonly tty?: boolean | undefined; readonly stdin?: boolean | undefined; readonly stats?: Stats | undefined; /** Its name, for `unplug`. */ readonly device?: string | undefined }
  /** `status`: what the client is to end with, 125 where it is not said. */
  | { readonly version: number; readonly done: false; readonly code: string; readonly message: string; readonly hint?: string | undefined; readonly status?: number | undefined };

/** What the end of a container that has joined tells beside its status, as bits of EXIT. */
export const ENDED_OUT_OF_MEMORY = 1;
export const ENDED_ROOT_FULL = 2;
/** The machine ends, too. */
export const ENDED_WITH_MACHINE = 4;
