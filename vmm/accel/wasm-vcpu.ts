import { RUN_BUDGET, RUN_DEBUG, RUN_HALT, RUN_KICK } from '../../assembly/contract/vcpu.ts';
import { CPU_BASE, CPU_STRIDE } from '../../assembly/core/layout.ts';
import type { CoreExports } from '../core/exports.ts';
import { loadKeptBlocks } from '../core/kept-blocks.ts';
import { HeapAtRest } from '../core/shrink-heap.ts';
import { ThreadMaker, VcpuJit } from '../jit/driver.ts';
import type { RingerHooks } from '../threads/device-thread.ts';
import { COMMAND_PAUSE, COMMAND_RUN, COMMAND_STOP, SharedWords, STATE_ENDED, STATE_PAUSED, STATE_RUNNING } from '../threads/words.ts';
import { exitOf, type JitJob, vcpuCore, type WasmVcpuJob, type WasmVcpuMessage } from './wasm-core.ts';

/**
 * Instructions of one call of cpu_run. The loop has to be left now and then, or V8 cannot exchange the first compiler's
 * code for the optimised one.
 */
const SLICE = 200_000;
/** The longest sleep in HLT; a wake-up by an interrupt or a command ends it earlier. */
const HALT_MAX_NS = 1e9;

/** Runs one vCPU of the software CPU until it is told to stop. */
export function runWasmVcpu(data: WasmVcpuJob, post: (message: WasmVcpuMessage) => void, ringerHooks: RingerHooks): void {
  const words = new SharedWords(data.words);
  // While the main thread still runs the vCPU, or loads its kernel, and before the process is confined
  if (data.jit?.kept !== undefined) loadKeptBlocks(data.memory, data.jit.kept);
  const core = vcpuCore(data, words, post, ringerHooks);
  const { index } = data;
  const cpu = CPU_BASE + index * CPU_STRIDE;
  const cpuRun = core.cpu_run;
  const cpuWait = core.cpu_wait;
  let jit: VcpuJit | undefined;
  let entered = false;
  const heap = new HeapAtRest(() => words.rests);
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
      heap.look();
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
