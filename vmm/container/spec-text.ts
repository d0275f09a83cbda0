/** What init is asked for as a text, from the process of a container that joins another's machine to the one that has it: all that is not known is refused. */
import { VmmError } from '../../base/errors.ts';
import type { ContainerSpec, ProcessSpec } from '../agent/spec.ts';

/** Gives what is right of a value. Throws VmmError. */
type Take = (value: unknown) => unknown;

/** JSON has neither. */
const BIG = '$n';
const BYTES = '$b';

function bad(): VmmError {
  return new VmmError('OWNER_REFUSED', 'what is to be run in the machine is not understood', { hint: 'is it asked by the same version of vmm?' });
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const when = (check: (value: unknown) => boolean): Take => (value) => {
  if (!check(value)) throw bad();
  return value;
};
const text = when((value) => typeof value === 'string' && !value.includes('\0'));
const flag = when((value) => typeof value === 'boolean');
const whole = (least: number, most: number): Take => when((value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most);
const word = whole(0, 0xffff_ffff);
const oneOf = (...words: readonly string[]): Take => when((value) => words.includes(value as string));
const list = (take: Take): Take => (value) => {
  if (!Array.isArray(value)) throw bad();
  return value.map(take);
};
const either = (...takes: readonly Take[]): Take => (value) => {
  for (const take of takes) {
    try {
      return take(value);
    } catch {
      // the next
    }
  }
  throw bad();
};
/** `optional`: what may be missing. */
const fields = (needed: Readonly<Record<string, Take>>, optional: Readonly<Record<string, Take>> = {}): Take => (value) => {
  if (!isFields(value) || Object.keys(value).some((key) => !Object.hasOwn(needed, key) && !Object.hasOwn(optional, key))) throw bad();
  const all = { ...needed, ...optional };
  return Object.fromEntries(Object.keys(all).filter((key) => Object.hasOwn(needed, key) || value[key] !== undefined).map((key) => [key, (all[key] as Take)(value[key])]));
};
const big: Take = (value) => {
  const digits = isFields(value) ? value[BIG] : undefined;
  if (typeof digits !== 'string' || !/^\d{1,20}$/.test(digits) || BigInt(digits) >= 1n << 64n) throw bad();
  return BigInt(digits);
};
const bytes: Take = (value) => {
  const base64 = isFields(value) ? value[BYTES] : undefined;
  if (typeof base64 !== 'string') throw bad();
  return new Uint8Array(Buffer.from(base64, 'base64'));
};

const PROCESS = { args: list(text), env: list(text) };
const MAY = {
  cwd: text, cwdThere: flag, user: text, groups: list(text), stdin: flag, stdout: flag, stderr: flag, tty: flag, builtin: flag, noNewPrivileges: flag,
  size: fields({ rows: whole(0, 0xffff), columns: whole(0, 0xffff) }, { xPixels: whole(0, 0xffff), yPixels: whole(0, 0xffff) }),
  capabilities: fields({ bounding: big, effective: big, permitted: big, inheritable: big, ambient: big }),
  rlimits: list(fields({ resource: word, soft: big, hard: big })),
  seccomp: fields({ program: bytes }, { flags: word }),
  oomScoreAdj: whole(-1000, 1000),
  umask: whole(0, 0o777),
};
const SOURCE = either(fields({ kind: oneOf('root'), path: text }), fields({ kind: oneOf('share'), tag: text }));
const NODE = { target: text, type: oneOf('c', 'b', 'p'), major: word, minor: word };
const OWNER = { mode: whole(0, 0o7777), uid: word, gid: word };
/** Not its root, files and host name: they are the machine's matter. */
const CONTAINER = {
  ...MAY,
  mounts: list(fields({ target: text }, { source: SOURCE, fstype: text, device: text, data: text, subpath: text, flags: word, mode: whole(0, 0o7777) })),
  devices: list(fields(NODE, OWNER)),
  deviceRules: list(fields({ type: oneOf('a', 'b', 'c'), access: text }, { major: word, minor: word })),
  namespaces: fields({}, Object.fromEntries(['pid', 'uts', 'ipc', 'cgroup'].map((name) => [name, oneOf('new', 'vm')]))),
  readOnly: flag, allDevices: flag, init: flag, maskedPaths: list(text), readonlyPaths: list(text), sysctls: list(text), cgroup: list(text), stopSignal: whole(1, 64),
};
const takeProcess = fields(PROCESS, MAY);
const takeContainer = fields(PROCESS, CONTAINER);

/** Of a container without its root, files and host name. */
export type JoinedSpec = Omit<ContainerSpec, 'root' | 'overlay' | 'files' | 'hostname' | 'domain'>;

export function specText(spec: ProcessSpec | JoinedSpec): string {
  return JSON.stringify(spec, function (this: Readonly<Record<string, unknown>>, key: string, value: unknown) {
    // As it was: a Buffer has a toJSON of its own, which comes before.
    const given = this[key];
    if (typeof given === 'bigint') return { [BIG]: `${given}` };
    return given instanceof Uint8Array ? { [BYTES]: Buffer.from(given).toString('base64') } : value;
  });
}

/** Throws OWNER_REFUSED. */
export function processOf(text: string): ProcessSpec {
  return takeProcess(parsed(text)) as ProcessSpec;
}

/** Throws OWNER_REFUSED. */
export function joinedSpecOf(text: string): JoinedSpec {
  return takeContainer(parsed(text)) as JoinedSpec;
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    throw bad();
  }
}
