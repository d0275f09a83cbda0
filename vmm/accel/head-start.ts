/**
 * A vCPU's head start: Node takes as long to start a thread as to start itself, and a guest need not wait for it. Until the thread of vCPU 0 has begun, the main
 * thread runs it, in slices with turns of the event loop between; all that a vCPU is lies in the linear memory, and goes over with it.
 */
import { RUN_BUDGET, RUN_HALT, RUN_KICK } from '../../assembly/contract/vcpu.ts';
import { CPU_BASE } from '../../assembly/core/layout.ts';
import type { CoreExports } from '../core/exports.ts';

/** Instructions between two turns of the event loop: about a millisecond. */
const SLICE = 100_000;

/** Runs vCPU 0 as long as `goesOn` says so and it does not wait. Gives cpu_run's reason when that ends the vCPU. */
export async function headStart(core: CoreExports, goesOn: () => boolean): Promise<number | undefined> {
  while (goesOn()) {
    const reason = core.cpu_run(CPU_BASE, SLICE);
    if (reason === RUN_HALT) return undefined;
    if (reason !== RUN_BUDGET && reason !== RUN_KICK) return reason;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return undefined;
}
