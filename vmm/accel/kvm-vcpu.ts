import { VCPU_DEBUG, VCPU_INTR, VCPU_RUN } from '../../assembly/contract/vcpu.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { EAGAIN, EINTR } from '../../assembly/contract/generated/errno.ts';
import { KVM_RUN_BASE, KVM_RUN_STRIDE } from '../../assembly/core/layout.ts';
import { eventfdSignal, gettid } from '../host/sys.ts';
import { kvm_run } from '../host/uapi/kvm.ts';
import { type Clocks, hostClocks } from '../time/clocks.ts';
import type { HostHooks } from '../core/hooks.ts';
import { instantiateCore } from '../core/instance.ts';
import { traceOf } from '../core/trace.ts';
import { errnoName } from '../host/errno.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import { KvmVm } from '../kvm/vm.ts';
import { vcpuExit } from './kvm-exit.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, type EventMessage, type MachineThread, SharedWords, STATE_ENDED, STATE_PAUSED, STATE_RUNNING } from '../threads/words.ts';
import type { VcpuExit } from './vcpu.ts';

/** What a vCPU's thread starts with. */
export interface KvmVcpuJob extends MachineThread {
  readonly index: number;
  readonly vmFd: number;
  readonly vcpuFd: number;
  /** Eventfd of each interrupt line that has one, else -1. */
  readonly irqfds: readonly number[];
}

/** What the threads of a machine on KVM post, the I/O thread included. */
export type KvmThreadMessage =
  /** vCPU 0 is about to run its first instruction. */
  | { readonly type: 'entered' }
  /** A debug exit; the vCPU stands. `exception`: 1 or 3, `dr6`: of exception 1. */
  | { readonly type: 'debug'; readonly index: number; readonly exception: number; readonly pc: bigint; readonly dr6: bigint }
  | EventMessage
  | { readonly type: 'exit'; readonly exit: VcpuExit };

/** Runs one vCPU on KVM until it is told to stop. */
export function runKvmVcpu(data: KvmVcpuJob, post: (message: KvmThreadMessage) => void): void {
  const { index } = data;
  const words = new SharedWords(data.words);
  const guest = new Vcpu(data, words, post);
  // The kick may come at any time from here on; it only counts inside KVM_RUN. A mask that lets it through only there would
  // cost each entry a change of masks, a quarter of a microsecond.
  words.setTid(index, gettid());
  let entered = index !== 0;
  words.setState(index, STATE_RUNNING);
  for (let command = words.command(index); command !== COMMAND_STOP; command = words.command(index)) {
    if (command === COMMAND_PAUSE) {
      words.setState(index, STATE_PAUSED);
      words.waitWhile(index, COMMAND_PAUSE);
      if (words.command(index) === COMMAND_RUN) words.setState(index, STATE_RUNNING);
      continue;
    }
    // Only now the vCPU is this thread's. A command that came meanwhile is seen below; the kick of a later one sets the
    // byte again, and KVM_RUN returns at once.
    guest.allowEntry();
    if (words.command(index) !== COMMAND_RUN) continue;
    if (!entered) post({ type: 'entered' });
    entered = true;
    const exit = guest.enter();
    if (exit === undefined) continue;
    post({ type: 'exit', exit });
    // Registers stay as they are until the machine is stopped.
    words.setState(index, STATE_PAUSED);
    words.waitForStop(index);
    break;
  }
  words.setState(index, STATE_ENDED);
}

/** A vCPU as its thread has it: the descriptor, its kvm_run page, and an instance of the core that answers exits. */
class Vcpu {
  readonly #index: number;
  readonly #words: SharedWords;
  readonly #post: (message: KvmThreadMessage) => void;
  readonly #vcpu: KvmVcpu;
  readonly #bytes: Uint8Array;
  readonly #runAt: number;
  readonly #run: DataView;
  readonly #kvmExit: (vcpu: number) => number;

  constructor(data: KvmVcpuJob, words: SharedWords, post: (message: KvmThreadMessage) => void) {
    this.#index = data.index;
    this.#words = words;
    this.#post = post;
    this.#vcpu = new KvmVcpu(data.vcpuFd);
    this.#bytes = new Uint8Array(data.memory.buffer);
    this.#runAt = KVM_RUN_BASE + data.index * KVM_RUN_STRIDE;
    this.#run = new DataView(data.memory.buffer, this.#runAt, KVM_RUN_STRIDE);
    this.#kvmExit = instantiateCore(data.module, data.memory, ...vcpuHost(data, words, post)).kvm_exit;
  }

  /** Takes back what a kick has left. */
  allowEntry(): void {
    Atomics.store(this.#bytes, this.#runAt + kvm_run.immediate_exit, 0);
  }

  /** Runs the guest until a kick (undefined) or this vCPU's end. */
  enter(): VcpuExit | undefined {
    const index = this.#index;
    const vcpu = this.#vcpu;
    const kvmExit = this.#kvmExit;
    for (;;) {
      const result = vcpu.run();
      if (result < 0) {
        // A kick; or a vCPU that waits for its SIPI was woken for something else.
        if (result === -EINTR || result === -EAGAIN) return undefined;
        return { kind: 'error', vcpu: index, reason: `KVM_RUN: ${errnoName(-result)}` };
      }
      const next = kvmExit(index);
      if (next === VCPU_RUN) continue;
      if (next === VCPU_INTR) return undefined;
      if (next === VCPU_DEBUG) {
        this.#debugExit();
        return undefined;
      }
      return vcpuExit(next, index, this.#run);
    }
  }

  #debugExit(): void {
    const run = this.#run;
    const [exception, pc, dr6] = [run.getUint32(kvm_run.debug_arch_exception, true), run.getBigUint64(kvm_run.debug_arch_pc, true), run.getBigUint64(kvm_run.debug_arch_dr6, true)];
    this.#post({ type: 'debug', index: this.#index, exception, pc, dr6 });
    this.#words.pauseSelf(this.#index);
  }
}

/** What this thread answers its core, and its clocks. Queues are worked on by their owners, never here. */
function vcpuHost(data: KvmVcpuJob, words: SharedWords, post: (message: KvmThreadMessage) => void): [Partial<HostHooks>, Clocks] {
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const bytes = new Uint8Array(data.memory.buffer);
  const vm = new KvmVm(data.vmFd);
  const clocks = hostClocks();
  const trace = traceOf(data.trace, `vcpu${data.index}`, clocks.now, postEvent);
  const hooks: Partial<HostHooks> = {
    irq: (line) => {
      const fd = data.irqfds[line];
      if (fd !== undefined && fd >= 0) eventfdSignal(fd);
      else {
        vm.irqLine(line, 1);
        vm.irqLine(line, 0);
      }
    },
    kick: (device, queue) => {
      const fd = words.kick(device, queue);
      if (fd >= 0) eventfdSignal(fd);
    },
    console: (device, ptr, length) => (device === HOST_SERIAL ? words.putSerial(bytes.subarray(ptr, ptr + length)) : length),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  };
  return [hooks, clocks];
}
