/**
 * Frames through a pair of taps, in a network namespace of its own, turn by turn: two cards of ours on the thread that serves them, with a driver
 * beside it; and one thread of C that writes and reads the same frames. `node bench/net/frames.ts [ROUNDS [FRAMES]] [--save] [--limits]`. Wants root.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { NET_CSUM, NET_HDR_SIZE, NET_LINK_UP, NET_QUEUES, NET_TSO4, NET_TSO6 } from '../../assembly/contract/devices.ts';
import { VIRTIO_F_INDIRECT_DESC, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_MRG_RXBUF } from '../../assembly/contract/generated/virtio.ts';
import { SCRATCH_BASE } from '../../assembly/core/layout.ts';
import { instantiateCore } from '../../vmm/core/instance.ts';
import { CABLE_HEADERS, CableTable } from '../../vmm/devices/net/table.ts';
import type { NetThread } from '../../vmm/devices/net/thread.ts';
import { openTap } from '../../vmm/host/net.ts';
import { eventfd, eventfdSignal } from '../../vmm/host/sys.ts';
import { SharedWords } from '../../vmm/threads/words.ts';
import { benchMemory, RAM_BYTES } from '../fs/memory.ts';
import { inTurns, ratio, report, ROOT } from '../harness.ts';
import { folder } from '../start/process.ts';
import { CardDriver, headerFor } from './card.ts';
import { TAPS, tapPair } from './taps.ts';

const [rounds = '7', given = '200000'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const LIMIT_MS = 120_000;
const BELL = 1;
const LINES = 32;
/** Frames on their way at a time: as many as a ring of pages has room for. */
const onTheWay = (size: number): number => (size > 1514 ? 16 : 128);
const OFFLOADS = NET_CSUM | NET_TSO4 | NET_TSO6;
const FEATURES = Number(VIRTIO_F_INDIRECT_DESC | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_MRG_RXBUF);

if (process.env['VMM_BENCH_NET'] === undefined) {
  const { status } = spawnSync('unshare', ['-n', process.execPath, ...process.argv.slice(1)], { stdio: 'inherit', env: { ...process.env, VMM_BENCH_NET: '1' } });
  process.exit(status ?? 1);
}

tapPair();
const program = join(folder, 'frames');
execFileSync('gcc', ['-O2', '-Wall', '-o', program, join(ROOT, 'bench/net/frames.c')], { timeout: LIMIT_MS });

const taps = TAPS.map((tap) => openTap(tap, NET_HDR_SIZE)) as [number, number];
settle();

/** Waits until the kernel has seen that both have a reader. */
function settle(): void {
  const [frame, rest] = [Buffer.concat([headerFor(64), frameOf(64)]), new Int32Array(new SharedArrayBuffer(4))];
  for (let turn = 0; ; turn++) {
    if (turn === 100) throw new Error('no frame goes from tap to tap');
    writeSync(taps[0], frame);
    Atomics.wait(rest, 0, 0, 100);
    try {
      readSync(taps[1], frame);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** An Ethernet frame of TCP over IPv4, for an address that nobody has. */
function frameOf(size: number): Uint8Array {
  const frame = new Uint8Array(size);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, (size - 14) >>> 8, (size - 14) & 255, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
  // The bridge's kernel looks at IP's sum.
  const sum = frame.subarray(14, 34).reduce((all, byte, i) => all + (i % 2 === 0 ? byte << 8 : byte), 0);
  frame.set([(~(sum + (sum >>> 16)) >>> 8) & 255, ~(sum + (sum >>> 16)) & 255], 24);
  frame.set([0x50, 16], 46);
  return frame;
}

interface Taken {
  readonly wall: number;
  readonly cpu: number;
}

function theirs(size: number, count: number): Taken {
  const [wall = 0, cpu = 0] = spawnSync(program, [`${size}`, `${count}`, `${onTheWay(size)}`], { encoding: 'utf8', input: frameOf(size), stdio: ['pipe', 'pipe', 'inherit', ...taps], timeout: LIMIT_MS }).stdout.split(' ').map(Number);
  return { wall, cpu };
}

/** Two cards, one for each tap, and their thread. */
async function ours(size: number, count: number): Promise<Taken> {
  const { memory, memfd } = benchMemory();
  const module = new WebAssembly.Module(readFileSync(join(ROOT, 'dist', 'core-kvm.wasm')));
  const core = instantiateCore(module, memory, {});
  if (core.machine_init(RAM_BYTES, 1, 0) !== 0) throw new Error('machine_init');
  const { bus_mmio_write: register } = core as unknown as { bus_mmio_write(gpa: bigint, size: number, value: bigint): void };
  const [command, irq] = [eventfd(), eventfd()];
  const words = new SharedWords();
  words.setBellFd(BELL, command);
  const table = new CableTable();
  const cards = taps.map((fd, slot) => {
    const kick = eventfd();
    new Uint8Array(memory.buffer, SCRATCH_BASE, 6).set([2, 0, 0, 0, 0, 1 + slot]);
    if (core.net_add(slot, OFFLOADS, 1500, SCRATCH_BASE) !== 0) throw new Error('net_add');
    core.net_link(slot, NET_LINK_UP);
    table.set(slot, { kind: CABLE_HEADERS, fd, capture: -1, rate: undefined });
    const driver = new CardDriver(memory.buffer, slot, register, () => eventfdSignal(kick));
    driver.start(FEATURES);
    return { kick, driver };
  });
  const [from, to] = cards.map(({ driver }) => driver) as [CardDriver, CardDriver];
  to.listen(size > 1514 ? 4096 : 1536);
  from.carries(new Uint8Array(memory.buffer), Buffer.concat([headerFor(size), frameOf(size)]));
  const data: NetThread = { module, memory, words: words.buffer, trace: undefined, ramSize: RAM_BYTES, bell: BELL, queues: cards.map(({ kick }, slot) => ({ slot, queues: NET_QUEUES, fd: kick })), irqfds: new Array<number>(LINES).fill(irq), commandFd: command, own: { cables: table.buffer } };
  const worker = new Worker(new URL('./card-thread.ts', import.meta.url), { workerData: data, execArgv: process.execArgv });
  const tid = await new Promise<number>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: { tid: number }) => resolve(message.tid));
  });
  // What V8 compiles is not the path of a frame.
  through(from, to, Math.min(20_000, count / 5), onTheWay(size));
  const before = { wall: performance.now(), cpu: cpuOf(tid) };
  through(from, to, count, onTheWay(size));
  const taken = { wall: (performance.now() - before.wall) / 1000, cpu: cpuOf(tid) - before.cpu };
  words.end(BELL);
  eventfdSignal(command);
  await new Promise((resolve) => worker.once('exit', resolve));
  for (const fd of [memfd, command, irq, ...cards.map(({ kick }) => kick)]) closeSync(fd);
  return taken;
}

/** Has so many frames go all the way. */
function through(from: CardDriver, to: CardDriver, count: number, window: number): void {
  const rest = new Int32Array(new SharedArrayBuffer(4));
  const limit = performance.now() + LIMIT_MS;
  for (let [sent, come] = [0, 0]; come < count;) {
    sent += from.send(Math.min(count - sent, window - (sent - come)));
    const heard = to.heard();
    come += heard;
    if (heard > 0) continue;
    // The thread has the work; this one gives way.
    Atomics.wait(rest, 0, 0, 0.05);
    if (performance.now() > limit) throw new Error(`${come} frames of ${sent} have come`);
  }
}

/** Seconds that a thread has run: /proc/…/schedstat has nanoseconds. */
function cpuOf(tid: number): number {
  return Number(readFileSync(`/proc/self/task/${tid}/schedstat`, 'latin1').split(' ')[0]) / 1e9;
}

const sizes = [{ size: 64, what: 'of 64 bytes' }, { size: 1514, what: 'of 1,514 bytes' }, { size: 65_226, what: 'of 64 KiB, segments of TCP', less: 8 }];
const rows = [];
for (const { size, what, less = 1 } of sizes) {
  const count = Math.ceil(Number(given) / less);
  const taken = await inTurns({ ours: () => ours(size, count), theirs: () => theirs(size, count) }, { rounds: Number(rounds) });
  const of = (name: 'ours' | 'theirs', what: keyof Taken): number[] => taken[name].map((one) => count / one[what]);
  const middle = (list: number[]): string => `${(list.toSorted((a, b) => a - b)[list.length >> 1]! / 1000).toFixed(0)}`;
  const [our, their] = [of('ours', 'cpu'), of('theirs', 'cpu')];
  rows.push({ what: `frames ${what} a second of CPU time`, ...ratio(our, their), note: `${middle(our)}k against ${middle(their)}k; of the clock ${middle(of('ours', 'wall'))}k against ${middle(of('theirs', 'wall'))}k`, target: { atLeast: 0.8 } });
}
report('net-frames', { title: 'Frames through a pair of taps: two cards of ours beside C', section: 'Network', rows, notes: ['CPU time of the one thread that moves the frames, the kernel’s part included: of the cards’ thread, and of the C program.'] });
