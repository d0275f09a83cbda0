/** What an ACI's isolators make of a container and its machine. */
import { VmmError } from '../../base/errors.ts';
import type { ImageProcessConfig } from '../../image/documents/config.ts';
import type { Security } from './security.ts';

const MIB = 1024 ** 2;
/** What kernel and init take of a machine whose size is an app's limit, MiB. */
const OVERHEAD_MIB = 48;
const LEAST_MIB = 64;
const MOST_MIB = 3072;
const MOST_CPUS = 32;

export function imageSecurity({ isolation = {} }: Pick<ImageProcessConfig, 'isolation'>): Security {
  const { noNewPrivileges, seccomp, seccompChanges } = isolation;
  return { ...(noNewPrivileges === undefined ? {} : { noNewPrivileges }), ...(seccomp === undefined ? {} : { seccomp }), ...(seccompChanges === undefined ? {} : { seccompChanges }) };
}

/** The part of a CPU's time where the image's limit is no whole number of CPUs. */
export function imageQuota({ isolation = {} }: ImageProcessConfig): number | undefined {
  const { cpuMillis } = isolation;
  return cpuMillis === undefined || cpuMillis % 1000 === 0 || cpuMillis > MOST_CPUS * 1000 ? undefined : cpuMillis / 1000;
}

/** vCPUs for the image's limit. */
export function imageCpus({ isolation = {} }: ImageProcessConfig): number | undefined {
  return isolation.cpuMillis === undefined ? undefined : Math.min(MOST_CPUS, Math.ceil(isolation.cpuMillis / 1000));
}

/** Guest memory for the image's limit, MiB. Throws USAGE when a machine cannot have that much. */
export function imageMemory({ isolation = {} }: ImageProcessConfig): number | undefined {
  if (isolation.memory === undefined) return undefined;
  const mib = Math.max(LEAST_MIB, Math.ceil(isolation.memory / MIB) + OVERHEAD_MIB);
  if (mib > MOST_MIB) throw new VmmError('USAGE', `the image asks for ${mib}m of memory: a machine has at most ${MOST_MIB}m`, { hint: 'give --memory' });
  return mib;
}

/** cpu.shares of cgroup v1 as cpu.weight of v2: the kernel's documentation has no map, runc's is this. */
export function cpuWeight(shares: number): number {
  return Math.floor(1 + ((shares - 2) * 9999) / 262_142);
}
