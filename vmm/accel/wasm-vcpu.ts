import { writeSync } from 'node:fs';
import { RUN_BUDGET, RUN_DEBUG, RUN_EXIT, RUN_HALT, RUN_KICK, RUN_SHUTDOWN } from '../../assembly/contract/vcpu.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { CPU_BASE, CPU_STRIDE } from '../../assembly/core/layout.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { hostClocks } from '../time/clocks.ts';
import { instantiateCore } from '../core/instance.ts';
import type { CoreExports } from '../core/exports.ts';
import { type JitConfig, ThreadMaker, VcpuJit } from '../jit/driver.ts';
import type { VcpuReport } from '../jit/report.ts';
import type { RingerHooks, RingerWork } from '../threads/device-thread.ts';
import { Discarder } from '../core/memory.ts';
import { traceOf } from '../core/trace.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, type EventMessage, type MachineThread, OWNER_RINGER, SharedWords, STATE_ENDED, STATE_PAUSED, STATE_RUNNING } from '../threads/words.ts';
import type { VcpuExit } from './vcpu.ts';

/**
 * Instructions of one call of cpu_run. The loop has to be left now and then, or V8 cannot exchange the first compiler's
 * code for the optimised one.
 */
const SLICE = 200_000;
/** The longest sleep in HLT; a wake-up by an interrupt or a command ends it earlier. */
const HALT_MAX_NS = 1e9;

/** What an eventfd is signalled with. */
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** What a software vCPU's thread starts with. */
export interface WasmVcpuJob extends MachineThread {
  readonly index: number;
  readonly ramSize: number;
  /** For devices whose owner is OWNER_RINGER. */
  readonly ringers: readonly RingerWork[];
  /** Hot code is translated: how, and JitBell's words. */
  readonly jit: JitJob | undefined;
}

export interface JitJob {
  readonly config: JitConfig;
  readonly cpus: number;
  readonly bell: SharedArrayBuffer;
}

/** What it posts. */
export type WasmVcpuMessage =
  | EventMessage
  | { readonly type: 'entered' }
  /** The first hot block: the translator's thread is wanted. */
  | { readonly type: 'translate' }
  | { readonly type: 'translated'; readonly report: VcpuReport }
  /** The vCPU stands for the debugger; debug_reason and debug_address (assembly/cpu/debug/debug.ts). */
  | { readonly type: 'debug'; readonly vcpu: number; readonly reason: number; readonly address: bigint }
  | { readonly type: 'exit'; readonly exit: VcpuExit };

/** Runs one vCPU of the software CPU until it is told to stop. */
export function runWasmVcpu(data: WasmVcpuJob, post: (message: WasmVcpuMessage) => void, ringerHooks: RingerHooks): void {
  const words = new SharedWords(data.words);
  const core = vcpuCore(data, words, post, ringerHooks);
  const { index } = data;
  const cpu = CPU_BASE + index * CPU_STRIDE;
  const cpuRun = core.cpu_run;
  const cpuWait = core.cpu_wait;
  let jit: VcpuJit | undefined;
  let entered = false;
  for (;;) {
    const command = words.command(index);
    if (command === COMMAND_STOP) break;
    if (command === COMMAND_PAUSE) {
      words.setState(index, STATE_PAUSED);
      words.waitWhile(index, COMMAND_PAUSE);
      if (words.command(index) === COMMAND_RUN) words.setState(index, STATE_RUNNING);
      continue;
    }
    if (!entered) {
      entered = true;
      if (data.jit !== undefined) jit = translator(core, data, data.jit, post);
      words.setState(index, STATE_RUNNING);
      if (index === 0) post({ type: 'entered' });
    }
    const reason = cpuRun(cpu, SLICE);
    jit?.poll();
    const difference = jit?.difference;
    if (difference === undefined && (reason === RUN_BUDGET || reason === RUN_KICK)) continue;
    if (difference === undefined && reason === RUN_HALT) {
      cpuWait(cpu, HALT_MAX_NS);
      continue;
    }
    if (difference === undefined && reason === RUN_DEBUG) {
      post({ type: 'debug', vcpu: index, reason: core.debug_reason(cpu), address: core.debug_address(cpu) });
      words.pauseSelf(index);
      continue;
    }
    post({ type: 'exit', exit: difference === undefined ? exitOf(reason, index) : { kind: 'error', vcpu: index, reason: difference } });
    // Registers stay as they are until the machine is stopped.
    words.setState(index, STATE_PAUSED);
    words.waitForStop(index);
    break;
  }
  if (jit !== undefined) post({ type: 'translated', report: jit.report() });
  words.setState(index, STATE_ENDED);
}

function translator(core: CoreExports, { memory, index }: WasmVcpuJob, { config, cpus, bell }: JitJob, post: (message: WasmVcpuMessage) => void): VcpuJit {
  return new VcpuJit(core, memory, index, cpus, config, new ThreadMaker(memory, bell, index, cpus, () => post({ type: 'translate' })));
}

function exitOf(reason: number, vcpu: number): VcpuExit {
  if (reason === RUN_EXIT) return { kind: 'request' };
  if (reason === RUN_SHUTDOWN) return { kind: 'triple-fault', vcpu };
  return { kind: 'error', vcpu, reason: `the software CPU stopped for reason ${reason}` };
}

/** The thread's instance of the core. */
function vcpuCore(data: WasmVcpuJob, words: SharedWords, post: (message: WasmVcpuMessage) => void, ringerHooks: RingerHooks): CoreExports {
  const { memory, ramSize } = data;
  const bytes = new Uint8Array(memory.buffer);
  const clocks = hostClocks();
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const trace = traceOf(data.trace, `vcpu${data.index}`, clocks.now, postEvent);
  const core = instantiateCore(data.module, memory, {
    ...ringerHooks(data.ringers, memory, ramSize, postEvent),
    kick: (device, queue) => {
      if (words.owner(device) !== OWNER_RINGER) {
        const fd = words.kick(device, queue);
        // Its thread waits for descriptors: by Node's own call, for a vCPU does without the FFI library.
        if (fd >= 0) writeSync(fd, ONE);
        return;
      }
      while (core.device_process(device, queue) > 0) {
        // the driver waits for its request, so all of it is done here
      }
    },
    console: (device, ptr, length) => (device === HOST_SERIAL ? words.putSerial(bytes.subarray(ptr, ptr + length)) : length),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
    discard: new Discarder(new LinearMemory(memory), ramSize).discard,
  }, clocks);
  return core;
}
