/**
 * Runs inside a network namespace of its own (`unshare -n`): a tap with addresses, servers on it, and a machine of the built library whose
 * guest talks to them. Arguments: a JSON of NetRun. Prints a JSON of what was seen.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type * as Library from '../../../vmm/api/index.ts';
import { interfaceRequest } from '../../../vmm/host/net.ts';
import { ioctl, open } from '../../../vmm/host/sys.ts';
import { O_RDWR } from '../../../vmm/host/uapi/linux.ts';
import { IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, TUNSETIFF } from '../../../vmm/host/uapi/net.ts';

export interface NetRun {
  readonly accel: 'wasm' | 'kvm';
  readonly initrd: string;
  readonly cards: readonly Library.CardSpec[];
  /** Taps that are open already, each with a header before its frames or without: cards behind the others. */
  readonly openTaps?: readonly { readonly name: string; readonly header: boolean }[];
  readonly spareCards?: number;
  readonly disks?: readonly Library.DiskSpec[];
  /** Commands for the namespace before the machine starts. */
  readonly before: readonly string[];
  readonly append?: string;
}

const { guestFile, Machine } = (await import(new URL('../../../dist/vmm.js', import.meta.url).href)) as typeof Library;
const run = JSON.parse(process.argv[2] as string) as NetRun;
const BIG = 16 << 20;

/** Bytes that are the same for whoever counts to `length`. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
  return bytes;
}

for (const command of ['ip link set lo up', ...run.before]) execFileSync('sh', ['-c', command], { stdio: 'inherit' });

function openTap({ name, header }: { readonly name: string; readonly header: boolean }): Library.CardSpec {
  const fd = open('/dev/net/tun', O_RDWR);
  ioctl(fd, TUNSETIFF, interfaceRequest(name, IFF_TAP | IFF_NO_PI | (header ? IFF_VNET_HDR : 0)), 'TUNSETIFF');
  return { cable: { kind: 'fd', fd } };
}

let connections = 0;
const servers = [
  // Short connections.
  createServer((socket) => {
    connections++;
    socket.on('error', () => {});
    socket.end('ok');
  }).listen(9003, '::'),
  // What comes is hashed.
  createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (bytes) => void hash.update(bytes));
    socket.on('end', () => socket.end(hash.digest('hex')));
    socket.on('error', () => {});
  }).listen(9001, '::'),
  createServer((socket) => {
    socket.on('error', () => {});
    socket.end(pattern(BIG));
  }).listen(9002, '::'),
];
const echo = createSocket('udp6', (message, from) => echo.send(message, from.port, from.address));
echo.bind(9004, '::');

const seen: string[] = [];
/** Sends bytes to a server in the guest, which echoes them: a hash of what comes back. */
function toGuest(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const bytes = pattern(8 << 20);
    const hash = createHash('sha256');
    const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end(bytes));
    socket.on('data', (part) => void hash.update(part));
    socket.on('end', () => resolve(`${hash.digest('hex') === createHash('sha256').update(bytes).digest('hex')}`));
    socket.on('error', reject);
  });
}

let asked = Promise.resolve();
let text = '';
const machine = new Machine(
  {
    accel: run.accel, kernel: guestFile('vmlinux'), initrd: run.initrd, append: `console=hvc0 quiet panic=-1 reboot=t tsc=reliable ${run.append ?? ''}`, memoryMib: 128, cpus: 1, acpi: 'off', console: 'hvc',
    disks: run.disks ?? [], spareCards: run.spareCards ?? 0, cards: [...run.cards, ...(run.openTaps ?? []).map(openTap)].map((card) => ({ ...card, mac: card.mac === undefined ? undefined : Uint8Array.from(Object.values(card.mac)) })), exitOnReboot: true,
  },
  {
    console: async (bytes) => {
      text += Buffer.from(bytes).toString('latin1');
      for (;;) {
        const end = text.indexOf('\n');
        if (end < 0) return;
        const line = text.slice(0, end).replace('\r', '');
        text = text.slice(end + 1);
        seen.push(line);
        asked = asked.then(() => heard(line));
      }
    },
    note: (note) => seen.push(`note: ${note}`),
  },
);

/** A line of the guest's that asks for something. */
async function heard(line: string): Promise<void> {
  const [word, ...rest] = line.split(' ');
  if (word === '@listening') seen.push(`echoed ${await toGuest(rest[1] ?? '10.9.0.2', Number(rest[0]))}`);
  else if (word === '@link') machine.setLink(Number(rest[0]), rest[1] === 'up');
  else if (word === '@plug') seen.push(`plugged ${machine.plugCard({ kind: 'tap', name: rest[0] as string })}`);
  else if (word === '@unplug') {
    await machine.unplugCard(Number(rest[0]));
    seen.push('unplugged');
  } else if (word === '@host') {
    // The guest's console goes on meanwhile.
    const [status] = (await once(spawn('sh', ['-c', rest.join(' ')], { stdio: 'inherit', timeout: 120_000 }), 'close')) as [number];
    if (status !== 0) seen.push(`note: ${line} ends with ${status}`);
  }
}

const result = await machine.run();
await asked;
for (const server of servers) server.close();
echo.close();
process.stdout.write(JSON.stringify({ result, seen, connections, hash: createHash('sha256').update(pattern(BIG)).digest('hex') }));
