/**
 * Interrupt lines. Devices say what happened; whether that is an irqfd of KVM or a pin of the core's IOAPIC is
 * decided here.
 */
import { MACHINE_EV_TRACE_IRQ, MACHINE_F_SOFT_IRQ, TRACE_IRQ } from '../contract/machine';
import { host_irq } from '../core/host';
import { Machine, count, machine, machine_event } from '../core/machine';
import { ioapic_set_irq } from '../cpu/chips/ioapic';

/**
 * One edge on `line`. Outside the core it is a single `host_irq(line, 1)`: the host makes a pulse of it (an irqfd
 * without resample does by itself; with KVM_IRQ_LINE it raises and lowers).
 */
export function interrupt_pulse(line: u32): void {
  const m = machine();
  count(offsetof<Machine>('irq_count'));
  if ((m.trace & TRACE_IRQ) != 0) machine_event(MACHINE_EV_TRACE_IRQ, line, 0);
  if ((m.flags & MACHINE_F_SOFT_IRQ) != 0) {
    // The build for KVM has no CPU: it defines NO_CPU (asconfig.json), and the compiler leaves out what nobody calls.
    if (isDefined(NO_CPU)) return;
    ioapic_set_irq(line, 1);
    ioapic_set_irq(line, 0);
  } else {
    host_irq(line, 1);
  }
}
