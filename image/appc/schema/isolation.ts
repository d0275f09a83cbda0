import { constants } from 'node:os';
import type { Isolation } from '../../documents/config.ts';
import type { App } from './app.ts';
import { type Isolator, isKnownIsolator, isolatorOf, REMOVE_CALLS, REMOVE_CAPABILITIES, RETAIN_CALLS, RETAIN_CAPABILITIES, resourceOf } from './isolators.ts';
import { milliOf, wholeOf } from './quantity.ts';
import { callsOf } from './call-sets.ts';

const NO_NEW_PRIVILEGES = 'os/linux/no-new-privileges';
/** Isolators that a run heeds; of the others it is told that they are not. */
const HEEDED = new Set([
  'resource/memory', 'resource/cpu', RETAIN_CAPABILITIES, REMOVE_CAPABILITIES, RETAIN_CALLS, REMOVE_CALLS, NO_NEW_PRIVILEGES, 'os/linux/oom-score-adj', 'os/linux/cpu-shares',
]);

/** What a run has to do for an app's isolators and groups; undefined: nothing. The last isolator of a name counts. */
export function isolationOf(app: App): Isolation | undefined {
  const value = (name: string): unknown => isolatorOf(app.isolators, name)?.value;
  const retain = setOf(value(RETAIN_CAPABILITIES));
  const remove = setOf(value(REMOVE_CAPABILITIES));
  const found: Isolation = {
    ...(retain === undefined ? {} : { retain }),
    ...(remove === undefined ? {} : { remove }),
    ...(value(NO_NEW_PRIVILEGES) === true ? { noNewPrivileges: true } : {}),
    ...seccomp(app.isolators),
    ...limits(app.isolators),
    ...optional('cpuShares', value('os/linux/cpu-shares')),
    ...optional('oomScoreAdj', value('os/linux/oom-score-adj')),
    ...(app.supplementaryGIDs.length === 0 ? {} : { groups: app.supplementaryGIDs.map(String) }),
    ...ignored(app),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}

function optional<K extends 'cpuShares' | 'oomScoreAdj'>(key: K, value: unknown): { [P in K]?: number } {
  return typeof value === 'number' ? ({ [key]: value } as { [P in K]: number }) : {};
}

/** A set of an isolator whose value has been checked. */
function setOf(value: unknown): readonly string[] | undefined {
  return field(value, 'set') as readonly string[] | undefined;
}

/** A field as Go finds it: in any case, the last of equal ones. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).findLast(([key]) => key.toLowerCase() === name)?.[1] ?? undefined;
}

function limits(isolators: readonly Isolator[]): Isolation {
  const memory = isolatorOf(isolators, 'resource/memory');
  const cpu = isolatorOf(isolators, 'resource/cpu');
  const bytes = memory === undefined ? undefined : resourceOf(memory).limit;
  const cores = cpu === undefined ? undefined : resourceOf(cpu).limit;
  return {
    ...(bytes === undefined || bytes.nano <= 0n ? {} : { memory: safe(wholeOf(bytes)) }),
    ...(cores === undefined || cores.nano <= 0n ? {} : { cpuMillis: safe(milliOf(cores)) }),
  };
}

function safe(number: bigint): number {
  return number > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(number);
}

/** What a filter must allow for the guest's init to start the command, and for that to end: "minimal whitelist" of the specification. */
const NEEDED = ['execve', 'exit', 'exit_group', 'rt_sigreturn', 'restart_syscall', 'brk', 'mmap', 'munmap', 'stat', 'write', 'close'];
/** Without no-new-privileges the filter is loaded while init still has its rights, before it becomes the user. */
const NEEDED_BEFORE = ['prctl', 'setgroups', 'setresgid', 'setresuid', 'capset'];
/** Sets of names that executors have for their own default. */
const DEFAULTS = /^@(docker|rkt)\/default-(whitelist|blacklist)$/;
const EMPTY = '@appc.io/empty';

/** A profile in Docker's form, or changes of the default one. An unknown wildcard is not guessed: the app keeps the default filter, and it is told. */
function seccomp(isolators: readonly Isolator[]): Isolation {
  const retain = isolatorOf(isolators, RETAIN_CALLS);
  const value = (retain ?? isolatorOf(isolators, REMOVE_CALLS))?.value;
  const set = setOf(value);
  if (set === undefined) return {};
  if (retain !== undefined && set.includes('@appc.io/all')) return { seccomp: 'unconfined' };
  const calls = set.flatMap((name) => (name.startsWith('@') ? (callsOf(name) ?? []) : [name]));
  const errno = String(field(value, 'errno') ?? '');
  const number = (constants.errno as Readonly<Record<string, number>>)[errno];
  const whole = set.find((name) => isDefault(name, retain !== undefined));
  if (whole !== undefined) {
    if (calls.length === 0) return {};
    // What an unknown set would have allowed is not known: no more than the default is.
    const allow = retain === undefined || !DEFAULTS.test(whole) ? [] : calls;
    return { seccompChanges: { allow, block: retain === undefined ? calls : [], errno: number ?? 0 } };
  }
  const blocked = number === undefined ? { action: 'SCMP_ACT_KILL_PROCESS' } : { action: 'SCMP_ACT_ERRNO', errnoRet: number };
  const profile =
    retain === undefined
      ? { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: calls, ...blocked }] }
      : { defaultAction: blocked.action, ...(number === undefined ? {} : { defaultErrnoRet: number }), syscalls: [{ names: [...calls, ...NEEDED, ...(isolatorOf(isolators, NO_NEW_PRIVILEGES)?.value === true ? [] : NEEDED_BEFORE)], action: 'SCMP_ACT_ALLOW' }] };
  return { seccomp: JSON.stringify({ ...profile, archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] }] }) };
}

/** A set whose other calls are those of the default filter: the executors' own, and one that nobody knows here. */
function isDefault(name: string, retain: boolean): boolean {
  if (!name.startsWith('@') || callsOf(name) !== undefined) return false;
  return name !== EMPTY || !retain;
}

function ignored(app: App): Isolation {
  const lines: string[] = [];
  for (const { name, value } of app.isolators) {
    if (!isKnownIsolator(name)) lines.push(`isolator ${name} is not known and not enforced`);
    else if (!HEEDED.has(name)) lines.push(`isolator ${name} is not enforced`);
    else if (name === RETAIN_CALLS || name === REMOVE_CALLS) {
      const other = setOf(value)?.find((call) => call.startsWith('@') && call !== '@appc.io/all' && call !== EMPTY && !DEFAULTS.test(call) && callsOf(call) === undefined);
      if (other !== undefined) lines.push(`isolator ${name}: the set ${other} is not known: the default filter is used`);
    }
  }
  for (const { name } of app.eventHandlers) lines.push(`event handler ${name} is not run`);
  for (const { name, path } of app.mountPoints) lines.push(`mount point ${name} (${path}) has no volume`);
  return lines.length === 0 ? {} : { ignored: lines.slice(0, 20) };
}
