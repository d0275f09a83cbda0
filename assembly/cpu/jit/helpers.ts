/** What translated code calls, for the host to import it there (vmm/jit/helpers.ts). Here: what is not just a function of the interpreter's. */
import { insns_from, next_rip, start_rip, sys_count } from '../execute/interp_support';
import { STRING_AGAIN, string_op } from '../execute/string';
import { ptr_w_done, ptr_w_slow } from '../memory/mem';
import { sys_op } from '../execute/sysops';
import { block_vars } from '../uop/blocks';
import { Cpu } from '../vcpu/state';

/** After a miss of the TLB: where `size` bytes at `va` can be read and written, 0 at a fault. */
export function jit_rw_slow(cpu: usize, va: u64, size: u32): usize {
  return ptr_w_slow(cpu, va, size, true);
}

export function jit_w_done(cpu: usize, p: usize, va: u64, size: u32): void {
  ptr_w_done(cpu, p, va, size);
}

/** A system instruction, as the dispatcher does it. */
export function jit_sys(cpu: usize, blk: usize, u: usize, left: i32): void {
  block_vars(cpu).jit_taint = 1;
  changetype<Cpu>(cpu).rip = next_rip(cpu, u);
  sys_count(cpu, blk, u, left);
  sys_op(cpu, u);
}

/** A string instruction; not 0: it pauses, rip is its own, and so many counted instructions have not retired. */
export function jit_string(cpu: usize, blk: usize, u: usize): i32 {
  if (string_op(cpu, u) != STRING_AGAIN) return 0;
  block_vars(cpu).jit_taint = 1;
  changetype<Cpu>(cpu).rip = start_rip(cpu, blk, u);
  return insns_from(blk, u);
}
