/** The exports of the core that the translator and its code use. */
export { jit_close, jit_install, jit_offsets, jit_remove, jit_set, jit_threshold } from './translation';
export { jit_rw_slow, jit_string, jit_sys, jit_w_done } from './helpers';
export { alu_generic, unary_generic } from '../execute/alu';
export { bit_generic } from '../execute/bits';
export { xchg_generic } from '../execute/exchange';
export { sse_exec, x87_exec } from '../execute/fpu_link';
export { jump_cached, leave_at, loop_taken } from '../execute/interp_support';
export { misc_op } from '../execute/misc';
export { imul_generic, muldiv } from '../execute/muldiv';
export { shift_generic } from '../execute/shift';
export { stack_op } from '../execute/stackops';
export { rd_slow, wr_slow } from '../memory/mem';
export { code_write } from '../uop/blocks';
export { raise_gp } from '../vcpu/fault';
export { cond, get_cf, get_of } from '../vcpu/flags';
