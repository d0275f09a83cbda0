/** Machines: this VMM, and QEMU. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { busyboxTree, emptyScript, env, folder } from '../start/process.ts';
import { MARKS } from './marks.ts';
import { type Background, container, HERE, IDLE, inside, kernel, lineOf, MEMORY, machine, NAMES, type Peer, type Program, type Scenario, WORD } from './peer.ts';
import { diskOf, treeOf } from './trees.ts';

export function vmm(accel: 'wasm' | 'kvm', at: Program = HERE): Peer {
  const program = at.command;
  const root = ['--root', `${at.store}-state`];
  const run = (...options: string[]): string[] => [...program, 'run', '-q', '--accel', accel, '-m', `${MEMORY}m`, ...options];
  const background: Background = {
    start: (id) => [...run('-d', ...root, '--name', id), busyboxTree(), ...IDLE],
    exec: (id) => [...program, 'exec', ...root, id, ...inside('exec')],
    stop: (id) => [...program, 'stop', ...root, id],
    remove: (id) => [...program, 'rm', '-f', ...root, id],
  };
  return {
    name: `vmm ${accel}${at.suffix}`, version: [...program, 'version'], scenarios: NAMES, background,
    command: (scenario) => {
      if (scenario === 'boot' || scenario === 'micro') return [...program, 'boot', '-q', '--accel', accel, '--timeline', '--memory', `${MEMORY}`, '--console', 'hvc', '--kernel', kernel(), '--disk', `${diskOf(treeOf(scenario))},ro`, '--append', lineOf(scenario)];
      if (scenario === 'pod') return [...run('--timeline'), '--insecure-options=image', '--pod', podManifest(at)];
      if (scenario === 'start') return [...run('--timeline'), busyboxTree(), '/bin/true'];
      return [...run('--timeline'), treeOf(scenario), ...inside(scenario)];
    },
    ...(accel === 'wasm' ? { counted: { library: join(dirname(program.at(-1)!), '../dist/vmm.js'), command: () => [...program, 'run', '-q', '--icount', '--timeline', '-m', `${MEMORY}m`, busyboxTree(), ...inside('counts')] } } : {}),
    cold: () => [diskOf(treeOf('large-cold'), at)],
    conditions: (scenario) => (scenario === 'boot' || scenario === 'micro' ? machine(scenario) : container(scenario)),
  };
}

/** A pod whose app is the tree, as an ACI in the store. */
function podManifest({ command: [program = '', ...before], store }: Program): string {
  const path = `${store}-pod.json`;
  if (existsSync(path)) return path;
  const aci = `${store}-bench.aci`;
  for (const words of [['aci', 'build', '--from', busyboxTree(), '--name', 'example.org/bench', aci], ['image', 'import', aci]]) execFileSync(program, [...before, ...words], { env: env as NodeJS.ProcessEnv, timeout: 120_000, stdio: ['ignore', 'ignore', 'pipe'] });
  const app = { exec: inside('pod'), user: '0', group: '0' };
  writeFileSync(path, JSON.stringify({ acVersion: '0.8.11', acKind: 'PodManifest', apps: [{ name: 'bench', image: { name: 'example.org/bench' }, app }] }));
  return path;
}

/** What a start is held against: Node's own, from start to end. */
export const NODE: Peer = {
  name: 'node, an empty script', version: [process.execPath, '--version'], scenarios: ['start'],
  command: () => [process.execPath, emptyScript()],
  conditions: container,
};

export function qemu(type: 'microvm' | 'q35', accel: 'tcg' | 'kvm', spared = false): Peer {
  const models = { microvm: 'microvm,pit=on,pic=on,rtc=on,isa-serial=off,acpi=off,auto-kernel-cmdline=on', q35: 'q35' };
  const [serial, block] = type === 'microvm' ? ['virtio-serial-device', 'virtio-blk-device'] : ['virtio-serial-pci', 'virtio-blk-pci'];
  const line = (scenario: Scenario): string => `${spared ? 'tsc_early_khz=1000000 no_timer_check ' : ''}${lineOf(scenario)}`;
  return {
    name: `qemu ${type} ${accel}${spared ? ', spared its calibrations' : ''}`, version: ['qemu-system-x86_64', '--version'], scenarios: spared ? ['boot'] : ['boot', 'micro'],
    command: (scenario, id) => ['qemu-system-x86_64', '-M', models[type], '-accel', accel, '-cpu', accel === 'kvm' ? 'host' : 'qemu64', '-smp', '1', '-m', `${MEMORY}`,
      '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-kernel', kernel(), '-append', line(scenario),
      '-chardev', `socket,id=marks,path=${join(folder, `${id}${MARKS}`)}`, '-device', 'isa-debugcon,iobase=0x601,chardev=marks',
      '-device', serial!, '-chardev', 'stdio,id=console,signal=off', '-device', 'virtconsole,chardev=console',
      '-drive', `id=root,file=${diskOf(treeOf(scenario))},format=raw,if=none,readonly=on`, '-device', `${block},drive=root`],
    conditions: (scenario) => {
      if (type === 'q35') throw new Error('it has its devices on PCI, of which this kernel has none');
      return { ...machine(scenario), commandLine: line(scenario) };
    },
  };
}

/** Command lines from their manuals; nobody has run them here. */
function unverified(name: string, program: string, scenarios: readonly Scenario[], command: Peer['command']): Peer {
  return { name, version: [program, '--version'], unverified: true, scenarios, command, conditions: (scenario) => (scenario === 'boot' ? machine(scenario) : container(scenario)) };
}

const LINE = lineOf('boot');
const disk = (): string => diskOf(busyboxTree());
const rkt = (flavour: string): Peer => unverified(`rkt, ${flavour}`, 'rkt', ['container', 'pod'], (scenario) => ['rkt', 'run', `--stage1-name=${flavour}`, '--net=none', '--insecure-options=image', 'busybox.aci', '--exec', '/bin/busybox', '--', ...inside(scenario).slice(1)]);

export const UNVERIFIED: readonly Peer[] = [
  unverified('cloud-hypervisor', 'cloud-hypervisor', ['boot'], () => ['cloud-hypervisor', '--kernel', kernel(), '--cmdline', LINE, '--cpus', 'boot=1', '--memory', `size=${MEMORY}M`, '--disk', `path=${disk()},readonly=on`, '--console', 'tty', '--serial', 'off']),
  unverified('kvmtool', 'lkvm', ['boot'], () => ['lkvm', 'run', '--kernel', kernel(), '--params', LINE, '--cpus', '1', '--mem', `${MEMORY}`, '--disk', `${disk()},ro`, '--console', 'virtio']),
  unverified('firecracker', 'firecracker', ['boot'], () => {
    const config = join(folder, 'firecracker.json');
    writeFileSync(config, JSON.stringify({ 'boot-source': { kernel_image_path: kernel(), boot_args: LINE }, drives: [{ drive_id: 'root', path_on_host: disk(), is_root_device: false, is_read_only: true }], 'machine-config': { vcpu_count: 1, mem_size_mib: MEMORY } }));
    return ['firecracker', '--no-api', '--config-file', config];
  }),
  unverified('microsandbox', 'msb', ['container'], () => ['msb', 'exe', 'busybox', '--exec', `echo ${WORD}`]),
  unverified('docker', 'docker', ['container', 'many-10'], (scenario, id) => ['docker', 'run', '--rm', '--name', id, '--network', 'none', 'busybox', ...inside(scenario)]),
  ...['coreos.com/rkt/stage1-fly', 'coreos.com/rkt/stage1-coreos', 'coreos.com/rkt/stage1-kvm', 'vmm/stage1'].map(rkt),
];
