import {
  FIELD_ICOUNT, FIELD_REP, RUN_BUDGET, RUN_DEBUG, RUN_EXIT, RUN_HALT, RUN_KICK, RUN_SHUTDOWN, TRACE_LOG,
} from '../../assembly/contract/vcpu.ts';
import { HOST_KICK_DEVICE, HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { HOST_EV_TRACE_ERROR, MACHINE_EV_INPUT } from '../../assembly/contract/machine.ts';
import { CPU_STRIDE } from '../../assembly/core/layout.ts';
import type { EntryState } from '../boot/entry.ts';
import { VmmError } from '../../base/errors.ts';
import type { CoreExports } from '../core/exports.ts';
import { loadKeptBlocks } from '../core/kept-blocks.ts';
import { coreChecksum } from '../core/module.ts';
import { instantiateCore } from '../core/instance.ts';
import type { CountedRun } from '../time/counted.ts';
import type { Counts } from '../time/position.ts';
import { CountedJit } from './counted-jit.ts';
import { ExecTrace } from './exec-trace.ts';
import { TraceFile, TraceWriter } from '../core/trace.ts';
import type { AcceleratorDebug, DebugStop } from './debug-types.ts';
import { type Accelerator, type AcceleratorContext, ringersOf } from './types.ts';
import { type Registers, SOFTWARE_MODEL, type VcpuExit } from './vcpu.ts';
import { otherSaved, type SavedVcpus } from './saved.ts';
import { debugStop, WasmDebug } from './wasm-debug.ts';
import { cpuAddress, readRegisters, resetCpus, setEntry } from './wasm-registers.ts';

/** Instructions of a turn; then the next vCPU that has something to do is on. */
const QUOTA = 20_000;
/** What a device takes for what it was rung for: virtual nanoseconds. */
const DEVICE_NS = 20_000n;
/** The event loop gets its turn this often, for signals and the terminal; milliseconds of the host. */
const YIELD_MS = 10;
/** Shorter sleeps than this are not worth a timer of the host. */
const SLEEP_MIN_NS = 1_000_000n;

interface DeviceWork {
  readonly due: bigint;
  readonly slot: number;
  readonly queue: number;
}

export async function createCounted(context: AcceleratorContext, counted: CountedRun): Promise<Accelerator> {
  return new CountedAccelerator(context, counted);
}

/**
 * The software CPU in virtual time: this thread runs the vCPUs one after the other, QUOTA instructions each, works on the
 * devices, and waits for the host before the guest could notice how long it takes. So a run depends on its inputs alone.
 *
 * Time goes on with instructions only, and jumps when all vCPUs wait. All that happens to the guest from outside happens
 * between two slices: devices' work at its virtual time, then recorded or new input.
 */
class CountedAccelerator implements Accelerator {
  readonly name = 'wasm';
  readonly #context: AcceleratorContext;
  readonly #counted: CountedRun;
  readonly #core: CoreExports;
  readonly #trace: TraceWriter | undefined;
  readonly #exec: ExecTrace | undefined;
  #jit: CountedJit | undefined;
  readonly #counters: DataView[] = [];
  readonly #icountAt: number;
  readonly #repAt: number;
  readonly #nsPerInsn: bigint;
  /** Counts of earlier lives of the machine. */
  readonly #before: Counts;
  #ns: bigint;
  #hash: bigint;
  #turn = 0;
  #quota = QUOTA;
  #turnUsed = false;
  #running = false;
  #work: DeviceWork[] = [];
  #deferred: (() => void)[] = [];
  readonly #held: boolean[];
  #wake: () => void = () => {};
  #stopping = false;
  #loopEnd: Promise<void> = Promise.resolve();
  #debug: WasmDebug | undefined;
  #onDebug: (vcpu: number, reason: number, address: bigint) => void = () => {};
  #yieldAt = performance.now() + YIELD_MS;

  constructor(context: AcceleratorContext, counted: CountedRun) {
    this.#context = context;
    this.#counted = counted;
    this.#nsPerInsn = 1n << BigInt(counted.config.shift);
    this.#before = counted.counts();
    this.#ns = this.#before.ns;
    this.#hash = this.#before.hash;
    this.#held = new Array<boolean>(context.cpus).fill(false);
    const { memory, ramSize, trace } = context;
    if (trace !== undefined) {
      const file = new TraceFile(trace.fd, (errno) => context.onEvent(HOST_EV_TRACE_ERROR, 0, BigInt(errno)));
      this.#trace = new TraceWriter(file, trace.order, () => `vcpu${this.#turn}`, () => counted.now());
      if (context.traceExec) this.#exec = new ExecTrace(memory, file, () => context.symbols?.());
    }
    const bytes = new Uint8Array(memory.buffer);
    this.#core = instantiateCore(context.module, memory, {
      ...context.ringerHooks(ringersOf(context.devices), memory, ramSize, context.onEvent),
      kick: (slot, queue) => this.kick(slot, queue),
      console: (device, ptr, length) => {
        if (device === HOST_SERIAL) context.onSerial(bytes.slice(ptr, ptr + length));
        return length;
      },
      event: (kind, a, b) => this.#event(kind, a, b),
      // No discard: what it would read as afterwards depends on the host.
    }, counted);
    this.#icountAt = this.#core.cpu_field(FIELD_ICOUNT);
    this.#repAt = this.#core.cpu_field(FIELD_REP);
    for (let i = 0; i < context.cpus; i++) this.#counters.push(new DataView(memory.buffer, cpuAddress(i), CPU_STRIDE));
    counted.attach(() => this.#counts());
  }

  async start(entry: EntryState | SavedVcpus, held = false): Promise<void> {
    if (entry.kind === 'saved-kvm' || entry.kind === 'saved-wasm') throw otherSaved(entry);
    const { cpus, cpuModel } = this.#context;
    const core = this.#core;
    resetCpus(core, cpus, cpuModel ?? SOFTWARE_MODEL, Number(this.#nsPerInsn));
    core.count_clear();
    for (let i = 0; i < cpus; i++) {
      core.cpu_set_exact(cpuAddress(i), 1);
      core.count_trace(cpuAddress(i), this.#exec === undefined ? 0 : TRACE_LOG);
    }
    setEntry(core, entry);
    if (this.#context.jit?.mode !== 'off' && this.#context.jit?.ownKernel === true) loadKeptBlocks(this.#context.memory, coreChecksum());
    // A trace of blocks is made by the interpreter.
    if (this.#exec === undefined && this.#context.jit?.mode !== 'off') this.#jit = new CountedJit(this.#context, core);
    if (held) this.#held.fill(true);
    this.#loopEnd = this.#loop().catch((error: unknown) => {
      this.#exit(error instanceof VmmError ? { kind: 'failed', error } : { kind: 'error', vcpu: this.#turn, reason: `the software CPU failed: ${(error as Error).message}` });
    });
  }

  interrupt(): void {
    // Devices raise interrupts inside the core (MACHINE_F_SOFT_IRQ); the host has nothing to do.
  }

  /** The driver rang a queue: the device is done with it DEVICE_NS later. */
  kick(slot: number, queue: number): void {
    const due = queue === HOST_KICK_DEVICE ? this.#ns : this.#clock() + DEVICE_NS;
    if (!this.#work.some((work) => work.slot === slot && work.queue === queue)) this.#work.push({ due, slot, queue });
    this.#leave();
  }

  async pause(): Promise<void> {
    this.#held.fill(true);
    this.#leave();
    this.#debug?.stopped();
  }

  resume(): void {
    this.#held.fill(false);
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#counted.end();
    this.#wake();
    await this.#loopEnd;
    await this.#jit?.end();
  }

  translated(): string | undefined {
    return this.#context.jit?.asked === true ? this.#jit?.text() : undefined;
  }

  registers(vcpu: number): Registers {
    return readRegisters(this.#context.core, this.#context.memory, vcpu);
  }

  async debug(onStop: (stop: DebugStop) => void): Promise<AcceleratorDebug> {
    this.#debug = new WasmDebug(this.#context, {
      release: (vcpu) => {
        this.#held[vcpu] = false;
        this.#wake();
      },
    });
    this.#onDebug = (vcpu, reason, address) => onStop(debugStop(vcpu, reason, address));
    return this.#debug;
  }

  async #loop(): Promise<void> {
    this.#context.onEntered();
    this.#context.onThreads();
    try {
      await this.#run();
    } finally {
      this.#fold();
      this.#counted.detach(this.#counts());
    }
  }

  async #run(): Promise<void> {
    const { stopAt, input } = this.#counted.config;
    let previous: Counts | undefined;
    while (!this.#stopping) {
      const at = this.#counts();
      if (input !== undefined) {
        const events = input.take(at, previous === undefined || previous.ns !== at.ns || previous.count !== at.count);
        for (const event of events) this.#counted.give(event);
        if (events.length > 0 && !(await this.#settled())) break;
      }
      previous = at;
      if (this.#doDue() && !(await this.#settled())) break;
      if (stopAt !== undefined && at.count >= stopAt) {
        this.#exit({ kind: 'stop-at' });
        break;
      }
      if (!this.#slice()) await this.#idle();
      else if (this.#counted.holds) await this.#settled();
      else if (performance.now() > this.#yieldAt) await this.#yield();
    }
  }

  /** False: the machine was stopped meanwhile. */
  async #settled(): Promise<boolean> {
    await this.#counted.settled();
    this.#yieldAt = performance.now() + YIELD_MS;
    return !this.#stopping;
  }

  async #yield(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#yieldAt = performance.now() + YIELD_MS;
  }

  /** Does what is due by now. True: the host may have something to do for it. */
  #doDue(): boolean {
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const action of deferred) action();
    const due = this.#work.filter((work) => work.due <= this.#ns);
    this.#work = this.#work.filter((work) => work.due > this.#ns);
    let host = deferred.length > 0;
    for (const { slot, queue } of due) {
      const ours = this.#context.devices.find((device) => device.slot === slot)?.ringer !== undefined;
      const core = ours ? this.#core : this.#context.core;
      if (!ours) host = true;
      while (core.device_process(slot, queue) > 0) {
        // a bounded amount a call
      }
    }
    return host;
  }

  /**
   * Virtual time at which a device is done next. Recorded input is not looked at: it was given at a slice's end, and the same
   * slices end at the same places. (A slice that is cut elsewhere may cut a block, which the hash would tell.)
   */
  #horizon(): bigint | undefined {
    let at: bigint | undefined;
    for (const { due } of this.#work) if (at === undefined || due < at) at = due;
    return at;
  }

  /** Runs the vCPU whose turn it is, or the next one that has something to do. False: none has. */
  #slice(): boolean {
    const core = this.#core;
    const { cpus } = this.#context;
    const horizon = this.#horizon();
    let most = Number.MAX_SAFE_INTEGER;
    if (horizon !== undefined) most = Math.max(1, Number((horizon - this.#ns + this.#nsPerInsn - 1n) / this.#nsPerInsn));
    const { stopAt } = this.#counted.config;
    if (stopAt !== undefined) most = Math.min(most, Number(stopAt - this.#counts().count));
    for (let tried = 0; tried < cpus; tried++) {
      const vcpu = this.#turn;
      if (this.#held[vcpu]) {
        this.#nextTurn();
        continue;
      }
      const cpu = cpuAddress(vcpu);
      const budget = Math.min(this.#quota, most);
      core.count_set_clock(cpu, this.#ns);
      this.#exec?.begin(this.#insns(vcpu), this.#ns, this.#nsPerInsn);
      this.#running = true;
      const reason = core.cpu_run(cpu, budget);
      this.#ns = this.#clock();
      this.#running = false;
      this.#exec?.drain();
      this.#counted.config.watch?.(this.#context.memory);
      const difference = this.#jit?.poll(vcpu);
      if (difference !== undefined) this.#exit({ kind: 'error', vcpu, reason: difference });
      const used = budget - core.count_left(cpu);
      this.#quota -= used;
      if (used > 0) this.#turnUsed = true;
      switch (reason) {
        case RUN_BUDGET:
        case RUN_KICK:
          if (this.#quota <= 0) this.#nextTurn();
          return true;
        case RUN_HALT:
          this.#nextTurn();
          if (used > 0) return true;
          continue;
        case RUN_DEBUG:
          this.#held.fill(true);
          this.#onDebug(vcpu, core.debug_reason(cpu), core.debug_address(cpu));
          return true;
        case RUN_EXIT:
          this.#exit({ kind: 'request' });
          return true;
        case RUN_SHUTDOWN:
          this.#exit({ kind: 'triple-fault', vcpu });
          return true;
        default:
          this.#exit({ kind: 'error', vcpu, reason: `the software CPU stopped for reason ${reason}` });
          return true;
      }
    }
    return false;
  }

  #nextTurn(): void {
    this.#fold();
    this.#turn = (this.#turn + 1) % this.#context.cpus;
    this.#quota = QUOTA;
  }

  /** A turn in which something ran goes into the hash. */
  #fold(): void {
    if (!this.#turnUsed) return;
    this.#turnUsed = false;
    this.#hash = this.#before.hash ^ BigInt.asUintN(64, this.#core.count_fold(cpuAddress(this.#turn)));
  }

  /** All vCPUs wait: virtual time jumps to what comes next. Where input may come at any time, it goes as time does. */
  async #idle(): Promise<void> {
    const { input } = this.#counted.config;
    let target = this.#horizon();
    const next = input?.next?.ns;
    if (next !== undefined && (target === undefined || next < target)) target = next;
    for (let vcpu = 0; vcpu < this.#context.cpus; vcpu++) {
      if (this.#held[vcpu]) continue;
      this.#core.count_set_clock(cpuAddress(vcpu), this.#ns);
      const left = this.#core.count_timer(cpuAddress(vcpu));
      if (left === Infinity) continue;
      const at = this.#ns + BigInt(Math.max(1, Math.ceil(left)));
      if (target === undefined || at < target) target = at;
    }
    const anyHeld = this.#held.includes(true);
    if (target !== undefined && !anyHeld && !(input?.live === true && target - this.#ns >= SLEEP_MIN_NS)) {
      this.#ns = target;
      if (performance.now() > this.#yieldAt) await this.#yield();
      return;
    }
    if (target === undefined && !anyHeld && this.#debug === undefined && input?.live !== true) {
      this.#exit({ kind: 'error', vcpu: this.#turn, reason: 'the guest waits for ever: no timer, device or input will wake it' });
      return;
    }
    const since = performance.now();
    const timer = { id: undefined as NodeJS.Timeout | undefined };
    const woken = new Promise<boolean>((resolve) => {
      this.#wake = () => resolve(true);
      if (target !== undefined && !anyHeld) timer.id = setTimeout(() => resolve(false), Number(target - this.#ns) / 1e6);
    });
    // While a debugger or a pause holds the guest, input waits: it can only be given between two slices.
    const early = await Promise.race([woken, ...(input === undefined || anyHeld ? [] : [input.arrived().then(() => true)])]);
    clearTimeout(timer.id);
    this.#yieldAt = performance.now() + YIELD_MS;
    if (anyHeld) return;
    // Input that came meanwhile gets a place of its own on the clock, else a replay could not find it.
    const passed = BigInt(Math.max(1, Math.round((performance.now() - since) * 1e6)));
    if (!early && target !== undefined) this.#ns = target;
    else if (!this.#stopping && input !== undefined) this.#ns += target !== undefined && this.#ns + passed > target ? target - this.#ns : passed;
  }

  /** The vCPU that runs comes out at its next block. */
  #leave(): void {
    if (this.#running) this.#core.cpu_kick(this.#turn);
  }

  #clock(): bigint {
    return this.#running ? BigInt.asUintN(64, this.#core.count_clock(cpuAddress(this.#turn))) : this.#ns;
  }

  #insns(vcpu: number): bigint {
    return (this.#counters[vcpu] as DataView).getBigUint64(this.#icountAt, true);
  }

  #counts(): Counts {
    let { count, repetitions } = this.#before;
    for (const [vcpu, view] of this.#counters.entries()) {
      count += this.#insns(vcpu);
      repetitions += view.getBigUint64(this.#repAt, true);
    }
    return { count, repetitions, ns: this.#clock(), hash: this.#hash };
  }

  #event(kind: number, a: number, b: bigint): void {
    this.#exec?.drain();
    if (this.#trace?.event(kind, a, b)) return;
    // Input waits for room: its bytes come between two slices, as all that is from outside.
    if (kind === MACHINE_EV_INPUT) {
      this.#deferred.push(() => this.#context.onEvent(kind, a, b));
      this.#leave();
    } else this.#context.onEvent(kind, a, b);
  }

  #exit(exit: VcpuExit): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#context.onExit(exit);
  }
}
