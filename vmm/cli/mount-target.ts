import { VmmError } from '../api/errors.ts';

/** What runc lets be mounted in /proc (libcontainer, checkProcMount). */
const IN_PROC: ReadonlySet<string> = new Set(['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo', 'net/dev', 'sys/kernel/ns_last_pid', 'sys/crypto/fips_enabled'].map((name) => `/proc/${name}`));

/** A normal absolute path inside a container on which something may be mounted, without a slash at its end. Throws USAGE. */
export function refuseTarget(option: string, path: string): string {
  const target = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  if (target === '/') throw new VmmError('USAGE', `${option}: invalid specification: destination can't be '/'`, { hint: 'a directory can be the image itself: vmm run DIR' });
  if (target === '/proc' || (target.startsWith('/proc/') && !IN_PROC.has(target))) throw new VmmError('USAGE', `${option}: ${target} cannot be mounted because it is inside /proc`, { hint: 'choose another target' });
  return target;
}
