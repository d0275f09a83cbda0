/** Seccomp profiles as Docker and podman take them from a file: the OCI runtime's form with archMap, includes and excludes. */
import { EPERM } from '../../assembly/contract/generated/errno.ts';
import { VmmError } from '../../base/errors.ts';
import {
  SECCOMP_RET_ALLOW, SECCOMP_RET_DATA, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_LOG, SECCOMP_RET_TRACE, SECCOMP_RET_TRAP,
} from './generated/bpf.ts';
import type { Architecture, ArgumentTest, Operator, Profile, Rule } from './rules.ts';

/** Of the guest's kernel. */
const KERNEL = [6, 12] as const;

const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_ALLOW: SECCOMP_RET_ALLOW, SCMP_ACT_ERRNO: SECCOMP_RET_ERRNO, SCMP_ACT_TRACE: SECCOMP_RET_TRACE, SCMP_ACT_TRAP: SECCOMP_RET_TRAP, SCMP_ACT_LOG: SECCOMP_RET_LOG,
  SCMP_ACT_KILL: SECCOMP_RET_KILL_THREAD, SCMP_ACT_KILL_THREAD: SECCOMP_RET_KILL_THREAD, SCMP_ACT_KILL_PROCESS: SECCOMP_RET_KILL_PROCESS,
};
const OPERATORS: Readonly<Record<string, Operator>> = {
  SCMP_CMP_EQ: 'EQ', SCMP_CMP_NE: 'NE', SCMP_CMP_LT: 'LT', SCMP_CMP_LE: 'LE', SCMP_CMP_GE: 'GE', SCMP_CMP_GT: 'GT', SCMP_CMP_MASKED_EQ: 'MASKED_EQ',
};
const ARCHITECTURES: Readonly<Record<string, Architecture>> = { SCMP_ARCH_X86_64: 'x86_64', SCMP_ARCH_X86: 'i386', SCMP_ARCH_X32: 'x32' };

type Json = Readonly<Record<string, unknown>>;

function bad(what: string): VmmError {
  return new VmmError('USAGE', `--security-opt seccomp: ${what}`, { hint: 'give a profile as Docker takes it (defaultAction, archMap, syscalls)' });
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(`${what} is not an object`);
  return value as Json;
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw bad(`${what} is not a list`);
  return value;
}

function stringsOf(value: unknown, what: string): readonly string[] {
  const list = listOf(value, what);
  if (list.some((item) => typeof item !== 'string')) throw bad(`${what} has something else than strings in it`);
  return list as readonly string[];
}

function numberOf(value: unknown, what: string): bigint {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  if (!/^\d+$/.test(text) || BigInt(text) >= 1n << 64n) throw bad(`${what} is not a number of 64 bits`);
  return BigInt(text);
}

function actionOf(action: unknown, errno: unknown, what: string): number {
  const value = ACTIONS[String(action)];
  if (value === undefined) throw bad(`${what}: the action ${String(action)} is not known or needs an agent that is not there`);
  if (value !== SECCOMP_RET_ERRNO && value !== SECCOMP_RET_TRACE) return value;
  const data = errno === undefined || errno === null ? BigInt(EPERM) : numberOf(errno, `${what}: errnoRet`);
  if (data > BigInt(SECCOMP_RET_DATA)) throw bad(`${what}: errnoRet ${data} is not an errno`);
  return value | Number(data);
}

/** Whether `includes` or `excludes` names the container: any of the architectures or capabilities, or a kernel this old. */
function meets(filter: Json, capabilities: ReadonlySet<string>, which: 'any' | 'all'): boolean {
  const arches = stringsOf(filter.arches, 'arches');
  const caps = stringsOf(filter.caps, 'caps');
  const [major, minor] = String(filter.minKernel ?? '0.0').split('.').map(Number) as [number, number];
  const kernel = KERNEL[0] > major || (KERNEL[0] === major && KERNEL[1] >= minor);
  if (which === 'any') return arches.includes('amd64') || caps.some((cap) => capabilities.has(cap)) || (filter.minKernel !== undefined && kernel);
  return (arches.length === 0 || arches.includes('amd64')) && caps.every((cap) => capabilities.has(cap)) && kernel;
}

function argumentOf(value: unknown, what: string): ArgumentTest {
  const arg = objectOf(value, `${what}: an argument`);
  const op = OPERATORS[String(arg.op)];
  const index = numberOf(arg.index, `${what}: index`);
  if (op === undefined || index > 5n) throw bad(`${what}: ${op === undefined ? `the operator ${String(arg.op)} is not known` : `there is no argument ${index}`}`);
  return { index: Number(index), op, value: numberOf(arg.value ?? 0, `${what}: value`), valueTwo: numberOf(arg.valueTwo ?? 0, `${what}: valueTwo`) };
}

function rulesOf(value: unknown, capabilities: ReadonlySet<string>): readonly Rule[] {
  const entry = objectOf(value, 'an entry of syscalls');
  const names = entry.name === undefined || entry.name === '' ? stringsOf(entry.names, 'names') : [String(entry.name)];
  const what = names[0] ?? 'an entry of syscalls';
  if (entry.excludes !== undefined && entry.excludes !== null && meets(objectOf(entry.excludes, 'excludes'), capabilities, 'any')) return [];
  if (entry.includes !== undefined && entry.includes !== null && !meets(objectOf(entry.includes, 'includes'), capabilities, 'all')) return [];
  const action = actionOf(entry.action, entry.errnoRet, what);
  const args = listOf(entry.args, 'args').map((arg) => argumentOf(arg, what));
  // Two tests of one argument: each is a rule of its own, as runc and crun have it.
  const once = new Set(args.map(({ index }) => index)).size === args.length;
  return once ? [{ names, action, args }] : args.map((arg) => ({ names, action, args: [arg] }));
}

/** A profile from the text of a file; `capabilities` are the bounding set's, as CAP_CHOWN. undefined: it restricts nothing. Throws USAGE. */
export function parseProfile(text: string, capabilities: ReadonlySet<string>): Profile | undefined {
  let json: Json;
  try {
    // Numbers of 64 bits would lose their low bits.
    json = objectOf(JSON.parse(text.replace(/("value(?:Two)?"\s*:\s*)(\d+)/g, '$1"$2"')), 'the profile');
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    throw bad(`the profile is not JSON: ${(cause as Error).message}`);
  }
  const syscalls = listOf(json.syscalls, 'syscalls');
  if (json.defaultAction === undefined && syscalls.length === 0) return undefined;
  const maps = listOf(json.archMap, 'archMap').map((entry) => objectOf(entry, 'an entry of archMap'));
  const native = maps.find((entry) => entry.architecture === 'SCMP_ARCH_X86_64');
  const named = native === undefined ? stringsOf(json.architectures, 'architectures') : ['SCMP_ARCH_X86_64', ...stringsOf(native.subArchitectures, 'subArchitectures')];
  const defaultAction = actionOf(json.defaultAction, json.defaultErrnoRet, 'defaultAction');
  const rules = syscalls.flatMap((entry) => rulesOf(entry, capabilities)).filter(({ action }) => action !== defaultAction);
  // The machine's own architecture is always one of them.
  const architectures = new Set<Architecture>(['x86_64', ...named.flatMap((name) => ARCHITECTURES[name] ?? [])]);
  return { defaultAction, architectures: [...architectures], rules };
}
