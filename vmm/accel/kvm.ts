import { VIRTIO_MMIO_QUEUE_NOTIFY } from '../../assembly/contract/generated/virtio.ts';
import { IOAPIC_PINS } from '../../assembly/contract/x86.ts';
import { HOST_KICK_DEVICE } from '../../assembly/contract/hooks.ts';
import {
  COM1_IRQ, KVM_IDENTITY_MAP_GPA, KVM_RUN_BASE, KVM_RUN_STRIDE, KVM_TSS_GPA, RAM_BASE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_STRIDE,
} from '../../assembly/core/layout.ts';
import type { EntryState } from '../boot/entry.ts';
import type { IoJob } from '../devices/io-thread.ts';
import { VmmError } from '../../base/errors.ts';
import { HostCallError } from '../host/errno.ts';
import { type Watch, watchReadable } from '../host/ffi.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { SIGRTMIN, close, eventfd, eventfdDrain, eventfdSignal, handleWithNothing, tgkill } from '../host/sys.ts';
import { KVM_CAP_GET_TSC_KHZ, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_IOEVENTFD, KVM_CAP_IRQCHIP, KVM_CAP_IRQFD, KVM_CAP_SET_GUEST_DEBUG2, KVM_CAP_TSC_DEADLINE_TIMER, KVM_GUESTDBG_BLOCKIRQ, kvm_run } from '../host/uapi/kvm.ts';
import { cpuidFor } from './kvm-cpuid.ts';
import { BOOT_MSRS } from '../kvm/msrs.ts';
import { readRegisters, setEntryState } from '../kvm/state.ts';
import { KvmSystem } from '../kvm/system.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import type { KvmVm } from '../kvm/vm.ts';
import { Bell } from './bell.ts';
import type { AcceleratorDebug, DebugStop } from './debug-types.ts';
import type { KvmDebug } from './kvm-debug.ts';
import type { KvmThreadMessage, KvmVcpuJob } from './kvm-vcpu.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, SharedWords, STATE_ENDED, STATE_RUNNING, STATE_STARTING } from '../threads/words.ts';
import { type ThreadJob, threads } from '../threads/pool.ts';
import type { Accelerator, AcceleratorContext } from './types.ts';
import type { Registers, VcpuExit } from './vcpu.ts';

/** So many notifications of disks are more than a container's start needs: who sends them has a use for a thread. */
const IO_KICKS_MAX = 512;
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
 * KVM: a thread a vCPU that blocks in KVM_RUN and answers exits in its own instance of the core. Queue notifications are
 * ioeventfds, interrupts irqfds. Disks are served by this thread until there is enough to do for one of their own.
 */
class KvmAccelerator implements Accelerator {
  readonly name = 'kvm';
  readonly #context: AcceleratorContext;
  readonly #linear: LinearMemory;
  readonly #bytes: Uint8Array;
  readonly #words = new SharedWords();
  readonly #threads: Int32Array;
  readonly #vcpus: KvmVcpu[] = [];
  readonly #joined: Promise<void>[] = [];
  readonly #eventfds: number[] = [];
  readonly #watches: Watch[] = [];
  readonly #irqfds: number[] = new Array<number>(IOAPIC_PINS).fill(-1);
  readonly #ioQueues: { slot: number; queues: number; fd: number }[] = [];
  #ioWatches: Watch[] = [];
  /** What this thread has spent on disks, milliseconds, and their notifications. */
  #ioMs = 0;
  #ioKicks = 0;
  #ioMoving = false;
  #mapped = 0;
  #system: KvmSystem | undefined;
  #vm: KvmVm | undefined;
  #ramSlot = false;
  #ioCommandFd = -1;
  #wanted: 'run' | 'pause' | 'stop' = 'run';
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
    // Before the irqchip: whatever waits for readers of KVM's tables after it waits for a whole grace period, 7 ms.
    vm.setMemory({ slot: RAM_SLOT, gpa: 0, size: ramSize, hostAddress: this.#linear.hostAddress(RAM_BASE, ramSize) });
    this.#ramSlot = true;
    vm.setTssAddress(KVM_TSS_GPA);
    vm.setIdentityMapAddress(KVM_IDENTITY_MAP_GPA);
    vm.createIrqchip();
    for (let index = 0; index < cpus; index++) this.#buildVcpu(system, vm, index);
    for (const { slot, owner, queues } of devices) {
      const fd = this.#eventfd();
      vm.ioeventfd(fd, { space: 'mmio', address: VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + VIRTIO_MMIO_QUEUE_NOTIFY, length: 4 });
      if (owner === 'io') this.#ioQueues.push({ slot, queues, fd });
      else {
        // One descriptor for all queues of a device: an empty queue costs less than a descriptor each.
        this.#watches.push(this.#watch(fd, () => {
          for (let queue = 0; queue < queues; queue++) this.#context.onKick(slot, queue);
        }));
      }
      this.#irqfd(vm, VIRTIO_MMIO_IRQ + slot);
    }
    this.#irqfd(vm, COM1_IRQ);
    if (this.#ioQueues.length > 0) this.#serveIo();
    // The kick: in KVM_RUN it ends the call, elsewhere it does nothing, and it must not end the process.
    handleWithNothing(SIGRTMIN);
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

  #watch(fd: number, onKick: () => void): Watch {
    return watchReadable(fd, () => {
      if (eventfdDrain(fd)) onKick();
    });
  }

  // ---- disks: this thread's at first, then a thread's of their own ------------------------------------------------

  #ioSlots(): number {
    return this.#ioQueues.reduce((mask, queue) => mask | (1 << queue.slot), 0);
  }

  #serveIo(): void {
    this.#ioCommandFd = this.#eventfd();
    this.#ioWatches = this.#ioQueues.map(({ fd, slot, queues }) => this.#watch(fd, () => {
      this.#ioKicks++;
      this.#serveDisk(slot, queues);
    }));
    const reset = this.#watch(this.#ioCommandFd, () => {
      for (const { slot, queues } of this.#ioQueues) {
        if (this.#words.takeKicks(slot) === 0) continue;
        this.#context.onKick(slot, HOST_KICK_DEVICE);
        // DRIVER_OK, perhaps: what was offered before it has been notified in vain.
        this.#serveDisk(slot, queues);
      }
    });
    this.#ioWatches.push(reset);
  }

  /** As long as this thread owns the disks. It has worked for them as long as a thread takes to start, or often: then one pays. */
  #serveDisk(slot: number, queues: number): void {
    if (this.#ioWatches.length === 0) return;
    const start = performance.now();
    let more = false;
    for (let queue = 0; queue < queues; queue++) if (this.#context.core.device_process(slot, queue) > 0) more = true;
    this.#ioMs += performance.now() - start;
    if ((this.#ioMs > threads.startMs || this.#ioKicks > IO_KICKS_MAX) && !this.#ioMoving) void this.#moveIo();
    if (more) setImmediate(() => this.#serveDisk(slot, queues));
  }

  /** Between two calls of `#serveDisk`, whose requests are over then. The new owner looks at all queues first. */
  async #moveIo(): Promise<void> {
    this.#ioMoving = true;
    try {
      await threads.ready();
      if (this.#wanted === 'stop' || this.#ioWatches.length === 0) return;
      this.#startIo();
      for (const watch of this.#ioWatches.splice(0)) watch.close();
    } catch {
      // There is no thread to be had: this one goes on.
    }
  }

  async start(entry: EntryState, held = false): Promise<void> {
    setEntryState(this.#vcpu(0), entry);
    if (held) this.#wanted = 'pause';
    for (let index = 0; index < this.#context.cpus; index++) this.#startVcpu(index);
    void this.serial.answer(() => this.#wanted === 'stop');
  }

  #startVcpu(index: number): void {
    const { module, memory, cpus, traceFd } = this.#context;
    this.#words.setCommand(index, this.#wanted === 'pause' ? COMMAND_PAUSE : COMMAND_RUN);
    const data: KvmVcpuJob = {
      module,
      memory,
      words: this.#words.buffer,
      threads: this.#threads.buffer as SharedArrayBuffer,
      index,
      vmFd: this.#vm?.fd ?? -1,
      vcpuFd: this.#vcpu(index).fd,
      irqfds: this.#irqfds,
      ioSlots: this.#ioSlots(),
      ioCommandFd: this.#ioCommandFd,
      traceFd,
    };
    const over = this.#thread({ kind: 'kvm-vcpu', ffi: true, data }, `vCPU ${index} of ${cpus}`);
    // A thread that ends in whatever way is in no guest: nobody waits for its word.
    this.#joined.push(over.then(() => this.#words.setState(index, STATE_ENDED)));
  }

  #startIo(): void {
    const { module, memory, ramSize, disks, cpus, traceFd } = this.#context;
    const data: IoJob = { module, memory, ramSize, disks, words: this.#words.buffer, stop: this.#threads.buffer as SharedArrayBuffer, stopIndex: cpus, queues: this.#ioQueues, irqfds: this.#irqfds, commandFd: this.#ioCommandFd, blocking: process.env['VMM_IO'] === 'blocking', traceFd };
    this.#joined.push(this.#thread({ kind: 'io', ffi: true, data }, 'block I/O'));
  }

  /** Resolves when the thread's work is over. */
  #thread(job: ThreadJob, what: string): Promise<void> {
    return threads.run<KvmThreadMessage>(
      job,
      (message) => this.#message(message),
      (error) => void this.#exit({ kind: 'error', vcpu: 0, reason: `the thread for ${what} failed: ${error.message}` }),
    );
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

  #message(message: KvmThreadMessage): void {
    if (message.type === 'event') this.#context.onEvent(message.kind, message.a, message.b);
    else if (message.type === 'entered') this.#context.onEntered();
    else if (message.type === 'debug') this.#debug?.exited(message);
    else void this.#exit(message.exit);
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
    for (let index = 0; index < this.#context.cpus; index++) {
      this.#words.setCommand(index, command);
      this.#kick(index);
    }
  }

  async pause(): Promise<void> {
    if (this.#wanted === 'stop') return;
    this.#wanted = 'pause';
    this.#commandAll(COMMAND_PAUSE);
    for (let index = 0; index < this.#context.cpus; index++) {
      await this.#words.stateChange(index, STATE_STARTING);
      await this.#words.stateChange(index, STATE_RUNNING);
    }
    this.#debug?.stopped();
  }

  resume(): void {
    if (this.#wanted !== 'pause' || this.#exited) return;
    this.#wanted = 'run';
    for (let index = 0; index < this.#context.cpus; index++) this.#words.setCommand(index, COMMAND_RUN);
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
    for (const watch of [...this.#watches.splice(0), ...this.#ioWatches.splice(0)]) watch.close();
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

  // ---- what threads tell --------------------------------------------------------------------------------------

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
