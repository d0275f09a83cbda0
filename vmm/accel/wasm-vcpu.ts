import { RUN_BUDGET, RUN_DEBUG, RUN_EXIT, RUN_HALT, RUN_KICK, RUN_SHUTDOWN } from '../../assembly/contract/vcpu.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { HOST_EV_DISK_ERROR } from '../../assembly/contract/machine.ts';
import { CPU_BASE, CPU_STRIDE } from '../../assembly/core/layout.ts';
import { DiskServer, type OpenDisk } from '../devices/disk.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { hostClocks } from '../time/clocks.ts';
import type { HostHooks } from '../core/hooks.ts';
import { instantiateCore } from '../core/instance.ts';
import { Discarder } from '../core/memory.ts';
import { traceOf } from '../core/trace.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, type EventMessage, type MachineThread, SharedWords, STATE_ENDED, STATE_PAUSED, STATE_RUNNING } from '../threads/words.ts';
import type { VcpuExit } from './vcpu.ts';

/**
 * Instructions of one call of cpu_run. The loop has to be left now and then, or V8 cannot exchange the first compiler's
 * code for the optimised one.
 */
const SLICE = 200_000;
/** The longest sleep in HLT; a wake-up by an interrupt or a command ends it earlier. */
const HALT_MAX_NS = 1e9;

/** What a software vCPU's thread starts with. */
export interface WasmVcpuJob extends MachineThread {
  readonly index: number;
  readonly ramSize: number;
  readonly disks: readonly OpenDisk[];
  /** Slots whose queues the vCPU's thread processes itself: bit mask. */
  readonly inlineSlots: number;
}

/** What it posts. */
export type WasmVcpuMessage =
  | EventMessage
  | { readonly type: 'entered' }
  /** The vCPU stands for the debugger; debug_reason and debug_address (assembly/cpu/debug/debug.ts). */
  | { readonly type: 'debug'; readonly vcpu: number; readonly reason: number; readonly address: bigint }
  | { readonly type: 'exit'; readonly exit: VcpuExit };

/** Runs one vCPU of the software CPU until it is told to stop. */
export function runWasmVcpu(data: WasmVcpuJob, post: (message: WasmVcpuMessage) => void): void {
  const words = new SharedWords(data.words);
  const bytes = new Uint8Array(data.memory.buffer);
  const server = new DiskServer(data.memory, data.ramSize, data.disks, (disk, errno) => postEvent(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
  const clocks = hostClocks();
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const trace = traceOf(data.traceFd, `vcpu${data.index}`, clocks.now, postEvent);

  const hooks: Partial<HostHooks> = {
    kick: (device, queue) => {
      if ((data.inlineSlots & (1 << device)) === 0) {
        words.kick(device, queue);
        return;
      }
      while (core.device_process(device, queue) > 0) {
        // the driver waits for its request, so all of it is done here
      }
    },
    blk: (disk, op, offset, iov, count) => server.request(disk, op, offset, iov, count),
    console: (device, ptr, length) => (device === HOST_SERIAL ? words.putSerial(bytes.subarray(ptr, ptr + length)) : length),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
    discard: new Discarder(new LinearMemory(data.memory), data.ramSize).discard,
  };
  const core = instantiateCore(data.module, data.memory, hooks, clocks);
  const cpu = CPU_BASE + data.index * CPU_STRIDE;
  const cpuRun = core.cpu_run;
  const cpuWait = core.cpu_wait;
  let entered = false;
  for (;;) {
    const command = words.command(data.index);
    if (command === COMMAND_STOP) break;
    if (command === COMMAND_PAUSE) {
      words.setState(data.index, STATE_PAUSED);
      words.waitWhile(data.index, COMMAND_PAUSE);
      if (words.command(data.index) === COMMAND_RUN) words.setState(data.index, STATE_RUNNING);
      continue;
    }
    if (!entered) {
      entered = true;
      words.setState(data.index, STATE_RUNNING);
      if (data.index === 0) post({ type: 'entered' });
    }
    const reason = cpuRun(cpu, SLICE);
    if (reason === RUN_BUDGET || reason === RUN_KICK) continue;
    if (reason === RUN_HALT) {
      cpuWait(cpu, HALT_MAX_NS);
      continue;
    }
    if (reason === RUN_DEBUG) {
      post({ type: 'debug', vcpu: data.index, reason: core.debug_reason(cpu), address: core.debug_address(cpu) });
      words.pauseSelf(data.index);
      continue;
    }
    const exit: VcpuExit =
      reason === RUN_EXIT
        ? { kind: 'request' }
        : reason === RUN_SHUTDOWN
          ? { kind: 'triple-fault', vcpu: data.index }
          : { kind: 'error', vcpu: data.index, reason: `the software CPU stopped for reason ${reason}` };
    post({ type: 'exit', exit });
    // Registers stay as they are until the machine is stopped.
    words.setState(data.index, STATE_PAUSED);
    words.waitForStop(data.index);
    break;
  }
  words.setState(data.index, STATE_ENDED);
}
