/** What an exit of KVM that the core cannot answer means, in words. */
import { VCPU_EVENT, VCPU_SHUTDOWN } from '../../assembly/contract/vcpu.ts';
import { kvm_run } from '../host/uapi/kvm.ts';
import {
  KVM_EXIT_FAIL_ENTRY, KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION, KVM_INTERNAL_ERROR_SIMUL_EX,
  KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
} from '../host/uapi/kvm.ts';
import type { VcpuExit } from './vcpu.ts';

const SUBERRORS = new Map<number, string>([
  [KVM_INTERNAL_ERROR_EMULATION, 'KVM cannot emulate the instruction'],
  [KVM_INTERNAL_ERROR_SIMUL_EX, 'two exceptions at once'],
  [KVM_INTERNAL_ERROR_DELIVERY_EV, 'an exit while an event was delivered'],
  [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, 'an exit reason that KVM does not know'],
]);

/** The end of a vCPU for a result of `kvm_exit` that is neither VCPU_RUN nor VCPU_INTR. `run`: its struct kvm_run. */
export function vcpuExit(result: number, vcpu: number, run: DataView): VcpuExit {
  if (result === VCPU_EVENT) return { kind: 'request' };
  if (result === VCPU_SHUTDOWN) return { kind: 'triple-fault', vcpu };
  return { kind: 'error', vcpu, reason: describe(run) };
}

function describe(run: DataView): string {
  const reason = run.getUint32(kvm_run.exit_reason, true);
  if (reason === KVM_EXIT_FAIL_ENTRY) {
    const hardware = run.getBigUint64(kvm_run.fail_entry_hardware_entry_failure_reason, true);
    return `KVM_EXIT_FAIL_ENTRY: the processor refuses the guest's state, reason 0x${hardware.toString(16)}`;
  }
  if (reason === KVM_EXIT_INTERNAL_ERROR) {
    const suberror = run.getUint32(kvm_run.internal_suberror, true);
    let text = `KVM_EXIT_INTERNAL_ERROR: ${SUBERRORS.get(suberror) ?? 'suberror'} (${suberror})`;
    const words = Math.min(16, run.getUint32(kvm_run.internal_ndata, true));
    const hasCode = suberror === KVM_INTERNAL_ERROR_EMULATION && words >= 4 && (run.getBigUint64(kvm_run.emulation_failure_flags, true) & 1n) !== 0n;
    if (hasCode) {
      const size = Math.min(15, run.getUint8(kvm_run.emulation_failure_insn_size));
      const code = Array.from({ length: size }, (_, i) => run.getUint8(kvm_run.emulation_failure_insn_bytes + i).toString(16).padStart(2, '0'));
      text += `, code ${code.join(' ')}`;
    } else if (words > 0) {
      const data = Array.from({ length: words }, (_, i) => `0x${run.getBigUint64(kvm_run.internal_data + 8 * i, true).toString(16)}`);
      text += `, data ${data.join(' ')}`;
    }
    return text;
  }
  return `KVM_EXIT reason ${reason}, hardware reason 0x${run.getBigUint64(kvm_run.hw_hardware_exit_reason, true).toString(16)}`;
}
