/** The same segments to this machine's kernel and to the gateway, in a network namespace of its own: `oracle-program.ts FIRST COUNT`; the seeds that differ as JSON. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { NET_FRAME_MAX, NET_HDR_SIZE } from '../../../assembly/contract/devices.ts';
import { EAGAIN } from '../../../assembly/contract/generated/errno.ts';
import { Gateway } from '../../../vmm/gateway/gateway.ts';
import { addressOf } from '../../../vmm/host/ffi.ts';
import { openTap, readTry, setTapOffloads, writeTry } from '../../../vmm/host/net.ts';
import { bedConfig, GUEST_MAC } from './bed.ts';
import { ByHand, gatewayWay, randomScript, type Way } from './scripts.ts';

export interface Difference {
  readonly seed: number;
  readonly kernel: readonly string[];
  readonly gateway: readonly string[];
}

const PORT = 7;
const [first = 1, count = 1] = process.argv.slice(2).map(Number);
const run = (command: string): void => void execFileSync('sh', ['-ec', command], { stdio: 'inherit', timeout: 10_000 });
const tap = openTap('peer0', NET_HDR_SIZE);
setTapOffloads(tap, 0);
// Its answers to what makes no sense are not to be saved up.
run(`ip link set lo up; sysctl -qw net.ipv6.conf.peer0.disable_ipv6=1 net.ipv4.tcp_invalid_ratelimit=0 net.ipv4.tcp_challenge_ack_limit=2147483647
ip link set peer0 address 02:00:00:00:00:01; ip addr add 10.9.0.1/24 dev peer0; ip link set peer0 up; ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:0f dev peer0 nud permanent`);
const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
}).listen(PORT, '0.0.0.0', 512);
await new Promise((resolve) => server.once('listening', resolve));

function kernelWay(): Way {
  const [input, output] = [new Uint8Array(NET_HDR_SIZE + NET_FRAME_MAX + 4096), new Uint8Array(NET_HDR_SIZE + NET_FRAME_MAX + 4096)];
  const [inputAt, outputAt] = [Number(addressOf(input)), Number(addressOf(output))];
  return {
    guestMac: [...GUEST_MAC], peerMac: [2, 0, 0, 0, 0, 1], guest: [10, 9, 0, 2], peer: [10, 9, 0, 1], peerPort: PORT,
    send: (frame) => {
      output.fill(0, 0, NET_HDR_SIZE);
      output.set(frame, NET_HDR_SIZE);
      if (writeTry(tap, outputAt, NET_HDR_SIZE + frame.length) < 0) throw new Error('the tap takes no frame');
    },
    heard: () => {
      const frames: Uint8Array[] = [];
      for (let length = readTry(tap, inputAt, input.length); length !== -EAGAIN; length = readTry(tap, inputAt, input.length)) frames.push(input.slice(NET_HDR_SIZE, length));
      return frames;
    },
  };
}

const gateway = new Gateway(bedConfig(), { frames: () => {}, denied: () => {} });
const ways = { kernel: kernelWay(), gateway: gatewayWay(gateway, [10, 0, 2, 2], PORT) };
const different: Difference[] = [];
for (let seed = first; seed < first + count; seed++) {
  const script = randomScript(seed);
  // Another port for each, and numbers that wrap now and then.
  const client = (way: Way): ByHand => new ByHand(way, 1024 + (seed % 60_000), seed % 3 === 0 ? 2 ** 32 - 200 : Math.imul(seed, 0x9e37_79b1));
  const [kernel, ours] = [await client(ways.kernel).run(script), await client(ways.gateway).run(script)];
  if (JSON.stringify(kernel) !== JSON.stringify(ours)) different.push({ seed, kernel, gateway: ours });
}
gateway.close();
process.stdout.write(JSON.stringify(different));
process.exit(0);
