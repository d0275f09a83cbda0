/**
 * Physical accesses that may leave RAM: the CPU's own local APIC page and the IOAPIC are claimed here, the rest goes
 * to the machine's bus.
 */
import { bus_mmio_read, bus_mmio_write } from '../../io/access';
import { IOAPIC_GPA, RAM_BASE } from '../../core/layout';
import { ioapic_read, ioapic_write } from '../chips/ioapic';
import { lapic_enabled } from '../chips/apic';
import { lapic_read, lapic_write } from '../chips/lapic';
import { block_vars } from '../uop/blocks';
import { Cpu } from '../vcpu/state';

const APIC_PAGE: u64 = 0x0000_00ff_ffff_f000;

/** Reads `size` (1, 2, 4, 8) bytes at a physical address outside RAM. */
export function mmio_read(cpu: usize, pa: u64, size: u32): u64 {
  block_vars(cpu).jit_taint = 1;
  const c = changetype<Cpu>(cpu);
  if ((pa & ~0xfff) == (c.apic_base & APIC_PAGE) && lapic_enabled(cpu)) {
    // Registers are 32 bits at multiples of 16; narrower reads take a part of one (SDM Vol. 3A §11.4.1 asks for 32)
    const offset = <u32>pa & 0xfff;
    const v: u64 = lapic_read(cpu, offset & 0xff0);
    return offset & 15 ? v >> ((offset & 3) << 3) : v;
  }
  if (pa - IOAPIC_GPA < 0x1000) return ioapic_read(<u32>pa & 0xfff);
  if (pa > 0xffff_ffff) return 0xffff_ffff_ffff_ffff;
  return bus_mmio_read(<u32>pa, size);
}

export function mmio_write(cpu: usize, pa: u64, v: u64, size: u32): void {
  block_vars(cpu).jit_taint = 1;
  const c = changetype<Cpu>(cpu);
  if ((pa & ~0xfff) == (c.apic_base & APIC_PAGE) && lapic_enabled(cpu)) {
    const offset = <u32>pa & 0xfff;
    if (!(offset & 15)) lapic_write(cpu, offset, <u32>v);
    return;
  }
  if (pa - IOAPIC_GPA < 0x1000) {
    ioapic_write(<u32>pa & 0xfff, <u32>v);
    return;
  }
  if (pa > 0xffff_ffff) return;
  bus_mmio_write(<u32>pa, size, v);
}

/** Reads `size` (1, 2, 4, 8) bytes that lie in one page at physical address `pa`. */
export function phys_read(cpu: usize, pa: u64, size: u32): u64 {
  if (pa < changetype<Cpu>(cpu).ram_size) {
    const p = RAM_BASE + <u32>pa;
    switch (size) {
      case 1: return load<u8>(p);
      case 2: return load<u16>(p);
      case 4: return load<u32>(p);
      default: return load<u64>(p);
    }
  }
  return mmio_read(cpu, pa, size);
}
