/**
 * The map of the linear memory: each location is the previous one plus its size.
 *
 * One shared WebAssembly.Memory is one machine. This file is read by AssemblyScript (the core) and by
 * TypeScript (the host), so it holds plain constants only. All offsets
 * are bytes from the start of the linear memory. Pages that nobody touches cost nothing.
 *
 *   0x0000_0000  null page, never used
 *   0x0000_1000  machine header (assembly/core/machine.ts)
 *   0x0000_2000  breakpoints and watchpoints of the software CPU (assembly/cpu/debug/debug.ts)
 *   0x0000_3000  counted runs (assembly/cpu/execute/count.ts)
 *   0x0001_0000  device states, DEVICE_STRIDE each
 *   0x0009_0000  vsock connection table and buffers
 *   0x000d_0000  legacy devices
 *   0x000e_0000  software interrupt controllers
 *   0x0010_0000  read-only static data of the module (asconfig.json memoryBase)
 *   0x0020_0000  kvm_run pages, one stride a vCPU (mapped over by vcpu fds)
 *   0x0030_0000  scratch, one stride a thread
 *   0x0080_0000  software CPU state, one stride a vCPU
 *   0x0100_0000  code marks, dirty bitmap, page generations, line masks
 *   0x0200_0000  decoded blocks
 *   0x0480_0000  requests of file systems, FS_STRIDE a device slot
 *   0x0500_0000  jump caches of the software CPU, one stride a vCPU
 *   0x0580_0000  decoded blocks that come with our own kernel (assembly/cpu/uop/kept.ts)
 *   0x0600_0000  requests of block devices in flight, BLK_STRIDE a device slot
 *   0x0700_0000  log of executed blocks (assembly/cpu/execute/count.ts)
 *   0x0720_0000  translations: hot blocks, results (assembly/cpu/jit/)
 *   0x0800_0000  guest RAM (gpa 0)
 */
export const PAGE_SIZE: u32 = 4096;

export const MACHINE_BASE: u32 = 0x1000;
export const MACHINE_SIZE: u32 = 0x1000;

export const DEBUG_BASE: u32 = 0x2000;
export const DEBUG_SIZE: u32 = 0x1000;

export const COUNT_BASE: u32 = 0x3000;
export const COUNT_SIZE: u32 = 0x1000;

/** Device states: slot n at DEVICE_BASE + n * DEVICE_STRIDE. */
export const DEVICE_BASE: u32 = 0x0001_0000;
export const DEVICE_STRIDE: u32 = 0x4000;
export const DEVICE_MAX: u32 = 32;

export const VSOCK_BASE: u32 = 0x0009_0000;
export const VSOCK_SIZE: u32 = 0x0004_0000;

export const LEGACY_BASE: u32 = 0x000d_0000;
export const LEGACY_SIZE: u32 = 0x0001_0000;
export const SERIAL_STATE: u32 = LEGACY_BASE;
export const I8042_STATE: u32 = LEGACY_BASE + 0x200;
export const RTC_STATE: u32 = LEGACY_BASE + 0x300;
export const CMOS_STATE: u32 = LEGACY_BASE + 0x400;
export const POWER_STATE: u32 = LEGACY_BASE + 0x500;
export const SERIAL_RX: u32 = LEGACY_BASE + 0x1000;

export const IRQCHIP_BASE: u32 = 0x000e_0000;
export const IRQCHIP_SIZE: u32 = 0x0001_0000;

export const STATIC_BASE: u32 = 0x0010_0000;
export const STATIC_SIZE: u32 = 0x0010_0000;

export const VCPU_MAX: u32 = 32;

/** kvm_run of vCPU n at KVM_RUN_BASE + n * KVM_RUN_STRIDE (KVM_GET_VCPU_MMAP_SIZE is 12 KiB). */
export const KVM_RUN_BASE: u32 = 0x0020_0000;
export const KVM_RUN_STRIDE: u32 = 0x4000;

/** Scratch for the calling thread: vCPU n uses n, io VCPU_MAX, main VCPU_MAX + 1. */
export const SCRATCH_BASE: u32 = 0x0030_0000;
export const SCRATCH_STRIDE: u32 = 0x0001_0000;
export const SCRATCH_MAX: u32 = 40;

/** Software CPU: registers, TLBs and local APIC of vCPU n (assembly/cpu/vcpu/state.ts). */
export const CPU_BASE: u32 = 0x0080_0000;
export const CPU_STRIDE: u32 = 0x0004_0000;

/** One byte a guest page: not 0 when decoded code came from that page. */
export const CODE_MARK_BASE: u32 = 0x0100_0000;
/** One bit a guest page: written by a device or the host since the last clear. */
export const DIRTY_BASE: u32 = 0x0110_0000;
/** One u32 a guest page: bumped when decoded code of that page is overwritten. */
export const PAGE_GEN_BASE: u32 = 0x0120_0000;
/** One u64 a guest page: which 64-byte lines hold decoded code. */
export const LINE_MASK_BASE: u32 = 0x0180_0000;

/** Decoded blocks of all vCPUs: with the tables above and the CPU states below 64 MB in all. */
export const BLOCK_BASE: u32 = 0x0200_0000;
export const BLOCK_SIZE: u32 = 0x0280_0000;

/** Requests of the file system in device slot n at FS_BASE + n * FS_STRIDE (assembly/contract/fs.ts). */
export const FS_BASE: u32 = 0x0480_0000;
export const FS_STRIDE: u32 = 0x0004_0000;

/** Jump cache of vCPU n at JUMP_BASE + n * CPU_STRIDE: JUMP_ENTRIES of 16 bytes (assembly/cpu/uop/blocks.ts). */
export const JUMP_BASE: u32 = 0x0500_0000;
export const JUMP_ENTRIES: u32 = 0x2000;

/** Decoded blocks that come with our own kernel, and what tells of them (assembly/cpu/uop/kept.ts). */
export const KEPT_BASE: u32 = 0x0580_0000;
export const KEPT_SIZE: u32 = 0x0080_0000;

/** virtio-blk requests in flight of device slot n at BLK_BASE + n * BLK_STRIDE (assembly/virtio/blk.ts). */
export const BLK_BASE: u32 = 0x0600_0000;
export const BLK_STRIDE: u32 = 0x0008_0000;

/** Executed blocks of the running slice: EXEC_LOG_ENTRY bytes each (assembly/cpu/execute/count.ts). */
export const EXEC_LOG_BASE: u32 = 0x0700_0000;
export const EXEC_LOG_ENTRY: u32 = 16;
export const EXEC_LOG_MAX: u32 = 0x1_0000;

/** Translator of the software CPU: offsets for the host, then one page a vCPU for its hot blocks (assembly/cpu/jit/translation.ts). */
export const JIT_BASE: u32 = 0x0720_0000;
export const JIT_HOT_BASE: u32 = 0x0721_0000;
export const JIT_HOT_STRIDE: u32 = 0x1000;
/** A vCPU that exists for a translation's first call only. */
export const JIT_DUMMY: u32 = 0x0724_0000;
/** Finished translations on their way to their vCPUs, which share this (vmm/jit/mailbox.ts). */
export const JIT_MAIL_BASE: u32 = 0x0780_0000;
export const JIT_MAIL_SIZE: u32 = 0x0080_0000;
/** Lockstep: the state before, and pages as they were (assembly/cpu/jit/check.ts). */
export const JIT_CHECK_BASE: u32 = 0x0730_0000;

/** Linear offset of guest physical address 0. */
export const RAM_BASE: u32 = 0x0800_0000;
/** The most guest RAM a machine may have (the 3 GiB below the MMIO hole). */
export const RAM_MAX: u32 = 0xc000_0000;

// ---- what each range is ----------------------------------------------------------------------------------------

/** Nothing lies there. */
export const RANGE_FREE: u32 = 0;
/** With guest RAM, and with the vCPUs where KVM has them, what a machine consists of that stands between two instructions. */
export const RANGE_STATE: u32 = 1;
/** Follows from the state, or means nothing once all threads stand: zeros do as well. */
export const RANGE_DERIVED: u32 = 2;

/**
 * {start, RANGE_*} of all ranges below RAM_BASE, ascending: each ends where the next one starts. A function, for what nobody
 * calls costs the module nothing.
 */
export function linear_ranges(): StaticArray<u32> {
  return [
    0, RANGE_FREE,
    MACHINE_BASE, RANGE_STATE,
    DEBUG_BASE, RANGE_DERIVED,
    COUNT_BASE, RANGE_STATE,
    COUNT_BASE + COUNT_SIZE, RANGE_FREE,
    DEVICE_BASE, RANGE_STATE,
    VSOCK_BASE, RANGE_STATE,
    LEGACY_BASE, RANGE_STATE,
    IRQCHIP_BASE, RANGE_STATE,
    IRQCHIP_BASE + IRQCHIP_SIZE, RANGE_FREE,
    STATIC_BASE, RANGE_DERIVED,
    KVM_RUN_BASE, RANGE_DERIVED,
    KVM_RUN_BASE + KVM_RUN_STRIDE * VCPU_MAX, RANGE_FREE,
    SCRATCH_BASE, RANGE_DERIVED,
    SCRATCH_BASE + SCRATCH_STRIDE * SCRATCH_MAX, RANGE_FREE,
    CPU_BASE, RANGE_STATE,
    CODE_MARK_BASE, RANGE_DERIVED,
    DIRTY_BASE, RANGE_DERIVED,
    PAGE_GEN_BASE, RANGE_DERIVED,
    LINE_MASK_BASE, RANGE_DERIVED,
    BLOCK_BASE, RANGE_DERIVED,
    FS_BASE, RANGE_STATE,
    JUMP_BASE, RANGE_DERIVED,
    KEPT_BASE, RANGE_DERIVED,
    BLK_BASE, RANGE_STATE,
    EXEC_LOG_BASE, RANGE_DERIVED,
    EXEC_LOG_BASE + EXEC_LOG_ENTRY * EXEC_LOG_MAX, RANGE_FREE,
    JIT_BASE, RANGE_DERIVED,
    JIT_HOT_BASE, RANGE_DERIVED,
    JIT_CHECK_BASE, RANGE_DERIVED,
    JIT_MAIL_BASE, RANGE_DERIVED,
  ];
}

// ---- the guest's physical memory map -------------------------------------------------------------------------

export const VIRTIO_MMIO_GPA: u32 = 0xd000_0000;
export const VIRTIO_MMIO_STRIDE: u32 = 0x1000;
export const VIRTIO_MMIO_SLOTS: u32 = 19;
export const VIRTIO_MMIO_IRQ: u32 = 5;
export const ECAM_GPA: u32 = 0xe000_0000;
export const IOAPIC_GPA: u32 = 0xfec0_0000;
export const LAPIC_GPA: u32 = 0xfee0_0000;
export const KVM_IDENTITY_MAP_GPA: u32 = 0xfffb_c000;
export const KVM_TSS_GPA: u32 = 0xfffb_d000;

export const COM1_PORT: u32 = 0x3f8;
export const COM1_IRQ: u32 = 4;
export const POWER_PORT: u32 = 0x600;
export const MARK_PORT: u32 = 0x601;
export const DEBUG_EXIT_PORT: u32 = 0xf4;
