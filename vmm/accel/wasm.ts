import { KEPT_USED } from '../../assembly/contract/kept.ts';
import { FIELD_HALTED, FIELD_ICOUNT, FIELD_WAIT_SIPI } from '../../assembly/contract/vcpu.ts';
import { BLOCK_BASE, BLOCK_SIZE, CPU_BASE, CPU_STRIDE, KEPT_BASE, KEPT_SIZE, PAGE_SIZE } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { hasFfi } from '../host/places.ts';
import { close, eventfd, eventfdSignal } from '../host/sys.ts';
import { coreChecksum } from '../core/module.ts';
import type { EntryState } from '../boot/entry.ts';
import { BELL_MAIN, COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, DEVICE_THREADS_MAX, OWNER_RINGER, SharedWords, STATE_ENDED, STATE_PAUSED, STATE_RUNNING, STATE_STARTING } from '../threads/words.ts';
import { Bell, wakeOwner } from './bell.ts';
import { DeviceHold } from './device-hold.ts';
import { headStart } from './head-start.ts';
import { JitThread } from './jit-thread.ts';
import type { AcceleratorDebug, DebugStop } from './debug-types.ts';
import type { DeviceThread } from '../threads/device-thread.ts';
import { threads } from '../threads/pool.ts';
import { type Accelerator, type AcceleratorContext, ringersOf } from './types.ts';
import { type Registers, SOFTWARE_MODEL, type VcpuExit } from './vcpu.ts';
import { otherSaved, type SavedVcpus } from './saved.ts';
import type { WasmDebug } from './wasm-debug.ts';
import { readRegisters, resetCpus, setEntry } from './wasm-registers.ts';
import { exitOf, vcpuCore, type WasmVcpuJob, type WasmVcpuMessage } from './wasm-core.ts';

/** A guest that has run fewer instructions since it was looked at before, two seconds, rests: an idle one runs a million. */
const REST_INSTRUCTIONS = 5_000_000n;

export async function createWasm(context: AcceleratorContext): Promise<Accelerator> {
  return new WasmAccelerator(context);
}

/**
 * The software CPU: one thread a vCPU, each with its own instance of the core over the machine's memory. Queues of devices
 * that allow it are worked on by the vCPU that rang them; the others' owners wait at their bells.
 */
class WasmAccelerator implements Accelerator {
  readonly name = 'wasm';
  readonly #context: AcceleratorContext;
  readonly #words = new SharedWords();
  readonly #joined: Promise<void>[] = [];
  /** Of the device thread that was started last. */
  #bell = BELL_MAIN;
  /** Eventfds of bells that have one. */
  readonly #commandFds: number[] = [];
  readonly serial: Bell;
  readonly #hold: DeviceHold;
  #exited = false;
  readonly #jit: JitThread | undefined;
  /** What each vCPU runs with. */
  readonly #jobs: readonly WasmVcpuJob[];
  #head = Promise.resolve();
  /** It was asked for that the guest stands. */
  #holds = false;
  #entered = false;
  #stopping = false;
  /** Instructions that the vCPUs had run when it was asked whether they rest. */
  #retired = 0n;
  /** It stands, or is to, while memory is taken from it. */
  #resting = false;
  #debug: WasmDebug | undefined;
  #onDebug: (vcpu: number, reason: number, address: bigint) => void = () => {};

  constructor(context: AcceleratorContext) {
    this.#context = context;
    this.serial = new Bell(context, this.#words, (bell) => this.#signal(bell));
    this.#hold = new DeviceHold(context, this.#words, (bell) => this.#signal(bell));
    this.serial.held = () => this.#hold.on;
    for (const { slot, ringer } of context.devices) if (ringer !== undefined) this.#words.setOwner(slot, OWNER_RINGER);
    const ringers = ringersOf(context.devices);
    const jit = context.jit ?? { mode: 'on' };
    if (jit.mode !== 'off') this.#jit = new JitThread(context.memory, context.cpus);
    this.#jobs = Array.from({ length: context.cpus }, (_, index): WasmVcpuJob => ({
      module: context.module,
      memory: context.memory,
      words: this.#words.buffer,
      index,
      ramSize: context.ramSize,
      trace: context.trace,
      ringers,
      jit: this.#jit === undefined ? undefined : { config: jit, cpus: context.cpus, bell: this.#jit.bell.buffer, kept: jit.ownKernel === true && index === 0 ? coreChecksum() : undefined },
    }));
    // What a thread waits for, before it touches a register.
    for (const { index } of this.#jobs) this.#words.setCommand(index, COMMAND_PAUSE);
  }

  /** Starts the vCPUs' threads: to start one keeps the main thread as long as a twentieth of the way to the guest's first instruction, so none starts before it must. */
  #startThreads(): void {
    for (const data of this.#jobs) {
      const over = threads.run<WasmVcpuMessage>(
        { kind: 'wasm-vcpu', ffi: false, data },
        (message) => this.#message(message),
        (error) => void this.#exit({ kind: 'error', vcpu: data.index, reason: `the software CPU's thread failed: ${error.message}` }),
      );
      // Whoever waits for a state of a thread that failed would wait for ever.
      this.#joined.push(over.then(() => this.#words.setState(data.index, STATE_ENDED)));
    }
  }

  async start(from: EntryState | SavedVcpus, held = false): Promise<void> {
    const { core, memory, cpus, cpuModel } = this.#context;
    const model = cpuModel ?? SOFTWARE_MODEL;
    if (from.kind === 'saved-kvm') throw otherSaved(from);
    if (from.kind === 'saved-wasm') (await import('./wasm-saved.ts')).restoreVcpus(core, memory, from, cpus, model);
    else {
      resetCpus(core, cpus, model);
      setEntry(core, from);
    }
    void this.serial.answer(() => this.#stopping);
    if (!held) for (let index = 1; index < cpus; index++) this.#words.setCommand(index, COMMAND_RUN);
    const { trace, jit } = this.#context;
    // Not where what a vCPU does is followed on its own thread.
    const headed = !held && from.kind !== 'saved-wasm' && trace === undefined && jit?.mode !== 'check' && this.#goesOn;
    if (headed) this.#enter();
    this.#startThreads();
    if (headed) this.#head = this.#headStart();
    else if (!held) this.#handOver();
  }

  async #headStart(): Promise<void> {
    const goesOn = (): boolean => this.#goesOn && this.#words.state(0) === STATE_STARTING;
    const [first] = this.#jobs;
    if (first !== undefined) {
      try {
        const reason = await headStart(vcpuCore(first, this.#words, (message) => this.#message(message), this.#context.ringerHooks), goesOn);
        if (reason !== undefined) return void this.#exit(exitOf(reason, 0));
      } catch (error) {
        return void this.#exit({ kind: 'error', vcpu: 0, reason: `the software CPU failed: ${(error as Error).message}` });
      }
    }
    this.#handOver();
  }

  /** The thread of vCPU 0 goes on from here. */
  #handOver(): void {
    if (this.#goesOn) this.#words.setCommand(0, COMMAND_RUN);
  }

  /** Nobody has its guest stand. */
  get #goesOn(): boolean {
    return !this.#stopping && !this.#holds && !this.#resting;
  }

  #enter(): void {
    if (!this.#entered) this.#context.onEntered();
    this.#entered = true;
  }

  deviceThread(kind: string, slots: readonly number[], own: unknown, descriptors: boolean): void {
    // Nobody would end and join it any more.
    if (this.#stopping) return;
    const { module, memory, ramSize, devices, trace } = this.#context;
    if (this.#bell === DEVICE_THREADS_MAX) throw new VmmError('INTERNAL', `more than ${DEVICE_THREADS_MAX} threads of devices`);
    const bell = ++this.#bell;
    const commandFd = descriptors ? eventfd() : -1;
    if (descriptors) this.#commandFds.push(commandFd);
    this.#words.setBellFd(bell, commandFd);
    const queues = devices.filter(({ slot }) => slots.includes(slot)).map(({ slot, queues: count }) => ({ slot, queues: count, fd: -1 }));
    const data: DeviceThread = { module, memory, words: this.#words.buffer, trace, ramSize, bell, queues, irqfds: [], commandFd, own };
    for (const slot of slots) this.#words.setOwner(slot, bell);
    const over = threads.run<WasmVcpuMessage>(
      { kind, ffi: descriptors, data },
      (message) => this.#message(message),
      (error) => void this.#exit({ kind: 'error', vcpu: 0, reason: `the thread for ${kind} failed: ${error.message}` }),
    );
    this.#hold.thread(bell, over);
    this.#joined.push(over);
  }

  wakeDevice(slot: number): void {
    wakeOwner(this.#words, slot);
  }

  /** Has the eventfd of a bell signalled, where it has one. */
  #signal(bell: number): void {
    const fd = this.#words.bellFd(bell);
    if (fd >= 0) eventfdSignal(fd);
  }

  interrupt(): void {
    // Devices raise interrupts inside the core (MACHINE_F_SOFT_IRQ); the host has nothing to do.
  }

  async pause(): Promise<void> {
    if (this.#stopping) return;
    this.#holds = true;
    await this.#stand();
    this.#debug?.stopped();
  }

  async #stand(): Promise<void> {
    const { core, cpus } = this.#context;
    for (let index = 0; index < cpus; index++) {
      this.#words.setCommand(index, COMMAND_PAUSE);
      core.cpu_kick(index);
    }
    await this.#head;
    for (let index = 0; index < cpus; index++) {
      await this.#words.stateChange(index, STATE_STARTING);
      await this.#words.stateChange(index, STATE_RUNNING);
    }
  }

  holdDevices(): Promise<void> {
    return this.#hold.begin();
  }

  releaseDevices(): void {
    this.#hold.end();
    this.#words.ring();
  }

  resume(): void {
    this.#holds = false;
    this.#release();
  }

  #release(): void {
    if (!this.#goesOn) return;
    for (let index = 0; index < this.#context.cpus; index++) this.#words.release(index);
  }

  idle(): boolean {
    const { core, memory, cpus } = this.#context;
    const words = new DataView(memory.buffer);
    let retired = 0n;
    let waits = true;
    for (let index = 0; index < cpus; index++) {
      const cpu = CPU_BASE + index * CPU_STRIDE;
      retired += words.getBigUint64(cpu + core.cpu_field(FIELD_ICOUNT), true);
      waits &&= [FIELD_HALTED, FIELD_WAIT_SIPI].some((field) => words.getUint32(cpu + core.cpu_field(field), true) !== 0);
    }
    const worked = retired - this.#retired;
    this.#retired = retired;
    // One that gets no time from its host does not rest.
    return waits && worked < REST_INSTRUCTIONS;
  }

  async rest(heaps: boolean): Promise<boolean> {
    const { jit, trace } = this.#context;
    // Decoded code is what a debugger or a trace may be looking at. Without the FFI library nothing could be given back of it.
    const keeps = this.#debug !== undefined || trace !== undefined || jit?.mode === 'check' || !hasFfi();
    if (this.#stopping || (!keeps && !this.#goesOn)) return this.#stopping;
    if (heaps) this.#restThreads();
    if (keeps) return true;
    this.#resting = true;
    await this.#stand();
    this.#resting = false;
    if (!this.#stopping) this.#dropDecoded();
    this.#release();
    return true;
  }

  #restThreads(): void {
    this.#words.rest();
    this.#jit?.rest();
    for (let bell = BELL_MAIN + 1; bell <= this.#bell; bell++) {
      this.#words.ring(bell);
      this.#signal(bell);
    }
  }

  /** All vCPUs stand; those that a debugger has let go meanwhile keep theirs. Blocks that came with the kernel go, too: their links may lead to what is gone. */
  #dropDecoded(): void {
    const { core, memory, cpus } = this.#context;
    for (let index = 0; index < cpus; index++) if (this.#words.state(index) !== STATE_PAUSED) return;
    core.blocks_drop();
    Atomics.store(new Int32Array(memory.buffer), (KEPT_BASE + KEPT_USED) >>> 2, 0);
    const linear = new LinearMemory(memory);
    try {
      linear.discard(BLOCK_BASE, BLOCK_SIZE);
      // The first page has the counts (keptBlocks).
      linear.discard(KEPT_BASE + PAGE_SIZE, KEPT_SIZE - PAGE_SIZE);
    } catch (error) {
      // A host that refuses: all is decoded anew.
      if (!(error instanceof VmmError)) throw error;
    }
  }

  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      for (let index = 0; index < this.#context.cpus; index++) {
        this.#words.setCommand(index, COMMAND_STOP);
        this.#context.core.cpu_kick(index);
      }
      this.#words.ring();
      for (let bell = BELL_MAIN + 1; bell <= this.#bell; bell++) {
        this.#words.end(bell);
        this.#signal(bell);
      }
    }
    await Promise.all([...this.#joined, this.#head]);
    for (const fd of this.#commandFds.splice(0)) close(fd);
    await this.#jit?.end();
    this.serial.pass(true);
  }

  async save(): Promise<SavedVcpus> {
    const { core, memory, cpus } = this.#context;
    return (await import('./wasm-saved.ts')).saveVcpus(core, memory, cpus);
  }

  translated(): string | undefined {
    return this.#jit?.text();
  }

  registers(vcpu: number): Registers {
    return readRegisters(this.#context.core, this.#context.memory, vcpu);
  }

  async debug(onStop: (stop: DebugStop) => void): Promise<AcceleratorDebug> {
    const { debugStop, WasmDebug } = await import('./wasm-debug.ts');
    this.#debug = new WasmDebug(this.#context, this.#words);
    this.#onDebug = (vcpu, reason, address) => onStop(debugStop(vcpu, reason, address));
    return this.#debug;
  }

  #message(message: WasmVcpuMessage): void {
    if (message.type === 'event') this.#context.onEvent(message.kind, message.a, message.b);
    else if (message.type === 'entered') {
      this.#enter();
      this.#context.onThreads();
    }
    else if (message.type === 'translate') this.#jit?.start();
    else if (message.type === 'translated') this.#jit?.told(message.report);
    else if (message.type === 'debug') this.#onDebug(message.vcpu, message.reason, message.address);
    else void this.#exit(message.exit);
  }

  /** The first end of a vCPU ends the machine: the others are held, so that their registers can be read. */
  async #exit(exit: VcpuExit): Promise<void> {
    if (this.#exited || this.#stopping) return;
    this.#exited = true;
    await this.pause();
    this.serial.pass(true);
    this.#context.onExit(exit);
  }
}
