/** How much memory and how many processors a pod's machine has. */
import { VmmError } from '../../base/errors.ts';
import type { App } from '../../image/appc/schema/app.ts';
import { isolationOf } from '../../image/appc/schema/isolation.ts';
import type { PodBounds } from './bounds.ts';

const MIB = 1024 ** 2;
/** What one machine of this build can have. */
const MOST_MIB = 3072;
const MOST_CPUS = 32;
/** What kernel, init and the caches of a pod's file systems take beside its apps (docs/pods.md has the measurement). */
const OVERHEAD_MIB = 48;
const LEAST_MIB = 512;

export interface SizeRules {
  /** Added to the sum of the apps' limits; 48. */
  readonly overheadMib?: number | undefined;
  readonly minMib?: number | undefined;
  readonly maxMib?: number | undefined;
  /** The pod's own: of its apps together. */
  readonly bounds?: Pick<PodBounds, 'memory' | 'cpuMillis'> | undefined;
}

export interface PodSize {
  readonly memoryMib: number;
  readonly vcpus: number;
  /** What was made smaller than asked for, a line each. */
  readonly notes: readonly string[];
}

/**
 * Memory is the sum of the apps' limits, or the pod's where that is less, and the overhead where each app has a limit; else at least 512 MiB. Processors are the sum of the apps'
 * limits, each rounded up, and all of the host's where no app has one or the sum is more than those. Throws POD_SIZE.
 */
export function podSize(apps: readonly App[], hostCpus: number, rules: SizeRules = {}): PodSize {
  const notes: string[] = [];
  const { overheadMib = OVERHEAD_MIB, minMib = 0, maxMib = MOST_MIB, bounds = {} } = rules;
  const limits = apps.map((app) => isolationOf(app) ?? {});
  const sum = Math.min(limits.reduce((all, { memory = 0 }) => all + Math.ceil(memory / MIB), 0), Math.ceil((bounds.memory ?? Infinity) / MIB)) + overheadMib;
  const limited = limits.length > 0 && limits.every(({ memory }) => memory !== undefined);
  const memoryMib = Math.max(limited ? sum : Math.max(LEAST_MIB, sum), minMib);
  const most = Math.min(maxMib, MOST_MIB);
  if (memoryMib > most) throw new VmmError('POD_SIZE', `the pod’s apps need ${memoryMib} MiB of memory, a machine has at most ${most} MiB`, { hint: 'give the apps smaller limits (resource/memory)' });
  const asked = Math.min(limits.reduce((all, { cpuMillis = 0 }) => all + Math.ceil(cpuMillis / 1000), 0), Math.ceil((bounds.cpuMillis ?? Infinity) / 1000));
  const wanted = asked === 0 || asked > hostCpus ? hostCpus : asked;
  if (wanted > MOST_CPUS) notes.push(`the machine has ${MOST_CPUS} processors, not ${wanted}: it can have no more`);
  return { memoryMib, vcpus: Math.min(wanted, MOST_CPUS), notes };
}
