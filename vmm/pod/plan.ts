/** From manifests to what a machine and its init are asked for. */
import { VmmError } from '../../base/errors.ts';
import type { App, EventName, Port } from '../../image/appc/schema/app.ts';
import { isolationOf } from '../../image/appc/schema/isolation.ts';
import { isolatorOf, REMOVE_CAPABILITIES, RETAIN_CAPABILITIES } from '../../image/appc/schema/isolators.ts';
import type { PodMount, Volume } from '../../image/appc/schema/pod-manifest.ts';
import { MAX_ACTIVATED } from '../agent/generated/protocol.ts';
import type { ContainerSpec, Mount, ProvidedFile, Source } from '../agent/spec.ts';
import { CAPABILITIES, capabilitySet } from '../container/capabilities.ts';
import { cpuWeight, imageSecurity } from '../container/isolation.ts';
import { inOrder } from '../container/mounts.ts';
import { type GrantedDevice, type Security, securitySpec } from '../container/security.ts';
import { standardMounts } from '../container/spec.ts';
import type { GuestConfig, ShareExport } from '../guest/guest.ts';
import { SHARE_TAG } from '../guest/guest.ts';
import { type AppMount, appMounts } from './volumes.ts';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const CPU_PERIOD_US = 100_000;
const MS_RDONLY = 1;
/** Apps of one pod: init has room for 64 containers, a handler of an app is one, and the sandbox is one. */
const MOST_APPS = 30;

/** The specification wants one in each app; the machine's shows up where a guest's end is told. */
const CONSOLE = { target: '/dev/console', type: 'c', major: 5, minor: 1, mode: 0o600 } as const;

/** Where init listens for an app that has one (guest-kernel/init/notify.h). */
const NOTIFY_SOCKET = '/run/systemd/notify';

/** Where an app's root lies. */
export type AppRoot =
  /** A directory of the host, which the app writes to. */
  | { readonly kind: 'directory'; readonly path: string }
  /** A file system image that stays as it is; changes go to memory, or to a scratch disk. `own`: that is the app's alone, whose handlers and command see each other's changes. */
  | { readonly kind: 'disk'; readonly path: string; readonly scratch?: string | undefined; readonly own?: boolean | undefined };

/** What is switched off by rkt's `--insecure-options`. */
export interface Insecure {
  readonly capabilities?: boolean;
  readonly paths?: boolean;
  readonly seccomp?: boolean;
}

/** One app as its pod has it. */
export interface PodApp {
  readonly name: string;
  /** Of the pod's manifest, or of the image's. */
  readonly app: App;
  readonly root: AppRoot;
  readonly readOnlyRoot: boolean;
  readonly mounts: readonly PodMount[];
  /** `USER:GROUP` as init resolves them, by name or number. */
  readonly user: string;
  /** NAME=VALUE, in order. */
  readonly env: readonly string[];
  readonly args: readonly string[];
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  readonly tty?: boolean | undefined;
  /** It tells when it is ready, by sd_notify(3). */
  readonly notify?: boolean | undefined;
}

/** The app's ports whose sockets it is given. Throws POD_APP. */
export function activatedPorts(name: string, { ports }: App): readonly Port[] {
  const activated = ports.filter(({ socketActivated }) => socketActivated);
  const other = activated.find(({ protocol }) => protocol !== 'tcp' && protocol !== '');
  if (other !== undefined) throw new VmmError('POD_APP', `app ${name}: port ${other.name}: a socket of the protocol ${JSON.stringify(other.protocol.slice(0, 50))} cannot be given to it`, { hint: 'socketActivated is for tcp' });
  if (activated.length > MAX_ACTIVATED) throw new VmmError('POD_APP', `app ${name}: ${activated.length} ports with socketActivated, there may be ${MAX_ACTIVATED}`);
  return activated;
}

export interface PodInput {
  readonly apps: readonly PodApp[];
  readonly volumes: readonly Volume[];
  /** Where the volume lies on the host; for an empty one it is made. `implied`: it is for this place of this app alone, whose image wanted it. */
  place(volume: Volume, implied?: { readonly app: string; readonly path: string }): string;
  /** rkt's rule: what a volume says of readOnly counts before what a mount point says. */
  readonly volumeDecides?: boolean | undefined;
  readonly files: (app: PodApp) => readonly ProvidedFile[];
  readonly insecure?: Insecure | undefined;
  /** Devices of the machine for each app, beside those of every container. */
  readonly devices?: readonly GrantedDevice[] | undefined;
  /** Masked in each app, beside what is in every container. */
  readonly hidden?: readonly string[] | undefined;
  /** Before the names of its exports, where other plans have theirs in the same machine. */
  readonly prefix?: string | undefined;
}

/** One app of the plan: what init is asked for, but for the pod's namespaces. */
export interface AppPlan {
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly handlers: Readonly<Partial<Record<EventName, readonly string[]>>>;
}

export interface PodPlan {
  readonly apps: readonly AppPlan[];
  readonly shares: readonly ShareExport[];
  readonly disks: NonNullable<GuestConfig['disks']>;
  /** What is not done, a line each. */
  readonly notes: readonly string[];
}

/** Exports of the one share device, by what they are of. */
class Exports {
  readonly list: ShareExport[] = [];
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The name of an export of `path`; equal ones share it, so that the guest sees one file system. */
  add(plain: string, path: string, readOnly: boolean, recursive: boolean): string {
    const name = `${this.#prefix}${plain}`;
    const known = this.list.find((each) => each.path === path && each.readOnly === readOnly && each.recursive === recursive);
    if (known !== undefined) return known.name;
    this.list.push({ name, path, readOnly, recursive });
    return name;
  }
}

/** Throws POD_VOLUME, POD_APP, USAGE. */
export function planPod(input: PodInput): PodPlan {
  if (input.apps.length === 0) throw new VmmError('POD_APP', 'the pod has no apps', { hint: 'a pod manifest lists at least one' });
  if (input.apps.length > MOST_APPS) throw new VmmError('POD_APP', `the pod has ${input.apps.length} apps, a machine runs at most ${MOST_APPS}`, { hint: 'make several pods of it' });
  const exports = new Exports(input.prefix ?? '');
  const disks: NonNullable<GuestConfig['disks']>[number][] = [];
  const notes: string[] = [];
  const apps = input.apps.map((app, index) => planApp(app, input, { exports, disks, notes, index }));
  return { apps, shares: exports.list, disks, notes };
}

interface Building {
  readonly exports: Exports;
  readonly disks: NonNullable<GuestConfig['disks']>[number][];
  readonly notes: string[];
  readonly index: number;
}

function planApp(app: PodApp, input: PodInput, building: Building): AppPlan {
  const { name, app: { isolators, eventHandlers, workingDirectory } } = app;
  const isolation = isolationOf({ ...app.app, eventHandlers: [], mountPoints: [] }) ?? {};
  if (isolatorOf(isolators, RETAIN_CAPABILITIES) !== undefined && isolatorOf(isolators, REMOVE_CAPABILITIES) !== undefined) {
    throw new VmmError('POD_APP', `app ${name}: it has both ${RETAIN_CAPABILITIES} and ${REMOVE_CAPABILITIES}`, { hint: 'give one of them' });
  }
  building.notes.push(...(isolation.ignored ?? []).map((line) => `app ${name}: ${line}`));
  const { insecure = {}, hidden = [] } = input;
  const caps = insecure.capabilities === true ? (1n << BigInt(CAPABILITIES.length)) - 1n : capabilitySet([], [], isolation);
  const root = /^(0|root)(:|$)/.test(app.user);
  const filter: Pick<Security, 'seccomp' | 'seccompChanges'> = insecure.seccomp === true ? { seccomp: 'unconfined' } : imageSecurity({ isolation });
  const security = securitySpec({ ...filter, devices: input.devices ?? [], ...noNewPrivileges(isolation.noNewPrivileges, root, filter.seccomp) }, caps);
  const spec: ContainerSpec = {
    args: app.args,
    env: app.notify === true ? [...app.env.filter((each) => !each.startsWith('NOTIFY_SOCKET=')), `NOTIFY_SOCKET=${NOTIFY_SOCKET}`] : app.env,
    cwd: workingDirectory ?? '/',
    // appc: an executor must fail where it is missing.
    cwdThere: true,
    user: app.user,
    ...(isolation.groups === undefined ? {} : { groups: isolation.groups }),
    stdin: app.stdin ?? false,
    stdout: app.stdout ?? true,
    stderr: app.stderr ?? true,
    tty: app.tty ?? false,
    capabilities: root ? { bounding: caps, effective: caps, permitted: caps, inheritable: 0n, ambient: 0n } : { bounding: caps, effective: 0n, permitted: 0n, inheritable: 0n, ambient: 0n },
    ...appRoot(app, building),
    readOnly: app.readOnlyRoot,
    ...(app.notify === true ? { notify: true } : {}),
    activated: activatedPorts(name, app.app).map(({ port }) => port),
    mounts: allMounts(planMounts(app, input, building)),
    files: input.files(app),
    ...security,
    // With a terminal it is that.
    devices: [...(security.devices ?? []), ...(app.tty === true ? [] : [CONSOLE])],
    ...(insecure.paths === true ? { maskedPaths: [], readonlyPaths: [] } : { maskedPaths: [...(security.maskedPaths ?? []), ...hidden], maskedClosed: input.hidden !== undefined }),
    cgroup: [
      ...(isolation.memory === undefined ? [] : [`memory.max=${isolation.memory}`]),
      ...(isolation.cpuMillis === undefined ? [] : [`cpu.max=${Math.max(1000, isolation.cpuMillis * (CPU_PERIOD_US / 1000))} ${CPU_PERIOD_US}`]),
      ...(isolation.cpuShares === undefined ? [] : [`cpu.weight=${cpuWeight(isolation.cpuShares)}`]),
    ],
    ...(isolation.oomScoreAdj === undefined ? {} : { oomScoreAdj: isolation.oomScoreAdj }),
  };
  return { name, spec, handlers: Object.fromEntries(eventHandlers.filter(({ exec }) => exec.length > 0).map((handler) => [handler.name, handler.exec])) };
}

/** rkt's rule: a filter of who is not root needs it. */
function noNewPrivileges(asked: boolean | undefined, root: boolean, seccomp: string | undefined): { noNewPrivileges?: true } {
  return asked === true || (!root && seccomp !== 'unconfined') ? { noNewPrivileges: true } : {};
}

function appRoot({ name, root }: PodApp, { exports, disks, index }: Building): Pick<ContainerSpec, 'root' | 'overlay'> {
  if (root.kind === 'directory') return { root: { ...share(), subpath: exports.add(`app-${index}`, root.path, false, false) } };
  const known = disks.find(({ path, readOnly }) => readOnly === true && path === root.path);
  const id = known?.id ?? `root${index}`;
  if (known === undefined) disks.push({ path: root.path, readOnly: true, id, name: `the image of app ${name}` });
  // One may be for all apps: each has a directory of its own on it.
  const scratch = disks.find(({ path, readOnly }) => readOnly !== true && path === root.scratch)?.id ?? `scratch${index}`;
  if (root.scratch !== undefined && scratch === `scratch${index}`) disks.push({ path: root.scratch, readOnly: false, id: scratch, name: 'the scratch disk' });
  return {
    root: { kind: 'block', serial: id, fstype: 'erofs', readOnly: true },
    overlay: root.scratch === undefined ? { kind: 'tmpfs' } : { kind: 'block', serial: scratch, kept: root.own === true },
  };
}

function share(): Source & { kind: 'share' } {
  return { kind: 'share', tag: SHARE_TAG };
}

function planMounts(app: PodApp, { volumes, place, volumeDecides }: PodInput, { exports, notes }: Building): Mount[] {
  const { mounts, implied } = appMounts(app.name, app.app, app.mounts, volumes, volumeDecides);
  for (const point of implied) notes.push(`app ${app.name}: no volume for mount point ${point}: it gets an empty one`);
  return mounts.map(({ volume, target, readOnly, implied: own }: AppMount): Mount => {
    const recursive = volume.kind === 'host' && volume.recursive !== false;
    const name = exports.add(`volume-${exports.list.length}`, place(volume, own ? { app: app.name, path: target } : undefined), readOnly, recursive);
    return { target, source: share(), subpath: name, flags: readOnly ? MS_RDONLY : 0 };
  });
}

/** A standard mount gives way to a volume there. */
function allMounts(asked: readonly Mount[]): Mount[] {
  const targets = new Set(asked.map(({ target }) => target));
  return [...standardMounts().filter(({ target }) => !targets.has(target)), ...inOrder(asked)];
}
