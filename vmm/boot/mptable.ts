import { IOAPIC_PINS } from '../../assembly/contract/x86.ts';
import { IOAPIC_GPA, LAPIC_GPA } from '../../assembly/core/layout.ts';
import { checksum } from './checksum.ts';
import type { GuestMemory } from './entry.ts';
import { MPTABLE_GPA, MPTABLE_MAX } from './places.ts';

// MultiProcessor Specification 1.4, chapter 4.
const MP_PROCESSOR = 0;
const MP_BUS = 1;
const MP_IOAPIC = 2;
const MP_INTSRC = 3;
const MP_LINTSRC = 4;
const CPU_ENABLED = 1;
const CPU_BOOTPROCESSOR = 2;
const INT_TYPE_INT = 0;
const INT_TYPE_NMI = 1;
const INT_TYPE_EXTINT = 3;
const ISA_BUS_ID = 0;
/** Version registers of KVM's local APIC and IOAPIC. */
const LAPIC_VERSION = 0x14;
const IOAPIC_VERSION = 0x11;

/**
 * Writes the MP floating pointer and configuration table for `cpus` processors: local APIC ids 0 .. cpus-1, one
 * IOAPIC whose id is `cpus`, and its 24 pins as ISA interrupts of the same number ("conforms", so edge, active high).
 */
export function writeMpTable(memory: GuestMemory, cpus: number): void {
  const bytes = new Uint8Array(MPTABLE_MAX);
  const view = new DataView(bytes.buffer);
  const text = (at: number, value: string): void => bytes.set(Buffer.from(value, 'latin1'), at);
  const TABLE = 16;
  let at = TABLE + 44;
  let entries = 0;
  const entry = (size: number): number => {
    const start = at;
    at += size;
    entries += 1;
    return start;
  };

  for (let i = 0; i < cpus; i++) {
    const p = entry(20);
    view.setUint8(p, MP_PROCESSOR);
    view.setUint8(p + 1, i);
    view.setUint8(p + 2, LAPIC_VERSION);
    view.setUint8(p + 3, CPU_ENABLED | (i === 0 ? CPU_BOOTPROCESSOR : 0));
    view.setUint32(p + 4, 0x600, true); // CPU signature: family 6
    view.setUint32(p + 8, 0x201, true); // feature flags: FPU, APIC
  }
  const bus = entry(8);
  view.setUint8(bus, MP_BUS);
  view.setUint8(bus + 1, ISA_BUS_ID);
  text(bus + 2, 'ISA   ');
  const ioapic = entry(8);
  view.setUint8(ioapic, MP_IOAPIC);
  view.setUint8(ioapic + 1, cpus);
  view.setUint8(ioapic + 2, IOAPIC_VERSION);
  view.setUint8(ioapic + 3, 1); // enabled
  view.setUint32(ioapic + 4, IOAPIC_GPA, true);
  const interrupt = (kind: number, type: number, irq: number, dest: number, pin: number): void => {
    const p = entry(8);
    view.setUint8(p, kind);
    view.setUint8(p + 1, type);
    view.setUint8(p + 4, ISA_BUS_ID);
    view.setUint8(p + 5, irq);
    view.setUint8(p + 6, dest);
    view.setUint8(p + 7, pin);
  };
  for (let pin = 0; pin < IOAPIC_PINS; pin++) interrupt(MP_INTSRC, INT_TYPE_INT, pin, cpus, pin);
  interrupt(MP_LINTSRC, INT_TYPE_EXTINT, 0, 0, 0);
  interrupt(MP_LINTSRC, INT_TYPE_NMI, 0, 0xff, 1);

  const length = at - TABLE;
  text(TABLE, 'PCMP');
  view.setUint16(TABLE + 4, length, true);
  view.setUint8(TABLE + 6, 4); // revision 1.4
  text(TABLE + 8, 'VMM     ');
  text(TABLE + 16, 'VMM         ');
  view.setUint16(TABLE + 34, entries, true);
  view.setUint32(TABLE + 36, LAPIC_GPA, true);
  view.setUint8(TABLE + 7, checksum(bytes.subarray(TABLE, TABLE + length)));

  text(0, '_MP_');
  view.setUint32(4, MPTABLE_GPA + TABLE, true);
  view.setUint8(8, 1); // length in 16-byte units
  view.setUint8(9, 4);
  view.setUint8(10, checksum(bytes.subarray(0, 16)));
  memory.write(MPTABLE_GPA, bytes.subarray(0, at));
}
