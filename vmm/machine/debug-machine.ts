import { RAM_BASE } from '../../assembly/core/layout.ts';
import type { AcceleratorDebug } from '../accel/debug-types.ts';
import type { Hardware } from './build.ts';
import type { DebugMachine } from './debugger.ts';

/** A life of the guest as its debugger sees it: the accelerator's face, guest memory, and `control` of the life. */
export function debugMachine(accelerator: 'kvm' | 'wasm', face: AcceleratorDebug, { linear, ramSize, core }: Hardware, cpus: number, control: Pick<DebugMachine, 'pause' | 'resume' | 'dump' | 'reset' | 'stop'>): DebugMachine {
  return {
    accelerator,
    cpus,
    ram: new Uint8Array(linear.memory.buffer, RAM_BASE, ramSize),
    written: (gpa, length) => core.guest_written(gpa, length),
    ...control,
    registers: (vcpu) => face.registers(vcpu),
    setRegister: (vcpu, name, value) => face.setRegister(vcpu, name, value),
    translate: (vcpu, address) => face.translate(vcpu, address),
    refusal: (list) => face.refusal(list),
    setBreakpoints: (list) => face.setBreakpoints(list),
    waiting: (vcpu) => face.waiting(vcpu),
    lapic: (vcpu) => face.lapic(vcpu),
    ioapic: () => face.ioapic(),
  };
}
