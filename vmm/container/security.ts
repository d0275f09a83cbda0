/** What keeps a container from the machine around it: system calls, devices, paths of /proc and /sys. As Docker has it unless told otherwise. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import type { ContainerSpec, DeviceNode, DeviceRule, Mount } from '../agent/spec.ts';
import { compileProfile } from '../seccomp/compile.ts';
import { parseProfile } from '../seccomp/docker-json.ts';
import { changedFilter, defaultFilter } from '../seccomp/filter.ts';
import { CAPABILITIES } from './capabilities.ts';

/** Longest profile, bytes. */
const PROFILE_MAX = 1 << 20;

export interface Security {
  /** Text of a profile as Docker takes it; not given: Docker's default. */
  readonly seccomp?: string | 'unconfined';
  /** Of the default filter, where `seccomp` is not given: system calls that are allowed or blocked beside. */
  readonly seccompChanges?: { readonly allow: readonly string[]; readonly block: readonly string[]; readonly errno: number };
  readonly noNewPrivileges?: boolean;
  /** Neither masked nor read-only paths. */
  readonly systemPaths?: 'unconfined';
  /** No wall but the namespaces: all devices, all calls, /sys and the cgroup writable. The capabilities are said apart. */
  readonly privileged?: boolean;
  /** Devices of the machine beside the usual ones. */
  readonly devices?: readonly GrantedDevice[];
  /** What may be done with devices beyond that (`parseDeviceRule`). */
  readonly deviceRules?: readonly DeviceRule[];
}

/** A device's node in the container, and what may be done with it. */
export interface GrantedDevice {
  readonly node: DeviceNode;
  readonly access: string;
}

/** Devices of the guest that a container can be given by their names. */
const DEVICES: Readonly<Record<string, readonly [type: 'c' | 'b', major: number, minor: number]>> = {
  '/dev/net/tun': ['c', 10, 200], '/dev/fuse': ['c', 10, 229], '/dev/loop-control': ['c', 10, 237], '/dev/kmsg': ['c', 1, 11], '/dev/hwrng': ['c', 10, 183],
  ...Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((minor) => [`/dev/loop${minor}`, ['b', 7, minor] as const])),
};

/** Docker's `--device PATH[:TARGET][:rwm]`; the path is one of the guest's devices. */
export function parseDevice(text: string, option = '--device'): GrantedDevice {
  const [path = '', second, third] = text.split(':');
  const isAccess = (word: string | undefined): word is string => word !== undefined && /^[rwm]{1,3}$/.test(word);
  const [target, access] = third === undefined && isAccess(second) ? [path, second] : [second ?? path, third ?? 'rwm'];
  const device = DEVICES[path];
  if (device === undefined || !target.startsWith('/') || target.endsWith('/') || !isAccess(access)) {
    throw new VmmError('USAGE', `${option}: ${text} is not a device of the machine`, { hint: `write PATH[:TARGET][:rwm]; there are ${Object.keys(DEVICES).slice(0, 6).join(', ')} to /dev/loop7; the host's own devices are not passed on` });
  }
  const [type, major, minor] = device;
  return { node: { target, type, major, minor, mode: 0o660 }, access };
}

/** Docker's `--device-cgroup-rule`: `c 10:200 rwm`, `b *:* r`. Throws USAGE. */
export function parseDeviceRule(text: string, option = '--device-cgroup-rule'): DeviceRule {
  const match = /^([abc]) (\d{1,6}|\*):(\d{1,6}|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) throw new VmmError('USAGE', `${option}: invalid device cgroup format '${text}'`, { hint: "for example 'c 10:200 rwm'" });
  const [, type, major, minor, access = ''] = match;
  const number = (word: string | undefined): number | undefined => (word === '*' ? undefined : Number(word));
  const [majorNumber, minorNumber] = [number(major), number(minor)];
  return { type: type as DeviceRule['type'], access, ...(majorNumber === undefined ? {} : { major: majorNumber }), ...(minorNumber === undefined ? {} : { minor: minorNumber }) };
}

const MASKED_PATHS = [
  '/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug',
  '/proc/scsi', '/sys/firmware', '/sys/devices/virtual/powercap',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Docker's and runc's: any node may be made, these may be used: null, zero, full, random, urandom, tty, console, ptmx, terminals. */
const DEVICE_RULES: readonly DeviceRule[] = [
  { type: 'a', access: 'm' },
  ...[3, 5, 7, 8, 9].map((minor): DeviceRule => ({ type: 'c', major: 1, minor, access: 'rwm' })),
  ...[0, 1, 2].map((minor): DeviceRule => ({ type: 'c', major: 5, minor, access: 'rwm' })),
  { type: 'c', major: 136, access: 'rwm' },
];

/** The parts of a container's specification that this decides. Throws USAGE for a profile that cannot be read. */
export function securitySpec(security: Security, capabilities: bigint): Partial<ContainerSpec> {
  const { privileged = false, systemPaths, devices = [] } = security;
  const granted = devices.map(({ node: { type, major, minor }, access }): DeviceRule => ({ type: type as 'b' | 'c', major, minor, access }));
  const filter = seccompFilter(security, capabilities);
  const open = privileged || systemPaths === 'unconfined';
  return {
    maskedPaths: open ? [] : MASKED_PATHS,
    readonlyPaths: open ? [] : READONLY_PATHS,
    devices: devices.map(({ node }) => node),
    ...(privileged ? { allDevices: true } : { deviceRules: [...DEVICE_RULES, ...granted, ...(security.deviceRules ?? [])] }),
    ...(security.noNewPrivileges === true ? { noNewPrivileges: true } : {}),
    ...(filter === undefined ? {} : { seccomp: { program: filter } }),
  };
}

function seccompFilter({ seccomp, seccompChanges, privileged }: Security, capabilities: bigint): Uint8Array | undefined {
  if (seccomp === 'unconfined' || (seccomp === undefined && privileged === true)) return undefined;
  if (seccomp === undefined) return seccompChanges === undefined ? defaultFilter(capabilities) : changedFilter(capabilities, seccompChanges);
  const names = new Set(CAPABILITIES.filter((_name, bit) => capabilities >> BigInt(bit) & 1n).map((name) => `CAP_${name}`));
  const profile = parseProfile(seccomp, names);
  if (profile === undefined) return undefined;
  try {
    return compileProfile(profile);
  } catch (cause) {
    if (cause instanceof RangeError) throw new VmmError('USAGE', `--security-opt seccomp: the profile is too large: ${cause.message}`, { cause });
    throw cause;
  }
}

/** Docker's `--security-opt` values, later ones over earlier ones. */
export function parseSecurityOptions(values: readonly string[]): Security {
  let security: Security = {};
  for (const text of values) {
    const [name, value] = [text.replace(/[=:].*$/s, ''), /[=:](.*)$/s.exec(text)?.[1]];
    const bad = (hint: string): VmmError => new VmmError('USAGE', `--security-opt: ${text} is not known`, { hint });
    if (name === 'no-new-privileges') {
      if (value !== undefined && value !== 'true' && value !== 'false') throw bad('write no-new-privileges, or with =true or =false');
      security = { ...security, noNewPrivileges: value !== 'false' };
    } else if (name === 'seccomp') {
      if (value === undefined || value === '') throw bad('write seccomp=FILE, seccomp=builtin or seccomp=unconfined');
      const { seccomp: _before, ...others } = security;
      security = value === 'builtin' ? others : { ...others, seccomp: value === 'unconfined' ? value : profileText(value) };
    } else if (name === 'systempaths') {
      if (value !== 'unconfined') throw bad('write systempaths=unconfined');
      security = { ...security, systemPaths: value };
    } else if (name !== 'apparmor' && name !== 'label') {
      // The guest's kernel has neither AppArmor nor SELinux: what they are asked for is so already, or the machine's wall does it.
      throw bad('known: seccomp=FILE|builtin|unconfined, no-new-privileges, systempaths=unconfined, apparmor=…, label=…');
    }
  }
  return security;
}

function profileText(path: string): string {
  const bad = (what: string, cause?: unknown): VmmError => new VmmError('USAGE', `--security-opt seccomp: ${what}`, { cause, hint: 'give a file with a profile as Docker takes it' });
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw bad(`cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, cause);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw bad(`${path} is not a file`);
    if (stat.size > PROFILE_MAX) throw bad(`${path} is larger than ${PROFILE_MAX} bytes`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

const MS_RDONLY = 1;
const WRITABLE = ['/sys', '/sys/fs/cgroup'];

/** The standard mounts with what a privileged container may write to. */
export function writableMounts(mounts: readonly Mount[], targets: readonly string[] = WRITABLE): readonly Mount[] {
  return mounts.map((mount) => (targets.includes(mount.target) ? { ...mount, flags: (mount.flags ?? 0) & ~MS_RDONLY } : mount));
}
