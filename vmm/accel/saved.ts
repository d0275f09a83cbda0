import { VmmError } from '../../base/errors.ts';

/**
 * vCPUs as `Accelerator.save` leaves them: with the linear memory's state ranges (assembly/core/layout.ts) and guest RAM, all that a
 * machine consists of. They go back into the accelerator that they come from, with as many vCPUs of the same model.
 */
export type SavedVcpus = SavedWasm | SavedKvm;

/** Saved by the other accelerator. */
export function otherSaved(saved: SavedVcpus): VmmError {
  return new VmmError('USAGE', `these vCPUs were saved by another accelerator: ${saved.kind === 'saved-kvm' ? 'KVM' : 'the software CPU'}`);
}

/** The software CPU's chips are in the linear memory; of a vCPU the part of its state that is not derived. */
export interface SavedWasm {
  readonly kind: 'saved-wasm';
  readonly vcpus: readonly Uint8Array[];
}

/** Structures of KVM's interface, as KVM lays them out. */
export interface SavedKvm {
  readonly kind: 'saved-kvm';
  readonly vcpus: readonly SavedKvmVcpu[];
  /** KVM_IRQCHIP_PIC_MASTER, _SLAVE, _IOAPIC. */
  readonly irqchips: readonly Uint8Array[];
  /** kvmclock, nanoseconds. */
  readonly clock: bigint;
}

export interface SavedKvmVcpu {
  readonly mpState: number;
  readonly regs: DataView;
  readonly sregs: DataView;
  readonly xsave: DataView;
  readonly xcrs: DataView;
  readonly debugregs: DataView;
  readonly lapic: DataView;
  readonly msrs: readonly (readonly [index: number, value: bigint])[];
  readonly events: DataView;
}
