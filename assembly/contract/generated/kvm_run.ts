// Made by scripts/uapi.mjs from <linux/kvm.h>; do not edit.

export const KVM_EXIT_IO: u32 = 2;
export const KVM_EXIT_DEBUG: u32 = 4;
export const KVM_EXIT_HLT: u32 = 5;
export const KVM_EXIT_MMIO: u32 = 6;
export const KVM_EXIT_IRQ_WINDOW_OPEN: u32 = 7;
export const KVM_EXIT_SHUTDOWN: u32 = 8;
export const KVM_EXIT_FAIL_ENTRY: u32 = 9;
export const KVM_EXIT_INTR: u32 = 10;
export const KVM_EXIT_INTERNAL_ERROR: u32 = 17;
export const KVM_EXIT_SYSTEM_EVENT: u32 = 24;
export const KVM_EXIT_IOAPIC_EOI: u32 = 26;
export const KVM_EXIT_IO_OUT: u32 = 1;

// Byte offsets in `struct kvm_run`.
export const KVM_RUN_EXIT_REASON: u32 = 8;
export const KVM_RUN_IO_DIRECTION: u32 = 32;
export const KVM_RUN_IO_SIZE: u32 = 33;
export const KVM_RUN_IO_PORT: u32 = 34;
export const KVM_RUN_IO_COUNT: u32 = 36;
export const KVM_RUN_IO_DATA_OFFSET: u32 = 40;
export const KVM_RUN_MMIO_PHYS_ADDR: u32 = 32;
export const KVM_RUN_MMIO_DATA: u32 = 40;
export const KVM_RUN_MMIO_LEN: u32 = 48;
export const KVM_RUN_MMIO_IS_WRITE: u32 = 52;
