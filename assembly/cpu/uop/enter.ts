/** How a block's translation is entered: a function of the vCPU's own table, which the host makes (jit/translation.ts). */
import { B_PA2, block_vars } from './blocks';

/** BlockVars.jit: hot blocks are listed and translations entered; each run of one is compared with the interpreter's (check.ts). */
export const JIT_ON: u32 = 1;
export const JIT_CHECK: u32 = 2;

/** JIT_* of how the dispatcher may enter translations: not when each block is traced, nor beside a debugger. */
export function jit_on(cpu: usize, traced: u32): u32 {
  const v = block_vars(cpu);
  return (traced | v.debug) == 0 ? v.jit : 0;
}

/** Runs the translation of `blk`. Returns what is left of `left`, or the complement of it when not even its first block ran. */
export function jit_enter(cpu: usize, blk: usize, target: u64, left: i32): i32 {
  const v = block_vars(cpu);
  const rest = call_indirect<i32>(load<u32>(blk, B_PA2) >> 1, cpu, blk, target, left);
  v.jit_insns += <u64>(left - (rest < 0 ? ~rest : rest));
  return rest;
}
