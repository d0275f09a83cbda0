/** Bits and registers of the architecture (Intel SDM) that the software CPU and the host both name. Both compilers read this folder: plain constants only. */

export const CR0_PE: u64 = 0x1;
export const CR0_ET: u64 = 0x10;
export const CR0_PG: u64 = 0x8000_0000;
export const CR4_PAE: u64 = 0x20;

export const IA32_MISC_ENABLE: u32 = 0x1a0;
export const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
export const IA32_KERNEL_GS_BASE: u32 = 0xc000_0102;
// Bits of IA32_EFER.
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;

export const DR6_BS: u64 = 0x4000;

/** Selectors of the boot GDT, as Linux's boot.rst names them: __BOOT_CS and __BOOT_DS, and a TSS. */
export const CODE_SELECTOR: u32 = 0x10;
export const DATA_SELECTOR: u32 = 0x18;
export const TSS_SELECTOR: u32 = 0x20;

/** Pins of the IOAPIC, KVM's and the core's. */
export const IOAPIC_PINS: u32 = 24;
