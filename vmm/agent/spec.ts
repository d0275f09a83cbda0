import * as P from './generated/protocol.ts';
import { FieldWriter } from './wire.ts';

/** Rows and columns in characters, the rest in pixels. */
export interface WindowSize {
  rows: number;
  columns: number;
  xPixels?: number;
  yPixels?: number;
}

/** Capability sets as masks: bit n is capability n of linux/capability.h. */
export interface Capabilities {
  bounding: bigint;
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
  ambient: bigint;
}

export interface Rlimit {
  /** RLIMIT_* of Linux. */
  resource: number;
  /** RLIM_INFINITY is 2^64 - 1. */
  soft: bigint;
  hard: bigint;
}

export interface ProcessSpec {
  /** The command and its arguments; a command without a slash is looked up in PATH of `env`. */
  args: readonly string[];
  /** NAME=VALUE; HOME is added from the user's entry when missing. */
  env: readonly string[];
  /** Made when it is absent (START); "/" when not given. */
  cwd?: string;
  /** It is not made: a start fails where it is absent. */
  cwdThere?: boolean;
  /** user, uid, user:group, uid:gid … resolved in the container; root when not given. */
  user?: string;
  /** Additional groups, by name or number. */
  groups?: readonly string[];
  /** Whether standard input comes from the host; else it is /dev/null. */
  stdin?: boolean;
  /** Whether standard output goes to the host (default); else it is /dev/null. */
  stdout?: boolean;
  stderr?: boolean;
  /** A terminal in place of the three streams. */
  tty?: boolean;
  size?: WindowSize;
  capabilities?: Capabilities;
  noNewPrivileges?: boolean;
  rlimits?: readonly Rlimit[];
  /** struct sock_filter[] and the flags of seccomp(2). */
  seccomp?: { program: Uint8Array; flags?: number };
  /** -1000 to 1000. */
  oomScoreAdj?: number;
  /** 0o022 when not given. */
  umask?: number;
  /** `args` name one of init's own commands (docs/agent-protocol.md, "Built-ins"). */
  builtin?: boolean;
}

/** Where a root file system or a mount comes from. */
export type Source =
  /** A virtio-blk device by its serial number (at most 20 bytes). */
  | { kind: 'block'; serial: string; fstype: string; data?: string }
  /** A virtio-fs share by its tag. */
  | { kind: 'share'; tag: string; fstype?: string; data?: string }
  /** A volume made by `AgentSession.addVolume`. */
  | { kind: 'volume'; name: string }
  /** A directory of the guest's init. */
  | { kind: 'directory'; path: string }
  /** A directory of the container's own root, made when it is absent: writable even when the root is read-only. */
  | { kind: 'root'; path: string };

export interface Mount {
  target: string;
  /** A new file system without a source of its own (tmpfs, proc, …) when absent. */
  source?: Source;
  /** With no source: the file system's type. */
  fstype?: string;
  /** With no source: what mountinfo shows as its source; the type when absent. */
  device?: string;
  data?: string;
  /** A directory or file below the source. */
  subpath?: string;
  /** MS_* of mount(2). */
  flags?: number;
  /** Mode of the target directory if it has to be made. */
  mode?: number;
}

/** A file that the host provides: written into the root, or bound over it where that must stay unchanged. */
export interface ProvidedFile {
  target: string;
  content: string | Uint8Array;
  mode?: number;
  uid?: number;
  gid?: number;
  /** Leaves a file of the image alone. */
  ifAbsent?: boolean;
  /** Bound over the root's file, and kept by init, so that NetworkConfig.files can change it. */
  kept?: boolean;
}

export interface DeviceNode {
  target: string;
  type: 'c' | 'b' | 'p';
  major: number;
  minor: number;
  mode?: number;
  uid?: number;
  gid?: number;
}

/** What the processes of a container may do with a device's nodes. */
export interface DeviceRule {
  /** 'a': both kinds. */
  type: 'a' | 'b' | 'c';
  /** Each when not given. */
  major?: number;
  minor?: number;
  /** Some of r (read), w (write), m (make a node). */
  access: string;
}

export type NamespaceName = 'pid' | 'uts' | 'ipc' | 'cgroup' | 'net';

export interface ContainerSpec extends ProcessSpec {
  root: Source & { subpath?: string; readOnly?: boolean };
  /** A writable layer above the root: in memory (size in bytes) or on a scratch disk, which with `kept` holds one container's and is mounted again. None: the root itself. */
  overlay?: { kind: 'tmpfs'; size?: bigint } | { kind: 'block'; serial: string; kept?: boolean };
  /** --read-only: everything is put in place, then the root becomes read-only. */
  readOnly?: boolean;
  mounts?: readonly Mount[];
  files?: readonly ProvidedFile[];
  devices?: readonly DeviceNode[];
  /** What no rule allows is refused; without any rule nothing is. */
  deviceRules?: readonly DeviceRule[];
  /** A node for each device of the machine. */
  allDevices?: boolean;
  /** It can tell that it is ready at NOTIFY_SOCKET, as sd_notify(3) does: `ProcessHandle.ready`. */
  notify?: boolean;
  /** TCP ports of the sockets that its command begins with, listening, from descriptor 3 on (sd_listen_fds(3)); at most MAX_ACTIVATED. */
  activated?: readonly number[];
  hostname?: string;
  domain?: string;
  maskedPaths?: readonly string[];
  /** Masked directories have mode 0, as systemd's InaccessiblePaths. */
  maskedClosed?: boolean;
  readonlyPaths?: readonly string[];
  /** "net.ipv4.ip_forward=1". */
  sysctls?: readonly string[];
  /** cgroup v2 settings: "memory.max=536870912". */
  cgroup?: readonly string[];
  /** 'new' (default, but net: 'vm'), the machine's own, or that of another container. */
  namespaces?: Partial<Record<NamespaceName, 'new' | 'vm' | { container: number }>>;
  /** --init: a small process 1 that reaps and passes signals on. */
  init?: boolean;
  /** What an orderly shutdown sends; SIGTERM when not given. */
  stopSignal?: number;
  /** Everything is made ready, and the command waits to be released. */
  hold?: boolean;
}

/** Namespaces without a command, for the containers of one pod to join. */
export interface SandboxSpec {
  hostname?: string;
  domain?: string;
  namespaces?: ContainerSpec['namespaces'];
  cgroup?: readonly string[];
}

const CLONE_FLAGS: Record<NamespaceName, number> = {
  pid: 0x20000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  cgroup: 0x02000000,
  net: 0x40000000,
};

const MS_RDONLY = 1;

/** Which of the standard streams a process has, as STDIO_* bits. */
export function stdioBits(spec: ProcessSpec): number {
  if (spec.tty === true) return P.STDIO_TTY;
  return (
    (spec.stdin === true ? P.STDIO_STDIN : 0) |
    (spec.stdout === false ? 0 : P.STDIO_STDOUT) |
    (spec.stderr === false ? 0 : P.STDIO_STDERR)
  );
}

export function writeWindowSize(w: FieldWriter, size: WindowSize): void {
  w.u16(P.TAG_WINSIZE, size.rows, size.columns, size.xPixels ?? 0, size.yPixels ?? 0);
}

function writeProcess(w: FieldWriter, container: number, process: number, spec: ProcessSpec): void {
  w.u32(P.TAG_CONTAINER, container).u32(P.TAG_PROCESS, process);
  for (const arg of spec.args) w.string(P.TAG_ARG, arg);
  for (const variable of spec.env) w.string(P.TAG_ENV, variable);
  if (spec.cwd !== undefined) w.string(P.TAG_CWD, spec.cwd);
  if (spec.user !== undefined) w.string(P.TAG_USER, spec.user);
  for (const group of spec.groups ?? []) w.string(P.TAG_GROUP_ADD, group);
  w.u32(P.TAG_STDIO, stdioBits(spec));
  if (spec.size !== undefined) writeWindowSize(w, spec.size);
  if (spec.capabilities !== undefined) {
    const c = spec.capabilities;
    w.u64(P.TAG_CAPS, c.bounding, c.effective, c.permitted, c.inheritable, c.ambient);
  }
  if (spec.noNewPrivileges === true) w.flag(P.TAG_NO_NEW_PRIVS);
  for (const limit of spec.rlimits ?? []) w.u64(P.TAG_RLIMIT, BigInt(limit.resource), limit.soft, limit.hard);
  if (spec.seccomp !== undefined) {
    const { program, flags = 0 } = spec.seccomp;
    const value = new Uint8Array(4 + program.length);
    new DataView(value.buffer).setUint32(0, flags, true);
    value.set(program, 4);
    w.bytes(P.TAG_SECCOMP, value);
  }
  if (spec.oomScoreAdj !== undefined) w.u32(P.TAG_OOM_SCORE_ADJ, spec.oomScoreAdj);
  if (spec.umask !== undefined) w.u32(P.TAG_UMASK, spec.umask);
  if (spec.builtin === true) w.flag(P.TAG_BUILTIN);
  if (spec.cwdThere === true) w.flag(P.TAG_CWD_THERE);
}

function writeSource(w: FieldWriter, source: Source): void {
  switch (source.kind) {
    case 'block':
      w.u32(P.TAG_KIND, P.SOURCE_BLOCK).string(P.TAG_SOURCE, source.serial).string(P.TAG_FSTYPE, source.fstype);
      break;
    case 'share':
      w.u32(P.TAG_KIND, P.SOURCE_SHARE).string(P.TAG_SOURCE, source.tag);
      w.string(P.TAG_FSTYPE, source.fstype ?? 'virtiofs');
      break;
    case 'volume':
      w.u32(P.TAG_KIND, P.SOURCE_VOLUME).string(P.TAG_SOURCE, source.name);
      break;
    case 'root':
      w.u32(P.TAG_KIND, P.SOURCE_ROOT).string(P.TAG_SOURCE, source.path);
      break;
    case 'directory':
      w.u32(P.TAG_KIND, P.SOURCE_DIRECTORY).string(P.TAG_SOURCE, source.path);
      break;
  }
  if ('data' in source && source.data !== undefined) w.string(P.TAG_DATA, source.data);
}

export function encodeMount(mount: Mount): FieldWriter {
  const w = new FieldWriter();
  if (mount.source !== undefined) {
    writeSource(w, mount.source);
  } else {
    w.u32(P.TAG_KIND, P.SOURCE_NONE).string(P.TAG_FSTYPE, mount.fstype ?? '');
    if (mount.device !== undefined) w.string(P.TAG_SOURCE, mount.device);
    if (mount.data !== undefined) w.string(P.TAG_DATA, mount.data);
  }
  w.string(P.TAG_TARGET, mount.target);
  if (mount.subpath !== undefined) w.string(P.TAG_SUBPATH, mount.subpath);
  if (mount.flags !== undefined) w.u64(P.TAG_FLAGS, BigInt(mount.flags));
  if (mount.mode !== undefined) w.u32(P.TAG_MODE, mount.mode);
  return w;
}

export function encodeFile(file: ProvidedFile): FieldWriter {
  const w = new FieldWriter().string(P.TAG_TARGET, file.target);
  if (file.mode !== undefined) w.u32(P.TAG_MODE, file.mode);
  if (file.uid !== undefined || file.gid !== undefined) w.u32(P.TAG_OWNER, file.uid ?? 0, file.gid ?? 0);
  const flags = (file.ifAbsent === true ? P.FILE_IF_ABSENT : 0) | (file.kept === true ? P.FILE_KEPT : 0);
  if (flags !== 0) w.u64(P.TAG_FLAGS, BigInt(flags));
  const content = typeof file.content === 'string' ? new TextEncoder().encode(file.content) : file.content;
  return w.bytes(P.TAG_CONTENT, content);
}

function encodeDevice(device: DeviceNode): FieldWriter {
  const w = new FieldWriter().string(P.TAG_TARGET, device.target);
  w.u32(P.TAG_NODE, device.type.charCodeAt(0), device.major, device.minor);
  if (device.mode !== undefined) w.u32(P.TAG_MODE, device.mode);
  if (device.uid !== undefined || device.gid !== undefined) w.u32(P.TAG_OWNER, device.uid ?? 0, device.gid ?? 0);
  return w;
}

const DEVICE_ACCESS: Readonly<Record<string, number>> = { m: P.DEVICE_MKNOD, r: P.DEVICE_READ, w: P.DEVICE_WRITE };

function writeDeviceRule(w: FieldWriter, rule: DeviceRule): void {
  const access = [...rule.access].reduce((bits, letter) => bits | (DEVICE_ACCESS[letter] ?? 0), 0);
  w.u32(P.TAG_DEVICE_RULE, rule.type.charCodeAt(0), rule.major ?? P.DEVICE_ANY, rule.minor ?? P.DEVICE_ANY, access);
}

function writeNamespaces(w: FieldWriter, namespaces: ContainerSpec['namespaces']): void {
  for (const [name, choice] of Object.entries(namespaces ?? {})) {
    const flag = CLONE_FLAGS[name as NamespaceName];
    if (choice === 'new') w.u32(P.TAG_NAMESPACE, flag, P.NAMESPACE_NEW, 0);
    else if (choice === 'vm') w.u32(P.TAG_NAMESPACE, flag, P.NAMESPACE_VM, 0);
    else if (choice !== undefined) w.u32(P.TAG_NAMESPACE, flag, P.NAMESPACE_JOIN, choice.container);
  }
}

function writeRoot(w: FieldWriter, spec: ContainerSpec): void {
  const root = new FieldWriter();
  writeSource(root, spec.root);
  if (spec.root.subpath !== undefined) root.string(P.TAG_SUBPATH, spec.root.subpath);
  if (spec.root.readOnly === true) root.u64(P.TAG_FLAGS, BigInt(MS_RDONLY));
  w.nested(P.TAG_ROOT, root);
  if (spec.overlay === undefined) return;
  const overlay = new FieldWriter();
  if (spec.overlay.kind === 'block') {
    overlay.u32(P.TAG_KIND, spec.overlay.kept === true ? P.OVERLAY_KEPT : P.OVERLAY_BLOCK).string(P.TAG_SOURCE, spec.overlay.serial);
  } else {
    overlay.u32(P.TAG_KIND, P.OVERLAY_TMPFS);
    if (spec.overlay.size !== undefined) overlay.u64(P.TAG_SIZE, spec.overlay.size);
  }
  w.nested(P.TAG_OVERLAY, overlay);
}

/** The payload of START. */
export function encodeStart(container: number, process: number, spec: ContainerSpec): FieldWriter {
  const w = new FieldWriter();
  writeProcess(w, container, process, spec);
  writeRoot(w, spec);
  writeNamespaces(w, spec.namespaces);
  if (spec.readOnly === true) w.flag(P.TAG_READ_ONLY);
  if (spec.init === true) w.flag(P.TAG_REAPER);
  if (spec.hold === true) w.flag(P.TAG_HOLD);
  if (spec.stopSignal !== undefined) w.u32(P.TAG_STOP_SIGNAL, spec.stopSignal);
  if (spec.hostname !== undefined) w.string(P.TAG_HOSTNAME, spec.hostname);
  if (spec.domain !== undefined) w.string(P.TAG_DOMAIN, spec.domain);
  for (const mount of spec.mounts ?? []) w.nested(P.TAG_MOUNT, encodeMount(mount));
  for (const file of spec.files ?? []) w.nested(P.TAG_FILE, encodeFile(file));
  for (const device of spec.devices ?? []) w.nested(P.TAG_DEVICE, encodeDevice(device));
  for (const rule of spec.deviceRules ?? []) writeDeviceRule(w, rule);
  if (spec.allDevices === true) w.flag(P.TAG_ALL_DEVICES);
  if (spec.notify === true) w.flag(P.TAG_NOTIFY);
  for (const port of spec.activated ?? []) w.u16(P.TAG_ACTIVATED, port);
  for (const path of spec.maskedPaths ?? []) w.string(P.TAG_MASKED_PATH, path);
  if (spec.maskedClosed === true) w.flag(P.TAG_MASKED_CLOSED);
  for (const path of spec.readonlyPaths ?? []) w.string(P.TAG_READONLY_PATH, path);
  for (const setting of spec.sysctls ?? []) w.string(P.TAG_SYSCTL, setting);
  for (const setting of spec.cgroup ?? []) w.string(P.TAG_CGROUP, setting);
  return w;
}

/** The payload of START for a sandbox. */
export function encodeSandbox(container: number, process: number, spec: SandboxSpec): FieldWriter {
  const w = new FieldWriter().u32(P.TAG_CONTAINER, container).u32(P.TAG_PROCESS, process).flag(P.TAG_SANDBOX);
  writeNamespaces(w, spec.namespaces);
  if (spec.hostname !== undefined) w.string(P.TAG_HOSTNAME, spec.hostname);
  if (spec.domain !== undefined) w.string(P.TAG_DOMAIN, spec.domain);
  for (const setting of spec.cgroup ?? []) w.string(P.TAG_CGROUP, setting);
  return w;
}

/** The payload of EXEC. */
export function encodeExec(container: number, process: number, spec: ProcessSpec): FieldWriter {
  const w = new FieldWriter();
  writeProcess(w, container, process, spec);
  return w;
}

/** What becomes of a mount of a container that runs; `detach`: it is taken away though it is in use. */
export type MountAction = 'add' | 'remove' | 'detach';

const MOUNT_ACTIONS: Readonly<Record<MountAction, number>> = { add: P.ACTION_ADD, remove: P.ACTION_REMOVE, detach: P.ACTION_DETACH };

/** The process that a change of mounts is, which has no command. */
export const MOUNT_CHANGE: ProcessSpec = { args: ['mount'], env: [], stdout: false, stderr: false };

/** The payload of an EXEC that changes a container's mounts. */
export function encodeMountChange(container: number, process: number, mount: Mount, action: MountAction): FieldWriter {
  return encodeExec(container, process, MOUNT_CHANGE).nested(P.TAG_MOUNT, encodeMount(mount)).u32(P.TAG_ACTION, MOUNT_ACTIONS[action]);
}
