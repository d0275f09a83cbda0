/** Options of `docker run` (docs.docker.com, CLI reference) that `vmm run` does not have: they are told as such. */

/** What to do instead, and the long names it is for. */
const INSTEAD: readonly (readonly [hint: string, names: string])[] = [
  ['see --network', 'domainname link link-local-ip'],
  ['there are no health checks', 'health-cmd health-interval health-retries health-start-period health-start-interval health-timeout'],
  ['the guest sees the machine’s own devices', 'device-cgroup-rule gpus'],
  ['see -m, --cpus and --ulimit', 'blkio-weight blkio-weight-device cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpuset-cpus cpuset-mems io-maxbandwidth io-maxiops kernel-memory memory-reservation memory-swap memory-swappiness oom-kill-disable oom-score-adj pids-limit shm-size'],
  ['each container has a machine of its own', 'cgroup-parent ipc pid runtime storage-opt sysctl userns uts'],
  ['see `vmm run --help`', 'group-add label-file'],
];

const SHORT: Readonly<Record<string, string>> = { c: 'cpu-shares' };

/** Why an option that Docker has is not taken: `name` without dashes, one letter for a short one. Undefined for other words. */
export function dockerOption(name: string): { message: string; hint: string } | undefined {
  const long = name.length === 1 ? SHORT[name] : name;
  const row = INSTEAD.find(([, names]) => long !== undefined && names.split(' ').includes(long));
  return row === undefined ? undefined : { message: `${name.length === 1 ? `-${name} (--${long})` : `--${name}`} of Docker is not supported yet`, hint: row[0] };
}
