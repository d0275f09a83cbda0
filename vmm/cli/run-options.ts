import { posix } from 'node:path';
import { capabilitySet, containerEnvironment, type ContainerOptions, imageCpus, imageMemory, parseDevice, parseSecurityOptions, parseUlimit, randomId, signalNumber, type SystemdMode, type TmpfsMount } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import type { ImageProcessConfig } from '../api/images.ts';
import { ACCEL_OPTIONS, GDB_OPTIONS, HELP, REPORT_OPTIONS, TIMEOUT } from './common-options.ts';
import { COUNTED_OPTIONS } from './counted.ts';
import { dockerOption } from './docker-options.ts';
import { LOG_OPTIONS } from './log-options.ts';
import { parseMount, parseVolume } from './mount-text.ts';
import { refuseTarget } from './mount-target.ts';
import { parseAddress, parseExpose, parseMac, parseNetwork, parsePublish } from './net-options.ts';
import { parseRestart } from '../api/restart.ts';
import { HEALTH_OPTIONS } from './health-options.ts';
import { INSECURE } from './insecure-option.ts';
import { joinedName } from './joined-network.ts';
import { deviceLimit, ioLimits, mountLimit } from './io-limits.ts';
import { parseHotplug } from './hotplug-option.ts';
import { DETACH_KEYS, detachKeys } from './keys.ts';
import { cgroupSettings, LIMIT_OPTIONS, wantedCpus } from './limit-options.ts';
import { type Command, flag, group, list, oneOf, type OptionValues, type Read, value } from './options.ts';
import { parseRule } from '../api/machine.ts';
import { PLATFORM, PULL, TRUST_OPTIONS } from './pull-options.ts';
import { containerNetwork, networksOf, parseAddHost, parseWord, publishedOf } from './run-network.ts';
import { MIB, parseCpuShare, parseMemory, parseSeconds, parseSize } from './sizes.ts';
import type { NetworkEvents } from './user-network.ts';
import { hostVariable } from './variable.ts';
import { parseVolumesFrom } from './volumes-from.ts';

/** The empty file system that a scratch disk begins with is as large; init only grows it. */
const SCRATCH_MIN = 64 * 1024 ** 2;

const OPTIONS = {
  ...group('Command', {
    interactive: flag('keep stdin open and pass it on', { short: 'i' }),
    tty: flag('give the command a terminal', { short: 't' }),
    attach: list('stdin|stdout|stderr', 'only these streams (default: standard output and error, and with -i standard input)', attachedStream, { short: 'a' }),
    sigProxy: { ...flag('pass signals on to the command (default true)'), initial: true },
    env: list('NAME[=VALUE]', 'set a variable (without a value: the host’s)', undefined, { short: 'e' }),
    envFile: list('FILE', 'read variables from a file'),
    workdir: value('DIR', 'working directory of the command', undefined, { short: 'w' }),
    user: value('USER[:GROUP]', 'user and group, by name or number', undefined, { short: 'u' }),
    entrypoint: value('CMD', 'replace the image’s entry point', (text) => (text === '' ? [] : [text])),
    idle: flag('no command: what runs in it comes by `vmm exec` (own option)'),
    init: flag('run a small init as PID 1 that reaps and forwards signals'),
    stopSignal: value('SIGNAL', 'signal that asks the command to stop', signalNumber),
    detachKeys: value('KEYS', 'keys that detach the terminal (default ctrl-p,ctrl-q)', detachKeys),
  }),
  ...group('Container', {
    name: value('NAME', 'name of the container', containerName),
    detach: flag('run it in the background and print its id', { short: 'd' }),
    hostname: value('NAME', 'host name inside', hostName, { short: 'h' }),
    readOnly: flag('make the root file system read-only'),
    volume: list('[HOST-DIR|NAME:]DIR[:OPTIONS]', 'mount a directory or file of the host, or a named volume (ro, nocopy …)', parseVolume, { short: 'v' }),
    mount: list('KEY=VALUE,…', 'the same in words: type=bind|volume|tmpfs,source=…,target=…,readonly,watch', parseMount),
    volumesFrom: list('CONTAINER[:ro|rw]', 'mount what is mounted in a container that is kept, at the same places', parseVolumesFrom),
    tmpfs: list('DIR[:OPTIONS]', 'mount a tmpfs', parseTmpfs),
    scratch: value('SIZE|tmpfs', 'keep changes on a temporary disk of this size, or in guest memory (default: a disk as large as the host has room for, 16g at most)', scratchSize),
    ulimit: list('NAME=SOFT[:HARD]', 'set a resource limit', parseUlimit),
    deviceReadBps: list('DEVICE:SIZE', 'bytes a second read from a disk: /dev/vda has the image, /dev/vdb the changes', deviceLimit('read', 'bytes')),
    deviceReadIops: list('DEVICE:N', 'reads a second', deviceLimit('read', 'operations')),
    deviceWriteBps: list('DEVICE:SIZE', 'bytes a second written', deviceLimit('write', 'bytes')),
    deviceWriteIops: list('DEVICE:N', 'writes a second', deviceLimit('write', 'operations')),
    mountLimit: value('bw=SIZE[:BURST][,ops=N[:BURST]]', 'what may be read and written of -v and --mount together, a second', mountLimit),
    capAdd: list('CAP', 'add a capability'),
    capDrop: list('CAP', 'drop a capability'),
    securityOpt: list('OPTION', 'seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined'),
    privileged: flag('all capabilities, calls and devices of the machine; the machine stays the wall'),
    device: list('PATH[:TARGET][:rwm]', 'give it a device of the guest: /dev/net/tun, /dev/fuse, /dev/loop0 …', parseDevice),
    systemd: value('true|false|always', 'make room for a service manager as PID 1 (default true: when it is one)', systemdMode),
    cgroupns: value('private|host', 'cgroups as seen from its own or from the machine’s root (default private)', cgroupNamespace),
  }),
  ...LIMIT_OPTIONS,
  ...group('In the background (-d, create, --name)', {
    cidfile: value('FILE', 'write the id there'),
    label: list('NAME=VALUE', 'kept for ps and inspect', undefined, { short: 'l' }),
    labelFile: list('FILE', 'labels in lines of a file'),
    restart: value('no|on-failure[:N]|always|unless-stopped', 'start it again when it has ended (default no)', parseRestart),
    rm: flag('remove it when it has ended'),
    root: value('DIR', 'where containers are kept (default: beside the images; sockets in /run/vmm, $XDG_RUNTIME_DIR/vmm)'),
    ...LOG_OPTIONS,
    hotplug: list('mounts[=DIR]|disks[=N]|cards[=N]', 'leave room for what `vmm device add` gives it while it runs: what lies anywhere, or in a folder; so many disks and cards', parseHotplug),
    stopTimeout: value('SECONDS', 'how long it may take to stop before it is killed (default 10)', parseSeconds),
  }),
  ...HEALTH_OPTIONS,
  ...group('Pod', {
    pod: value('FILE', 'run a pod manifest (appc) over images of the store, instead of IMAGE; `-` reads standard input'),
    strictIsolators: flag('refuse isolators that would not be enforced'),
  }),
  ...group('Network', {
    network: list('user|passt|tap=NAME|fd=N|unix=PATH|none[,ip=ADDRESS/BITS][,gw=ADDRESS][,mac=MAC][,mtu=N][,pcap=FILE][,rx-bw=SIZE[:BURST]][,rx-ops=N][,tx-bw=…]', 'a network card, or none (default user; with --icount none)', parseNetwork, { alias: ['net'] }),
    publishAll: flag('publish each port that the image or --expose names, at ports that the host chooses', { short: 'P' }),
    publish: list('[ADDRESS:][HOST:]PORT[/udp]', 'a port of the host’s that leads to one of the container’s; ranges too (--network user or passt)', parsePublish, { short: 'p' }),
    expose: list('PORT[-PORT][/udp]', 'a port that it listens on, for -P', parseExpose),
    ip: value('ADDRESS', 'IPv4 address of the first card', parseAddress),
    ip6: value('ADDRESS', 'IPv6 address of the first card', parseAddress),
    macAddress: value('MAC', 'Ethernet address of the first card', parseMac),
    dns: list('ADDRESS', 'a server of names (default: the host’s)', parseAddress),
    dnsSearch: list('DOMAIN', 'a domain to look names up in', parseWord),
    dnsOption: list('OPTION', 'an option of resolv.conf', parseWord, { alias: ['dns-opt'] }),
    egress: value('allow|deny', 'where no rule says otherwise, the container may (default) or may not go (--network user)', oneOf('allow', 'deny')),
    allow: list('WHERE[:PORT[-PORT]][/tcp|udp]', 'a name, *.NAME, network or address where it may go: api.example.org:443, 10.0.0.0/8', (text, option) => parseRule('allow', text, option)),
    deny: list('WHERE[:PORT[-PORT]][/tcp|udp]', 'where it may not, whatever --allow says', (text, option) => parseRule('deny', text, option)),
    egressPolicy: value('FILE', 'rules in a file, behind those of the options'),
    strictSni: flag('what a name’s rule lets in must be TLS for that name'),
    networkAlias: list('NAME', 'another name of the container’s in its network', hostName, { alias: ['net-alias'] }),
    addHost: list('NAME:ADDRESS', 'a line of /etc/hosts; host-gateway is the host’s loopback (--network user)', parseAddHost),
  }),
  ...group('Machine', {
    memory: value('SIZE', 'guest memory (default 512m)', (text, option) => parseMemory(text, option, 'refuse'), { short: 'm', alias: ['mem'] }),
    cpus: value('N', 'CPUs; a fraction is limited by cpu.max (default 1)', parseCpuShare),
    ...ACCEL_OPTIONS,
    timeout: TIMEOUT,
    pull: PULL,
    platform: PLATFORM,
    ...TRUST_OPTIONS,
    insecureOptions: INSECURE,
  }),
  ...GDB_OPTIONS,
  ...COUNTED_OPTIONS,
  ...group('Accepted for Docker’s sake, without effect', {
    annotation: list('NAME=VALUE', 'likewise'),
    volumeDriver: value('local', 'volumes are directories of the store', only('local')),
    isolation: value('default', 'a machine of its own', only('default')),
  }),
  // `-h` is Docker's --hostname here, `-v` its --volume.
  ...group('What is told', { ...REPORT_OPTIONS, help: flag(HELP.help) }),
};

export type RunOptions = OptionValues<typeof OPTIONS>;

export const RUN: Command<typeof OPTIONS> = {
  name: 'run',
  synopsis: '[OPTIONS] IMAGE [COMMAND [ARG…]] | [OPTIONS] --pod FILE',
  about: 'Runs a container image in a virtual machine of its own, with Docker’s options and exit statuses.',
  options: OPTIONS,
  stopAtArgument: true,
  foreign: dockerOption,
  examples: [
    ['vmm run -it debian bash', 'a shell in an image of the store (see `vmm image --help`)'],
    ['vmm run ./rootfs make -C /src', 'a directory as the image; it is never changed'],
    ['echo 1+1 | vmm run -i debian bc', 'standard input passed on'],
    ['vmm run -v .:/src -w /src -v cache:/root/.cache gcc make', 'the working directory in the container, and a volume that stays'],
    ['vmm run --pod pod.json', 'the apps of a pod, together in one machine (docs/pods.md)'],
    ['vmm run -m 1g --cpus 2 --scratch 10g oci:layout make -j2', 'more memory and CPUs, and changes on a disk'],
  ],
  notes: [
    'Signals go to the command. Before it has started they end the run; afterwards, a command that ignores them is ended by\nCtrl-C three times within two seconds, by --timeout, or by `kill -9` of the vmm process.',
  ],
};

/** The container that is asked for, of an image. `id` gives names that the user does not. Reads --env-file. */
export function containerOptions(options: RunOptions, image: ImageProcessConfig, command: readonly string[], id: () => string = randomId, note?: (text: string) => void, events?: NetworkEvents): ContainerOptions {
  const name = options.name ?? id();
  const hostname = options.hostname ?? id();
  return {
    name,
    hostname,
    command,
    entrypoint: options.entrypoint,
    idle: options.idle,
    env: containerEnvironment({ image: image.env, envFiles: options.envFile, env: options.env, hostname, tty: options.tty, host: hostVariable }),
    workdir: options.workdir,
    user: options.user,
    readOnly: options.readOnly,
    tmpfs: options.tmpfs,
    rlimits: options.ulimit,
    capabilities: capabilitySet(options.privileged ? ['ALL'] : options.capAdd, options.capDrop, image.isolation),
    security: { ...parseSecurityOptions(options.securityOpt), privileged: options.privileged, devices: options.device, deviceRules: options.deviceCgroupRule },
    cgroup: cgroupSettings(options),
    sysctls: options.sysctl,
    groups: options.groupAdd,
    oomScoreAdj: options.oomScoreAdj,
    domainname: options.domainname,
    shm: options.ipc === 'none' ? 'none' : options.shmSize === 0 ? undefined : options.shmSize,
    shared: (['pid', 'ipc', 'uts'] as const).filter((name) => options[name] === 'host'),
    systemd: options.systemd,
    cgroupns: options.cgroupns,
    init: options.init,
    interactive: options.interactive,
    tty: options.tty,
    stopSignal: options.stopSignal,
    // What the user says counts before the image's limits.
    cpuQuota: options.cpus?.quota ?? (image.isolation?.cpuMillis === undefined ? undefined : options.cpus?.vcpus),
    memoryLimit: image.isolation?.memory === undefined || options.memory === undefined ? undefined : options.memory * MIB,
    scratch: options.scratch ?? options.storageOpt.at(-1),
    limits: ioLimits(options),
    network: containerNetwork({ ...options, network: networksOf(options), publish: [publishedOf(options, image)], events }, note),
  };
}

/** The options with what the image's limits say of the machine's size, where the user says nothing. */
export function sizedFor(image: ImageProcessConfig, options: RunOptions): RunOptions {
  const vcpus = wantedCpus(options) ?? imageCpus(image);
  const memory = options.memory ?? imageMemory(image);
  const cpus = options.cpus ?? (vcpus === undefined ? undefined : { vcpus, quota: undefined });
  return { ...options, memory, cpus };
}

/** What only a run in this process can have: with these a name is a name, and nothing is kept. */
const HERE: readonly (keyof RunOptions)[] = ['gdb', 'icount', 'record', 'replay', 'timeline'];

/** Does it run in another's machine? It has a process of its own all the same. */
export function joinsAnother({ network }: RunOptions): boolean {
  return joinedName(network) !== undefined;
}

/** Is what was asked for kept, as Docker keeps all containers? */
export function isKept(options: RunOptions): boolean {
  return options.name !== undefined && canHaveOwner(options);
}

/** Is there nothing in it that only a run in this process can have? */
export function canHaveOwner(options: RunOptions): boolean {
  return HERE.every((key) => options[key] === undefined || options[key] === false);
}

/** Is it one that a terminal's keys may leave? Its machine is in another process then. */
export function canBeLeft(options: RunOptions): boolean {
  return options.name === undefined && options.tty && attached(options).input && [...HERE, 'verbose' as const].every((key) => options[key] === undefined || options[key] === false);
}

/** Which streams are joined to ours. */
export function attached({ attach, interactive }: RunOptions): { readonly input: boolean; readonly without: readonly ('stdout' | 'stderr')[] } {
  const all = attach.length === 0;
  return { input: interactive && (all || attach.includes('stdin')), without: (['stdout', 'stderr'] as const).filter((name) => !all && !attach.includes(name)) };
}

function attachedStream(text: string, option: string): 'stdin' | 'stdout' | 'stderr' {
  return oneOf('stdin', 'stdout', 'stderr')(text.toLowerCase(), option);
}

export function detachKeysOf(options: RunOptions): readonly number[] {
  return options.detachKeys ?? DETACH_KEYS;
}

/** Docker's option, of which these words alone are true here. */
function only(...words: readonly string[]): Read<string> {
  return (text, option) => {
    if (!words.includes(text)) throw new VmmError('USAGE', `${option} ${text} is not supported yet`, { hint: `${words.join(' or ')} is what there is` });
    return text;
  };
}

function systemdMode(text: string, option: string): SystemdMode {
  if (text !== 'true' && text !== 'false' && text !== 'always') throw new VmmError('USAGE', `${option}: ${text} is not known`, { hint: 'write true, false or always' });
  return text;
}

function cgroupNamespace(text: string, option: string): 'private' | 'host' {
  if (text !== 'private' && text !== 'host') throw new VmmError('USAGE', `${option}: ${text} is not known`, { hint: 'write private or host' });
  return text;
}

export function containerName(name: string, option: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw new VmmError('USAGE', `${option}: ${name} is not a name`, { hint: 'letters, digits, _ . -' });
  return name;
}

function hostName(name: string, option: string): string {
  if (name.length > 64 || !/^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/.test(name)) {
    throw new VmmError('USAGE', `${option}: ${name} is not a host name`, { hint: 'letters, digits, dots and hyphens, at most 64' });
  }
  return name;
}

function scratchSize(text: string, option: string): number | 'tmpfs' {
  if (text === 'tmpfs') return text;
  const bytes = parseSize(text, option, 'refuse');
  if (bytes < SCRATCH_MIN) throw new VmmError('USAGE', `${option}: ${text} is too small`, { hint: 'give 64m or more' });
  return bytes;
}

function parseTmpfs(text: string, option: string): TmpfsMount {
  const colon = text.indexOf(':');
  const path = posix.normalize(colon < 0 ? text : text.slice(0, colon));
  if (path === '/') throw new VmmError('USAGE', `${option}: ${text} would hide the image`, { hint: 'for example /run:size=64m' });
  if (!path.startsWith('/')) throw new VmmError('USAGE', `${option}: ${text} is not an absolute path`, { hint: 'for example /run:size=64m' });
  return { target: refuseTarget(option, path), options: colon < 0 ? '' : text.slice(colon + 1) };
}
