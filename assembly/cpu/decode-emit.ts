/** The decoder's back half: micro-ops for one parsed instruction. */
import { ALU_CMP, BIT_BSF, BIT_BSR, BIT_POPCNT, G_LOCK, G_MI, G_MR, G_RI, G_RM, G_RR, X_CMPXCHG, X_CMPXCHG16B, X_CMPXCHG8B, X_XADD, X_XCHG } from './alu';
import { PROFILE_V2 } from './cpuid';
import { Dec, PLACE_ZERO, SEG_NONE, segmented } from './decode';
import { emit_sse } from './decode-sse';
import * as K from './generated/optab';
import * as O from './generated/ops';
import { ES_ADDR16, ES_WRITE } from './interp_support';
import * as M from './misc';
import { MODE_64 } from './modes';
import { Cpu, REG_BLOCK, REG_TMP0, REG_TMP1, SEG_CS, SEG_DS, SEG_FS, SEG_SS } from './state';
import * as T from './stackops';
import * as S from './sysops';
import { INDEX_ADDR32, U_A, U_B, U_BASE, U_DISP, U_IMM, U_INDEX, U_IP, U_OP, UOP_SIZE } from './uop';

export const TMP0: u32 = REG_TMP0 << 3;
export const TMP1: u32 = REG_TMP1 << 3;
const RSP8: u32 = 4 << 3;

// What `emit` tells the block builder.
export const EMIT_ON: u32 = 0; // the next instruction may follow
export const EMIT_END: u32 = 1; // the block ends, a micro-op that leaves it is there
export const EMIT_CUT: u32 = 2; // the block ends behind this instruction, the builder adds the exit

// ---- micro-op writers ---------------------------------------------------------------------------------------------------

/** A micro-op without memory operand. */
export function put_op(d: Dec, op: u32, a: u32, b: u32, disp: i32, imm: u32): void {
  const u: usize = d.out;
  store<u16>(u, <u16>op, U_OP);
  store<u16>(u, 0, U_IP);
  store<u8>(u, <u8>a, U_A);
  store<u8>(u, <u8>b, U_B);
  store<u8>(u, <u8>PLACE_ZERO, U_BASE);
  store<u8>(u, <u8>PLACE_ZERO, U_INDEX);
  store<i32>(u, disp, U_DISP);
  store<u32>(u, imm, U_IMM);
  d.last = <u32>u;
  d.out = <u32>u + UOP_SIZE;
}

/** A micro-op with the instruction's memory operand; `prepare` came before. */
export function put_mem(d: Dec, op: u32, a: u32, b: u32, imm: u32): void {
  put_op(d, op, a, b, d.disp, imm);
  const u: usize = d.last;
  store<u8>(u, <u8>d.base, U_BASE);
  store<u8>(u, <u8>d.index, U_INDEX);
}

/** Room for the link of a direct branch. */
export function put_link(d: Dec): void {
  store<u64>(d.out, 0);
  store<u64>(d.out, 0, 8);
  d.out += UOP_SIZE;
}

/** Makes d.base, d.index, d.disp what the micro-op needs: RIP-relative, segment base, checks outside 64-bit mode. */
export function prepare(d: Dec, bytes: u32, write: bool): void {
  if (d.rip_relative) {
    const end = <i64>d.disp + d.off + d.pos;
    if (end == <i64><i32>end) d.disp = <i32>end;
    else {
      put_op(d, O.OP_LEA64_BIS, TMP1, 0, <i32>(d.off + d.pos), 0);
      store<u8>(d.last, REG_BLOCK << 3, U_BASE);
      d.base = TMP1;
    }
  }
  if (d.mode & MODE_64) {
    if (d.seg >= SEG_FS && d.seg != SEG_NONE) d.base |= d.seg + 1;
    return;
  }
  if (!segmented(d)) {
    d.index |= INDEX_ADDR32;
    return;
  }
  const seg = d.seg != SEG_NONE ? d.seg : d.stack_base ? SEG_SS : SEG_DS;
  put_mem(d, O.OP_EA_SEG, seg, TMP1, bytes | (write ? ES_WRITE : 0) | (d.adsize == 2 ? ES_ADDR16 : 0));
  d.base = TMP1;
  d.index = PLACE_ZERO;
  d.disp = 0;
}

/** Place of register n of `size` (log2). */
function place(d: Dec, n: u32, size: u32): u32 {
  if (size == 0 && !d.rex && n >= 4) return ((n & 3) << 3) + 1;
  return n << 3;
}

/** No index, no segment: the short address form will do. */
function simple(d: Dec): bool {
  return d.index == PLACE_ZERO && (d.base & 7) == 0;
}

function sys(d: Dec, what: u32, a: u32, b: u32, disp: i32, extra: u32): u32 {
  put_op(d, O.OP_SYS, a, b, disp, what | ((1 << d.opsize) << 8) | (extra << 16));
  return EMIT_END;
}

function sys_mem(d: Dec, what: u32, a: u32, b: u32, bytes: u32, write: bool): u32 {
  prepare(d, bytes, write);
  put_mem(d, O.OP_SYS, a, b, what | ((1 << d.opsize) << 8));
  return EMIT_END;
}

export function undefined_op(d: Dec): u32 {
  return sys(d, S.S_UD, 0, 0, 0, 0);
}

/** Loads the r/m operand of `size` into a register place: the register itself, or TMP0 from memory. */
function rm_value(d: Dec, size: u32): u32 {
  if (!d.mem) return place(d, d.rm, size);
  prepare(d, 1 << size, false);
  put_mem(d, size == 0 ? O.OP_LDZX8 : size == 1 ? O.OP_LDZX16 : size == 2 ? O.OP_LD32 : O.OP_LD64, TMP0, 0, 0);
  return TMP0;
}

// ---- integer kinds ---------------------------------------------------------------------------------------------------

function alu(d: Dec, op: u32, form: u32, size: u32): u32 {
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

function mov(d: Dec, form: u32, size: u32): u32 {
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
function mov_offset(d: Dec, store_it: bool, size: u32): u32 {
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

function extend(d: Dec, signed: bool, from: u32): u32 {
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

function movsxd(d: Dec): u32 {
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

function lea(d: Dec): u32 {
  const dst = d.reg << 3;
  if (d.rip_relative) {
    const end = <i64>d.disp + d.off + d.pos;
    if (end == <i64><i32>end) d.disp = <i32>end;
    else {
      put_op(d, O.OP_LEA64_BIS, TMP1, 0, <i32>(d.off + d.pos), 0);
      store<u8>(d.last, REG_BLOCK << 3, U_BASE);
      d.base = TMP1;
    }
  }
  let op = O.OP_LEA16;
  if (d.opsize == 3) op = d.index & INDEX_ADDR32 ? O.OP_LEA64 : d.index == PLACE_ZERO ? O.OP_LEA64_BD : O.OP_LEA64_BIS;
  else if (d.opsize == 2) op = O.OP_LEA32;
  put_mem(d, op, dst, 0, d.adsize == 2 ? 2 : 0);
  return EMIT_ON;
}

function shift(d: Dec, op: u32, form: u32, size: u32): u32 {
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

function unary(d: Dec, op: u32, form: u32, size: u32): u32 {
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

function multiply(d: Dec, has_imm: bool): u32 {
  const src = rm_value(d, d.opsize);
  const dst = d.reg << 3;
  if (d.opsize == 1) put_op(d, O.OP_IMUL_G, dst, src, <i32>d.imm, has_imm ? 1 : 0);
  else if (has_imm) put_op(d, d.opsize == 3 ? O.OP_IMUL_RI64 : O.OP_IMUL_RI32, dst, src, <i32>d.imm, 0);
  else put_op(d, d.opsize == 3 ? O.OP_IMUL_RR64 : O.OP_IMUL_RR32, dst, src, 0, 0);
  return EMIT_ON;
}

function exchange(d: Dec, op: u32, size: u32, lock: bool): u32 {
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

function bits(d: Dec, op: u32, immediate: bool): u32 {
  const desc = op | (d.opsize << 3) | (d.mem ? 0x20 : 0) | (d.lock ? 0x40 : 0) | (immediate ? 0x80 | ((<u32>d.imm & 0xff) << 8) : 0);
  if (d.mem) {
    prepare(d, 1 << d.opsize, op != 0);
    put_mem(d, O.OP_BIT_G, 0, d.reg << 3, desc);
  } else put_op(d, O.OP_BIT_G, d.rm << 3, d.reg << 3, 0, desc);
  return EMIT_ON;
}

// ---- stack -----------------------------------------------------------------------------------------------------------

function stack_g(d: Dec, what: u32, a: u32, disp: i32): u32 {
  put_op(d, O.OP_STACK_G, a, 0, disp, what | ((1 << d.opsize) << 8));
  return EMIT_ON;
}

function quick_stack(d: Dec): bool {
  return d.mode & MODE_64 && d.opsize == 3 ? true : false;
}

function push_reg(d: Dec, n: u32): u32 {
  if (quick_stack(d)) put_op(d, O.OP_PUSH64, n << 3, 0, 0, 0);
  else stack_g(d, T.ST_PUSH_R, n << 3, 0);
  return EMIT_ON;
}

function pop_reg(d: Dec, n: u32): u32 {
  if (quick_stack(d)) put_op(d, O.OP_POP64, n << 3, 0, 0, 0);
  else stack_g(d, T.ST_POP_R, n << 3, 0);
  return EMIT_ON;
}

function push_mem(d: Dec): u32 {
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

function pop_mem(d: Dec): u32 {
  if (!d.mem) return pop_reg(d, d.rm);
  if ((d.base & 0xf8) == RSP8) d.disp += 1 << d.opsize; // the address is computed after the pop
  prepare(d, 1 << d.opsize, true);
  put_mem(d, O.OP_STACK_G, 0, 0, T.ST_POP_M | ((1 << d.opsize) << 8));
  return EMIT_ON;
}

// ---- branches ---------------------------------------------------------------------------------------------------------

/** Target of a relative branch, from the block's first byte. */
function target(d: Dec): i32 {
  return <i32>d.imm + <i32>(d.off + d.pos);
}

/** True: the displacement from the block does not fit in 32 bits signed (it wraps around at the far end of the range). */
function jump(d: Dec): u32 {
  if (d.mode & MODE_64) {
    put_op(d, O.OP_JMP, 0, 0, target(d), 0);
    put_link(d);
  } else put_op(d, O.OP_JMP_SLOW, 0, 0, target(d), 1 << d.opsize);
  return EMIT_END;
}

/** Fuses with a compare directly before it, uses what is known about the last flags, or asks for the general condition. */
function jump_cond(d: Dec, prev: u32, prev_flags: u32): u32 {
  const cc = d.opcode & 15;
  if (!(d.mode & MODE_64)) {
    put_op(d, O.OP_JCC_SLOW, cc, 0, target(d), 1 << d.opsize);
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

function loop(d: Dec): u32 {
  const slow = !(d.mode & MODE_64);
  put_op(d, slow ? O.OP_LOOP_SLOW : O.OP_LOOP, d.opcode & 3, d.adsize, target(d), 1 << d.opsize);
  if (!slow) {
    put_link(d);
    put_link(d);
  }
  return EMIT_END;
}

function call(d: Dec): u32 {
  if (d.mode & MODE_64) {
    put_op(d, O.OP_CALL, 0, 0, target(d), 0);
    put_link(d);
    return EMIT_END;
  }
  return sys(d, S.S_CALL, 0, 0, target(d), 0);
}

function indirect(d: Dec, is_call: bool): u32 {
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

// ---- groups by hand -----------------------------------------------------------------------------------------------------

function group7(d: Dec): u32 {
  const ext = (d.modrm >> 3) & 7;
  if (d.mem) {
    switch (<i32>ext) {
      case 0: return sys_mem(d, S.S_SGDT, 0, 0, 6, true);
      case 1: return sys_mem(d, S.S_SIDT, 0, 0, 6, true);
      case 2: return sys_mem(d, S.S_LGDT, 0, 0, 6, false);
      case 3: return sys_mem(d, S.S_LIDT, 0, 0, 6, false);
      case 4: return sys_mem(d, S.S_SMSW_M, 0, 0, 2, true);
      case 6: {
        const r = rm_value(d, 1);
        return sys(d, S.S_LMSW, r, 0, 0, 0);
      }
      case 7: return sys_mem(d, S.S_INVLPG, 0, 0, 1, false);
      default: return undefined_op(d);
    }
  }
  if (ext == 4) return sys(d, S.S_SMSW_R, d.rm << 3, 0, 0, 0);
  if (ext == 6) return sys(d, S.S_LMSW, d.rm << 3, 0, 0, 0);
  if (d.modrm == 0xc1) return sys(d, S.S_VMCALL, 0, 0, 0, 0);
  if (d.modrm == 0xf8 && d.mode & MODE_64) return sys(d, S.S_SWAPGS, 0, 0, 0, 0);
  if (d.modrm == 0xf9) return sys(d, S.S_RDTSCP, 0, 0, 0, 0);
  return undefined_op(d);
}

function group9(d: Dec): u32 {
  const ext = (d.modrm >> 3) & 7;
  if (d.mem && ext == 1) {
    const wide = d.rex & 8;
    prepare(d, wide ? 16 : 8, true);
    put_mem(d, O.OP_XCHG_G, 0, 0, (wide ? X_CMPXCHG16B : X_CMPXCHG8B) | 0x40 | (d.lock ? 0x80 : 0));
    return EMIT_ON;
  }
  if (!d.mem && ext == 6 && d.rep == 0) return sys(d, S.S_RDRAND, d.rm << 3, 0, 0, 0);
  return undefined_op(d);
}

function string_op(d: Dec, kind: u32, size: u32): u32 {
  if (size == 3 && kind >= 5) size = 2; // INS and OUTS move at most 32 bits
  const seg = d.seg == SEG_NONE ? SEG_DS : d.seg;
  put_op(d, O.OP_STRING, kind, size, 0, d.rep | (d.adsize << 4) | (seg << 8));
  return kind >= 5 ? EMIT_CUT : EMIT_ON;
}

function no_map(d: Dec): bool {
  return d.data16 != 0 || d.rep != 0;
}

/**
 * Emits the parsed instruction. `prev`: the last micro-op of the instruction before when it may be fused, else 0;
 * `prev_flags`: ATTR_LAZY and ATTR_SUB as the flags stand.
 */
export function emit(d: Dec, prev: u32, prev_flags: u32): u32 {
  const kind = d.entry & 0xff;
  const sub = (d.entry >> 8) & 0xff;
  const form = (d.entry >> 16) & 0xff;
  const size: u32 = d.flags & K.F_BYTE ? 0 : d.opsize;
  switch (<i32>kind) {
    case K.K_ALU: return alu(d, sub, form, size);
    case K.K_MOV: return mov(d, form, size);
    case K.K_LEA: return lea(d);
    case K.K_JCC: return jump_cond(d, prev, prev_flags);
    case K.K_JMP: return jump(d);
    case K.K_CALL: return call(d);
    case K.K_RET:
      if (d.mode & MODE_64) {
        put_op(d, O.OP_RET, 0, 0, 0, <u32>d.imm);
        return EMIT_END;
      }
      return sys(d, S.S_RET, 0, 0, <i32>d.imm, 0);
    case K.K_CALLN: return indirect(d, true);
    case K.K_JMPN: return indirect(d, false);
    case K.K_LOOP: return loop(d);
    case K.K_SHIFT: return shift(d, sub, form, size);
    case K.K_UNARY: return unary(d, sub, form, size);
    case K.K_MULDIV: {
      const desc = sub | (size << 2) | (d.mem ? 0x10 : 0);
      if (d.mem) {
        prepare(d, 1 << size, false);
        put_mem(d, O.OP_MULDIV, 0, desc, 0);
      } else put_op(d, O.OP_MULDIV, place(d, d.rm, size), desc, 0, 0);
      return EMIT_ON;
    }
    case K.K_IMUL2: return multiply(d, false);
    case K.K_IMUL3: return multiply(d, true);
    case K.K_MOVZX: return extend(d, false, sub);
    case K.K_MOVSX: return extend(d, true, sub);
    case K.K_MOVSXD: return movsxd(d);
    case K.K_MOVOFFS: return mov_offset(d, sub == 1, size);
    case K.K_MOVNTI:
      if (no_map(d) || !d.mem) return undefined_op(d);
      return mov_nti(d);
    case K.K_XCHG: return exchange(d, X_XCHG, size, true);
    case K.K_XADD: return exchange(d, X_XADD, size, d.lock != 0);
    case K.K_CMPXCHG: return exchange(d, X_CMPXCHG, size, d.lock != 0);
    case K.K_XCHGACC: {
      const r = (d.opcode & 7) | ((d.rex & 1) << 3);
      if (r == 0) put_op(d, O.OP_NOP, 0, 0, 0, 0); // 90: NOP and PAUSE
      else if (d.opsize == 1) put_op(d, O.OP_XCHG_G, r << 3, 0, 0, X_XCHG | (1 << 4));
      else put_op(d, d.opsize == 3 ? O.OP_XCHG_RR64 : O.OP_XCHG_RR32, r << 3, 0, 0, 0);
      return EMIT_ON;
    }
    case K.K_PUSH:
      if (form == K.FORM_Z) return push_reg(d, (d.opcode & 7) | ((d.rex & 1) << 3));
      if (quick_stack(d)) put_op(d, O.OP_PUSH64_I, 0, 0, <i32>d.imm, 0);
      else stack_g(d, T.ST_PUSH_I, 0, <i32>d.imm);
      return EMIT_ON;
    case K.K_POP: return pop_reg(d, (d.opcode & 7) | ((d.rex & 1) << 3));
    case K.K_PUSHM: return push_mem(d);
    case K.K_POPM: return pop_mem(d);
    case K.K_PUSHA: return stack_g(d, T.ST_PUSHA, 0, 0);
    case K.K_POPA: return stack_g(d, T.ST_POPA, 0, 0);
    case K.K_ENTER: return stack_g(d, T.ST_ENTER, 0, <i32>((<u32>d.imm & 0xffff) | (d.imm2 << 16)));
    case K.K_LEAVE:
      if (quick_stack(d)) put_op(d, O.OP_LEAVE64, 0, 0, 0, 0);
      else stack_g(d, T.ST_LEAVE, 0, 0);
      return EMIT_ON;
    case K.K_PUSHF: return stack_g(d, T.ST_PUSHF, 0, 0);
    case K.K_PUSHSEG: return stack_g(d, T.ST_PUSH_SEG, sub, 0);
    case K.K_SETCC: return setcc(d, prev_flags);
    case K.K_CMOV: {
      const src = rm_value(d, d.opsize);
      const cc = d.opcode & 15;
      if (d.opsize == 1) put_op(d, O.OP_MISC, d.reg << 3, src, <i32>cc, M.M_CMOV16);
      else put_op(d, cmov_op(cc, d.opsize - 2, prev_flags), d.reg << 3, src, <i32>cc, 0);
      return EMIT_ON;
    }
    case K.K_BT: return bits(d, sub, d.opcode == 0xba);
    case K.K_BSX:
    case K.K_POPCNT: {
      if (kind == K.K_POPCNT && (d.rep != 1 || changetype<Cpu>(d.cpu).profile != PROFILE_V2)) return undefined_op(d);
      const src = rm_value(d, d.opsize);
      put_op(d, O.OP_BIT_G, d.reg << 3, src, 0, (kind == K.K_POPCNT ? BIT_POPCNT : sub ? BIT_BSR : BIT_BSF) | (d.opsize << 3));
      return EMIT_ON;
    }
    case K.K_SHXD: {
      const imm = M.M_SHXD | (d.opsize << 8) | (d.mem ? 0x400 : 0) | (sub & 1 ? 0x800 : 0) | (sub & 2 ? 0x1000 : 0) | ((<u32>d.imm & 0xff) << 16);
      if (d.mem) {
        prepare(d, 1 << d.opsize, true);
        put_mem(d, O.OP_MISC, 0, d.reg << 3, imm);
      } else put_op(d, O.OP_MISC, d.rm << 3, d.reg << 3, 0, imm);
      return EMIT_ON;
    }
    case K.K_BSWAP: {
      const r = ((d.opcode & 7) | ((d.rex & 1) << 3)) << 3;
      if (d.opsize == 1) put_op(d, O.OP_MOV_RI16, r, 0, 0, 0); // undefined; CPUs clear the register
      else put_op(d, d.opsize == 3 ? O.OP_BSWAP64 : O.OP_BSWAP32, r, 0, 0, 0);
      return EMIT_ON;
    }
    case K.K_STRING: return string_op(d, sub, size);
    case K.K_SSE: return emit_sse(d);
    case K.K_X87:
      if (d.mem) {
        prepare(d, 1, false);
        // bit 11: 16-bit operand size, the short environment of FLDENV and kin
        put_mem(d, O.OP_X87, 0, 0, ((d.opcode & 7) << 8) | d.modrm | (d.opsize == 1 ? 0x800 : 0));
      } else put_op(d, O.OP_X87, 0, 0, 0, ((d.opcode & 7) << 8) | d.modrm);
      return EMIT_ON;
    case K.K_NOPL:
    case K.K_PREFETCH:
      put_op(d, O.OP_NOP, 0, 0, 0, 0);
      return EMIT_ON;
    default: return emit_rare(d, kind, sub, size);
  }
}

/** The quickest CMOVcc that what is known of the flags allows; wide: 1 for 64 bits. */
function cmov_op(cc: u32, wide: u32, prev_flags: u32): u32 {
  if (prev_flags & (O.ATTR_LAZY | O.ATTR_SUB)) {
    if (cc == 4) return wide ? O.OP_CMOV_RES_Z64 : O.OP_CMOV_RES_Z32;
    if (cc == 5) return wide ? O.OP_CMOV_RES_NZ64 : O.OP_CMOV_RES_NZ32;
  }
  if (prev_flags & O.ATTR_SUB) {
    const sub: u32 = load<u16>(changetype<usize>(O.OP_CMOV_SUB) + (((wide << 4) + cc) << 1));
    if (sub) return sub;
  }
  return wide ? O.OP_CMOV_RR64 : O.OP_CMOV_RR32;
}

function mov_nti(d: Dec): u32 {
  const size: u32 = d.rex & 8 ? 3 : 2;
  prepare(d, 1 << size, true);
  put_mem(d, size == 3 ? O.OP_ST64 : O.OP_ST32, d.reg << 3, 0, 0);
  return EMIT_ON;
}

function setcc(d: Dec, prev_flags: u32): u32 {
  const cc = d.opcode & 15;
  if (d.mem) {
    prepare(d, 1, true);
    put_mem(d, O.OP_MISC, cc, 0, M.M_SETCC);
    return EMIT_ON;
  }
  let op = O.OP_SETCC_R;
  if (prev_flags & (O.ATTR_LAZY | O.ATTR_SUB)) {
    if (cc == 4) op = O.OP_SETCC_Z;
    else if (cc == 5) op = O.OP_SETCC_NZ;
  }
  if (prev_flags & O.ATTR_SUB && op == O.OP_SETCC_R) {
    const sub: u32 = load<u16>(changetype<usize>(O.OP_SETCC_SUB) + (cc << 1));
    if (sub) op = sub;
  }
  put_op(d, op, place(d, d.rm, 0), cc, 0, 0);
  return EMIT_ON;
}

function misc(d: Dec, what: u32): u32 {
  put_op(d, O.OP_MISC, 0, 0, <i32>d.imm, what);
  return EMIT_ON;
}

function emit_rare(d: Dec, kind: u32, sub: u32, size: u32): u32 {
  switch (<i32>kind) {
    case K.K_CBW:
      if (d.opsize == 3) put_op(d, O.OP_CDQE, 0, 0, 0, 0);
      else if (d.opsize == 2) put_op(d, O.OP_MOVSX16_32, 0, 0, 0, 0);
      else misc(d, M.M_CBW);
      return EMIT_ON;
    case K.K_CWD:
      if (d.opsize == 3) put_op(d, O.OP_CQO, 0, 0, 0, 0);
      else if (d.opsize == 2) put_op(d, O.OP_CDQ, 0, 0, 0, 0);
      else misc(d, M.M_CWD);
      return EMIT_ON;
    case K.K_SAHF: return misc(d, M.M_SAHF);
    case K.K_LAHF: return misc(d, M.M_LAHF);
    case K.K_CMC: return misc(d, M.M_CMC);
    case K.K_CLC: return misc(d, M.M_CLC);
    case K.K_STC: return misc(d, M.M_STC);
    case K.K_CLD: return misc(d, M.M_CLD);
    case K.K_STD: return misc(d, M.M_STD);
    case K.K_AAA: return misc(d, M.M_AAA);
    case K.K_AAS: return misc(d, M.M_AAS);
    case K.K_DAA: return misc(d, M.M_DAA);
    case K.K_DAS: return misc(d, M.M_DAS);
    case K.K_AAM: return misc(d, M.M_AAM);
    case K.K_AAD: return misc(d, M.M_AAD);
    case K.K_SALC: return misc(d, M.M_SALC);
    case K.K_XLAT: return misc(d, M.M_XLAT | (d.adsize << 8) | ((d.seg == SEG_NONE ? SEG_DS : d.seg) << 12));
    case K.K_BOUND:
      prepare(d, 2 << d.opsize, false);
      put_mem(d, O.OP_MISC, d.reg << 3, 0, M.M_BOUND | (d.opsize << 8));
      return EMIT_ON;
    case K.K_MOVFROMSEG:
      d.reg &= 7; // REX.R is ignored
      if (d.reg > 5) return undefined_op(d);
      if (d.mem) {
        prepare(d, 2, true);
        put_mem(d, O.OP_MISC, 0, d.reg, M.M_SEG_M);
      } else put_op(d, O.OP_MISC, d.rm << 3, d.reg, 0, M.M_SEG_R | (d.opsize << 8));
      return EMIT_ON;
    case K.K_MOVTOSEG: {
      d.reg &= 7;
      if (d.reg > 5 || d.reg == SEG_CS) return undefined_op(d);
      const r = rm_value(d, 1);
      return sys(d, S.S_MOVSEG, d.reg, r, 0, 0);
    }
    case K.K_POPSEG: return sys(d, S.S_POPSEG, sub, 0, 0, 0);
    case K.K_LSEG:
      if (d.opsize == 3 && !(d.mode & MODE_64)) return undefined_op(d);
      return sys_mem(d, S.S_LSEG, sub, d.reg << 3, (1 << d.opsize) + 2, false);
    case K.K_CALLF: return sys(d, S.S_CALLF, 0, 0, <i32>d.imm, d.imm2);
    case K.K_JMPF: return sys(d, S.S_JMPF, 0, 0, <i32>d.imm, d.imm2);
    case K.K_CALLFM: return sys_mem(d, S.S_CALLFM, 0, 0, (1 << d.opsize) + 2, false);
    case K.K_JMPFM: return sys_mem(d, S.S_JMPFM, 0, 0, (1 << d.opsize) + 2, false);
    case K.K_RETF: return sys(d, S.S_RETF, 0, 0, <i32>d.imm, 0);
    case K.K_IRET: return sys(d, S.S_IRET, 0, 0, 0, 0);
    case K.K_INT: return sys(d, S.S_INT, 0, 0, <i32>d.imm, 0);
    case K.K_INT3: return sys(d, S.S_INT3, 0, 0, 0, 0);
    case K.K_INTO: return sys(d, S.S_INTO, 0, 0, 0, 0);
    case K.K_INT1: return sys(d, S.S_INT1, 0, 0, 0, 0);
    case K.K_HLT: return sys(d, S.S_HLT, 0, 0, 0, 0);
    case K.K_CLI: return sys(d, S.S_CLI, 0, 0, 0, 0);
    case K.K_STI: return sys(d, S.S_STI, 0, 0, 0, 0);
    case K.K_POPF: return sys(d, S.S_POPF, 0, 0, 0, 0);
    case K.K_IN:
    case K.K_OUT: {
      const by_imm = d.opcode < 0xe8;
      return sys(d, kind == K.K_IN ? S.S_IN : S.S_OUT, size == 3 ? 2 : size, 0, <i32>d.imm, by_imm ? 1 : 0);
    }
    case K.K_MOVFROMCR:
    case K.K_MOVTOCR:
    case K.K_MOVFROMDR:
    case K.K_MOVTODR: {
      d.opsize = d.mode & MODE_64 ? 3 : 2;
      const what = kind == K.K_MOVFROMCR ? S.S_CR_READ : kind == K.K_MOVTOCR ? S.S_CR_WRITE : kind == K.K_MOVFROMDR ? S.S_DR_READ : S.S_DR_WRITE;
      return sys(d, what, d.rm << 3, 0, <i32>d.reg, 0);
    }
    case K.K_CLTS: return sys(d, S.S_CLTS, 0, 0, 0, 0);
    case K.K_INVD:
    case K.K_WBINVD: return sys(d, S.S_WBINVD, 0, 0, 0, 0);
    case K.K_SYSCALL: return sys(d, S.S_SYSCALL, 0, 0, 0, 0);
    case K.K_SYSRET:
    case K.K_SYSEXIT:
      d.opsize = d.rex & 8 ? 3 : 2;
      return sys(d, kind == K.K_SYSRET ? S.S_SYSRET : S.S_SYSEXIT, 0, 0, 0, 0);
    case K.K_SYSENTER: return sys(d, S.S_SYSENTER, 0, 0, 0, 0);
    case K.K_WRMSR: return sys(d, S.S_WRMSR, 0, 0, 0, 0);
    case K.K_RDMSR: return sys(d, S.S_RDMSR, 0, 0, 0, 0);
    case K.K_RDTSC: return sys(d, S.S_RDTSC, 0, 0, 0, 0);
    case K.K_RDPMC: return sys(d, S.S_RDPMC, 0, 0, 0, 0);
    case K.K_CPUID: return sys(d, S.S_CPUID, 0, 0, 0, 0);
    case K.K_GRP7: return group7(d);
    case K.K_GRP9: return group9(d);
    case K.K_GRP15: {
      if (no_map(d) || (d.mem ? (d.reg & 7) >= 4 && (d.reg & 7) != 7 : (d.reg & 7) < 5)) return undefined_op(d);
      const imm = 0xae | (d.mem ? 0x1000 : 0) | (d.rex & 8 ? 0x2000 : 0);
      if (d.mem) {
        prepare(d, 1, false);
        put_mem(d, O.OP_SSE, d.reg, 0, imm);
      } else put_op(d, O.OP_SSE, d.reg, d.rm, 0, imm);
      return EMIT_ON;
    }
    case K.K_SLDT:
    case K.K_STR:
      if (d.mem) return sys_mem(d, kind == K.K_SLDT ? S.S_SLDT_M : S.S_STR_M, 0, 0, 2, true);
      return sys(d, kind == K.K_SLDT ? S.S_SLDT_R : S.S_STR_R, d.rm << 3, 0, 0, 0);
    case K.K_LLDT:
    case K.K_LTR:
    case K.K_VERR:
    case K.K_VERW: {
      const r = rm_value(d, 1);
      return sys(d, kind == K.K_LLDT ? S.S_LLDT : kind == K.K_LTR ? S.S_LTR : kind == K.K_VERR ? S.S_VERR : S.S_VERW, r, 0, 0, 0);
    }
    case K.K_LAR:
    case K.K_LSL: {
      const r = rm_value(d, 1);
      return sys(d, kind == K.K_LAR ? S.S_LAR : S.S_LSL, d.reg << 3, r, 0, 0);
    }
    case K.K_FWAIT: return misc(d, M.M_FWAIT);
    default: return undefined_op(d);
  }
}
