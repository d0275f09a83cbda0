// Made by scripts/uapi.mjs from Linux Documentation/virt/kvm/api.rst, <linux/kvm.h>, <asm/kvm.h>, <asm/kvm_para.h>; do not edit.

export const KVM_API_VERSION = 12;
export const KVM_GET_API_VERSION = 44544;
export const KVM_CREATE_VM = 44545;
export const KVM_GET_MSR_INDEX_LIST = 0xc004ae02;
export const KVM_CHECK_EXTENSION = 44547;
export const KVM_GET_VCPU_MMAP_SIZE = 44548;
export const KVM_GET_SUPPORTED_CPUID = 0xc008ae05;
export const KVM_CREATE_VCPU = 44609;
export const KVM_SET_USER_MEMORY_REGION = 0x4020ae46;
export const KVM_SET_TSS_ADDR = 44615;
export const KVM_SET_IDENTITY_MAP_ADDR = 0x4008ae48;
export const KVM_CREATE_IRQCHIP = 44640;
export const KVM_IRQ_LINE = 0x4008ae61;
export const KVM_GET_IRQCHIP = 0xc208ae62;
export const KVM_SET_IRQCHIP = 0x8208ae63;
export const KVM_IRQFD = 0x4020ae76;
export const KVM_IOEVENTFD = 0x4040ae79;
export const KVM_SET_CLOCK = 0x4030ae7b;
export const KVM_GET_CLOCK = 0x8030ae7c;
export const KVM_GET_STATS_FD = 44750;
export const KVM_RUN = 44672;
export const KVM_GET_REGS = 0x8090ae81;
export const KVM_SET_REGS = 0x4090ae82;
export const KVM_GET_SREGS = 0x8138ae83;
export const KVM_SET_SREGS = 0x4138ae84;
export const KVM_TRANSLATE = 0xc018ae85;
export const KVM_GET_MSRS = 0xc008ae88;
export const KVM_SET_MSRS = 0x4008ae89;
export const KVM_GET_FPU = 0x81a0ae8c;
export const KVM_SET_FPU = 0x41a0ae8d;
export const KVM_GET_LAPIC = 0x8400ae8e;
export const KVM_SET_LAPIC = 0x4400ae8f;
export const KVM_SET_CPUID2 = 0x4008ae90;
export const KVM_GET_MP_STATE = 0x8004ae98;
export const KVM_SET_MP_STATE = 0x4004ae99;
export const KVM_NMI = 44698;
export const KVM_SET_GUEST_DEBUG = 0x4048ae9b;
export const KVM_GET_VCPU_EVENTS = 0x8040ae9f;
export const KVM_SET_VCPU_EVENTS = 0x4040aea0;
export const KVM_GET_DEBUGREGS = 0x8080aea1;
export const KVM_SET_DEBUGREGS = 0x4080aea2;
export const KVM_GET_XSAVE = 0x9000aea4;
export const KVM_SET_XSAVE = 0x5000aea5;
export const KVM_GET_XCRS = 0x8188aea6;
export const KVM_SET_XCRS = 0x4188aea7;
export const KVM_GET_TSC_KHZ = 44707;
export const KVM_CAP_IRQCHIP = 0;
export const KVM_CAP_IRQFD = 32;
export const KVM_CAP_IOEVENTFD = 36;
export const KVM_CAP_GET_TSC_KHZ = 61;
export const KVM_CAP_TSC_DEADLINE_TIMER = 72;
export const KVM_CAP_IMMEDIATE_EXIT = 136;
export const KVM_CAP_BINARY_STATS_FD = 203;
export const KVM_MEM_LOG_DIRTY_PAGES = 1;
export const KVM_MEM_READONLY = 2;
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
export const KVM_IOEVENTFD_FLAG_PIO = 2;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_INTERNAL_ERROR_EMULATION = 1;
export const KVM_INTERNAL_ERROR_SIMUL_EX = 2;
export const KVM_INTERNAL_ERROR_DELIVERY_EV = 3;
export const KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON = 4;
export const KVM_MP_STATE_UNINITIALIZED = 1;
export const KVM_MP_STATE_INIT_RECEIVED = 2;
export const KVM_MP_STATE_HALTED = 3;
export const KVM_GUESTDBG_ENABLE = 1;
export const KVM_GUESTDBG_SINGLESTEP = 2;
export const KVM_GUESTDBG_USE_SW_BP = 0x10000;
export const KVM_GUESTDBG_USE_HW_BP = 0x20000;
export const KVM_GUESTDBG_INJECT_DB = 0x40000;
export const KVM_GUESTDBG_INJECT_BP = 0x80000;
export const KVM_GUESTDBG_BLOCKIRQ = 0x100000;
export const KVM_CAP_SET_GUEST_DEBUG2 = 195;
export const KVM_IRQCHIP_PIC_MASTER = 0;
export const KVM_IRQCHIP_PIC_SLAVE = 1;
export const KVM_IRQCHIP_IOAPIC = 2;
export const KVM_CPUID_SIGNATURE = 0x40000000;

/** Byte offsets in `struct kvm_userspace_memory_region`, and its size. */
export const kvm_userspace_memory_region = {
  sizeof: 32,
  slot: 0,
  flags: 4,
  guest_phys_addr: 8,
  memory_size: 16,
  userspace_addr: 24,
} as const;

/** Byte offsets in `struct kvm_regs`, and its size. */
export const kvm_regs = {
  sizeof: 144,
  rax: 0,
  rbx: 8,
  rcx: 16,
  rdx: 24,
  rsi: 32,
  rdi: 40,
  rsp: 48,
  rbp: 56,
  r8: 64,
  r9: 72,
  r10: 80,
  r11: 88,
  r12: 96,
  r13: 104,
  r14: 112,
  r15: 120,
  rip: 128,
  rflags: 136,
} as const;

/** Byte offsets in `struct kvm_segment`, and its size. */
export const kvm_segment = {
  sizeof: 24,
  base: 0,
  limit: 8,
  selector: 12,
  type: 14,
  present: 15,
  dpl: 16,
  db: 17,
  s: 18,
  l: 19,
  g: 20,
  avl: 21,
  unusable: 22,
} as const;

/** Byte offsets in `struct kvm_sregs`, and its size. */
export const kvm_sregs = {
  sizeof: 312,
  cs: 0,
  ds: 24,
  es: 48,
  fs: 72,
  gs: 96,
  ss: 120,
  tr: 144,
  ldt: 168,
  gdt_base: 192,
  gdt_limit: 200,
  idt_base: 208,
  idt_limit: 216,
  cr0: 224,
  cr2: 232,
  cr3: 240,
  cr4: 248,
  cr8: 256,
  efer: 264,
  apic_base: 272,
  interrupt_bitmap: 280,
} as const;

/** Byte offsets in `struct kvm_run`, and its size. */
export const kvm_run = {
  sizeof: 2352,
  immediate_exit: 1,
  exit_reason: 8,
  flags: 14,
  hw_hardware_exit_reason: 32,
  fail_entry_hardware_entry_failure_reason: 32,
  internal_suberror: 32,
  internal_ndata: 36,
  internal_data: 40,
  emulation_failure_flags: 40,
  emulation_failure_insn_size: 48,
  emulation_failure_insn_bytes: 49,
  debug_arch_exception: 32,
  debug_arch_pc: 40,
  debug_arch_dr6: 48,
} as const;

/** Byte offsets in `struct kvm_cpuid_entry2`, and its size. */
export const kvm_cpuid_entry2 = {
  sizeof: 40,
  function: 0,
  index: 4,
  flags: 8,
  eax: 12,
  ebx: 16,
  ecx: 20,
  edx: 24,
} as const;

/** Byte offsets in `struct kvm_cpuid2`, and its size. */
export const kvm_cpuid2 = {
  sizeof: 8,
  nent: 0,
  entries: 8,
} as const;

/** Byte offsets in `struct kvm_msr_entry`, and its size. */
export const kvm_msr_entry = {
  sizeof: 16,
  index: 0,
  data: 8,
} as const;

/** Byte offsets in `struct kvm_msrs`, and its size. */
export const kvm_msrs = {
  sizeof: 8,
  nmsrs: 0,
  entries: 8,
} as const;

/** Byte offsets in `struct kvm_msr_list`, and its size. */
export const kvm_msr_list = {
  sizeof: 4,
  nmsrs: 0,
  indices: 4,
} as const;

/** Byte offsets in `struct kvm_fpu`, and its size. */
export const kvm_fpu = {
  sizeof: 416,
  fpr: 0,
  fcw: 128,
  fsw: 130,
  ftwx: 132,
  last_opcode: 134,
  last_ip: 136,
  last_dp: 144,
  xmm: 152,
  mxcsr: 408,
} as const;

/** Byte offsets in `struct kvm_lapic_state`, and its size. */
export const kvm_lapic_state = {
  sizeof: 1024,
} as const;

/** Byte offsets in `struct kvm_mp_state`, and its size. */
export const kvm_mp_state = {
  sizeof: 4,
} as const;

/** Byte offsets in `struct kvm_vcpu_events`, and its size. */
export const kvm_vcpu_events = {
  sizeof: 64,
  flags: 20,
} as const;

/** Byte offsets in `struct kvm_debugregs`, and its size. */
export const kvm_debugregs = {
  sizeof: 128,
  flags: 48,
} as const;

/** Byte offsets in `struct kvm_guest_debug`, and its size. */
export const kvm_guest_debug = {
  sizeof: 72,
  control: 0,
  arch_debugreg: 8,
} as const;

/** Byte offsets in `struct kvm_xsave`, and its size. */
export const kvm_xsave = {
  sizeof: 4096,
} as const;

/** Byte offsets in `struct kvm_xcrs`, and its size. */
export const kvm_xcrs = {
  sizeof: 392,
  flags: 4,
} as const;

/** Byte offsets in `struct kvm_irq_level`, and its size. */
export const kvm_irq_level = {
  sizeof: 8,
  irq: 0,
  level: 4,
} as const;

/** Byte offsets in `struct kvm_irqchip`, and its size. */
export const kvm_irqchip = {
  sizeof: 520,
  chip_id: 0,
  chip: 8,
} as const;

/** Byte offsets in `struct kvm_ioapic_state`, and its size. */
export const kvm_ioapic_state = {
  sizeof: 216,
  redirtbl: 24,
} as const;

/** Byte offsets in `struct kvm_irqfd`, and its size. */
export const kvm_irqfd = {
  sizeof: 32,
  fd: 0,
  gsi: 4,
  flags: 8,
} as const;

/** Byte offsets in `struct kvm_ioeventfd`, and its size. */
export const kvm_ioeventfd = {
  sizeof: 64,
  datamatch: 0,
  addr: 8,
  len: 16,
  fd: 20,
  flags: 24,
} as const;

/** Byte offsets in `struct kvm_clock_data`, and its size. */
export const kvm_clock_data = {
  sizeof: 48,
  clock: 0,
  flags: 8,
} as const;

/** Byte offsets in `struct kvm_translation`, and its size. */
export const kvm_translation = {
  sizeof: 24,
  linear_address: 0,
  physical_address: 8,
  valid: 16,
} as const;

/** Byte offsets in `struct kvm_stats_header`, and its size. */
export const kvm_stats_header = {
  sizeof: 24,
  flags: 0,
  name_size: 4,
  num_desc: 8,
  desc_offset: 16,
  data_offset: 20,
} as const;

/** Byte offsets in `struct kvm_stats_desc`, and its size. */
export const kvm_stats_desc = {
  sizeof: 16,
  flags: 0,
  size: 6,
  offset: 8,
  name: 16,
} as const;
