/** Micro-ops of stack and branches. */
import { Dec } from './decode';
import { EMIT_END, EMIT_ON, next_address, prepare, put_link, put_mem, put_op, rm_value, RSP8, sys, TMP0, TMP1 } from './emit-uop';
import * as O from '../uop/generated/ops';
import { MODE_64 } from '../vcpu/modes';
import * as T from '../execute/stackops';
import * as S from '../execute/sysops';
import { U_BASE, U_DISP, U_IMM, U_OP } from '../uop/uop';

// ---- stack -----------------------------------------------------------------------------------------------------------

export function stack_g(d: Dec, what: u32, a: u32, disp: i32): u32 {
  put_op(d, O.OP_STACK_G, a, 0, disp, what | ((1 << d.opsize) << 8));
  return EMIT_ON;
}

export function quick_stack(d: Dec): bool {
  return d.mode & MODE_64 && d.opsize == 3 ? true : false;
}

export function push_reg(d: Dec, n: u32): u32 {
  if (quick_stack(d)) put_op(d, O.OP_PUSH64, n << 3, 0, 0, 0);
  else stack_g(d, T.ST_PUSH_R, n << 3, 0);
  return EMIT_ON;
}

export function pop_reg(d: Dec, n: u32): u32 {
  if (quick_stack(d)) put_op(d, O.OP_POP64, n << 3, 0, 0, 0);
  else stack_g(d, T.ST_POP_R, n << 3, 0);
  return EMIT_ON;
}

export function push_mem(d: Dec): u32 {
  if (!d.mem) return push_reg(d, d.rm);
  if (quick_stack(d)) {
    const r = rm_value(d, 3);
    put_op(d, O.OP_PUSH64, r, 0, 0, 0);
    return EMIT_ON;
  }
  prepare(d, 1 << d.opsize, false);
  put_mem(d, O.OP_STACK_G, 0, 0, T.ST_PUSH_M | ((1 << d.opsize) << 8));
  return EMIT_ON;
}

export function pop_mem(d: Dec): u32 {
  if (!d.mem) return pop_reg(d, d.rm);
  if ((d.base & 0xf8) == RSP8) d.disp += 1 << d.opsize; // the address is computed after the pop
  prepare(d, 1 << d.opsize, true);
  put_mem(d, O.OP_STACK_G, 0, 0, T.ST_POP_M | ((1 << d.opsize) << 8));
  return EMIT_ON;
}

// ---- branches ---------------------------------------------------------------------------------------------------------

/** Target of a relative branch, from the block's first byte; outside 64-bit mode it wraps as addresses do. */
function target(d: Dec): i32 {
  return <i32>d.imm + <i32>(d.off + d.pos);
}

/** 64-bit mode: the target is more than 2 GiB from the block's first byte (from the branch's end it never is). */
function far(d: Dec): bool {
  return <i64>d.imm + d.off + d.pos != <i64>target(d);
}

/** Leaves a far target's address in TMP1. */
function far_target(d: Dec): void {
  next_address(d, TMP1);
  put_op(d, O.OP_LEA64_BIS, TMP1, 0, <i32>d.imm, 0);
  store<u8>(d.last, TMP1, U_BASE);
}

export function jump(d: Dec): u32 {
  if (d.mode & MODE_64) {
    if (far(d)) {
      far_target(d);
      put_op(d, O.OP_JMP_R, TMP1, 0, 0, 0);
      return EMIT_END;
    }
    put_op(d, O.OP_JMP, 0, 0, target(d), 0);
    put_link(d);
  } else put_op(d, O.OP_JMP_SLOW, 0, 0, target(d), 1 << d.opsize);
  return EMIT_END;
}

/** Fuses with a compare directly before it, uses what is known about the last flags, or asks for the general condition. */
export function jump_cond(d: Dec, prev: u32, prev_flags: u32): u32 {
  const cc = d.opcode & 15;
  if (!(d.mode & MODE_64)) {
    put_op(d, O.OP_JCC_SLOW, cc, 0, target(d), 1 << d.opsize);
    return EMIT_END;
  }
  if (far(d)) {
    far_target(d);
    next_address(d, TMP0);
    put_op(d, O.OP_CMOV_RR64, TMP0, TMP1, <i32>cc, 0);
    put_op(d, O.OP_JMP_R, TMP0, 0, 0, 0);
    return EMIT_END;
  }
  if (prev) {
    const op: u32 = load<u16>(prev, U_OP);
    let row: i32 = -1;
    if (op == O.OP_CMP_RR32) row = 0;
    else if (op == O.OP_TEST_RR32) row = 1;
    else if (op == O.OP_CMP_RR64) row = 2;
    else if (op == O.OP_TEST_RR64) row = 3;
    else if (op == O.OP_CMP_RI32) row = 4;
    else if (op == O.OP_TEST_RI32) row = 5;
    else if (op == O.OP_CMP_RI64) row = 6;
    else if (op == O.OP_TEST_RI64) row = 7;
    if (row >= 0) {
      const fused: u32 = load<u16>(changetype<usize>(O.OP_FUSED) + (((<u32>row << 4) + cc) << 1));
      if (fused) {
        // the compare's micro-op becomes both: its immediate moves to imm, disp is the target
        store<u16>(prev, <u16>fused, U_OP);
        store<u32>(prev, load<u32>(prev, U_DISP), U_IMM);
        store<i32>(prev, target(d), U_DISP);
        d.last = prev;
        put_link(d);
        put_link(d);
        return EMIT_END;
      }
    }
  }
  let op = O.OP_JCC;
  if (prev_flags & (O.ATTR_LAZY | O.ATTR_SUB)) {
    if (cc == 4) op = O.OP_JCC_RES_Z;
    else if (cc == 5) op = O.OP_JCC_RES_NZ;
    else if (cc == 8) op = O.OP_JCC_RES_S;
    else if (cc == 9) op = O.OP_JCC_RES_NS;
  }
  if (prev_flags & O.ATTR_SUB && op == O.OP_JCC) {
    if (cc == 2) op = O.OP_JCC_SUB_B;
    else if (cc == 3) op = O.OP_JCC_SUB_NB;
    else if (cc == 6) op = O.OP_JCC_SUB_BE;
    else if (cc == 7) op = O.OP_JCC_SUB_NBE;
    else if (cc == 12) op = O.OP_JCC_SUB_L;
    else if (cc == 13) op = O.OP_JCC_SUB_NL;
    else if (cc == 14) op = O.OP_JCC_SUB_LE;
    else if (cc == 15) op = O.OP_JCC_SUB_NLE;
  }
  put_op(d, op, cc, 0, target(d), 0);
  put_link(d);
  put_link(d);
  return EMIT_END;
}

export function loop(d: Dec): u32 {
  const slow = !(d.mode & MODE_64);
  put_op(d, slow ? O.OP_LOOP_SLOW : O.OP_LOOP, d.opcode & 3, d.adsize, target(d), 1 << d.opsize);
  if (!slow) {
    put_link(d);
    put_link(d);
  }
  return EMIT_END;
}

export function call(d: Dec): u32 {
  if (d.mode & MODE_64) {
    if (far(d)) {
      far_target(d);
      put_op(d, O.OP_CALL_R, TMP1, 0, 0, 0);
      return EMIT_END;
    }
    put_op(d, O.OP_CALL, 0, 0, target(d), 0);
    put_link(d);
    return EMIT_END;
  }
  return sys(d, S.S_CALL, 0, 0, target(d), 0);
}

export function indirect(d: Dec, is_call: bool): u32 {
  if (d.mode & MODE_64) {
    if (d.mem) {
      prepare(d, 8, false);
      put_mem(d, is_call ? O.OP_CALL_M : O.OP_JMP_M, 0, 0, 0);
    } else put_op(d, is_call ? O.OP_CALL_R : O.OP_JMP_R, d.rm << 3, 0, 0, 0);
    return EMIT_END;
  }
  const r = rm_value(d, d.opsize);
  return sys(d, is_call ? S.S_CALLN : S.S_JMPN, r, 0, 0, 0);
}
