/** `vmm info`, and `vmm system`: what there is on this host as a whole. */
import { lstatSync, readdirSync } from 'node:fs';
import { availableParallelism, hostname, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { kvmState } from '../api/machine.ts';
import { type Container, runs, StateFolder } from '../api/owner.ts';
import { listVolumes, storePaths } from '../api/volumes.ts';
import { HELP } from './common-options.ts';
import { confirmed } from './confirm.ts';
import { sizesOf } from './container-size.ts';
import { imageUsers } from './image-users.ts';
import { listed } from './listed.ts';
import { type Command, flag, value } from './options.ts';
import { print } from './output.ts';
import { dockerSize } from './size-text.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatEach, formatRows } from './template.ts';
import { VERSION } from './version.ts';
import { volumeUsers } from './volume-users.ts';

type Row = Readonly<Record<string, unknown>>;

const BLOCK = 512;
const FORMAT = value('TEMPLATE', 'a Go template, or json', undefined, { short: 'f' });
const NO_ARGUMENT = [0, 0, 'no argument'] as const;
const PRUNE = { root: ROOT, all: flag('images that have a name, too', { short: 'a' }), volumes: flag('volumes without a name that nobody uses, too'), force: flag('do not ask', { short: 'f' }), help: HELP };
const DF = { root: ROOT, format: FORMAT, help: HELP };
const ABOUT_INFO = 'Says what there is here: containers, images, what runs guests, and where all of it lies.';

const COMMANDS: readonly Subcommand[] = [
  subcommand({ name: 'info', synopsis: '[OPTIONS]', about: ABOUT_INFO, options: DF }, NO_ARGUMENT, (_, options) => info(options)),
  subcommand({ name: 'system df', synopsis: '[OPTIONS]', about: 'Says what images, containers and volumes take of the disk, and what could go.', options: DF }, NO_ARGUMENT, (_, options) => usage(options)),
  subcommand({ name: 'system prune', synopsis: '[OPTIONS]', about: 'Removes containers that do not run, and images without a name of which none is left.', options: PRUNE }, NO_ARGUMENT, (_, options) => prune(options)),
];

/** Throws USAGE and others. */
export async function systemCommand([word = '', ...rest]: readonly string[]): Promise<number> {
  if (word === 'events') return (await import('./life.ts')).lifeCommand('events', rest);
  if (word === 'help' || word === '--help' || word === '-h') {
    print(`Usage: vmm system COMMAND\n\n${COMMANDS.map(({ command }) => `  ${command.name.replace('system ', '').padEnd(8)}${command.about}\n`).join('')}  events  As \`vmm events\`.\n\n\`vmm system COMMAND --help\` tells a command's options.\n`);
    return 0;
  }
  const found = COMMANDS.find(({ command }) => command.name === (word === 'info' ? word : `system ${word}`));
  if (found === undefined) throw new VmmError('USAGE', word === '' ? 'system needs a command' : `unknown command system ${word}`, { hint: 'df, events, info, prune' });
  return found.start(rest);
}

/** Their tables. */
export function systemCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

async function info({ root, format }: { readonly root: string | undefined; readonly format: string | undefined }): Promise<number> {
  const state = new StateFolder(root);
  const [containers, kvm] = [await listed(state), await kvmState()];
  const store = new ImageStore(undefined, hostFs);
  const paused = containers.filter((one) => one.state === 'paused').length;
  const running = containers.filter(runs).length - paused;
  const row = {
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Images: store.list().length,
    Driver: 'vmm',
    ServerVersion: VERSION,
    Accelerator: kvm.state === 'hardware' ? 'kvm' : 'wasm',
    KernelVersion: release(),
    OSType: 'linux',
    Architecture: 'x86_64',
    NCPU: availableParallelism(),
    MemTotal: totalmem(),
    Name: hostname(),
    DockerRootDir: store.paths.root,
    ContainersDir: state.containers,
  };
  if (format !== undefined) print(formatEach(format, [row]));
  else print(Object.entries(row).map(([name, what]) => `${TITLES[name] ?? name}: ${name === 'MemTotal' ? dockerSize(row.MemTotal) : what}\n`).join(''));
  return 0;
}

/** As Docker's, where they are not the field's name. */
const TITLES: Readonly<Record<string, string>> = {
  ContainersRunning: ' Running', ContainersPaused: ' Paused', ContainersStopped: ' Stopped', Driver: 'Storage Driver', ServerVersion: 'Server Version', KernelVersion: 'Kernel Version', NCPU: 'CPUs',
  MemTotal: 'Total Memory', DockerRootDir: 'Image Store', ContainersDir: 'Containers Kept In',
};

interface Part {
  readonly bytes: number;
  readonly active: boolean;
}

async function usage({ root, format = 'table {{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}' }: { readonly root: string | undefined; readonly format: string | undefined }): Promise<number> {
  const state = new StateFolder(root);
  const containers = await listed(state);
  const [users, made] = [await volumeUsers(root), await imageUsers(root)];
  const images = new ImageStore(undefined, hostFs).list().map(({ record }): Part => ({ bytes: record.size, active: made(record.id) }));
  const kept = containers.map((one: Container): Part => ({ bytes: sizesOf(one, state).SizeRw, active: runs(one) }));
  const volumes = listVolumes(storePaths()).map(({ record, path }): Part => ({ bytes: roomBelow(path), active: users(record.name).length > 0 }));
  print(formatRows(format, [rowOf('Images', images), rowOf('Containers', kept), rowOf('Local Volumes', volumes), rowOf('Build Cache', [])], { TotalCount: 'TOTAL' }));
  return 0;
}

function rowOf(Type: string, parts: readonly Part[]): Row {
  const sum = (of: readonly Part[]): number => of.reduce((all, { bytes }) => all + bytes, 0);
  const [all, free] = [sum(parts), sum(parts.filter(({ active }) => !active))];
  return { Type, TotalCount: `${parts.length}`, Active: `${parts.filter(({ active }) => active).length}`, Size: dockerSize(all), Reclaimable: all === 0 ? dockerSize(free) : `${dockerSize(free)} (${Math.floor((100 * free) / all)}%)` };
}

/** Bytes of the disk below a directory; links are not followed, and what cannot be read counts nothing. */
function roomBelow(top: string): number {
  let sum = 0;
  const seen = new Set<number>();
  const folders = [top];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    let names: string[];
    try {
      names = readdirSync(folder);
    } catch {
      continue;
    }
    for (const name of names) {
      const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
      if (stat === undefined || (stat.nlink > 1 && !stat.isDirectory() && seen.has(stat.ino))) continue;
      seen.add(stat.ino);
      sum += stat.blocks * BLOCK;
      if (stat.isDirectory()) folders.push(join(folder, name));
    }
  }
  return sum;
}

/** One after the other, as the commands of each would. */
async function prune({ root, all, volumes, force }: { readonly root: string | undefined; readonly all: boolean; readonly volumes: boolean; readonly force: boolean }): Promise<number> {
  const what = ['all containers that do not run', ...(volumes ? ['all volumes without a name that nobody uses'] : []), `all images ${all ? '' : 'without a name '}of which no container is left`];
  if (!force && !(await confirmed(`WARNING! This will remove:\n${what.map((each) => `  - ${each}\n`).join('')}\nAre you sure you want to continue? [y/N] `))) return 0;
  const [{ lifeCommand }, { volumeCommand }, { imageCommand }] = await Promise.all([import('./life.ts'), import('./volume.ts'), import('./image.ts')]);
  const at = root === undefined ? [] : ['--root', root];
  const statuses = [
    await lifeCommand('container prune', ['-f', ...at]),
    volumes ? await volumeCommand(['prune', '-f', ...at]) : 0,
    await imageCommand(['prune', ...(all ? ['-a'] : []), ...at]),
  ];
  return Math.max(...statuses);
}
