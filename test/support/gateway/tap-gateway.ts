/**
 * The gateway behind a tap that another namespace's kernel uses, for benchmarks: `tap-gateway.ts PID` makes the tap bed0 in the network namespace of
 * process PID, with 10.0.2.15 behind 10.0.2.2, says `ready`, and goes on until its standard input ends.
 */
import { execFileSync } from 'node:child_process';
import { EAGAIN } from '../../../assembly/contract/generated/errno.ts';
import { NET_CSUM, NET_FRAME_MAX, NET_HDR_SIZE, NET_TSO4, NET_TSO6 } from '../../../assembly/contract/devices.ts';
import { putHeader } from '../../../vmm/devices/net/user-backend.ts';
import { Gateway } from '../../../vmm/gateway/gateway.ts';
import { parseIp } from '../../../vmm/gateway/link/address.ts';
import { OPEN_POLICY } from '../../../vmm/gateway/policy/config.ts';
import { addressOf, watchReadable } from '../../../vmm/host/ffi.ts';
import { openTap, readTry, setTapOffloads, writeTry } from '../../../vmm/host/net.ts';

const [pid = ''] = process.argv.slice(2);
const SIZE = NET_HDR_SIZE + NET_FRAME_MAX + 4096;
/** Frames between two looks at what else there is. */
const TURNS = 64;
const v4 = { guest: parseIp('10.0.2.15'), prefix: 24, gateway: parseIp('10.0.2.2'), resolver: parseIp('10.0.2.3') };
const gateway = new Gateway({ link: { mac: Uint8Array.of(2, 0, 0, 0, 0, 15), mtu: 1500, asks: false, v4, v6: undefined }, servers: [], policy: OPEN_POLICY, hostLoopback: true }, { frames: schedule, denied: () => {} });
[gateway.link.sums, gateway.link.segments4] = [true, true];
const tap = openTap('bed0', NET_HDR_SIZE);
setTapOffloads(tap, NET_CSUM | NET_TSO4 | NET_TSO6);
execFileSync('ip', ['link', 'set', 'bed0', 'netns', pid], { timeout: 10_000 });
for (const words of ['link set bed0 address 02:00:00:00:00:0f up', 'addr add 10.0.2.15/24 dev bed0', 'route add default via 10.0.2.2']) execFileSync('nsenter', ['-t', pid, '-n', 'ip', ...words.split(' ')], { timeout: 10_000 });

const input = new Uint8Array(SIZE);
const inputAt = Number(addressOf(input));
const output = new Uint8Array(SIZE);
const outputAt = Number(addressOf(output));
let scheduled = false;

const watch = watchReadable(tap, () => {
  for (let turn = 0; turn < TURNS; turn++) {
    const length = readTry(tap, inputAt, SIZE);
    if (length === -EAGAIN || length < NET_HDR_SIZE) return;
    gateway.buffer.set(input.subarray(NET_HDR_SIZE, length));
    gateway.received(length - NET_HDR_SIZE, ((input[0] as number) & 1) !== 0);
  }
});

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(send);
}

function send(): void {
  scheduled = false;
  for (let turn = 0; turn < TURNS; turn++) {
    const out = gateway.next(NET_FRAME_MAX);
    if (out === undefined) return;
    output.fill(0, 0, NET_HDR_SIZE);
    putHeader(output.subarray(0, NET_HDR_SIZE), out);
    output.set(out.bytes.subarray(0, out.length), NET_HDR_SIZE);
    writeTry(tap, outputAt, NET_HDR_SIZE + out.length);
  }
  schedule();
}

// Held: one that nobody holds stops looking.
process.stdin.on('end', () => {
  watch.close();
  process.exit(0);
}).resume();
process.stdout.write('ready\n');
