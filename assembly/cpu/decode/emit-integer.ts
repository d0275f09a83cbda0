/** Micro-ops of the integer instructions. */
import { ALU_CMP, G_LOCK, G_MI, G_MR, G_RI, G_RM, G_RR } from '../execute/alu';
import { BIT_MOVED } from '../execute/bits';
import { Dec, PLACE_ZERO, segmented } from './decode';
import { EMIT_ON, place, prepare, put_mem, put_op, rip_relative, rm_value, simple, TMP1, undefined_op } from './emit-uop';
import { X_XCHG } from '../execute/exchange';
import * as O from '../uop/generated/ops';
import * as K from './generated/optab';
import * as M from '../execute/misc';
import { MODE_64 } from '../vcpu/modes';
import { INDEX_ADDR32 } from '../uop/uop';

export function alu(d: Dec, op: u32, form: u32, size: u32): u32 {
  const imm = <i32>d.imm;
  const rr = place(d, d.reg, size);
  const rm = place(d, d.rm, size);
  const write = op < ALU_CMP;
  const w = size - 2;
  const compare8 = size == 0 && !write ? true : false;
  const c8 = op == ALU_CMP ? O.OP_CMP_RR8 : O.OP_TEST_RR8; // then RI, RM, MR, MI
  const desc = op | (size << 4);
  if (form == K.FORM_AI) {
    if (size >= 2) put_op(d, O.OP_ADD_RI32 + op * 2 + w, 0, 0, imm, 0);
    else if (compare8) put_op(d, c8 + 1, 0, 0, imm, 0);
    else put_op(d, O.OP_ALU_G, 0, 0, imm, desc | (G_RI << 6));
    return EMIT_ON;
  }
  if (!d.mem) {
    if (form == K.FORM_EI) {
      if (size >= 2) put_op(d, O.OP_ADD_RI32 + op * 2 + w, rm, 0, imm, 0);
      else if (compare8) put_op(d, c8 + 1, rm, 0, imm, 0);
      else put_op(d, O.OP_ALU_G, rm, 0, imm, desc | (G_RI << 6));
      return EMIT_ON;
    }
    const a = form == K.FORM_EG ? rm : rr;
    const b = form == K.FORM_EG ? rr : rm;
    if (size >= 2) put_op(d, O.OP_ADD_RR32 + op * 2 + w, a, b, 0, 0);
    else if (compare8) put_op(d, c8, a, b, 0, 0);
    else put_op(d, O.OP_ALU_G, a, b, 0, desc | (G_RR << 6));
    return EMIT_ON;
  }
  prepare(d, 1 << size, write && form != K.FORM_GE);
  if (form == K.FORM_GE) {
    if (size >= 2) put_mem(d, O.OP_ADD_RM32 + op * 2 + w, rr, 0, 0);
    else if (compare8) put_mem(d, c8 + 2, rr, 0, 0);
    else put_mem(d, O.OP_ALU_G, rr, 0, desc | (G_RM << 6));
  } else if (form == K.FORM_EG) {
    if (d.lock) put_mem(d, O.OP_ALU_G, rr, 0, desc | (G_MR << 6) | G_LOCK);
    else if (size >= 2) put_mem(d, O.OP_ADD_MR32 + op * 2 + w, rr, 0, 0);
    else if (compare8) put_mem(d, c8 + 3, rr, 0, 0);
    else put_mem(d, O.OP_ALU_G, rr, 0, desc | (G_MR << 6));
  } else if (size >= 2 && !d.lock) put_mem(d, O.OP_ADD_MI32 + op * 2 + w, 0, 0, <u32>imm);
  else if (compare8) put_mem(d, c8 + 4, 0, 0, <u32>imm);
  else put_mem(d, O.OP_ALU_G, op | (size << 4) | (d.lock ? 0x40 : 0), G_MI, <u32>imm);
  return EMIT_ON;
}

export function mov(d: Dec, form: u32, size: u32): u32 {
  const rr = place(d, d.reg, size);
  const rm = place(d, d.rm, size);
  if (form == K.FORM_ZI) {
    const r = place(d, (d.opcode & 7) | ((d.rex & 1) << 3), size);
    if (size == 3 && d.imm != <u64><i64><i32>d.imm) {
      put_op(d, O.OP_MOV_RI64, r, 0, <i32>d.imm, <u32>(d.imm >> 32));
    } else put_op(d, size == 0 ? O.OP_MOV_RI8 : size == 1 ? O.OP_MOV_RI16 : size == 2 ? O.OP_MOV_RI32 : O.OP_MOV_RI64S, r, 0, <i32>d.imm, 0);
    return EMIT_ON;
  }
  if (form == K.FORM_EI) {
    if (!d.mem) put_op(d, size == 0 ? O.OP_MOV_RI8 : size == 1 ? O.OP_MOV_RI16 : size == 2 ? O.OP_MOV_RI32 : O.OP_MOV_RI64S, rm, 0, <i32>d.imm, 0);
    else {
      prepare(d, 1 << size, true);
      put_mem(d, O.OP_STI8 + size, 0, 0, <u32>d.imm);
    }
    return EMIT_ON;
  }
  if (!d.mem) {
    const op = size == 0 ? O.OP_MOV_RR8 : size == 1 ? O.OP_MOV_RR16 : size == 2 ? O.OP_MOV_RR32 : O.OP_MOV_RR64;
    if (form == K.FORM_EG) put_op(d, op, rm, rr, 0, 0);
    else put_op(d, op, rr, rm, 0, 0);
    return EMIT_ON;
  }
  prepare(d, 1 << size, form == K.FORM_EG);
  const bd = simple(d);
  let op: u32;
  if (form == K.FORM_EG) {
    op = size == 0 ? (bd ? O.OP_ST8_BD : O.OP_ST8) : size == 1 ? O.OP_ST16 : size == 2 ? (bd ? O.OP_ST32_BD : O.OP_ST32) : bd ? O.OP_ST64_BD : O.OP_ST64;
  } else op = size == 0 ? O.OP_LD8 : size == 1 ? O.OP_LD16 : size == 2 ? (bd ? O.OP_LD32_BD : O.OP_LD32) : bd ? O.OP_LD64_BD : O.OP_LD64;
  put_mem(d, op, rr, 0, 0);
  return EMIT_ON;
}

/** MOV to and from an absolute address. */
export function mov_offset(d: Dec, store_it: bool, size: u32): u32 {
  d.base = PLACE_ZERO;
  d.index = PLACE_ZERO;
  d.disp = 0;
  d.stack_base = 0;
  put_op(d, O.OP_MOV_RI64, TMP1, 0, <i32>d.imm, <u32>(d.imm >> 32));
  d.base = TMP1;
  prepare(d, 1 << size, store_it);
  let op: u32;
  if (store_it) op = size == 0 ? O.OP_ST8 : size == 1 ? O.OP_ST16 : size == 2 ? O.OP_ST32 : O.OP_ST64;
  else op = size == 0 ? O.OP_LD8 : size == 1 ? O.OP_LD16 : size == 2 ? O.OP_LD32 : O.OP_LD64;
  put_mem(d, op, 0, 0, 0);
  return EMIT_ON;
}

export function extend(d: Dec, signed: bool, from: u32): u32 {
  const to = d.opsize;
  const dst = d.reg << 3;
  if (to == 1) {
    const src = rm_value(d, from);
    if (from == 1) put_op(d, O.OP_MOV_RR16, dst, src, 0, 0);
    else put_op(d, O.OP_MISC, dst, src, 0, signed ? M.M_MOVSX16 : M.M_MOVZX16);
    return EMIT_ON;
  }
  if (d.mem) {
    prepare(d, 1 << from, false);
    let op: u32;
    if (!signed) op = from == 0 ? (simple(d) ? O.OP_LDZX8_BD : O.OP_LDZX8) : O.OP_LDZX16;
    else if (to == 3) op = from == 0 ? O.OP_LDSX8_64 : O.OP_LDSX16_64;
    else op = from == 0 ? O.OP_LDSX8_32 : O.OP_LDSX16_32;
    put_mem(d, op, dst, 0, 0);
    return EMIT_ON;
  }
  const src = place(d, d.rm, from);
  let op: u32;
  if (!signed) op = from == 0 ? O.OP_MOVZX8 : O.OP_MOVZX16;
  else if (to == 3) op = from == 0 ? O.OP_MOVSX8_64 : O.OP_MOVSX16_64;
  else op = from == 0 ? O.OP_MOVSX8_32 : O.OP_MOVSX16_32;
  put_op(d, op, dst, src, 0, 0);
  return EMIT_ON;
}

export function movsxd(d: Dec): u32 {
  if (!(d.mode & MODE_64)) return undefined_op(d); // ARPL: not offered
  const dst = d.reg << 3;
  if (d.opsize == 3) {
    if (d.mem) {
      prepare(d, 4, false);
      put_mem(d, O.OP_LDSX32_64, dst, 0, 0);
    } else put_op(d, O.OP_MOVSX32_64, dst, d.rm << 3, 0, 0);
    return EMIT_ON;
  }
  const src = rm_value(d, d.opsize);
  put_op(d, d.opsize == 2 ? O.OP_MOV_RR32 : O.OP_MOV_RR16, dst, src, 0, 0);
  return EMIT_ON;
}

export function lea(d: Dec): u32 {
  const dst = d.reg << 3;
  rip_relative(d);
  let op = O.OP_LEA16;
  if (d.opsize == 3) op = d.index & INDEX_ADDR32 ? O.OP_LEA64 : d.index == PLACE_ZERO ? O.OP_LEA64_BD : O.OP_LEA64_BIS;
  else if (d.opsize == 2) op = O.OP_LEA32;
  put_mem(d, op, dst, 0, d.adsize == 2 ? 2 : 0);
  return EMIT_ON;
}

export function shift(d: Dec, op: u32, form: u32, size: u32): u32 {
  if (op == 6) op = 4;
  const cl = form == K.FORM_ECL;
  const n: u32 = form == K.FORM_E1 ? 1 : cl ? 0 : <u32>d.imm & 0xff;
  const masked = n & (size == 3 ? 63 : 31);
  if (!d.mem && !cl && size >= 2 && op >= 4 && masked != 0) {
    const w = size - 2;
    const first = op == 4 ? O.OP_SHL_RI32 : op == 5 ? O.OP_SHR_RI32 : O.OP_SAR_RI32;
    put_op(d, first + w * (O.OP_SHL_RI64 - O.OP_SHL_RI32), d.rm << 3, 0, <i32>masked, 0);
    return EMIT_ON;
  }
  if (!d.mem && !cl && size >= 2 && op < 2 && masked != 0) {
    put_op(d, (op == 0 ? O.OP_ROL_RI32 : O.OP_ROR_RI32) + (size - 2) * (O.OP_ROL_RI64 - O.OP_ROL_RI32), d.rm << 3, 0, <i32>masked, 0);
    return EMIT_ON;
  }
  const desc = op | (size << 3) | (d.mem ? 0x20 : 0) | (cl ? 0x40 : 0);
  if (d.mem) {
    prepare(d, 1 << size, true);
    put_mem(d, O.OP_SHIFT_G, 0, desc, n);
  } else put_op(d, O.OP_SHIFT_G, place(d, d.rm, size), desc, 0, n);
  return EMIT_ON;
}

export function unary(d: Dec, op: u32, form: u32, size: u32): u32 {
  const r = form == K.FORM_Z ? (d.opcode & 7) << 3 : place(d, d.rm, size);
  if (!d.mem && size >= 2) {
    const w = size - 2;
    const step = O.OP_INC_R64 - O.OP_INC_R32;
    put_op(d, (op == 0 ? O.OP_INC_R32 : op == 1 ? O.OP_DEC_R32 : op == 2 ? O.OP_NOT_R32 : O.OP_NEG_R32) + w * step, r, 0, op == 1 ? -1 : 1, 0);
    return EMIT_ON;
  }
  const desc = op | (size << 2) | (d.mem ? 0x10 : 0) | (d.lock ? 0x20 : 0);
  if (d.mem) {
    prepare(d, 1 << size, true);
    put_mem(d, O.OP_UNARY_G, 0, desc, 0);
  } else put_op(d, O.OP_UNARY_G, r, desc, 0, 0);
  return EMIT_ON;
}

export function multiply(d: Dec, has_imm: bool): u32 {
  const src = rm_value(d, d.opsize);
  const dst = d.reg << 3;
  if (d.opsize == 1) put_op(d, O.OP_IMUL_G, dst, src, <i32>d.imm, has_imm ? 1 : 0);
  else if (has_imm) put_op(d, d.opsize == 3 ? O.OP_IMUL_RI64 : O.OP_IMUL_RI32, dst, src, <i32>d.imm, 0);
  else put_op(d, d.opsize == 3 ? O.OP_IMUL_RR64 : O.OP_IMUL_RR32, dst, src, 0, 0);
  return EMIT_ON;
}

export function exchange(d: Dec, op: u32, size: u32, lock: bool): u32 {
  const rr = place(d, d.reg, size);
  const rm = place(d, d.rm, size);
  if (!d.mem && op == X_XCHG && size >= 2) {
    put_op(d, size == 3 ? O.OP_XCHG_RR64 : O.OP_XCHG_RR32, rm, rr, 0, 0);
    return EMIT_ON;
  }
  const desc = op | (size << 4) | (d.mem ? 0x40 : 0) | (lock ? 0x80 : 0);
  if (d.mem) {
    prepare(d, 1 << size, true);
    put_mem(d, O.OP_XCHG_G, 0, rr, desc);
  } else put_op(d, O.OP_XCHG_G, rm, rr, 0, desc);
  return EMIT_ON;
}

export function bits(d: Dec, op: u32, immediate: bool): u32 {
  let desc = op | (d.opsize << 3) | (d.mem ? 0x20 : 0) | (d.lock ? 0x40 : 0) | (immediate ? 0x80 | ((<u32>d.imm & 0xff) << 8) : 0);
  if (d.mem) {
    if (!immediate && !(d.mode & MODE_64) && segmented(d)) {
      // limit and rights are those of the bit's own place
      put_mem(d, O.OP_LEA32, TMP1, 0, d.adsize == 2 ? 2 : 0);
      put_op(d, O.OP_MISC, TMP1, d.reg << 3, 0, M.M_BIT_DISP | (d.opsize << 8) | (d.adsize == 2 ? M.BIT_DISP_16 : 0));
      d.base = TMP1;
      d.index = PLACE_ZERO;
      d.disp = 0;
      desc |= BIT_MOVED;
    }
    prepare(d, 1 << d.opsize, op != 0);
    put_mem(d, O.OP_BIT_G, 0, d.reg << 3, desc);
  } else put_op(d, O.OP_BIT_G, d.rm << 3, d.reg << 3, 0, desc);
  return EMIT_ON;
}
