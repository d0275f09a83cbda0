/** Runtimes of containers that share the host's kernel. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder } from '../start/process.ts';
import { type Background, container, IDLE, inside, type Peer, type Scenario } from './peer.ts';
import { filesOf, treeOf } from './trees.ts';

const SCENARIOS: readonly Scenario[] = ['container', 'python', 'large-warm', 'large-cold', 'exec', 'stop', 'many-10', 'many-50', 'many-100', 'present', 'counts'];
/** crun refuses hosts with controllers of both versions of cgroups (`hybrid`): it is shown version 1 alone, by a shell in front of it. */
const UNIFIED = '/sys/fs/cgroup/unified';
const shown = (command: readonly string[]): readonly string[] => (existsSync(UNIFIED) ? ['unshare', '-m', 'sh', '-c', `umount ${UNIFIED}; exec "$@"`, 'sh', ...command] : command);

/** A bundle for an OCI runtime: the tree, in namespaces of its own, on the host's network. */
export function bundle(scenario: Scenario, args: readonly string[] = inside(scenario)): string {
  const dir = join(folder, `bundle-${args === IDLE ? 'idle' : scenario}`);
  if (existsSync(join(dir, 'ready'))) return dir;
  mkdirSync(dir, { recursive: true });
  spawnSync('runc', ['spec'], { cwd: dir, timeout: 10_000 });
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as { process: Record<string, unknown>; root: { path: string }; linux: { namespaces: { type: string }[] } };
  const { rlimits: _, ...process } = config.process;
  config.process = { ...process, terminal: false, args };
  config.root.path = treeOf(scenario);
  config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'network');
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  writeFileSync(join(dir, 'ready'), '');
  return dir;
}

export function runtime(name: 'runc' | 'crun'): Peer {
  const call = (...words: string[]): readonly string[] => {
    const command = [name, '--root', join(folder, name), ...words];
    return name === 'crun' ? shown(command) : command;
  };
  const background: Background = {
    start: (id) => call('run', '--detach', '--bundle', bundle('exec', IDLE), id),
    exec: (id) => call('exec', id, ...inside('exec')),
    stop: (id) => call('kill', id, 'TERM'),
    remove: (id) => call('delete', '--force', id),
  };
  return {
    name, version: [name, '--version'], scenarios: [...SCENARIOS, 'memory'], background, cold: () => filesOf(treeOf('large-cold')),
    command: (scenario, id) => call('run', '--bundle', bundle(scenario), id),
    conditions: container,
  };
}

/** Without the hard limit that Debian's podman asks for, which this user may not have. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

export function podman(): Peer {
  const call = (...words: string[]): readonly string[] => shown(['podman', '--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run'), ...words]);
  const run = (id: string, scenario: Scenario, ...options: string[]): readonly string[] => call('run', ...options, '--name', id, '--net', 'none', '--cgroups', 'disabled', ...LIMITS, '--rootfs', treeOf(scenario));
  const background: Background = {
    start: (id) => [...run(id, 'exec', '-d'), ...IDLE],
    exec: (id) => call('exec', id, ...inside('exec')),
    stop: (id) => call('stop', id),
    remove: (id) => call('rm', '-f', '-t', '0', id),
  };
  // Its containers are not below its process: their memory cannot be told by it.
  return { name: 'podman', version: ['podman', '--version'], scenarios: SCENARIOS, background, cold: () => filesOf(treeOf('large-cold')), command: (scenario, id) => [...run(id, scenario, '--rm'), ...inside(scenario)], conditions: container };
}

export const KATA: Peer = {
  name: 'kata', version: ['kata-runtime', '--version'], unverified: true, scenarios: ['container', 'many-10'],
  command: (scenario, id) => ['kata-runtime', 'run', '--bundle', bundle(scenario), id], conditions: container,
};
