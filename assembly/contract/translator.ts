/** What the interpreter and the translator (vmm/jit/) agree on about micro-ops, decoded blocks, faults and flags. Plain constants only. */

// assembly/cpu/vcpu/state.ts
/** Pseudo registers behind the 16 general ones: micro-ops name them like any register. */
export const REG_ZERO: u32 = 16; // always 0
export const REG_BLOCK: u32 = 17; // linear address (virtual) of the running block's first byte, set at block entry: RIP-relative operands add to it
export const REG_TMP0: u32 = 18;
export const REG_TMP1: u32 = 19;
export const FAULT_EXCEPTION: u32 = 1; // deliver `fault_vector` with `fault_error` (valid for vectors that push one), rip = start of the instruction
export const FAULT_LEAVE: u32 = 3; // the instruction is committed; leave the block because CPU state, mappings or code changed

// assembly/cpu/vcpu/flags.ts
export const FLAG_SHIFT: u32 = 8; // res; a = CF, b = OF (shifts, multiplications)
export const FLAG_OVER: u32 = 0x100;
export const FLAG_OVER_CF: u32 = 9; // shift counts
export const FLAG_OVER_OF: u32 = 10;

// assembly/cpu/fp/
export const CR4_OSFXSR: u32 = 0x200;
/** Rounding bits, PM and PE of MXCSR, and what they are where results may be the host's. */
export const MX_FAST_MASK: u32 = 0x7020;
export const MX_FAST: u32 = 0x1020;

// assembly/cpu/vcpu/modes.ts
export const MODE_64: u32 = 2; // 64-bit mode; neither bit: 16-bit code
export const MODE_USER: u32 = 16; // CPL 3
export const MODE_STEP: u32 = 64; // blocks of one instruction: single step, breakpoints, exact budgets, interrupt shadows

// assembly/cpu/uop/uop.ts
export const UOP_SIZE: u32 = 16;
export const INDEX_ADDR32: u32 = 4;

// assembly/cpu/execute/alu.ts
export const G_LOCK: u32 = 0x200;
export const G_MI: u32 = 0xff;

// assembly/cpu/uop/blocks.ts
export const B_PA: u32 = 4;
export const B_MODE: u32 = 8;
export const B_GEN: u32 = 12;
export const B_GEN_AT: u32 = 16;
export const B_INSNS: u32 = 20;
export const B_BYTES: u32 = 22;
export const B_PA2: u32 = 24;
/** Of a translated block: table index << TABLE_SHIFT | number of the entry << 1 | 1. */
export const TABLE_SHIFT: u32 = 9;
export const B_GEN2: u32 = 28;
export const B_UOPS: u32 = 32;
export const NO_PAGE: u32 = 0xffff_ffff;
export const BLOCK_INSNS: u32 = 64;
/** Room a block may need: 64 instructions of at most 8 micro-ops, links included, and the header. */
export const BLOCK_ROOM: u32 = B_UOPS + (BLOCK_INSNS * 8 + 8) * UOP_SIZE;
/** A vCPU's share of the BLOCK area is a multiple of this. */
export const SHARE_UNIT: u32 = 0x1_0000;
/** Its hash table has an entry for so many bytes of it, rounded up to a power of two, and at least HASH_LEAST. */
export const HASH_BYTES: u32 = 256;
export const HASH_LEAST: u32 = 1024;

// assembly/cpu/jit/translation.ts: from JIT_HOT_BASE + index * JIT_HOT_STRIDE
export const HOT_TAKEN: u32 = 0;
export const HOT_PUT: u32 = 4;
export const HOT_LOST: u32 = 8;
export const HOT_NEAR: u32 = 12;
/** JIT_HOT_MAX entries of { u32 block, u32 flushes }. */
export const HOT_LIST: u32 = 16;
export const JIT_HOT_MAX: u32 = 256;
/** u32 number, then so many u32, USED_MAX at most. */
export const USED_LIST: u32 = HOT_LIST + JIT_HOT_MAX * 8;
export const USED_MAX: u32 = 64;
/** The threshold of a vCPU that is not young, for the host. */
export const HOT_THRESHOLD: u32 = 0x920;

// assembly/cpu/execute/interp_support.ts
/** A link's generation when source and target share a page: no mapping can come between. */
export const LINK_ALWAYS: u32 = 0xffff_ffff;
