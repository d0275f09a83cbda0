/**
 * State of one software vCPU, at CPU_BASE + n * CPU_STRIDE in linear memory. The gpr file is addressed as
 * `load<u64>(cpu + (r << 3))`; fields are reached by `changetype<Cpu>(ptr).field`. Owned by the vCPU's thread,
 * except `pending`, `wake` and the LAPIC page, which other threads reach with atomics.
 */
export { FAULT_EXCEPTION, FAULT_LEAVE, REG_BLOCK, REG_TMP0, REG_TMP1, REG_ZERO } from '../../contract/translator';


// Segment indices, in the instruction encoding's order.
export const SEG_ES: u32 = 0;
export const SEG_CS: u32 = 1;
export const SEG_SS: u32 = 2;
export const SEG_DS: u32 = 3;
export const SEG_FS: u32 = 4;
export const SEG_GS: u32 = 5;
export const SEG_LDTR: u32 = 6;
export const SEG_TR: u32 = 7;

/** Offsets of the parts that are arrays. */
export const CPU_SEGS: u32 = 0x0400; // 8 segments × 32 bytes: see SEG_* below
export const CPU_XMM: u32 = 0x0500; // 16 × 16 bytes
export const CPU_FPR: u32 = 0x0600; // 8 × 16 bytes physical x87 registers: u64 significand, u16 sign+exponent (MMX: the significand)
export const CPU_BOUNCE: u32 = 0x0700; // 64-byte bounce buffers for page-crossing operands (4 of them)
export const CPU_SCRATCH: u32 = 0x0800; // FXSAVE image and such, 1 KiB; behind it, at 0x0c00, 1 KiB of the floating-point part (CPU_FPTMP in fp/env.ts)
export const CPU_LAPIC: u32 = 0x1000; // local APIC registers, 4 KiB (assembly/cpu/chips/lapic.ts)
export const CPU_STATS: u32 = 0x2000; // counters, 4 KiB (unknown opcodes, MSRs, TLB misses …)
export const CPU_TLB: u32 = 0x4000; // TLBs (assembly/cpu/memory/tlb.ts): two × 1,024 × 32 bytes, then the lists of used slots
export const CPU_PRIVATE: u32 = 0x2_0000; // per-vCPU working area of the block cache and interpreter, 128 KiB

// A segment: u64 base, u32 limit (bytes, expanded), u32 attr, u16 selector. attr is the descriptor's high dword bits 8..23

/** `fault` values: 0 = none. Set by whatever detects it; the interpreter checks after each step that may fault and leaves the instruction uncommitted. */
export const FAULT_NONE: u32 = 0;
export const FAULT_TRAP: u32 = 2; // as above, but the instruction is committed and rip is the next one (INT3, INTO, single step, data breakpoints)
export const FAULT_HALT: u32 = 4; // HLT committed
export const FAULT_SHUTDOWN: u32 = 5; // triple fault
export const FAULT_EXIT: u32 = 6; // the machine wants out (power event, reset, debug exit)

/** Bits of `pending`, set with atomic or, polled at block entry. */
// translations look at the lowest byte only (vmm/jit/flow.ts)
export const PEND_INTR: u32 = 1; // a maskable interrupt may be deliverable (LAPIC IRR or PIC)
export const PEND_NMI: u32 = 2;
export const PEND_INIT: u32 = 4;
export const PEND_SIPI: u32 = 8;
export const PEND_KICK: u32 = 16; // the host wants the vCPU out of cpu_run
export const PEND_TLB: u32 = 32; // flush the whole TLB (remote request)
export const PEND_TIMER: u32 = 64; // look at the timers
export const PEND_PAUSE: u32 = 128; // stop-the-world for a misaligned locked access by another vCPU

// `intr_shadow` (SDM Vol. 3A §6.8.3).
export const SHADOW_STI: u32 = 1; // holds back maskable interrupts and NMIs
export const SHADOW_SS: u32 = 2; // after MOV and POP to SS: debug exceptions too

@unmanaged
export class Cpu {
  // 0x000: general registers rax rcx rdx rbx rsp rbp rsi rdi r8..r15, then the pseudo registers
  r0: u64; r1: u64; r2: u64; r3: u64; r4: u64; r5: u64; r6: u64; r7: u64;
  r8: u64; r9: u64; r10: u64; r11: u64; r12: u64; r13: u64; r14: u64; r15: u64;
  zero: u64; block: u64; tmp0: u64; tmp1: u64; tmp2: u64; tmp3: u64; tmp4: u64; tmp5: u64;
  // 0x0c0
  rip: u64;
  // Lazy flags (assembly/cpu/vcpu/flags.ts): result and operands of the last flag-setting operation.
  flag_res: u64;
  flag_a: u64;
  flag_b: u64;
  flag_op: u32; // FLAG_* operation and operand size; FLAG_EXPLICIT: all six are in `eflags`
  eflags: u32; // the non-arithmetic bits always (TF IF DF IOPL NT RF AC ID, bit 1), arithmetic ones when explicit
  fault: u32;
  fault_vector: u32;
  fault_error: u32;
  pending: u32; // atomic
  wake: u32; // atomic: counter that HLT waits on
  cpl: u32;
  mode: u32; // decode mode: MODE_* bits in assembly/cpu/vcpu/modes.ts, part of a block's key
  a20_unused: u32;
  icount: u64; // retired instructions (REP iterations not included)
  rep_count: u64; // REP iterations beyond the first
  cr0: u64;
  cr2: u64;
  cr3: u64;
  cr4: u64;
  efer: u64;
  dr0: u64; dr1: u64; dr2: u64; dr3: u64; dr6: u64; dr7: u64;
  gdtr_base: u64;
  idtr_base: u64;
  gdtr_limit: u32;
  idtr_limit: u32;
  star: u64;
  lstar: u64;
  cstar: u64;
  fmask: u64;
  kernel_gs_base: u64;
  sysenter_cs: u64;
  sysenter_esp: u64;
  sysenter_eip: u64;
  tsc_aux: u64;
  tsc_offset: u64;
  apic_base: u64;
  pat: u64;
  mxcsr: u32;
  fcw: u32;
  fsw: u32; // TOP in bits 11..13 as architected
  ftw: u32; // 8 × 2 tag bits, architected full form
  fop: u32;
  fip_sel: u32;
  fdp_sel: u32;
  index: u32; // vCPU number
  fip: u64;
  fdp: u64;
  halted: u32; // waiting in HLT
  wait_sipi: u32; // after INIT
  intr_shadow: u32; // SHADOW_*: no interrupt before the next instruction retires
  run_state: u32;
  tsc_deadline: u64;
  budget: i32; // instructions left in this cpu_run slice
  exit_reason: u32;
  // ---- appended by the system side (mmu.ts, exception.ts, timer.ts, reset.ts) ----
  tlb: u32; // the TLB table of the current privilege level (tlb.ts); follows cpl, see set_cpl in segment.ts
  ram_size: u32; // bytes of guest RAM from gpa 0, a multiple of 4096
  paging: u32; // PAGING_* of tlb.ts, follows CR0, CR4 and EFER
  tlb_gen: u32; // bumped by each TLB flush: what was learnt about mappings of lower addresses (bit 63 clear) before is void
  tlb_gen_high: u32; // the same for higher ones; behind tlb_gen (tlb.ts)
  tlb_high_local: u32; // not 0: something was learnt of a higher page that is not global
  tlb_pad: u32;
  tlb_used_user: u32; // used slots in each table's list
  tlb_used_sys: u32;
  large_2m: u64; // hashed set of 2 MiB regions that have pieces of large pages in the TLB
  large_1g: u64;
  walk_pa1: u64; walk_pte1: u64; // the entries of the last page walk, level 1 first
  walk_pa2: u64; walk_pte2: u64;
  walk_pa3: u64; walk_pte3: u64;
  walk_pa4: u64; walk_pte4: u64;
  nmi_blocked: u32; // between NMI delivery and IRET
  sipi_vector: u32; // atomic: vector of the last start-up IPI
  delivering: u32; // 1 + vector while an event is being delivered: a fault then may make #DF
  profile: u32; // CPU model: PROFILE_* of cpuid.ts
  cpus: u32; // number of vCPUs of the machine
  time_mode: u32; // 0: TSC = host ns + tsc_offset; k: TSC = icount × k + idle_ns + tsc_offset
  idle_ns: u64; // virtual time in which this vCPU retired nothing: in HLT, or while others had their turn (time_mode ≠ 0)
  tsc_last: u64; // the TSC never runs backward
  misc_enable: u64;
  steal_time: u64; // KVM paravirtual MSRs, as written
  async_pf: u64;
  poll_control: u64;
  pv_unhalt: u32; // atomic: a kick that arrived before HLT
  poll_at: u32; // low bits of icount when timers were looked at last (run.ts)
  trace: u32; // TRACE_* of count.ts: what is done at each block's entry
  trace_pad: u32;
  stuck_at: u64; // counted time: icount when an instruction last did not get done (run.ts)
  mtrr_def_type: u64; // IA32_MTRR_DEF_TYPE
}
