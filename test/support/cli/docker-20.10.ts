/** What `docker run --help` and `docker --help` of 20.10 (Debian 12) list, in their order; where that client is, docker-table.test.ts compares. */
export const DOCKER_RUN_OPTIONS: readonly string[] = [
  'add-host', 'attach', 'blkio-weight', 'blkio-weight-device', 'cap-add', 'cap-drop', 'cgroup-parent', 'cgroupns', 'cidfile', 'cpu-period',
  'cpu-quota', 'cpu-rt-period', 'cpu-rt-runtime', 'cpu-shares', 'cpus', 'cpuset-cpus', 'cpuset-mems', 'detach', 'detach-keys', 'device',
  'device-cgroup-rule', 'device-read-bps', 'device-read-iops', 'device-write-bps', 'device-write-iops', 'disable-content-trust', 'dns', 'dns-option',
  'dns-search', 'domainname', 'entrypoint', 'env', 'env-file', 'expose', 'gpus', 'group-add', 'health-cmd', 'health-interval', 'health-retries',
  'health-start-period', 'health-timeout', 'help', 'hostname', 'init', 'interactive', 'ip', 'ip6', 'ipc', 'isolation', 'kernel-memory', 'label',
  'label-file', 'link', 'link-local-ip', 'log-driver', 'log-opt', 'mac-address', 'memory', 'memory-reservation', 'memory-swap', 'memory-swappiness',
  'mount', 'name', 'network', 'network-alias', 'no-healthcheck', 'oom-kill-disable', 'oom-score-adj', 'pid', 'pids-limit', 'platform', 'privileged',
  'publish', 'publish-all', 'pull', 'read-only', 'restart', 'rm', 'runtime', 'security-opt', 'shm-size', 'sig-proxy', 'stop-signal', 'stop-timeout',
  'storage-opt', 'sysctl', 'tmpfs', 'tty', 'ulimit', 'user', 'userns', 'uts', 'volume', 'volume-driver', 'volumes-from', 'workdir',
];

export const DOCKER_COMMANDS: readonly string[] = [
  'builder', 'completion', 'config', 'container', 'context', 'image', 'manifest', 'network', 'node', 'plugin', 'secret', 'service', 'stack', 'swarm',
  'system', 'trust', 'volume', 'attach', 'build', 'commit', 'cp', 'create', 'diff', 'events', 'exec', 'export', 'history', 'images', 'import', 'info',
  'inspect', 'kill', 'load', 'login', 'logout', 'logs', 'pause', 'port', 'ps', 'pull', 'push', 'rename', 'restart', 'rm', 'rmi', 'run', 'save',
  'search', 'start', 'stats', 'stop', 'tag', 'top', 'unpause', 'update', 'version', 'wait',
];
