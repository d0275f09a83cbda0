import { posix } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { capabilitySet } from '../container/capabilities.ts';
import { parseUlimit } from '../container/limits.ts';
import { randomId, type TmpfsMount } from '../container/options.ts';
import { signalNumber } from '../container/signals.ts';
import type { OptionSpec, ParsedArgs } from './args.ts';
import { ACCEL_OPTIONS, GDB_OPTIONS, HELP, REPORT_OPTIONS, TIMEOUT } from './common-options.ts';
import { COUNTED_OPTIONS } from './counted.ts';
import { parseCpuShare, parseDuration, parseMemory, parseSize } from './sizes.ts';
import { parseDetachKeys } from './terminal.ts';

/** `-h` is Docker's --hostname here. */
const RUN_HELP: OptionSpec = { name: HELP.name, kind: HELP.kind, help: HELP.help };

export const RUN_OPTIONS: readonly OptionSpec[] = [
  { name: 'interactive', short: 'i', kind: 'flag', help: 'keep stdin open and pass it on' },
  { name: 'tty', short: 't', kind: 'flag', help: 'give the command a terminal' },
  { name: 'env', short: 'e', kind: 'list', value: 'NAME[=VALUE]', help: 'set a variable (without a value: the host’s)' },
  { name: 'env-file', kind: 'list', value: 'FILE', help: 'read variables from a file' },
  { name: 'workdir', short: 'w', kind: 'value', value: 'DIR', help: 'working directory of the command' },
  { name: 'user', short: 'u', kind: 'value', value: 'USER[:GROUP]', help: 'user and group, by name or number' },
  { name: 'entrypoint', kind: 'value', value: 'CMD', help: 'replace the image’s entry point' },
  { name: 'hostname', short: 'h', kind: 'value', value: 'NAME', help: 'host name inside' },
  { name: 'name', kind: 'value', value: 'NAME', help: 'name of the container' },
  { name: 'read-only', kind: 'flag', help: 'make the root file system read-only' },
  { name: 'tmpfs', kind: 'list', value: 'DIR[:OPTIONS]', help: 'mount a tmpfs' },
  { name: 'scratch', kind: 'value', value: 'SIZE', help: 'keep changes on a temporary disk of this size instead of guest memory' },
  { name: 'ulimit', kind: 'list', value: 'NAME=SOFT[:HARD]', help: 'set a resource limit' },
  { name: 'cap-add', kind: 'list', value: 'CAP', help: 'add a capability' },
  { name: 'cap-drop', kind: 'list', value: 'CAP', help: 'drop a capability' },
  { name: 'memory', short: 'm', alias: ['mem'], kind: 'value', value: 'SIZE', help: 'guest memory (default 512m)' },
  { name: 'cpus', kind: 'value', value: 'N', help: 'CPUs; a fraction is limited by cpu.max (default 1)' },
  { name: 'init', kind: 'flag', help: 'run a small init as PID 1 that reaps and forwards signals' },
  { name: 'rm', kind: 'flag', help: 'accepted for Docker’s sake: nothing of a run is kept' },
  { name: 'stop-signal', kind: 'value', value: 'SIGNAL', help: 'signal that asks the command to stop' },
  TIMEOUT,
  { name: 'detach-keys', kind: 'value', value: 'KEYS', help: 'keys that detach the terminal (default ctrl-p,ctrl-q)' },
  ...ACCEL_OPTIONS,
  ...GDB_OPTIONS,
  ...COUNTED_OPTIONS,
  ...REPORT_OPTIONS,
  RUN_HELP,
];

/** The machine's part of `vmm run`'s options. */
export interface RunSettings {
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly cpuQuota: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly detachKeys: readonly number[];
  readonly capabilities: bigint;
  readonly tmpfs: readonly TmpfsMount[];
  readonly rlimits: ReturnType<typeof parseUlimit>[];
  readonly name: string;
  readonly hostname: string;
  readonly stopSignal: number | undefined;
  readonly scratch: number | undefined;
}

/** Checks all values before anything is started. `id` gives names that the user does not. */
export function runSettings(args: ParsedArgs, id: () => string = randomId): RunSettings {
  const value = (name: string): string | undefined => args.values.get(name);
  const list = (name: string): readonly string[] => args.lists.get(name) ?? [];
  const cpus = value('cpus');
  const share = cpus === undefined ? { vcpus: 1, quota: undefined } : parseCpuShare(cpus, '--cpus');
  const keysText = value('detach-keys') ?? 'ctrl-p,ctrl-q';
  const detachKeys = parseDetachKeys(keysText);
  if (detachKeys === undefined) throw new VmmError('USAGE', `--detach-keys: ${keysText} cannot be read`, { hint: 'for example ctrl-p,ctrl-q' });
  const name = value('name') ?? id();
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw new VmmError('USAGE', `--name: ${name} is not a name`, { hint: 'letters, digits, _ . -' });
  const hostname = value('hostname') ?? id();
  if (hostname.length > 64 || !/^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/.test(hostname)) {
    throw new VmmError('USAGE', `--hostname: ${hostname} is not a host name`, { hint: 'letters, digits, dots and hyphens, at most 64' });
  }
  const timeout = value('timeout');
  const stop = value('stop-signal');
  const scratch = value('scratch');
  const scratchBytes = scratch === undefined ? undefined : parseSize(scratch, '--scratch', 'refuse');
  if (scratchBytes !== undefined && scratchBytes < 16 * 1024 ** 2) throw new VmmError('USAGE', `--scratch: ${scratch} is too small`, { hint: 'give 16m or more' });
  return {
    memoryMib: parseMemory(value('memory') ?? '512m', '--memory', 'refuse'),
    vcpus: share.vcpus,
    cpuQuota: share.quota,
    timeoutMs: timeout === undefined ? undefined : parseDuration(timeout, '--timeout'),
    detachKeys,
    capabilities: capabilitySet(list('cap-add'), list('cap-drop')),
    tmpfs: list('tmpfs').map(parseTmpfs),
    rlimits: list('ulimit').map(parseUlimit),
    name,
    hostname,
    stopSignal: stop === undefined ? undefined : signalNumber(stop, '--stop-signal'),
    scratch: scratchBytes,
  };
}

function parseTmpfs(text: string): TmpfsMount {
  const colon = text.indexOf(':');
  const target = posix.normalize(colon < 0 ? text : text.slice(0, colon));
  if (target === '/') throw new VmmError('USAGE', `--tmpfs: ${text} would hide the image`, { hint: 'for example /run:size=64m' });
  if (!target.startsWith('/')) throw new VmmError('USAGE', `--tmpfs: ${text} is not an absolute path`, { hint: 'for example /run:size=64m' });
  return { target, options: colon < 0 ? '' : text.slice(colon + 1) };
}
