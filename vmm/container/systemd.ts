/** What a service manager as PID 1 needs of its container: podman's `--systemd` (podman-run(1)). */
import { basename } from 'node:path';
import type { Mount } from '../agent/spec.ts';

/** `true`: when the command is one; `always`: whatever the command is. */
export type SystemdMode = 'true' | 'false' | 'always';

/** SIGRTMIN+3: systemd halts. */
export const SYSTEMD_STOP_SIGNAL = 37;

const MS_NOSUID = 2;
const MS_NODEV = 4;
const PLACES = ['/run', '/run/lock', '/tmp', '/var/log/journal'];
const COMMANDS = ['/sbin/init', '/usr/sbin/init', '/usr/local/sbin/init'];

export function isSystemd(mode: SystemdMode, args: readonly string[]): boolean {
  const [command = ''] = args;
  return mode === 'always' || (mode === 'true' && (COMMANDS.includes(command) || basename(command) === 'systemd'));
}

/** The tmpfs of systemd's own places, but where the user has mounted something. */
export function systemdMounts(taken: readonly string[]): readonly Mount[] {
  return PLACES.filter((target) => !taken.includes(target)).map((target) => ({ target, fstype: 'tmpfs', flags: MS_NOSUID | MS_NODEV, data: `mode=${target === '/tmp' ? '1777' : '0755'}` }));
}

/** As systemd asks of container managers (systemd.io/CONTAINER_INTERFACE). */
export function systemdEnvironment(env: readonly string[]): readonly string[] {
  return env.some((entry) => entry.startsWith('container=')) ? env : [...env, 'container=oci'];
}

/** No limits, but each switches its controller on for what systemd makes below. */
export const SYSTEMD_CGROUP = ['pids.max=max', 'memory.max=max', 'cpu.weight=100'];
