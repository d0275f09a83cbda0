/**
 * Runs the test guests of test/programs/cpu on the software CPU: assembles them, loads them as PVH kernels, and runs them on
 * this thread (vCPUs take turns) or on one worker a vCPU. The same ELF runs under QEMU for the expected output.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RUN_BUDGET, RUN_EXIT, RUN_HALT, RUN_KICK, RUN_SHUTDOWN } from '../../../assembly/contract/vcpu.ts';
import { loadKernel } from '../../../vmm/boot/kernel.ts';
import { writeMpTable } from '../../../vmm/boot/mptable.ts';
import { cpuAddress, resetCpus, setEntry } from '../../../vmm/accel/wasm-registers.ts';
import type { CoreExports } from '../../../vmm/core/exports.ts';
import { KEPT_BASE } from '../../../assembly/core/layout.ts';
import { keptBlocks } from '../../../vmm/core/kept-blocks.ts';
import { instantiateCore } from '../../../vmm/core/instance.ts';
import { acquireMemory } from '../../../vmm/core/memory.ts';
import { MachineMemory } from '../../../vmm/machine/memory.ts';
import type { CacheLimits } from '../../../vmm/jit/cache.ts';
import { InlineJit } from './inline-jit.ts';
import { buildCore } from '../../../scripts/build-core.mjs';
import { HANG_MS } from '../limits.ts';

const root = new URL('../../..', import.meta.url).pathname;
const guests = join(root, 'test', 'programs', 'cpu');
const EVENT_DEBUG_EXIT = 6;
const MACHINE_FLAGS = 1 | 4; // soft interrupts, debug exit port
const RAM = 64 << 20;

export const hasAssembler = spawnSync('gcc', ['--version'], { stdio: 'ignore' }).status === 0;
export const hasQemu = spawnSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' }).status === 0;

let module: WebAssembly.Module | undefined;
/** The compiled core, built once a process. */
export function coreModule(): WebAssembly.Module {
  if (!module) {
    buildCore();
    module = new WebAssembly.Module(readFileSync(join(root, 'dist', 'core.wasm')));
  }
  return module;
}

/** Path of the assembled guest; `symbols` are defined for it. */
export function assemble(name: string, symbols: Record<string, number> = {}): string {
  const dir = join(root, '.cache', 'test', 'programs');
  mkdirSync(dir, { recursive: true });
  const defined = Object.entries(symbols);
  const out = join(dir, [name, ...defined.map(([symbol, value]) => `${symbol}${value}`)].join('-'));
  const temp = `${out}.${process.pid}`;
  const defsym = defined.map(([symbol, value]) => `-Wa,--defsym,${symbol}=${value}`);
  execFileSync('gcc', ['-c', '-m64', ...defsym, '-o', `${temp}.o`, `${name}.S`], { cwd: guests });
  execFileSync('ld', ['-n', '--no-warn-rwx-segments', '-T', 'guest.ld', '-o', temp, `${temp}.o`], { cwd: guests });
  renameSync(temp, out);
  return out;
}

export interface GuestResult {
  readonly output: string;
  /** Byte written to port 0xf4, or what else ended the run. */
  readonly end: number | 'shutdown' | 'time over' | string;
  readonly icount: bigint;
  readonly jits?: readonly InlineJit[];
  /** Blocks at KEPT_BASE that were used. */
  readonly kept?: number;
}

export interface GuestOptions {
  readonly cpus?: number;
  readonly model?: 'baseline' | 'x86-64-v2';
  /** Nanoseconds an instruction counts for; 0: the host's clock. */
  readonly timeMode?: number;
  /** Instructions of one turn. */
  readonly slice?: number;
  readonly seconds?: number;
  /** All code is translated as soon as it is found; `check`: in lockstep with the interpreter. */
  readonly jit?: 'on' | 'check';
  readonly jitLimits?: CacheLimits;
  /** What lies at KEPT_BASE when the guest begins. */
  readonly kept?: Uint8Array;
  /** Before each turn of the first vCPU. */
  readonly before?: (core: CoreExports, memory: WebAssembly.Memory) => void;
}

interface Guest {
  readonly core: CoreExports;
  readonly memory: WebAssembly.Memory;
  readonly lines: Buffer[];
  ended: number | undefined;
}

/** A machine with the guest before its first instruction. */
function load(elf: string, options: GuestOptions): Guest {
  const cpus = options.cpus ?? 1;
  const { memory } = acquireMemory(RAM);
  const bytes = new Uint8Array(memory.buffer);
  const lines: Buffer[] = [];
  const hooks = {
    irq: () => {},
    kick: () => {},
    blk: () => -5,
    console: (_device: number, ptr: number, length: number) => {
      lines.push(Buffer.from(bytes.slice(ptr, ptr + length)));
      return length;
    },
    fs: () => {},
    vsock: () => {},
    event: (kind: number, a: number) => {
      if (kind === EVENT_DEBUG_EXIT) guest.ended = a;
    },
    discard: () => {},
  };
  const core = instantiateCore(coreModule(), memory, hooks);
  const guest: Guest = { core, memory, lines, ended: undefined };
  core.machine_init(RAM, cpus, MACHINE_FLAGS);
  core.serial_add();
  core.power_add();
  const ram = new MachineMemory(memory, RAM, (gpa, length) => core.guest_written(gpa, length));
  const loaded = loadKernel(ram, { kernel: elf, append: '', rsdp: 0 });
  writeMpTable(ram, cpus);
  resetCpus(core, cpus, options.model ?? 'baseline', options.timeMode ?? 0);
  setEntry(core, loaded.entry);
  if (options.kept !== undefined) {
    bytes.set(options.kept, KEPT_BASE);
    new DataView(memory.buffer).setUint32(KEPT_BASE, 1, true);
  }
  return guest;
}

function icountOf(guest: Guest): bigint {
  return new DataView(guest.memory.buffer).getBigUint64(cpuAddress(0) + guest.core.cpu_field(10), true);
}

/** All vCPUs on this thread, in turns. */
export function runGuest(elf: string, options: GuestOptions = {}): GuestResult {
  const guest = load(elf, options);
  const { core } = guest;
  const cpus = options.cpus ?? 1;
  const limit = performance.now() + (options.seconds === undefined ? HANG_MS : options.seconds * 1000);
  const jits = Array.from({ length: options.jit === undefined ? 0 : cpus }, (_, i) => new InlineJit(core, guest.memory, i, options.jit ?? 'on', 0, options.jitLimits));
  let end: GuestResult['end'] = 'time over';
  run: while (performance.now() < limit) {
    options.before?.(core, guest.memory);
    for (let i = 0; i < cpus; i++) {
      const reason = core.cpu_run(cpuAddress(i), options.slice ?? 20_000);
      jits[i]?.poll();
      if (reason === RUN_HALT) core.cpu_wait(cpuAddress(i), cpus === 1 ? 1e8 : 1e5);
      else if (reason !== RUN_BUDGET && reason !== RUN_KICK) {
        end = reason === RUN_SHUTDOWN ? 'shutdown' : reason === RUN_EXIT ? (guest.ended ?? 'exit') : `reason ${reason}`;
        break run;
      }
    }
  }
  return { output: Buffer.concat(guest.lines).toString('latin1'), end, icount: icountOf(guest), jits, kept: keptBlocks(guest.memory) };
}

/** The vCPU's thread: plain JavaScript, since workers know no TypeScript here. */
const WORKER = `
const { parentPort, workerData: d } = require('node:worker_threads');
const bytes = new Uint8Array(d.memory.buffer);
const nothing = () => 0;
const [s, n] = process.hrtime();
const origin = s * 1e9 + n - performance.now() * 1e6;
const core = new WebAssembly.Instance(d.module, {
  env: { memory: d.memory, abort: () => { throw new Error('abort'); } },
  host: {
    irq: nothing, kick: nothing, blk: nothing, fs: nothing, net: nothing, vsock: nothing, discard: nothing, wall: nothing, random: nothing,
    console: (_, ptr, len) => { parentPort.postMessage({ text: Buffer.from(bytes.slice(ptr, ptr + len)).toString('latin1') }); return len; },
    event: (kind, a) => { if (kind === ${EVENT_DEBUG_EXIT}) parentPort.postMessage({ ended: a }); },
    now: () => performance.now() * 1e6 + origin,
  },
}).exports;
const stop = new Int32Array(d.stop);
(async () => {
const jit = d.jit ? new (await import(d.jit)).InlineJit(core, d.memory, d.index, 'on') : undefined;
for (;;) {
  const reason = core.cpu_run(d.cpu, 200000);
  if (jit) jit.poll();
  if (Atomics.load(stop, 0)) break;
  if (reason === ${RUN_HALT}) core.cpu_wait(d.cpu, 1e8);
  else if (reason !== ${RUN_BUDGET} && reason !== ${RUN_KICK}) { parentPort.postMessage({ reason }); break; }
}
})();
`;

/** One worker a vCPU, running at the same time. */
export async function runGuestThreads(elf: string, options: GuestOptions = {}): Promise<GuestResult> {
  const guest = load(elf, options);
  const cpus = options.cpus ?? 1;
  const stop = new SharedArrayBuffer(4);
  let output = '';
  let ended: number | undefined;
  const workers: Worker[] = [];
  const jit = options.jit === undefined ? undefined : new URL('./inline-jit.ts', import.meta.url).href;
  const end = await new Promise<GuestResult['end']>((resolve, reject) => {
    const timer = setTimeout(() => resolve('time over'), (options.seconds === undefined ? HANG_MS : options.seconds * 1000));
    for (let i = 0; i < cpus; i++) {
      const worker = new Worker(WORKER, { eval: true, workerData: { module: coreModule(), memory: guest.memory, cpu: cpuAddress(i), index: i, stop, jit } });
      worker.on('error', reject);
      worker.on('message', (m: { text?: string; ended?: number; reason?: number }) => {
        if (m.text !== undefined) output += m.text;
        if (m.ended !== undefined) ended = m.ended;
        if (m.reason !== undefined) {
          clearTimeout(timer);
          resolve(m.reason === RUN_SHUTDOWN ? 'shutdown' : (ended ?? `reason ${m.reason}`));
        }
      });
      workers.push(worker);
    }
  });
  Atomics.store(new Int32Array(stop), 0, 1);
  for (let i = 0; i < cpus; i++) guest.core.cpu_kick(i);
  // Not their 'exit' events: the last message of a worker may come in the same turn as its exit.
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { output, end, icount: icountOf(guest) };
}

/** The guest under QEMU's TCG. Serial output goes by a file: QEMU's exit cuts off what a pipe has not taken. */
export function runQemu(elf: string, cpus = 1, seconds = 100): string {
  const log = `${elf}.qemu.${process.pid}`;
  const machine = ['-accel', 'tcg', '-M', 'pc', '-cpu', 'qemu64', '-m', '64', '-smp', String(cpus)];
  const plain = ['-nodefaults', '-display', 'none', '-serial', `file:${log}`, '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4'];
  spawnSync('qemu-system-x86_64', [...machine, ...plain, '-kernel', elf], { timeout: seconds * 1000 });
  const output = readFileSync(log, 'latin1');
  rmSync(log);
  return output;
}

/** For `beforeAll`: compiles the core if need be, so that the first test does not wait for it. */
export function prepareCore(): void {
  coreModule();
}
