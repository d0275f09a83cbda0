/** Frames of a guest's that may be anything, beside servers and callers of any temper. VMM_CASES sets how many. */
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { parseIp } from '../../../vmm/gateway/link/address.ts';
import { Gateway } from '../../../vmm/gateway/gateway.ts';
import { parseRule } from '../../../vmm/gateway/policy/rules.ts';
import { GUEST_MAC, RandomGuest } from '../../support/gateway/frames.ts';
import { randomNumbers } from '../../support/gateway/random.ts';
import { HANG_MS } from '../../support/limits.ts';

const CASES = Number(process.env['VMM_CASES'] ?? 15_000);
const SEED = Number(process.env['VMM_SEED'] ?? 1);
const ROOM = 65_589;
/** A port of the guest's that callers come to. */
const CALLED = 6001;
const BURST = Buffer.alloc(300_000, 'burst');

/** What a peer may do with a connection, from its beginning. */
const TEMPERS: readonly ((socket: Socket) => unknown)[] = [
  (socket) => socket.pipe(socket), (socket) => socket.pipe(socket), (socket) => socket.pipe(socket),
  (socket) => socket.resetAndDestroy(), (socket) => socket.end(), (socket) => socket.end('a word'), (socket) => socket.write(BURST), (socket) => socket.pause(),
  (socket) => socket.once('data', () => socket.resetAndDestroy()), (socket) => socket.once('data', () => socket.end(BURST)),
];

it(`${CASES} random frames: every answer is well formed, memory stays bounded, and nothing is left at the end`, async () => {
  const tempers = randomNumbers(SEED + 1);
  const peers = new Set<Socket>();
  const meet = (socket: Socket): void => {
    peers.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => peers.delete(socket));
    TEMPERS[Math.floor(tempers() * TEMPERS.length)]?.(socket);
  };
  const echo = createServer({ allowHalfOpen: true }, meet).listen(0, '127.0.0.1');
  const datagrams = createSocket('udp4', (message, { port, address }) => datagrams.send(message, port, address)).bind(0, '127.0.0.1');
  const closed = createServer().listen(0, '127.0.0.1');
  await Promise.all([once(echo, 'listening'), once(datagrams, 'listening'), once(closed, 'listening')]);
  const ports = [(echo.address() as AddressInfo).port, datagrams.address().port, (closed.address() as AddressInfo).port];
  closed.close();
  // Nothing else of this machine, nor anything beyond it, is reached.
  const rules = ports.flatMap((port) => [`127.0.0.1:${port}`, `[::1]:${port}`]).map((text) => parseRule('allow', text, 'test'));
  const gateway = new Gateway({
    link: {
      mac: Uint8Array.from(GUEST_MAC), mtu: 1500, asks: true,
      v4: { guest: parseIp('10.0.2.15'), prefix: 24, gateway: parseIp('10.0.2.2'), resolver: parseIp('10.0.2.3') },
      v6: { guest: parseIp('fd76:6d6d:2::15'), prefix: 64, gateway: parseIp('fd76:6d6d:2::2'), resolver: parseIp('fd76:6d6d:2::3') },
    },
    servers: [{ address: '127.0.0.1', port: ports[1] as number }], policy: { egress: 'deny', rules, strictSni: false }, hostLoopback: false,
  }, { frames: () => {}, denied: () => {} });
  const random = randomNumbers(SEED);
  const guest = new RandomGuest(random, [...ports, 80]);
  let called = 0;
  const published = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    called++;
    socket.on('error', () => {});
    if (!gateway.accept(socket, CALLED)) socket.resetAndDestroy();
  }).listen(0, '127.0.0.1');
  await once(published, 'listening');
  let most = 0;
  for (let i = 0; i < CASES; i++) {
    const frame = guest.next();
    gateway.buffer.set(frame);
    gateway.received(frame.length, random() < 0.3);
    if (random() < 0.01) [gateway.link.sums, gateway.link.segments4] = [random() < 0.5, random() < 0.5];
    for (let out = gateway.next(ROOM); out !== undefined; out = gateway.next(ROOM)) guest.heard(out.bytes.subarray(0, out.length), out.sumAt !== 0);
    if (random() < 0.002) meet(connect({ port: (published.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true }));
    if (random() < 0.001) gateway.datagram(BURST.subarray(0, Math.floor(random() * 3000)), { address: '192.0.2.9', port: 1 + Math.floor(random() * 50) }, CALLED, () => {});
    if (i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, gateway.tcp.budget.used);
    if (gateway.tcp.size > 4096 || gateway.udp.size > 1024 || gateway.denied.length > 100) throw new Error(`too much is kept: ${gateway.tcp.size} ${gateway.udp.size}`);
  }
  // It has met what it is about.
  for (const kind of ['arp', 'icmp', 'icmp6', 'tcp', 'udp', 'syn', 'reset', 'data']) expect(guest.seen[kind] ?? 0, JSON.stringify(guest.seen)).toBeGreaterThan(10);
  expect(Math.min(most, called)).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(gateway.tcp.budget.limit);
  gateway.close();
  expect([gateway.tcp.size, gateway.udp.size, gateway.tcp.budget.used, gateway.next(ROOM)]).toEqual([0, 0, 0, undefined]);
  for (const socket of peers) socket.destroy();
  for (const server of [echo, published]) server.close();
  datagrams.close();
}, 100 * HANG_MS);
