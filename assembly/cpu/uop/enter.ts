/** How a block's translation is entered: a function of the vCPU's own table, which the host makes (jit/translation.ts). */
import { Cpu } from '../vcpu/state';
import { B_PA2, block_vars, TABLE_SHIFT } from './blocks';

/** BlockVars.jit: hot blocks are listed and translations entered; each run of one is compared with the interpreter's (check.ts). */
export const JIT_ON: u32 = 1;
export const JIT_CHECK: u32 = 2;

/** JIT_* of how the dispatcher may enter translations: not when each block is traced, nor beside a debugger. */
export function jit_on(cpu: usize, traced: u32): u32 {
  const v = block_vars(cpu);
  return (traced | v.debug) == 0 ? v.jit : 0;
}

/**
 * A budget that is neither exact nor that of counted time may be overrun by so many instructions: more than any region has. So a slice that
 * ends in a translation ends where that may be entered again, and not behind a stretch of interpreted blocks.
 */
const SLACK: i32 = 4096;

/**
 * Runs the translation of `blk`. Returns what is left of `left`, less than 0 when it was overrun; BlockVars.jit_next and jit_cold tell what
 * is next.
 */
export function jit_enter(cpu: usize, blk: usize, target: u64, left: i32): i32 {
  const v = block_vars(cpu);
  const slack = v.exact | changetype<Cpu>(cpu).time_mode ? 0 : SLACK;
  v.icount_end += <u64>slack;
  const rest = call_indirect<i32>(load<u32>(blk, B_PA2) >> TABLE_SHIFT, cpu, blk, target, left + slack);
  v.icount_end -= <u64>slack;
  v.jit_cold = u32(rest < 0);
  const now = (rest < 0 ? ~rest : rest) - slack;
  v.jit_insns += <u64>(left - now);
  return now;
}
