/**
 * Decoded blocks that come with our own kernel, from KEPT_BASE: the build writes them (scripts/kept-blocks/), the host loads them
 * (vmm/core/kept-blocks.ts), the core uses them (assembly/cpu/uop/kept.ts). u32 unless noted. Plain constants only.
 */
export const KEPT_USED: u32 = 0; // 1: in use
export const KEPT_MODE: u32 = 4; // MODE_* of all blocks
export const KEPT_FIRST: u32 = 8; // first page
export const KEPT_PAGES: u32 = 12; // number of pages
export const KEPT_FLUSHES: u32 = 16; // BlockVars.flushes when the first page was adopted, or NO_FLUSHES
export const KEPT_PAGES_USED: u32 = 20; // pages adopted
export const KEPT_BLOCKS_USED: u32 = 24; // blocks in them
export const KEPT_RECORDS: u32 = 64; // for each page, the address of its record or 0
export const NO_FLUSHES: u32 = 0xffff_ffff;

// A page's record. Bytes of the runs: all that blocks were made of, run behind run.
export const R_GEN: u32 = 0; // the page's generation when it was adopted last
export const R_BLOCK: u32 = 4; // first block; the others lie behind it
export const R_BLOCKS: u32 = 8; // number of blocks
export const R_RUNS: u32 = 12; // number of runs
export const R_LINES: u32 = 16; // u64, lines that hold code (assembly/core/code.ts)
export const R_KNOWN: u32 = 24; // 1: it has been adopted
export const R_BYTES: u32 = 28; // address of the runs' bytes
export const R_LIST: u32 = 32; // each run, then each block's length in units of UOP_SIZE as u16
// A run.
export const RUN_FROM: u32 = 0; // u16, offset in the page
export const RUN_LENGTH: u32 = 2; // u16
export const RUN_SIZE: u32 = 4;
export const KEPT_SIZE_BYTES: u32 = 2; // of a block's length
