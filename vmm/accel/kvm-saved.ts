import { VmmError } from '../../base/errors.ts';
import { KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE } from '../host/uapi/kvm.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { KvmVm } from '../kvm/vm.ts';
import type { SavedKvm, SavedKvmVcpu } from './saved.ts';

const CHIPS = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC];

/** Reads vCPUs and interrupt chips out of KVM. No vCPU may run, and each must have left KVM_RUN by a kick: then no exit is half done. */
export function saveVcpus(vm: KvmVm, vcpus: readonly KvmVcpu[], msrList: readonly number[]): SavedKvm {
  return { kind: 'saved-kvm', vcpus: vcpus.map((vcpu) => saveVcpu(vcpu, msrList)), irqchips: CHIPS.map((chip) => vm.irqchip(chip)), clock: vm.clock() };
}

function saveVcpu(vcpu: KvmVcpu, msrList: readonly number[]): SavedKvmVcpu {
  return {
    // First: it takes what has come in for the local APIC (INIT, SIPI) into the state (api.rst §4.38).
    mpState: vcpu.mpState(),
    regs: vcpu.regs(),
    sregs: vcpu.sregs(),
    xsave: vcpu.xsave(),
    xcrs: vcpu.xcrs(),
    debugregs: vcpu.debugregs(),
    lapic: vcpu.lapic(),
    msrs: readMsrs(vcpu, msrList),
    events: vcpu.events(),
  };
}

/** Those that KVM has for this vCPU: it stops at the first that it has not. */
function readMsrs(vcpu: KvmVcpu, list: readonly number[]): [number, bigint][] {
  const found: [number, bigint][] = [];
  for (let at = 0; at < list.length; at++) {
    const read = vcpu.msrs(list.slice(at));
    for (const [index, value] of read) found.push([index, value]);
    at += read.length;
  }
  return found;
}

/** Puts saved vCPUs into new ones that have their CPUID, and the chips. Throws KVM_MSR when an MSR cannot have its value. */
export function restoreVcpus(vm: KvmVm, vcpus: readonly KvmVcpu[], saved: SavedKvm): void {
  if (saved.vcpus.length !== vcpus.length) throw new VmmError('USAGE', `${saved.vcpus.length} vCPUs were saved, the machine has ${vcpus.length}`);
  for (const chip of saved.irqchips) vm.setIrqchip(chip);
  vm.setClock(saved.clock);
  saved.vcpus.forEach((state, index) => restoreVcpu(vcpus[index] as KvmVcpu, state));
}

function restoreVcpu(vcpu: KvmVcpu, state: SavedKvmVcpu): void {
  vcpu.setMpState(state.mpState);
  vcpu.setRegs(state.regs);
  // With the APIC's base, which the local APIC's state needs.
  vcpu.setSregs(state.sregs);
  vcpu.setXcrs(state.xcrs);
  vcpu.setXsave(state.xsave);
  vcpu.setDebugregs(state.debugregs);
  vcpu.setLapic(state.lapic);
  // After the local APIC: the TSC-deadline timer is an MSR that is armed by being set.
  writeMsrs(vcpu, state.msrs);
  vcpu.setEvents(state.events);
}

/** Values that a new vCPU has already are left out: some of them KVM lets nobody set. */
function writeMsrs(vcpu: KvmVcpu, msrs: SavedKvmVcpu['msrs']): void {
  const now = new Map(readMsrs(vcpu, msrs.map(([index]) => index)));
  vcpu.setMsrs(msrs.filter(([index, value]) => now.get(index) !== value));
}
