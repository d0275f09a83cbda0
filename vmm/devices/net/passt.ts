/** passt (passt.top): a user-mode network in a process of its own, which speaks QEMU's framing on a socket and ends with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { EAGAIN } from '../../../assembly/contract/generated/errno.ts';
import { VmmError } from '../../../base/errors.ts';
import { addressOf, watchReadable } from '../../host/ffi.ts';
import { readTry, setNonBlocking, socketPair, writeTry } from '../../host/net.ts';
import { LENGTH_SIZE, putLength } from './framing.ts';
import type { PasstSpec, PublishedPort } from './spec.ts';

/** How long passt may take to answer, which it does within some 30 ms, or never. */
const LIMIT_MS = 10_000;
const INSTALL = 'install passt (apt-get install passt), or give another network';

/** QEMU's and slirp's addresses of a user-mode network, and of IPv6 one of nobody's. */
const V4 = { address: '10.0.2.15', prefix: 24, gateway: '10.0.2.2' };
const V6 = { address: 'fd76:6d6d:2::15', prefix: 64, gateway: 'fd76:6d6d:2::2' };
const MTU = 1500;

/** A card of passt's, for the families that the host has a way out for: none where it has none. */
export function passtCard(ports: readonly PublishedPort[], mtu = MTU): { readonly cable: PasstSpec; readonly mtu: number } {
  const ways = waysOut();
  return { cable: { kind: 'passt', addresses: ways, gateways: ways.map(({ gateway }) => gateway), mtu, ports }, mtu };
}

/** Where the host has a default route: our addresses of that family. */
export function waysOut(): (typeof V4)[] {
  const lines = (name: string): string[][] => {
    try {
      return readFileSync(`/proc/net/${name}`, 'latin1').split('\n').map((line) => line.trim().split(/\s+/));
    } catch {
      return [];
    }
  };
  // Interface, destination; and destination, its prefix length …, interface last: a default route is one to everything, not by lo.
  const v4 = lines('route').some(([name, destination]) => destination === '00000000' && name !== 'lo');
  const v6 = lines('ipv6_route').some((words) => /^0{32}$/.test(words[0] ?? '') && words[1] === '00' && words.at(-1) !== 'lo');
  return [...(v4 ? [V4] : []), ...(v6 ? [V6] : [])];
}

/** Starts it: our end of its socket, and when it is up. `ready` rejects with NET_PASST, NET_PORT. */
export function startPasst(spec: PasstSpec): { readonly fd: number; readonly ready: Promise<void> } {
  const [ours, theirs] = socketPair();
  setNonBlocking(ours);
  const child = spawn('passt', passtArguments(spec), { stdio: ['ignore', 'ignore', 'pipe', theirs], env: { PATH: process.env['PATH'] }, cwd: '/' });
  closeSync(theirs);
  child.unref();
  const ready = up(child, ours, spec);
  ready.catch(() => {});
  return { fd: ours, ready };
}

/** One -t or -u a port, as passt wants them. */
function passtArguments({ addresses, gateways, mtu, ports }: PasstSpec): string[] {
  const args = ['--foreground', '--quiet', '--fd', '3', '--no-map-gw', '--mtu', `${mtu}`];
  const v4 = addresses.find(({ address }) => !address.includes(':'));
  if (v4 === undefined) args.push('--ipv6-only');
  else if (addresses.length === 1) args.push('--ipv4-only');
  for (const { address } of addresses) args.push('--address', address);
  if (v4 !== undefined) args.push('--netmask', `${v4.prefix}`);
  for (const gateway of gateways) args.push('--gateway', gateway);
  for (const { protocol, address, host, guest } of ports) args.push(protocol === 'tcp' ? '-t' : '-u', `${address === undefined ? '' : `${address}/`}${host}:${guest}`);
  return args;
}

async function up(child: ChildProcess, fd: number, spec: PasstSpec): Promise<void> {
  let text = '';
  const stderr = child.stderr as Readable & { unref?(): void };
  stderr.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString('latin1')).slice(-4096);
  });
  stderr.unref?.();
  const ended = new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    child.once('error', resolve);
    child.once('exit', () => resolve(undefined));
  });
  // One that cannot be started has closed its end of the socket, too.
  if (!(await answer(fd, spec))) {
    child.ref();
    const cause = await ended;
    if (cause !== undefined) throw new VmmError('NET_PASST', `passt cannot be started: ${cause.code}`, { cause, hint: INSTALL });
    const line = text.split('\n').filter((one) => one !== '' && !/syslog|Don't run as root/.test(one)).at(-1);
    throw new VmmError('NET_PASST', `passt gives up: ${line ?? `status ${child.exitCode}`}`, { hint: 'see `passt --help`; --network tap=NAME does without it' });
  }
  for (const port of spec.ports) if (!isTaken(port)) throw taken(port, 'passt could not take it');
}

/** Asks passt for the gateway's Ethernet address: it answers once it works. False: it has closed its end. */
async function answer(fd: number, { addresses, gateways }: PasstSpec): Promise<boolean> {
  const question = addresses.some(({ address }) => !address.includes(':')) ? arpRequest(addresses[0]?.address ?? '', gateways[0] ?? '') : solicitation();
  // So large that it is not on V8's heap, where it would move.
  const bytes = new Uint8Array(4096);
  putLength(bytes, question.length);
  bytes.set(question, LENGTH_SIZE);
  const at = Number(addressOf(bytes));
  writeTry(fd, at, LENGTH_SIZE + question.length);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(new VmmError('NET_PASST', `passt does not answer within ${LIMIT_MS / 1000} s`, { hint: 'try it by itself: passt -f' }))), LIMIT_MS);
    const end = (work: () => void): void => {
      clearTimeout(timer);
      watch.close();
      work();
    };
    // No byte beyond its answer is taken: what comes next is the card's. Length and frame may come one by one.
    let [have, want] = [0, LENGTH_SIZE];
    const watch = watchReadable(fd, () => {
      while (have < want) {
        const got = readTry(fd, at + have, want - have);
        if (got === -EAGAIN) return;
        if (got <= 0) return end(() => resolve(false));
        have += got;
        if (have === LENGTH_SIZE) want = Math.min(LENGTH_SIZE + new DataView(bytes.buffer).getUint32(0), bytes.length);
      }
      end(() => resolve(true));
    });
  });
}

const SENDER = [2, 0, 0, 0, 0, 1];

/** RFC 826. */
function arpRequest(from: string, to: string): Uint8Array {
  const v4 = (text: string): number[] => text.split('.').map(Number);
  return Uint8Array.from([255, 255, 255, 255, 255, 255, ...SENDER, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...SENDER, ...v4(from), 0, 0, 0, 0, 0, 0, ...v4(to)]);
}

/** A router solicitation from no address (RFC 4861): its checksum is known. */
function solicitation(): Uint8Array {
  const routers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
  return Uint8Array.from([0x33, 0x33, 0, 0, 0, 2, ...SENDER, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255, ...new Array<number>(16).fill(0), ...routers, 133, 0, 0x7b, 0xb8, 0, 0, 0, 0]);
}

/** Why a port cannot be had. */
function taken({ protocol, address, host, hostLast }: PublishedPort, why: string): VmmError {
  return new VmmError('NET_PORT', `port ${host}${hostLast === undefined ? '' : ` to ${hostLast}`}/${protocol}${address === undefined ? '' : ` of ${address}`} cannot be published: ${why}`, { hint: 'give another host port, or end who has it' });
}

/** passt says nothing of a port that it cannot bind: each is tried before. Rejects with NET_PORT. */
export async function probePorts(ports: readonly PublishedPort[]): Promise<void> {
  for (const port of ports) await firstFree(port, (one) => (one.protocol === 'tcp' ? probeTcp(one) : probeUdp(one)));
}

/** What `take` makes of the first of a port's numbers that nobody has. Rejects with NET_PORT. */
export async function firstFree<T>(port: PublishedPort, take: (port: PublishedPort) => Promise<T>): Promise<T> {
  const { host, hostLast = host } = port;
  for (let number = host; ; number++) {
    try {
      return await take({ ...port, host: number });
    } catch (error) {
      const { code = 'it cannot be bound' } = error as NodeJS.ErrnoException;
      if (number >= hostLast || code !== 'EADDRINUSE') throw taken(port, code);
    }
  }
}

async function probeTcp({ address, host }: PublishedPort): Promise<void> {
  const server = createServer();
  server.listen({ port: host, host: address ?? '0.0.0.0', exclusive: true });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

async function probeUdp({ address, host }: PublishedPort): Promise<void> {
  const socket = createSocket(address?.includes(':') === true ? 'udp6' : 'udp4');
  socket.bind({ port: host, address: address ?? '0.0.0.0', exclusive: true });
  await once(socket, 'listening');
  socket.close();
}

/** Somebody has the port in this network namespace: /proc/net/tcp lists local addresses as ADDRESS:PORT. */
function isTaken({ protocol, host }: PublishedPort): boolean {
  const port = host.toString(16).toUpperCase().padStart(4, '0');
  return [protocol, `${protocol}6`].some((name) => {
    try {
      return new RegExp(`^\\s*\\d+: [0-9A-F]+:${port} `, 'm').test(readFileSync(`/proc/net/${name}`, 'latin1'));
    } catch {
      return false;
    }
  });
}
