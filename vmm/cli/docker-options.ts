/** Options of `docker run` (docs.docker.com, CLI reference) that `vmm run` does not have: they are told as such. */

/** What to do instead, and the long names it is for. */
const INSTEAD: readonly (readonly [hint: string, names: string])[] = [
  ['see --network', 'link link-local-ip'],
  ['the guest sees the machine’s own devices: see --device', 'gpus'],
  ['of Windows only: see -m, --cpus and --device-read-bps', 'cpu-count cpu-percent io-maxbandwidth io-maxiops'],
  ['not in cgroup v2: see --cpus and --ulimit rtprio', 'cpu-rt-period cpu-rt-runtime'],
  ['each container has a machine of its own', 'runtime use-api-socket'],
];

/** Why an option that Docker has is not taken: `name` without dashes. Undefined for other words. */
export function dockerOption(name: string): { message: string; hint: string } | undefined {
  const row = INSTEAD.find(([, names]) => names.split(' ').includes(name));
  return row === undefined ? undefined : { message: `--${name} of Docker is not supported yet`, hint: row[0] };
}
