/** Who is measured: this VMM and others by their command lines. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../harness.ts';
import { busyboxTree, env, folder } from '../start/process.ts';
import type { Conditions } from './log.ts';

export const SCENARIOS = ['boot', 'container', 'many', 'memory'] as const;
export type Scenario = (typeof SCENARIOS)[number];
/** What the guest or container says. */
export const WORD = 'bench-suite-word';

export interface Peer {
  readonly name: string;
  readonly scenarios: readonly Scenario[];
  /** The program that has to be there, and what prints its version. */
  readonly program: string;
  readonly version: readonly string[];
  /** Never run on a real binary: nothing is measured with it. */
  readonly unverified?: true;
  /** Its command line prints WORD; for `memory` it then stays. `id` is new for each run. */
  command(scenario: Scenario, id: string): readonly string[];
  conditions(scenario: Scenario): Conditions;
}

const MEMORY = 512;
const KERNEL = join(ROOT, '.cache', 'guest', 'vmlinux');
const VMM = [process.execPath, '--', join(ROOT, 'bin', 'vmm.js')];
const COMMAND_LINE = `console=hvc0 quiet panic=-1 reboot=t tsc=reliable root=/dev/vda ro init=/bin/busybox echo ${WORD}`;

const inside = (scenario: Scenario): string[] => ['/bin/busybox', ...(scenario === 'memory' ? ['sh', '-c', `echo ${WORD}; exec /bin/busybox sleep 1000`] : ['echo', WORD])];
const sha = (path: string): string => execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 12);

let disk: string | undefined;
/** The EROFS disk that vmm makes of the tree: all machines boot from it. */
function storedDisk(): string {
  if (disk !== undefined) return disk;
  execFileSync(VMM[0]!, [...VMM.slice(1), 'run', '-q', '--accel', 'wasm', busyboxTree(), '/bin/busybox', 'true'], { env: env as NodeJS.ProcessEnv, timeout: 60_000 });
  const dir = join(folder, 'store', 'rootfs');
  const name = readdirSync(dir).find((entry) => entry.endsWith('.erofs'));
  if (name === undefined) throw new Error(`${dir} holds no disk`);
  disk = join(dir, name);
  return disk;
}

const machine = (): Conditions => ({ kernel: `sha256 ${sha(KERNEL)}`, memoryMib: MEMORY, vcpus: 1, commandLine: COMMAND_LINE, root: 'EROFS of busybox' });
/** A container has no kernel of its own where the host's runs it: figures with other kernels are asked for, the words say so. */
const container = (kernel: string): Conditions => ({ kernel, memoryMib: 0, vcpus: 1, commandLine: '', root: 'busybox' });

function vmm(accel: 'wasm' | 'kvm'): Peer {
  return {
    name: `vmm ${accel}`, program: process.execPath, version: [...VMM, 'version'], scenarios: SCENARIOS,
    command: (scenario) => scenario === 'boot'
      ? [...VMM, 'boot', '-q', '--accel', accel, '--timeline', '--memory', `${MEMORY}`, '--console', 'hvc', '--kernel', KERNEL, '--disk', `${storedDisk()},ro`, '--append', COMMAND_LINE]
      : [...VMM, 'run', '-q', '--accel', accel, '--timeline', '-m', `${MEMORY}m`, busyboxTree(), ...inside(scenario)],
    conditions: (scenario) => (scenario === 'boot' ? machine() : container('any')),
  };
}

function qemu(type: 'microvm' | 'q35', accel: 'tcg' | 'kvm'): Peer {
  const models = { microvm: 'microvm,pit=on,pic=on,rtc=on,isa-serial=off,acpi=off,auto-kernel-cmdline=on', q35: 'q35' };
  const [serial, block] = type === 'microvm' ? ['virtio-serial-device', 'virtio-blk-device'] : ['virtio-serial-pci', 'virtio-blk-pci'];
  return {
    name: `qemu ${type} ${accel}`, program: 'qemu-system-x86_64', version: ['qemu-system-x86_64', '--version'], scenarios: ['boot'],
    command: () => ['qemu-system-x86_64', '-M', models[type], '-accel', accel, '-cpu', accel === 'kvm' ? 'host' : 'qemu64', '-smp', '1', '-m', `${MEMORY}`,
      '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-kernel', KERNEL, '-append', COMMAND_LINE,
      '-device', serial, '-chardev', 'stdio,id=console,signal=off', '-device', 'virtconsole,chardev=console',
      '-drive', `id=root,file=${storedDisk()},format=raw,if=none,readonly=on`, '-device', `${block},drive=root`],
    conditions: machine,
  };
}

/** A bundle for an OCI runtime: the tree, in namespaces of its own, on the host's network. */
function bundle(scenario: Scenario): string {
  const dir = join(folder, `bundle-${scenario}`);
  mkdirSync(dir, { recursive: true });
  spawnSync('runc', ['spec'], { cwd: dir, timeout: 10_000 });
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as { process: Record<string, unknown>; root: { path: string }; linux: { namespaces: { type: string }[] } };
  const { rlimits: _, ...process } = config.process;
  config.process = { ...process, terminal: false, args: inside(scenario) };
  config.root.path = busyboxTree();
  config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'network');
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  return dir;
}

function runtime(name: 'runc' | 'crun'): Peer {
  return {
    name, program: name, version: [name, '--version'], scenarios: ['container', 'many', 'memory'],
    command: (scenario, id) => [name, '--root', join(folder, name), 'run', '--bundle', bundle(scenario), id],
    conditions: () => container('any'),
  };
}

const PODMAN: Peer = {
  name: 'podman', program: 'podman', version: ['podman', '--version'], scenarios: ['container', 'many'], // its containers are not below its process: no memory,
  command: (scenario, id) => ['podman', '--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run'), 'run', '--rm', '--name', id, '--net', 'none', '--cgroups', 'disabled', '--rootfs', busyboxTree(), ...inside(scenario)],
  conditions: () => container('any'),
};

/** Command lines from their manuals; nobody has run them here. */
function unverified(name: string, program: string, scenarios: readonly Scenario[], command: (scenario: Scenario, id: string) => readonly string[]): Peer {
  return { name, program, version: [program, '--version'], unverified: true, scenarios, command, conditions: (scenario) => (scenario === 'boot' ? machine() : container('any')) };
}

const UNVERIFIED: readonly Peer[] = [
  unverified('cloud-hypervisor', 'cloud-hypervisor', ['boot'], () => ['cloud-hypervisor', '--kernel', KERNEL, '--cmdline', COMMAND_LINE, '--cpus', 'boot=1', '--memory', `size=${MEMORY}M`, '--disk', `path=${storedDisk()},readonly=on`, '--console', 'tty', '--serial', 'off']),
  unverified('kvmtool', 'lkvm', ['boot'], () => ['lkvm', 'run', '--kernel', KERNEL, '--params', COMMAND_LINE, '--cpus', '1', '--mem', `${MEMORY}`, '--disk', `${storedDisk()},ro`, '--console', 'virtio']),
  unverified('firecracker', 'firecracker', ['boot'], () => {
    const config = join(folder, 'firecracker.json');
    writeFileSync(config, JSON.stringify({ 'boot-source': { kernel_image_path: KERNEL, boot_args: COMMAND_LINE }, drives: [{ drive_id: 'root', path_on_host: storedDisk(), is_root_device: false, is_read_only: true }], 'machine-config': { vcpu_count: 1, mem_size_mib: MEMORY } }));
    return ['firecracker', '--no-api', '--config-file', config];
  }),
  unverified('docker', 'docker', ['container', 'many'], (scenario, id) => ['docker', 'run', '--rm', '--name', id, '--network', 'none', 'busybox', ...inside(scenario)]),
  unverified('kata', 'kata-runtime', ['container', 'many'], (scenario, id) => ['kata-runtime', 'run', '--bundle', bundle(scenario), id]),
  unverified('rkt', 'rkt', ['container'], (scenario) => ['rkt', 'run', '--net=none', '--insecure-options=image', 'busybox.aci', '--exec', '/bin/busybox', '--', ...inside(scenario).slice(1)]),
];

/** `kvm`: whether KVM is hardware here; nothing boots on another one. The first of a scenario is what others are compared with. */
export function allPeers(kvm: boolean): readonly Peer[] {
  const accels = kvm ? (['tcg', 'kvm'] as const) : (['tcg'] as const);
  return [vmm('wasm'), ...(kvm ? [vmm('kvm')] : []), ...accels.flatMap((accel) => [qemu('microvm', accel), qemu('q35', accel)]), runtime('runc'), runtime('crun'), PODMAN, ...UNVERIFIED];
}
