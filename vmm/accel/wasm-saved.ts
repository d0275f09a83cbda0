import { FIELD_STATS } from '../../assembly/contract/vcpu.ts';
import { VmmError } from '../../base/errors.ts';
import type { CoreExports } from '../core/exports.ts';
import type { SavedWasm } from './saved.ts';
import type { CpuModel } from './vcpu.ts';
import { cpuAddress, resetVcpus } from './wasm-registers.ts';

/** A vCPU's registers and its local APIC; behind them lie counters, TLBs and the block cache's own. */
function stateOf(core: CoreExports, memory: WebAssembly.Memory, index: number): Uint8Array {
  return new Uint8Array(memory.buffer, cpuAddress(index), core.cpu_field(FIELD_STATS));
}

/** Reads the vCPUs' states. None may run. */
export function saveVcpus(core: CoreExports, memory: WebAssembly.Memory, cpus: number): SavedWasm {
  return { kind: 'saved-wasm', vcpus: Array.from({ length: cpus }, (_, index) => stateOf(core, memory, index).slice()) };
}

/** Puts saved vCPUs into a machine whose state ranges and RAM are back already. TLBs and decoded code are made anew. */
export function restoreVcpus(core: CoreExports, memory: WebAssembly.Memory, { vcpus }: SavedWasm, cpus: number, model: CpuModel): void {
  if (vcpus.length !== cpus) throw new VmmError('USAGE', `${vcpus.length} vCPUs were saved, the machine has ${cpus}`);
  resetVcpus(core, cpus, model);
  vcpus.forEach((saved, index) => {
    stateOf(core, memory, index).set(saved);
    core.debug_registers_set(cpuAddress(index));
  });
}
