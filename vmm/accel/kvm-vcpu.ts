import { VCPU_DEBUG, VCPU_INTR, VCPU_RUN } from '../../assembly/contract/vcpu.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { EAGAIN, EINTR } from '../../assembly/contract/generated/errno.ts';
import { KVM_RUN_BASE, KVM_RUN_STRIDE } from '../../assembly/core/layout.ts';
import { eventfdSignal, gettid } from '../host/sys.ts';
import { kvm_run } from '../host/uapi/kvm.ts';
import { hostClocks } from '../time/clocks.ts';
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
  /** Thread ids of the vCPUs' threads, i32 each, 0 before a thread is ready; then one word that is 1 when the I/O thread must end. */
  readonly threads: SharedArrayBuffer;
  readonly index: number;
  readonly vmFd: number;
  readonly vcpuFd: number;
  /** Eventfd of each interrupt line that has one, else -1. */
  readonly irqfds: readonly number[];
  /** Slots of the I/O thread's devices: bit mask; and the eventfd that wakes it, -1 without such a thread. */
  readonly ioSlots: number;
  readonly ioCommandFd: number;
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
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const { index } = data;
  const words = new SharedWords(data.words);
  const bytes = new Uint8Array(data.memory.buffer);
  const runAt = KVM_RUN_BASE + index * KVM_RUN_STRIDE;
  const run = new DataView(data.memory.buffer, runAt, KVM_RUN_STRIDE);
  const vcpu = new KvmVcpu(data.vcpuFd);
  const vm = new KvmVm(data.vmFd);
  const clocks = hostClocks();
  const trace = traceOf(data.traceFd, `vcpu${index}`, clocks.now, postEvent);

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
      words.kick(device, queue);
      if (data.ioCommandFd >= 0 && (data.ioSlots & (1 << device)) !== 0) eventfdSignal(data.ioCommandFd);
    },
    console: (device, ptr, length) => (device === HOST_SERIAL ? words.putSerial(bytes.subarray(ptr, ptr + length)) : length),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  };
  const core = instantiateCore(data.module, data.memory, hooks, clocks);
  const kvmExit = core.kvm_exit;

  // The kick may come at any time from here on; it only counts inside KVM_RUN. A mask that lets it through only there would
  // cost each entry a change of masks, a quarter of a microsecond.
  Atomics.store(new Int32Array(data.threads), index, gettid());
  let entered = index !== 0;
  words.setState(index, STATE_RUNNING);
  loop();
  words.setState(index, STATE_ENDED);

  function loop(): void {
    for (;;) {
      const command = words.command(index);
      if (command === COMMAND_STOP) return;
      if (command === COMMAND_PAUSE) {
        words.setState(index, STATE_PAUSED);
        words.waitWhile(index, COMMAND_PAUSE);
        if (words.command(index) === COMMAND_RUN) words.setState(index, STATE_RUNNING);
        continue;
      }
      // Only now the vCPU is this thread's. A command that came meanwhile is seen below; the kick of a later one sets the
      // byte again, and KVM_RUN returns at once.
      Atomics.store(bytes, runAt + kvm_run.immediate_exit, 0);
      if (words.command(index) !== COMMAND_RUN) continue;
      if (!entered) post({ type: 'entered' });
      entered = true;
      const exit = enter();
      if (exit === undefined) continue;
      post({ type: 'exit', exit });
      // Registers stay as they are until the machine is stopped.
      words.setState(index, STATE_PAUSED);
      words.waitForStop(index);
      return;
    }
  }

  /** Runs the guest until a kick (undefined) or this vCPU's end. */
  function enter(): VcpuExit | undefined {
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
        post({
          type: 'debug', index, exception: run.getUint32(kvm_run.debug_arch_exception, true), pc: run.getBigUint64(kvm_run.debug_arch_pc, true),
          dr6: run.getBigUint64(kvm_run.debug_arch_dr6, true),
        });
        words.pauseSelf(index);
        return undefined;
      }
      return vcpuExit(next, index, run);
    }
  }
}
