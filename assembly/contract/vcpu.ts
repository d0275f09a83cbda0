/** What the core's functions for vCPUs take and return. Both compilers read this folder: plain constants only. */

// What `kvm_exit` returns.
export const VCPU_RUN: i32 = 0; // enter the guest again
export const VCPU_INTR: i32 = 1; // a signal: look at commands, then enter again
export const VCPU_HLT: i32 = 2; // HLT without an in-kernel local APIC
export const VCPU_SHUTDOWN: i32 = 3; // triple fault
export const VCPU_FAIL_ENTRY: i32 = 4;
export const VCPU_INTERNAL_ERROR: i32 = 5;
export const VCPU_SYSTEM_EVENT: i32 = 6;
export const VCPU_DEBUG: i32 = 7;
export const VCPU_EOI: i32 = 8; // split irqchip: a level-triggered vector ended
export const VCPU_UNKNOWN: i32 = 9;
export const VCPU_EVENT: i32 = 16; // the machine ends: machine_exit_request() says how

// What `cpu_run` returns.
export const RUN_BUDGET: i32 = 0; // its instructions are used up
export const RUN_HALT: i32 = 1; // HLT, or not started yet: wait by cpu_wait
export const RUN_KICK: i32 = 2; // cpu_kick: look at commands
export const RUN_SHUTDOWN: i32 = 3; // triple fault
export const RUN_EXIT: i32 = 4; // the machine ends: machine_exit_request() says how
export const RUN_DEBUG: i32 = 5; // debug_reason() says why

/** CPU models of `cpu_reset`. */
export const PROFILE_BASELINE: u32 = 0;
export const PROFILE_V2: u32 = 1; // x86-64-v2: SSE3, SSSE3, SSE4.1, SSE4.2, POPCNT, CX16

/** Fields of a vCPU's state that `cpu_field` names; 8 bytes wide unless noted. */
export const FIELD_GPR: u32 = 0; // 16 × u64
export const FIELD_RIP: u32 = 1;
export const FIELD_SEGS: u32 = 2; // 8 × SEG_SIZE: SEG_*
export const FIELD_XMM: u32 = 3; // 16 × 16 bytes
export const FIELD_FPR: u32 = 4; // 8 × 16 bytes
export const FIELD_CR0: u32 = 5;
export const FIELD_CR2: u32 = 6;
export const FIELD_CR3: u32 = 7;
export const FIELD_CR4: u32 = 8;
export const FIELD_EFER: u32 = 9;
export const FIELD_ICOUNT: u32 = 10;
export const FIELD_CPL: u32 = 11; // u32
export const FIELD_PENDING: u32 = 12; // u32, atomic
export const FIELD_WAKE: u32 = 13; // u32, atomic
export const FIELD_STATS: u32 = 14; // see stats.ts
export const FIELD_HALTED: u32 = 15; // u32
export const FIELD_KERNEL_GS: u32 = 16;
export const FIELD_GDTR: u32 = 17; // u64 base
export const FIELD_IDTR: u32 = 18; // u64 base
export const FIELD_MXCSR: u32 = 19; // u32
export const FIELD_FCW: u32 = 20; // u32, then FSW, FTW, FOP, the selectors of FIP and FDP, one word, FIP and FDP (8 bytes each)
export const FIELD_DR: u32 = 21; // DR0..DR3, DR6, DR7
export const FIELD_FAULT: u32 = 22; // u32 fault, vector, error
export const FIELD_REP: u32 = 23; // REP iterations
export const FIELD_LAPIC: u32 = 24; // registers at their architectural offsets
export const FIELD_WAIT_SIPI: u32 = 25; // u32

/**
 * A segment: u64 base, u32 limit (bytes, expanded), u32 attr, u16 selector. attr is the descriptor's high dword bits 8..23 (type, S, DPL,
 * P, AVL, L, D/B, G), shifted right by 8. They lie in the instruction encoding's order: ES CS SS DS FS GS LDTR TR.
 */
export const SEG_BASE: u32 = 0;
export const SEG_LIMIT: u32 = 8;
export const SEG_ATTR: u32 = 12;
export const SEG_SELECTOR: u32 = 16;
export const SEG_SIZE: u32 = 32;

/** The IOAPIC's redirection entries, IOAPIC_PINS × u64, from IRQCHIP_BASE. */
export const IOAPIC_TABLE: u32 = 0x110;

/** Why cpu_run returned RUN_DEBUG (`debug_reason`). */
export const DEBUG_STEP: u32 = 0;
export const DEBUG_AT_BREAK: u32 = 1;
export const DEBUG_READ: u32 = 2;
export const DEBUG_WRITE: u32 = 3;
/** Breakpoints and watchpoints that there may be. */
export const BREAK_MAX: u32 = 256;
export const WATCH_MAX: u32 = 32;
// Bits of `debug_watch`'s accesses.
export const WATCH_READ: u32 = 1;
export const WATCH_WRITE: u32 = 2;

// Bits of `count_trace`: what is done at each block's entry.
export const TRACE_LOG: u32 = 1;
