/** What a vCPU of the software CPU runs with: its instance of the core, and what it tells. */
import { writeSync } from 'node:fs';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { RUN_EXIT, RUN_SHUTDOWN } from '../../assembly/contract/vcpu.ts';
import type { CoreExports } from '../core/exports.ts';
import { instantiateCore } from '../core/instance.ts';
import { Discarder } from '../core/memory.ts';
import { traceOf } from '../core/trace.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import type { JitConfig } from '../jit/driver.ts';
import type { VcpuReport } from '../jit/report.ts';
import type { RingerHooks, RingerWork } from '../threads/device-thread.ts';
import { type EventMessage, type MachineThread, OWNER_RINGER, type SharedWords } from '../threads/words.ts';
import { hostClocks } from '../time/clocks.ts';
import type { VcpuExit } from './vcpu.ts';

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
  /** For vCPU 0 of our own kernel: the core's CRC-32, to find the blocks that come with it (vmm/core/kept-blocks.ts). */
  readonly kept: number | undefined;
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

/** What ends a vCPU whose cpu_run gives `reason`, none of those after which it goes on. */
export function exitOf(reason: number, vcpu: number): VcpuExit {
  if (reason === RUN_EXIT) return { kind: 'request' };
  if (reason === RUN_SHUTDOWN) return { kind: 'triple-fault', vcpu };
  return { kind: 'error', vcpu, reason: `the software CPU stopped for reason ${reason}` };
}

/** An instance of the core that runs the vCPU of `data`, on whichever thread. */
export function vcpuCore(data: WasmVcpuJob, words: SharedWords, post: (message: WasmVcpuMessage) => void, ringerHooks: RingerHooks): CoreExports {
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
