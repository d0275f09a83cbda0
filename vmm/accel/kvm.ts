import { KVM_IDENTITY_MAP_GPA, KVM_RUN_BASE, KVM_RUN_STRIDE, KVM_TSS_GPA, RAM_BASE } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import type { EntryState } from '../boot/entry.ts';
import { HostCallError } from '../host/errno.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { SIGRTMIN, handleWithNothing, tgkill } from '../host/sys.ts';
import { KVM_CAP_GET_TSC_KHZ, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_IOEVENTFD, KVM_CAP_IRQCHIP, KVM_CAP_IRQFD, KVM_CAP_SET_GUEST_DEBUG2, KVM_CAP_TSC_DEADLINE_TIMER, KVM_GUESTDBG_BLOCKIRQ, kvm_run } from '../host/uapi/kvm.ts';
import { BOOT_MSRS } from '../kvm/msrs.ts';
import { readRegisters, setEntryState } from '../kvm/state.ts';
import { KvmSystem } from '../kvm/system.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import type { KvmVm } from '../kvm/vm.ts';
import type { DeviceThread } from '../threads/device-thread.ts';
import { type ThreadJob, threads } from '../threads/pool.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, SharedWords, STATE_ENDED, STATE_RUNNING, STATE_STARTING } from '../threads/words.ts';
import { Bell, wakeOwner } from './bell.ts';
import type { AcceleratorDebug, DebugStop } from './debug-types.ts';
import { DeviceHold } from './device-hold.ts';
import { cpuidFor } from './kvm-cpuid.ts';
import type { KvmDebug } from './kvm-debug.ts';
import { KvmQueues } from './kvm-queues.ts';
import type { KvmThreadMessage, KvmVcpuJob } from './kvm-vcpu.ts';
import { otherSaved, type SavedVcpus } from './saved.ts';
import type { Accelerator, AcceleratorContext } from './types.ts';
import type { Registers, VcpuExit } from './vcpu.ts';

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
 * ioeventfds, interrupts irqfds (KvmQueues).
 */
class KvmAccelerator implements Accelerator {
  readonly name = 'kvm';
  readonly #context: AcceleratorContext;
  readonly #linear: LinearMemory;
  readonly #bytes: Uint8Array;
  readonly #words = new SharedWords();
  readonly #vcpus: KvmVcpu[] = [];
  readonly #joined: Promise<void>[] = [];
  readonly #queues: KvmQueues;
  #mapped = 0;
  #system: KvmSystem | undefined;
  #vm: KvmVm | undefined;
  #ramSlot = false;
  #wanted: 'run' | 'pause' | 'stop' = 'run';
  readonly serial: Bell;
  readonly #hold: DeviceHold;
  #exited = false;
  #debug: KvmDebug | undefined;
  #stopped: Promise<void> | undefined;

  constructor(context: AcceleratorContext) {
    this.#context = context;
    this.#queues = new KvmQueues(context.devices, this.#words);
    this.serial = new Bell(context, this.#words, (bell) => this.#queues.signal(bell));
    this.#hold = new DeviceHold(context, this.#words, (bell) => this.#queues.signal(bell));
    this.serial.held = () => this.#hold.on;
    this.#linear = new LinearMemory(context.memory);
    this.#bytes = new Uint8Array(context.memory.buffer);
  }

  build(): void {
    const { cpus, ramSize } = this.#context;
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
    this.#queues.build(vm, (slot, queue) => this.#context.onKick(slot, queue));
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

  async start(from: EntryState | SavedVcpus, held = false): Promise<void> {
    if (from.kind === 'saved-wasm') throw otherSaved(from);
    if (from.kind === 'saved-kvm') (await import('./kvm-saved.ts')).restoreVcpus(this.#machine(), this.#vcpus, from);
    else setEntryState(this.#vcpu(0), from);
    if (held) this.#wanted = 'pause';
    for (let index = 0; index < this.#context.cpus; index++) this.#startVcpu(index);
    void this.serial.answer(() => this.#wanted === 'stop');
  }

  #startVcpu(index: number): void {
    const { module, memory, cpus, trace } = this.#context;
    this.#words.setCommand(index, this.#wanted === 'pause' ? COMMAND_PAUSE : COMMAND_RUN);
    const data: KvmVcpuJob = {
      module,
      memory,
      words: this.#words.buffer,
      index,
      vmFd: this.#vm?.fd ?? -1,
      vcpuFd: this.#vcpu(index).fd,
      irqfds: this.#queues.irqfds,
      trace,
    };
    const over = this.#thread({ kind: 'kvm-vcpu', ffi: true, data }, `vCPU ${index} of ${cpus}`);
    // A thread that ends in whatever way is in no guest: nobody waits for its word.
    this.#joined.push(over.then(() => this.#words.setState(index, STATE_ENDED)));
  }

  deviceThread(kind: string, slots: readonly number[], own: unknown): void {
    // Nobody would end and join it any more.
    if (this.#wanted === 'stop') return;
    const { module, memory, ramSize, trace } = this.#context;
    this.#queues.give(slots, (bell, queues, commandFd) => {
      const data: DeviceThread = { module, memory, words: this.#words.buffer, trace, ramSize, bell, queues, irqfds: this.#queues.irqfds, commandFd, own };
      const over = this.#thread({ kind, ffi: true, data }, `devices of kind ${kind}`);
      this.#hold.thread(bell, over);
      this.#joined.push(over);
    });
  }

  /** Resolves when the thread's work is over. */
  #thread(job: ThreadJob, what: string): Promise<void> {
    return threads.run<KvmThreadMessage>(
      job,
      (message) => this.#message(message),
      (error) => void this.#exit({ kind: 'error', vcpu: 0, reason: `the thread for ${what} failed: ${error.message}` }),
    );
  }

  wakeDevice(slot: number): void {
    wakeOwner(this.#words, slot);
  }

  interrupt(line: number): void {
    this.#queues.interrupt(this.#vm, line);
  }

  #message(message: KvmThreadMessage): void {
    if (message.type === 'event') this.#context.onEvent(message.kind, message.a, message.b);
    else if (message.type === 'entered') {
      this.#context.onEntered();
      this.#context.onThreads();
    }
    else if (message.type === 'debug') this.#debug?.exited(message);
    else void this.#exit(message.exit);
  }

  // ---- pause and stop -----------------------------------------------------------------------------------------

  #kick(index: number): void {
    this.#setImmediateExit(index, 1);
    const tid = this.#words.tid(index);
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

  holdDevices(): Promise<void> {
    return this.#hold.begin();
  }

  releaseDevices(): void {
    this.#hold.end();
    this.#words.ring();
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
    this.#queues.end();
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
    this.#queues.unwatch();
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
    this.#queues.close();
  }

  async save(): Promise<SavedVcpus> {
    const list = this.#system?.msrIndexList() ?? [];
    return (await import('./kvm-saved.ts')).saveVcpus(this.#machine(), this.#vcpus, list);
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

  #machine(): KvmVm {
    if (this.#vm === undefined) throw new VmmError('INTERNAL', 'the machine has ended');
    return this.#vm;
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
