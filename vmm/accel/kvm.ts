import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import {
  COM1_IRQ, KVM_IDENTITY_MAP_GPA, KVM_RUN_BASE, KVM_RUN_STRIDE, KVM_TSS_GPA, RAM_BASE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_STRIDE,
} from '../../assembly/core/layout.ts';
import type { EntryState } from '../boot/entry.ts';
import type { IoWorkerData } from '../devices/io-worker.ts';
import { VmmError } from '../errors.ts';
import { HostCallError } from '../host/errno.ts';
import { type Watch, watchReadable } from '../host/ffi.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { SIGRTMIN, close, eventfd, eventfdDrain, eventfdSignal, ignoreWithEintr, tgkill } from '../host/sys.ts';
import { KVM_CAP_GET_TSC_KHZ, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_IOEVENTFD, KVM_CAP_IRQCHIP, KVM_CAP_IRQFD, KVM_CAP_SET_GUEST_DEBUG2, KVM_CAP_TSC_DEADLINE_TIMER, KVM_GUESTDBG_BLOCKIRQ, kvm_run } from '../host/uapi/kvm.ts';
import { cpuidFor } from '../kvm/cpuid.ts';
import { BOOT_MSRS } from '../kvm/msrs.ts';
import { readRegisters, setEntryState } from '../kvm/state.ts';
import { KvmSystem } from '../kvm/system.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import type { KvmVm } from '../kvm/vm.ts';
import { MACHINE_F_THREADS } from '../machine/events.ts';
import { Bell } from './bell.ts';
import type { AcceleratorDebug, DebugStop } from './debug-types.ts';
import type { KvmDebug } from './kvm-debug.ts';
import { VCPU_INTR, VCPU_RUN, vcpuExit } from './kvm-exit.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, SharedWords, STATE_ENDED, STATE_RUNNING, STATE_STARTING } from './shared.ts';
import type { Accelerator, AcceleratorContext, Registers, VcpuExit } from './types.ts';

/** What a vCPU's worker starts with. Descriptors are the process's. */
export interface KvmWorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly words: SharedArrayBuffer;
  /** Thread ids of the vCPU workers, i32 each, 0 before a worker is ready; then one word that is 1 when the I/O thread must end. */
  readonly threads: SharedArrayBuffer;
  readonly index: number;
  readonly vmFd: number;
  readonly vcpuFd: number;
  /** Eventfd of each interrupt line that has one, else -1. */
  readonly irqfds: readonly number[];
  /** Slots of the I/O thread's devices: bit mask; and the eventfd that wakes it, -1 without such a thread. */
  readonly ioSlots: number;
  readonly ioCommandFd: number;
  /** The trace file's, when events are traced. */
  readonly traceFd: number | undefined;
}

export type KvmWorkerMessage =
  | { readonly type: 'ready'; readonly index: number }
  /** A debug exit; the vCPU stands. `exception`: 1 or 3, `dr6`: of exception 1. */
  | { readonly type: 'debug'; readonly index: number; readonly exception: number; readonly pc: bigint; readonly dr6: bigint }
  | { readonly type: 'event'; readonly kind: number; readonly a: number; readonly b: bigint }
  | { readonly type: 'exit'; readonly exit: VcpuExit };

/** virtio 1.2 §4.2.2: QueueNotify. */
const QUEUE_NOTIFY = 0x50;
const GSI_MAX = 24;
/** All signals but the kick. */
const RUN_MASK = BigInt.asUintN(64, ~(1n << BigInt(SIGRTMIN - 1)));
/** How often a pool thread is kicked again until it is out of the guest, ms. */
const POOL_KICK_MS = 5;
/** RAM's memory slot. */
const RAM_SLOT = 0;

export async function createKvm(context: AcceleratorContext): Promise<Accelerator> {
  const accelerator = new KvmAccelerator(context);
  try {
    accelerator.build();
  } catch (error) {
    accelerator.release();
    throw error;
  }
  return accelerator;
}

/**
 * KVM: a worker a vCPU that blocks in KVM_RUN and answers exits in its own instance of the core. vCPU 0 does not wait for
 * its worker: it enters from a thread of libuv's pool, and its exits are answered by this thread until the worker takes
 * it over at one of them. Queue notifications are ioeventfds, interrupts irqfds.
 */
class KvmAccelerator implements Accelerator {
  readonly name = 'kvm';
  readonly machineFlags = MACHINE_F_THREADS;
  readonly #context: AcceleratorContext;
  readonly #linear: LinearMemory;
  readonly #bytes: Uint8Array;
  readonly #words = new SharedWords();
  readonly #threads: Int32Array;
  readonly #vcpus: KvmVcpu[] = [];
  readonly #workers: Worker[] = [];
  readonly #joined: Promise<void>[] = [];
  readonly #eventfds: number[] = [];
  readonly #watches: Watch[] = [];
  readonly #irqfds: number[] = new Array<number>(GSI_MAX).fill(-1);
  readonly #ioQueues: { slot: number; queues: number; fd: number }[] = [];
  #mapped = 0;
  #system: KvmSystem | undefined;
  #vm: KvmVm | undefined;
  #ramSlot = false;
  #ioCommandFd = -1;
  #wanted: 'run' | 'pause' | 'stop' = 'run';
  /** vCPU 0 on the pool: in the guest, out of it and held, or taken over by its worker. */
  #pool: 'idle' | 'running' | 'held' | 'over' = 'idle';
  #poolLeft: () => void = () => {};
  #poolLeaving: Promise<void> | undefined;
  #taker = false;
  #isOver: () => void = () => {};
  readonly #over: Promise<void> = new Promise((resolve) => {
    this.#isOver = resolve;
  });
  readonly serial: Bell;
  #exited = false;
  #debug: KvmDebug | undefined;
  #stopped: Promise<void> | undefined;

  constructor(context: AcceleratorContext) {
    this.#context = context;
    this.serial = new Bell(context, this.#words);
    this.#linear = new LinearMemory(context.memory);
    this.#bytes = new Uint8Array(context.memory.buffer);
    this.#threads = new Int32Array(new SharedArrayBuffer(4 * (context.cpus + 1)));
  }

  build(): void {
    const { cpus, ramSize, devices } = this.#context;
    const system = KvmSystem.open();
    this.#system = system;
    for (const [capability, name] of [[KVM_CAP_IRQCHIP, 'IRQCHIP'], [KVM_CAP_IRQFD, 'IRQFD'], [KVM_CAP_IOEVENTFD, 'IOEVENTFD'], [KVM_CAP_IMMEDIATE_EXIT, 'IMMEDIATE_EXIT']] as const) {
      if (system.extension(capability) <= 0) throw new VmmError('ACCEL_KVM', `this kernel's KVM has no KVM_CAP_${name}`, { hint: 'use Linux 4.11 or newer, or --accel wasm' });
    }
    const vm = createVm(system);
    this.#vm = vm;
    vm.setTssAddress(KVM_TSS_GPA);
    vm.setIdentityMapAddress(KVM_IDENTITY_MAP_GPA);
    vm.createIrqchip();
    vm.setMemory({ slot: RAM_SLOT, gpa: 0, size: ramSize, hostAddress: this.#linear.hostAddress(RAM_BASE, ramSize) });
    this.#ramSlot = true;
    for (let index = 0; index < cpus; index++) this.#buildVcpu(system, vm, index);
    for (const { slot, owner, queues } of devices) {
      const fd = this.#eventfd();
      vm.ioeventfd(fd, { space: 'mmio', address: VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + QUEUE_NOTIFY, length: 4 });
      if (owner === 'io') this.#ioQueues.push({ slot, queues, fd });
      else this.#watch(fd, slot, queues);
      this.#irqfd(vm, VIRTIO_MMIO_IRQ + slot);
    }
    this.#irqfd(vm, COM1_IRQ);
    if (this.#ioQueues.length > 0) this.#ioCommandFd = this.#eventfd();
    ignoreWithEintr(SIGRTMIN);
  }

  #buildVcpu(system: KvmSystem, vm: KvmVm, index: number): void {
    const vcpu = new KvmVcpu(vm.createVcpu(index));
    this.#vcpus.push(vcpu);
    if (system.vcpuMmapSize > KVM_RUN_STRIDE) throw new VmmError('ACCEL_KVM', `KVM's vCPU area of ${system.vcpuMmapSize} bytes is larger than the ${KVM_RUN_STRIDE} reserved`, { hint: 'use --accel wasm' });
    this.#linear.mapOver(KVM_RUN_BASE + index * KVM_RUN_STRIDE, system.vcpuMmapSize, vcpu.fd);
    this.#mapped++;
    vcpu.setCpuid(
      cpuidFor(system.supportedCpuid(), {
        model: this.#context.cpuModel ?? 'host',
        cpus: this.#context.cpus,
        apicId: index,
        tscDeadline: system.extension(KVM_CAP_TSC_DEADLINE_TIMER) > 0,
        tscKhz: system.extension(KVM_CAP_GET_TSC_KHZ) > 0 ? vcpu.tscKhz() : 0,
      }),
    );
    vcpu.setMsrs(BOOT_MSRS);
    vcpu.setSignalMask(RUN_MASK);
  }

  #eventfd(): number {
    const fd = eventfd();
    this.#eventfds.push(fd);
    return fd;
  }

  #irqfd(vm: KvmVm, gsi: number): void {
    const fd = this.#eventfd();
    vm.irqfd(fd, gsi);
    this.#irqfds[gsi] = fd;
  }

  #watch(fd: number, slot: number, queues: number): void {
    this.#watches.push(
      watchReadable(fd, () => {
        if (!eventfdDrain(fd)) return;
        // One descriptor for all queues of a device: an empty queue costs less than a descriptor each.
        for (let queue = 0; queue < queues; queue++) this.#context.onKick(slot, queue);
      }),
    );
  }

  async start(entry: EntryState, held = false): Promise<void> {
    setEntryState(this.#vcpu(0), entry);
    this.#context.onEntered();
    if (held) {
      // The workers run all vCPUs from the start: a debug exit is theirs.
      this.#wanted = 'pause';
      this.#pool = 'over';
      this.#isOver();
    } else this.#enterFromPool();
    for (let index = 0; index < this.#context.cpus; index++) this.#startWorker(index);
    if (this.#ioQueues.length > 0) this.#startIo();
    void this.serial.answer(() => this.#wanted === 'stop');
  }

  #startWorker(index: number): void {
    const { module, memory, cpus, traceFd } = this.#context;
    // vCPU 0's worker waits until the pool has let go of it.
    this.#words.setCommand(index, index === 0 || this.#wanted === 'pause' ? COMMAND_PAUSE : COMMAND_RUN);
    const workerData: KvmWorkerData = {
      module,
      memory,
      words: this.#words.buffer,
      threads: this.#threads.buffer as SharedArrayBuffer,
      index,
      vmFd: this.#vm?.fd ?? -1,
      vcpuFd: this.#vcpu(index).fd,
      irqfds: this.#irqfds,
      ioSlots: this.#ioQueues.reduce((mask, queue) => mask | (1 << queue.slot), 0),
      ioCommandFd: this.#ioCommandFd,
      traceFd,
    };
    const worker = this.#worker('./kvm-vcpu-worker.js', workerData, `vCPU ${index} of ${cpus}`);
    worker.on('message', (message: KvmWorkerMessage) => this.#message(message));
    // A thread that ends in whatever way is in no guest: nobody waits for its word.
    worker.once('exit', () => this.#words.setState(index, STATE_ENDED));
  }

  #startIo(): void {
    const { module, memory, ramSize, disks, cpus, traceFd } = this.#context;
    const workerData: IoWorkerData = { module, memory, ramSize, disks, words: this.#words.buffer, stop: this.#threads.buffer as SharedArrayBuffer, stopIndex: cpus, queues: this.#ioQueues, irqfds: this.#irqfds, commandFd: this.#ioCommandFd, blocking: process.env['VMM_IO'] === 'blocking', traceFd };
    const worker = this.#worker('./io-worker.js', workerData, 'block I/O');
    worker.on('message', (message: KvmWorkerMessage) => this.#message(message));
  }

  #worker(file: string, workerData: unknown, what: string): Worker {
    const worker = new Worker(new URL(file, import.meta.url), { workerData, execArgv: [], trackUnmanagedFds: false });
    worker.on('error', (error) => void this.#exit({ kind: 'error', vcpu: 0, reason: `the thread for ${what} failed: ${error.message}` }));
    this.#joined.push(new Promise((resolve) => worker.once('exit', () => resolve())));
    this.#workers.push(worker);
    return worker;
  }

  interrupt(line: number): void {
    const fd = this.#irqfds[line] ?? -1;
    if (fd >= 0) {
      eventfdSignal(fd);
      return;
    }
    this.#vm?.irqLine(line, 1);
    this.#vm?.irqLine(line, 0);
  }

  // ---- vCPU 0 before its worker -------------------------------------------------------------------------------

  #enterFromPool(): void {
    this.#pool = 'running';
    this.#vcpu(0).runAsync((error, result) => {
      const exit = error ? failure(error) : this.#poolExit(result);
      if (exit !== undefined) {
        this.#leavePool('held');
        void this.#exit(exit);
      } else if (this.#wanted !== 'run') this.#leavePool('held');
      else if (this.#taker) this.#handOver();
      else this.#enterFromPool();
    });
  }

  /** Answers one exit on this thread. The errno of an asynchronous call is lost: a failure is looked at again. */
  #poolExit(result: number): VcpuExit | undefined {
    const { core } = this.#context;
    if (result < 0) {
      if (this.#poolLeaving !== undefined) return undefined;
      // Nobody but the pool's loop touches the byte before the hand-over, so this call cannot stay in the guest.
      this.#setImmediateExit(0, 1);
      const again = this.#vcpu(0).run();
      this.#setImmediateExit(0, 0);
      if (again === -4 || again === -11) return undefined; // EINTR, EAGAIN
      if (again < 0) return { kind: 'error', vcpu: 0, reason: `KVM_RUN: errno ${-again}` };
    }
    const next = core.kvm_exit(0);
    if (next === VCPU_RUN || next === VCPU_INTR) return undefined;
    return vcpuExit(next, 0, this.#run(0));
  }

  #leavePool(state: 'held' | 'over'): void {
    this.#pool = state;
    this.#setImmediateExit(0, 0);
    this.#poolLeft();
  }

  #handOver(): void {
    this.#leavePool('over');
    this.#words.setCommand(0, COMMAND_RUN);
    this.#isOver();
  }

  /** Gets vCPU 0 out of the guest while a pool thread, whose id nobody knows, runs it. Resolves when it is out. */
  #kickPool(): Promise<void> {
    if (this.#pool !== 'running') return Promise.resolve();
    this.#poolLeaving ??= new Promise((resolve) => {
      const kick = (): void => {
        this.#setImmediateExit(0, 1);
        // One thread of these is the pool's. A signal before KVM_RUN has no effect, but then `immediate_exit` is seen.
        const others = new Set([process.pid, ...this.#threads]);
        for (const task of readdirSync('/proc/self/task')) if (!others.has(Number(task))) tgkill(Number(task), SIGRTMIN);
      };
      kick();
      const timer = setInterval(kick, POOL_KICK_MS);
      this.#poolLeft = () => {
        clearInterval(timer);
        this.#poolLeaving = undefined;
        this.#poolLeft = () => {};
        resolve();
      };
    });
    return this.#poolLeaving;
  }

  #message(message: KvmWorkerMessage): void {
    if (message.type === 'event') this.#context.onEvent(message.kind, message.a, message.b);
    else if (message.type === 'debug') this.#debug?.exited(message);
    else if (message.type === 'exit') void this.#exit(message.exit);
    else if (message.index === 0) {
      this.#taker = true;
      if (this.#wanted === 'run') void this.#kickPool();
    }
  }

  // ---- pause and stop -----------------------------------------------------------------------------------------

  #kick(index: number): void {
    this.#setImmediateExit(index, 1);
    const tid = Atomics.load(this.#threads, index);
    if (tid !== 0) tgkill(tid, SIGRTMIN);
  }

  #setImmediateExit(index: number, value: 0 | 1): void {
    Atomics.store(this.#bytes, KVM_RUN_BASE + index * KVM_RUN_STRIDE + kvm_run.immediate_exit, value);
  }

  #commandAll(command: number): void {
    for (let index = 0; index < this.#workers.length && index < this.#context.cpus; index++) {
      this.#words.setCommand(index, command);
      if (index !== 0 || this.#pool === 'over') this.#kick(index);
    }
  }

  /** Resolves once vCPU 0's worker has taken it over from the pool. */
  takenOver(): Promise<void> {
    return this.#over;
  }

  async pause(): Promise<void> {
    if (this.#wanted === 'stop') return;
    this.#wanted = 'pause';
    this.#commandAll(COMMAND_PAUSE);
    await this.#kickPool();
    for (let index = 0; index < this.#context.cpus; index++) {
      if (index === 0 && this.#pool !== 'over') continue;
      await this.#words.stateChange(index, STATE_STARTING);
      await this.#words.stateChange(index, STATE_RUNNING);
    }
    this.#debug?.stopped();
  }

  resume(): void {
    if (this.#wanted !== 'pause' || this.#exited) return;
    this.#wanted = 'run';
    for (let index = 0; index < this.#context.cpus; index++) {
      if (index === 0 && this.#pool !== 'over') {
        if (this.#taker) this.#handOver();
        else this.#enterFromPool();
      } else this.#words.setCommand(index, COMMAND_RUN);
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#wanted = 'stop';
    this.#commandAll(COMMAND_STOP);
    if (this.#ioCommandFd >= 0) {
      Atomics.store(this.#threads, this.#context.cpus, 1);
      eventfdSignal(this.#ioCommandFd);
    }
    await this.#kickPool();
    await Promise.all(this.#joined);
    this.#words.ring();
    this.serial.pass(true);
    this.release();
  }

  /**
   * Lets go of everything in the order that keeps each piece unused before it goes: watches, the slot that makes RAM
   * KVM's, the vCPU pages (a mapped one keeps the VM alive), descriptors.
   */
  release(): void {
    for (const watch of this.#watches.splice(0)) watch.close();
    if (this.#ramSlot) this.#vm?.deleteMemory(RAM_SLOT);
    this.#ramSlot = false;
    const size = this.#system?.vcpuMmapSize ?? 0;
    for (let index = 0; index < this.#mapped; index++) this.#linear.mapAnonymous(KVM_RUN_BASE + index * KVM_RUN_STRIDE, size);
    this.#mapped = 0;
    for (const vcpu of this.#vcpus.splice(0)) vcpu.close();
    this.#vm?.close();
    this.#vm = undefined;
    this.#system?.close();
    this.#system = undefined;
    for (const fd of this.#eventfds.splice(0)) close(fd);
    this.#irqfds.fill(-1);
  }

  registers(vcpu: number): Registers {
    return readRegisters(this.#vcpu(vcpu));
  }

  async debug(onStop: (stop: DebugStop) => void): Promise<AcceleratorDebug> {
    const { KvmDebug } = await import('./kvm-debug.ts');
    const blockIrq = (this.#system?.extension(KVM_CAP_SET_GUEST_DEBUG2) ?? 0) & KVM_GUESTDBG_BLOCKIRQ;
    this.#debug = new KvmDebug({
      context: this.#context,
      vcpu: (index) => this.#vcpu(index),
      vm: () => this.#vm,
      stepFlags: blockIrq,
      onStop,
      running: () => this.#wanted === 'run',
      run: (index) => {
        if (this.#wanted === 'stop' || this.#exited) return;
        this.#wanted = 'run';
        this.#words.release(index);
      },
    });
    return this.#debug;
  }

  // ---- what workers tell --------------------------------------------------------------------------------------

  /** The first end of a vCPU ends the machine: the others are held, so that their registers can be read. */
  async #exit(exit: VcpuExit): Promise<void> {
    if (this.#exited || this.#wanted === 'stop') return;
    this.#exited = true;
    await this.pause();
    this.serial.pass(true);
    this.#context.onExit(exit);
  }

  #vcpu(index: number): KvmVcpu {
    const vcpu = this.#vcpus[index];
    if (vcpu === undefined) throw new VmmError('INTERNAL', `there is no vCPU ${index}`);
    return vcpu;
  }

  #run(index: number): DataView {
    return new DataView(this.#context.memory.buffer, KVM_RUN_BASE + index * KVM_RUN_STRIDE, KVM_RUN_STRIDE);
  }
}

function createVm(system: KvmSystem): KvmVm {
  try {
    return system.createVm();
  } catch (cause) {
    const name = cause instanceof HostCallError ? cause.errnoName : 'error';
    const hint = name === 'EBUSY' ? 'another hypervisor holds the processor: end it, or use --accel wasm' : 'use --accel wasm';
    throw new VmmError('ACCEL_KVM', `KVM gives no virtual machine: ${name}`, { cause, hint });
  }
}

function failure(error: unknown): VcpuExit {
  return { kind: 'error', vcpu: 0, reason: `KVM_RUN could not be called: ${error instanceof Error ? error.message : String(error)}` };
}
