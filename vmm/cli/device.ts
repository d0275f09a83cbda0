/** `vmm device`: what a container that runs is given, and what is taken from it. */
import { closeSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from '../../base/random.ts';
import { hostPath, type DiskFormat } from '../api/containers.ts';
import { LOT_MS, openCable, openDisk, openName, TOKEN_BYTES } from '../api/devices.ts';
import { VmmError } from '../api/errors.ts';
import { type AddedDevice, askOwner, type Container, runs, StateFolder } from '../api/owner.ts';
import { HELP } from './common-options.ts';
import { deviceList, deviceRows } from './device-list.ts';
import { eachOf } from './each-of.ts';
import { refuseTarget } from './mount-target.ts';
import { type MountRequest, parseMount, parseVolume } from './mount-text.ts';
import { openMounts } from './mounts.ts';
import { type CardText, parseNetwork } from './net-options.ts';
import { type Command, flag, list } from './options.ts';
import { print, tell } from './output.ts';
import { passDescriptors } from './passed.ts';
import { containerNetwork } from './run-network.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

interface DiskText {
  readonly path: string;
  readonly target: string;
  readonly readOnly: boolean;
}

const ADD = {
  root: ROOT,
  volume: list('HOST-DIR|NAME:DIR[:OPTIONS]', 'mount a directory or file of the host, or a named volume, as `vmm run -v` does', parseVolume, { short: 'v' }),
  mount: list('KEY=VALUE,…', 'the same in words: type=bind|volume,source=…,target=…,readonly', parseMount),
  disk: list('FILE:DIR[:ro]', 'mount what is on a disk image or a block device of the host: ext4 or EROFS', parseDisk),
  network: list('tap=NAME|fd=N|unix=PATH|passt|user[,ip=ADDRESS/BITS][,gw=ADDRESS][,mtu=N]', 'a network card; `user`: the user-mode network that the container began with, again', parseNetwork, { alias: ['net'] }),
  help: HELP,
};
const RM = { root: ROOT, force: flag('though it is in use: who has files open there meets errors', { short: 'f' }), help: HELP };

/** How long before a socket that was full is tried again, ms. */
const GIVE_MS = 100;

const COMMANDS: readonly Subcommand[] = [
  subcommand({
    name: 'device add', synopsis: '[OPTIONS] CONTAINER', about: 'Gives a container that runs directories, disks and network cards; prints the name of each. They last as long as its machine.', options: ADD,
    examples: [
      ['vmm run -d --name web --hotplug mounts --hotplug disks --hotplug cards nginx', 'a container with room for them'],
      ['vmm device add -v ./site:/srv/site:ro --network tap=tap0,ip=10.0.0.2/24 web', 'a directory and a card'],
      ['vmm device rm web eth0', 'its network is taken away; `vmm device add --network user web` gives it back'],
    ],
  }, [1, 1, 'one container'], add),
  subcommand({ name: 'device ls', synopsis: '[OPTIONS] CONTAINER', about: 'Lists the mounts, disks and network cards of a container that runs.', options: { root: ROOT, help: HELP } }, [1, 1, 'one container'], async ([text = ''], { root }) => {
    print(deviceList(deviceRows(await running(new StateFolder(root), text))));
    return 0;
  }),
  subcommand({ name: 'device rm', synopsis: '[OPTIONS] CONTAINER DEVICE…', about: 'Takes devices away from a container that runs, by their names (`vmm device ls`).', options: RM }, [2, Number.POSITIVE_INFINITY, 'a container, and one device or more'], remove),
];

export async function deviceCommand([word = '', ...rest]: readonly string[]): Promise<number> {
  const found = COMMANDS.find(({ command }) => command.name === `device ${word}`);
  if (found !== undefined) return found.start(rest);
  if (word === '--help' || word === '-h') {
    print(`Usage: vmm device add|ls|rm CONTAINER …\n\n${COMMANDS.map(({ command }) => `  ${command.name.padEnd(12)}${command.about}\n`).join('')}`);
    return 0;
  }
  throw new VmmError('USAGE', word === '' ? 'device: what is to be done?' : `there is no command device ${word}`, { hint: 'vmm device add|ls|rm CONTAINER …' });
}

/** Their tables. */
export function deviceCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

/** `FILE:DIR[:ro]`. Throws USAGE. */
function parseDisk(text: string, option: string): DiskText {
  const match = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) throw new VmmError('USAGE', `${option}: ${text} is not FILE:DIR[:ro]`, { hint: 'for example data.img:/data' });
  const [, path = '', target = '', mode] = match;
  return { path: resolve(path), target: refuseTarget(option, resolve(target)), readOnly: mode === 'ro' };
}

async function running(state: StateFolder, text: string): Promise<Container> {
  const one = await state.find(text);
  if (!runs(one)) throw new VmmError('CONTAINER_STATE', `container ${text} does not run`, { hint: '`vmm start` it first' });
  return one;
}

interface AddOptions {
  readonly root: string | undefined;
  readonly volume: readonly MountRequest[];
  readonly mount: readonly MountRequest[];
  readonly disk: readonly DiskText[];
  readonly network: readonly (CardText | undefined)[];
}

/** What is opened here for a device; `close` when the owner has it. */
interface Opened {
  readonly device: AddedDevice;
  readonly fds: readonly number[];
  close(): void;
}

async function add([text = '']: readonly string[], { root, volume, mount, disk, network }: AddOptions): Promise<number> {
  const mounts = [...volume, ...mount];
  if (mounts.length + disk.length + network.length === 0) throw new VmmError('USAGE', 'device add: nothing is to be added', { hint: 'see `vmm device add --help`' });
  const state = new StateFolder(root);
  const one = await running(state, text);
  // All is looked at before anything is given.
  for (const request of mounts) refuseMount(request);
  for (const card of network) refuseCard(card);
  const open = [...mounts.map((request) => () => openMount(request, one)), ...disk.map((each) => () => openImage(each)), ...network.map((card) => () => openCard(card as CardText))];
  for (const each of open) {
    const { device, fds, close } = await each();
    try {
      const token = randomBytes(TOKEN_BYTES);
      if (fds.length > 0) await give(state.descriptorSocket(one.record.id), token, fds, text);
      const answer = await askOwner(state.socket(one.record.id), { ask: 'plug', token: Buffer.from(token).toString('hex'), device });
      if (answer === undefined) throw new VmmError('CONTAINER_STATE', `container ${text} has just ended`);
      print(`${answer.device}\n`);
    } finally {
      close();
    }
  }
  return 0;
}

/** Throws DEVICE_ROOM, DEVICE_BUSY, HostCallError, FFI_MISSING. */
async function give(socket: string, token: Uint8Array, fds: readonly number[], text: string): Promise<void> {
  // The socket holds ten or so that were given and not asked for: by others just now, or by who has died since, and the owner throws these away after a while.
  for (let left = 2 * LOT_MS; !gives(socket, token, fds, text); left -= GIVE_MS) {
    if (left <= 0) throw new VmmError('DEVICE_BUSY', `the owner of container ${text} takes nothing`, { hint: 'try again' });
    await sleep(GIVE_MS);
  }
}

/** False: there is no room just now. */
function gives(socket: string, token: Uint8Array, fds: readonly number[], text: string): boolean {
  try {
    return passDescriptors(socket, token, fds);
  } catch (cause) {
    const { errnoName = '' } = cause as { readonly errnoName?: string };
    if (!['ENOENT', 'ECONNREFUSED'].includes(errnoName)) throw cause;
    throw new VmmError('DEVICE_ROOM', `the machine of container ${text} has no room for devices that come later`, { cause, hint: 'make it with --hotplug mounts, disks or cards' });
  }
}

function refuseMount({ option, type, target, ...rest }: MountRequest): void {
  const bad = (what: string, hint: string): VmmError => new VmmError('USAGE', `${option}: ${what}`, { hint });
  if (type === 'tmpfs') throw bad(`a tmpfs on ${target} is for a container’s start`, 'give it to `vmm run` or `vmm create`');
  if (type === 'volume' && (rest as { name?: string }).name === undefined) throw bad(`${target} alone names nothing that could come later`, 'for example -v /host/dir:/dir, or -v name:/dir');
  if ((rest as { watch?: boolean }).watch === true) throw bad('watch is for what a container has from its start', 'leave watch away');
}

function refuseCard(card: CardText | undefined): void {
  const bad = (what: string, hint: string): VmmError => new VmmError('USAGE', `--network: ${what}`, { hint });
  if (card === undefined) throw bad('none is no card', 'take one away by `vmm device rm`');
  if (typeof card.cable === 'object' && card.cable.kind === 'container') throw bad(`container:${card.cable.name} is no card: a container is in the machine of another from its start`, 'give it to `vmm run` or `vmm create`');
  if (card.mac !== undefined) throw bad('a card that is there already has its address', 'leave mac= away; `vmm device ls` tells it');
  if (card.capture !== undefined || card.rate !== undefined) throw bad('pcap= and limits are for cards that a container has from its start', 'leave them away');
  if (card.mtu !== undefined && card.mtu > 1500) throw bad(`a card that comes later has an mtu of 1500 at most, not ${card.mtu}`, 'leave mtu= away');
  if (card.cable === 'user' && (card.mtu !== undefined || card.addresses.length + card.gateways.length > 0)) throw bad('the user-mode network comes back as it was', 'write user alone');
}

async function openMount(request: MountRequest, { record }: Container): Promise<Opened> {
  const { mounts: [mount] } = await openMounts([request], { rootfs: record.rootfs }, (line) => tell(`vmm: ${line}\n`));
  const { target } = request;
  if (mount === undefined || (mount.type === 'volume' && mount.volume === undefined)) throw new VmmError('USAGE', `${request.option}: what is mounted on ${target} is not a directory or file of the host`, { hint: 'give it to `vmm run` or `vmm create`' });
  const volume = mount.type === 'volume' ? mount.volume : undefined;
  const path = mount.type === 'bind' ? hostPath(mount.source) : (volume?.path as string);
  const { readOnly = false, recursive = mount.type === 'bind', cache = 'auto' } = mount;
  const fd = openName(path);
  const device: AddedDevice = { kind: 'mount', source: path, ...(volume === undefined ? {} : { volume: volume.record.name, quota: volume.record.size }), target, readOnly, recursive, cache };
  return { device, fds: [fd, ...(volume === undefined ? [] : [volume.fd])], close: () => {
    closeSync(fd);
    volume?.close();
  } };
}

async function openImage({ path, target, readOnly }: DiskText): Promise<Opened> {
  const { fd } = openDisk({ path, readOnly, id: 'later' });
  try {
    return { device: { kind: 'disk', source: path, target, readOnly: readOnly || formatOf(fd, path) === 'erofs', format: formatOf(fd, path) }, fds: [fd], close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** By the magic numbers of their superblocks, both of which begin at 1024. */
function formatOf(fd: number, path: string): DiskFormat {
  const block = Buffer.alloc(1024);
  readSync(fd, block, 0, block.length, 1024);
  if (block.readUInt32LE(0) === 0xe0f5_e1e2) return 'erofs';
  if (block.readUInt16LE(0x38) === 0xef53) return 'ext4';
  throw new VmmError('DISK_FORMAT', `disk ${path}: there is neither an ext4 nor an EROFS file system on it`, { hint: 'make one, for example mkfs.ext4 FILE; partitions are not looked for' });
}

async function openCard(card: CardText): Promise<Opened> {
  if (card.cable === 'user') return { device: { kind: 'card', network: 'user', addresses: [], routes: [] }, fds: [], close: () => {} };
  const { cards: [made] } = containerNetwork({ network: [card], ip: undefined, ip6: undefined, macAddress: undefined, dns: [], dnsSearch: [], dnsOption: [], publish: [], addHost: [], egress: undefined, allow: [], deny: [], egressPolicy: undefined, strictSni: false, networkAlias: [] });
  if (made === undefined) throw new VmmError('NET_PASST', 'the host has no external interface, without which passt does not work', { hint: 'give the host a default route, or use tap=NAME' });
  const cable = openCable(made.card.cable);
  await cable.ready;
  const fd = cable.cable?.fd;
  if (fd === undefined) throw new VmmError('FFI_MISSING', 'a card that comes later needs the FFI library koffi, which cannot be loaded');
  const { addresses, routes } = made.interface;
  return { device: { kind: 'card', network: made.card.cable.kind, addresses, routes, mtu: made.card.mtu }, fds: [fd], close: () => cable.close() };
}

async function remove([text = '', ...devices]: readonly string[], { root, force }: { readonly root: string | undefined; readonly force: boolean }): Promise<number> {
  const state = new StateFolder(root);
  const one = await running(state, text);
  return eachOf(devices, { failed: 1 }, async (device) => {
    const answer = await askOwner(state.socket(one.record.id), { ask: 'unplug', device, force });
    if (answer === undefined) throw new VmmError('CONTAINER_STATE', `container ${text} has just ended`);
    print(`${device}\n`);
  });
}
