import { ACPI_TABLES_GPA, ACPI_TABLES_MAX, HIGH_RAM_START, LOW_RAM_END, RSDP_GPA } from './places.ts';

/** e820 types (ACPI 6.5 §15.1, table 15.374), also used by PVH and multiboot. */
const E820_RAM = 1;
const E820_RESERVED = 2;

export interface MemoryRange {
  readonly base: number;
  readonly size: number;
  readonly type: number;
}

/** The guest's memory map for `ramSize` bytes of RAM from address 0. */
export function memoryMap(ramSize: number): MemoryRange[] {
  return [
    { base: 0, size: LOW_RAM_END, type: E820_RAM },
    { base: LOW_RAM_END, size: 0xa0000 - LOW_RAM_END, type: E820_RESERVED },
    { base: RSDP_GPA, size: ACPI_TABLES_GPA + ACPI_TABLES_MAX - RSDP_GPA, type: E820_RESERVED },
    { base: HIGH_RAM_START, size: ramSize - HIGH_RAM_START, type: E820_RAM },
  ];
}
