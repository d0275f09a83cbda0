import { POWER_CODE_REBOOT, S5_SLEEP_TYPE, SLEEP_CONTROL_PORT, SLEEP_STATUS_PORT } from '../../assembly/contract/machine.ts';
import { COM1_IRQ, COM1_PORT, IOAPIC_GPA, LAPIC_GPA, POWER_PORT, VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_STRIDE } from '../../assembly/core/layout.ts';
import * as aml from './aml.ts';
import { checksum } from './checksum.ts';
import type { GuestMemory } from './entry.ts';
import { ACPI_TABLES_GPA, ACPI_TABLES_MAX, RSDP_GPA } from './places.ts';

/**
 * Writes ACPI tables for distribution kernels: hardware-reduced FADT with reset and sleep registers, MADT, and a DSDT
 * that names COM1 and each virtio-mmio slot (LNRO0005). Returns the RSDP's address.
 */
export function writeAcpi(memory: GuestMemory, cpus: number, virtioSlots: readonly number[]): number {
  let at = ACPI_TABLES_GPA;
  const place = (table: Uint8Array): number => {
    const here = at;
    if (here + table.length > ACPI_TABLES_GPA + ACPI_TABLES_MAX) throw new RangeError('ACPI tables exceed their place');
    memory.write(here, table);
    at = Math.ceil((here + table.length) / 64) * 64;
    return here;
  };
  const dsdt = place(sdt('DSDT', 2, new Uint8Array(dsdtBody(virtioSlots))));
  const fadt = place(sdt('FACP', 6, fadtBody(dsdt)));
  const madt = place(sdt('APIC', 5, madtBody(cpus)));
  const pointers = new DataView(new ArrayBuffer(16));
  pointers.setBigUint64(0, BigInt(fadt), true);
  pointers.setBigUint64(8, BigInt(madt), true);
  const xsdt = place(sdt('XSDT', 1, new Uint8Array(pointers.buffer)));

  const rsdp = new Uint8Array(36);
  const view = new DataView(rsdp.buffer);
  rsdp.set(Buffer.from('RSD PTR ', 'latin1'), 0);
  rsdp.set(Buffer.from('VMM   ', 'latin1'), 9);
  view.setUint8(15, 2);
  view.setUint32(20, 36, true);
  view.setBigUint64(24, BigInt(xsdt), true);
  rsdp[8] = checksum(rsdp.subarray(0, 20));
  rsdp[32] = checksum(rsdp);
  memory.write(RSDP_GPA, rsdp);
  return RSDP_GPA;
}

/** A system description table: 36-byte header (§5.2.6) and body. */
function sdt(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const table = new Uint8Array(36 + body.length);
  const view = new DataView(table.buffer);
  const text = (offset: number, value: string): void => table.set(Buffer.from(value, 'latin1'), offset);
  text(0, signature);
  view.setUint32(4, table.length, true);
  view.setUint8(8, revision);
  text(10, 'VMM   ');
  text(16, 'VMM     ');
  view.setUint32(24, 1, true);
  text(28, 'VMM ');
  view.setUint32(32, 1, true);
  table.set(body, 36);
  table[9] = checksum(table);
  return table;
}

function fadtBody(dsdt: number): Uint8Array {
  const TABLE_LENGTH = 276;
  const RESET_REG_SUP = 1 << 10;
  const HW_REDUCED_ACPI = 1 << 20;
  const NO_VGA_MSI_ASPM_RTC = 0x0004 | 0x0008 | 0x0010 | 0x0020;
  const full = new Uint8Array(TABLE_LENGTH);
  const view = new DataView(full.buffer);
  view.setUint32(40, dsdt, true);
  view.setUint16(109, NO_VGA_MSI_ASPM_RTC, true); // IAPC_BOOT_ARCH
  view.setUint32(112, RESET_REG_SUP | HW_REDUCED_ACPI, true);
  ioRegister(view, 116, POWER_PORT);
  view.setUint8(128, POWER_CODE_REBOOT);
  view.setUint8(131, 5); // minor version
  view.setBigUint64(140, BigInt(dsdt), true); // X_DSDT
  ioRegister(view, 244, SLEEP_CONTROL_PORT);
  ioRegister(view, 256, SLEEP_STATUS_PORT);
  full.set(Buffer.from('VMM     ', 'latin1'), 268);
  return full.subarray(36);
}

/** Generic address structure (§5.2.3.2) of a one-byte I/O port. */
function ioRegister(view: DataView, at: number, port: number): void {
  view.setUint8(at, 1);
  view.setUint8(at + 1, 8);
  view.setUint8(at + 3, 1);
  view.setBigUint64(at + 4, BigInt(port), true);
}

function madtBody(cpus: number): Uint8Array {
  const body = new Uint8Array(8 + 8 * cpus + 12);
  const view = new DataView(body.buffer);
  view.setUint32(0, LAPIC_GPA, true);
  for (let i = 0; i < cpus; i++) body.set([0, 8, i, i, 1, 0, 0, 0], 8 + 8 * i);
  const ioapic = 8 + 8 * cpus;
  body.set([1, 12, cpus, 0], ioapic);
  view.setUint32(ioapic + 4, IOAPIC_GPA, true);
  return body;
}

function dsdtBody(virtioSlots: readonly number[]): number[] {
  const serial = aml.device(
    'COM1',
    aml.name('_HID', aml.eisaId('PNP0501')),
    aml.name('_UID', aml.integer(0)),
    aml.name('_STA', aml.integer(0xf)),
    aml.name('_CRS', aml.resources(aml.io(COM1_PORT, 8), aml.interrupt(COM1_IRQ))),
  );
  const virtio = virtioSlots.map((slot) =>
    aml.device(
      `V${slot.toString(16).toUpperCase().padStart(3, '0')}`,
      aml.name('_HID', aml.string('LNRO0005')),
      aml.name('_UID', aml.integer(slot)),
      aml.name('_CCA', aml.integer(1)),
      aml.name('_STA', aml.integer(0xf)),
      aml.name('_CRS', aml.resources(aml.memory32(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE, VIRTIO_MMIO_STRIDE), aml.interrupt(VIRTIO_MMIO_IRQ + slot))),
    ),
  );
  return [...aml.name('_S5_', aml.pkg(aml.integer(S5_SLEEP_TYPE), aml.integer(0), aml.integer(0), aml.integer(0))), ...aml.scope('_SB_', serial, ...virtio)];
}
