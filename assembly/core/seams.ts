/**
 * Where devices meet the software CPU: interrupt controllers in the core, and decoded code that a device overwrites. The
 * build for KVM has no CPU: it defines NO_CPU (asconfig.json), and the compiler leaves out what nobody calls.
 */
import { ioapic_set_irq } from '../cpu/chips/ioapic';
import { guest_written_code } from '../cpu/uop/blocks';

/** A device or the host wrote guest memory that decoded code came from. */
export function code_written(pa: u32, len: u32): void {
  if (!isDefined(NO_CPU)) guest_written_code(pa, len);
}

/** Level of line `line` of the core's own IOAPIC and PIC. */
export function soft_irq(line: u32, level: u32): void {
  if (!isDefined(NO_CPU)) ioapic_set_irq(line, level);
}
