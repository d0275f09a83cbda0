/**
 * Where the VMM puts its own data in guest memory before the first instruction. All of it lies below 640 KiB,
 * so that a kernel at 1 MiB or above never overlaps it.
 */
export const GDT_GPA = 0x1000;
export const PVH_START_INFO_GPA = 0x2000;
/** Module list and memory map of the PVH start info follow in the same page. */
export const PVH_MODULES_GPA = 0x2100;
export const PVH_MEMMAP_GPA = 0x2200;
export const MULTIBOOT_INFO_GPA = 0x3000;
export const MULTIBOOT_MMAP_GPA = 0x3100;
export const MULTIBOOT_MODULES_GPA = 0x3200;
/** struct boot_params, the "zero page". */
export const BOOT_PARAMS_GPA = 0x7000;
/** PML4, PDPT and four page directories that map the first 4 GiB one to one. */
export const PML4_GPA = 0x9000;
export const PDPT_GPA = 0xa000;
export const PD_GPA = 0xb000;
export const CMDLINE_GPA = 0x20000;
/** Linux' COMMAND_LINE_SIZE on x86, terminating NUL included. */
export const CMDLINE_MAX = 2048;
/** The last KiB of base memory: where a kernel looks for the MP floating pointer (MP 1.4 §4). */
export const MPTABLE_GPA = 0x9fc00;
export const MPTABLE_MAX = 0x400;
/** ACPI: RSDP in the BIOS area, tables behind it (ACPI 6.5 §5.2.5.1). */
export const RSDP_GPA = 0xe0000;
export const ACPI_TABLES_GPA = 0xe1000;
export const ACPI_TABLES_MAX = 0x1f000;
export const LOW_RAM_END = 0x9fc00;
export const HIGH_RAM_START = 0x100000;

/** Words of the BIOS data area that kernels look at: the segment of the extended BIOS data area, and KiB of base memory. */
export const BDA_EBDA_SEGMENT = 0x40e;
export const BDA_BASE_MEMORY = 0x413;
const BDA_END = 0x500;

type Range = readonly [from: number, to: number, what: string];
const EVERYWHERE: readonly Range[] = [
  [0, BDA_END, 'the BIOS data area'],
  [GDT_GPA, GDT_GPA + 0x1000, 'the GDT'],
  [CMDLINE_GPA, CMDLINE_GPA + CMDLINE_MAX, 'the command line'],
  [LOW_RAM_END, HIGH_RAM_START, 'tables and the BIOS'],
];
const PAGES: Readonly<Record<'pvh' | 'linux64' | 'multiboot', readonly Range[]>> = {
  pvh: [[PVH_START_INFO_GPA, PVH_START_INFO_GPA + 0x1000, 'the start info']],
  multiboot: [[MULTIBOOT_INFO_GPA, MULTIBOOT_INFO_GPA + 0x1000, 'the multiboot information']],
  linux64: [
    [BOOT_PARAMS_GPA, BOOT_PARAMS_GPA + 0x1000, 'the boot parameters'],
    [PML4_GPA, PD_GPA + 0x4000, 'the page tables'],
  ],
};

/** What of ours, in words, lies in [from, to) below 1 MiB; undefined: nothing. */
export function takenBelow1Mib(protocol: keyof typeof PAGES, from: number, to: number): string | undefined {
  return [...EVERYWHERE, ...PAGES[protocol]].find(([start, end]) => from < end && to > start)?.[2];
}
