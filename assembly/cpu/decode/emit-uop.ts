/** Writers of micro-ops, for the decoder’s back half. */
import { Dec, PLACE_ZERO, SEG_NONE, segmented } from './decode';
import * as O from '../uop/generated/ops';
import { ES_ADDR16, ES_WRITE } from '../execute/interp_support';
import { MODE_64 } from '../vcpu/modes';
import { REG_BLOCK, REG_TMP0, REG_TMP1, SEG_DS, SEG_FS, SEG_SS } from '../vcpu/state';
import * as S from '../execute/sysops';
import { INDEX_ADDR32, U_A, U_B, U_BASE, U_DISP, U_IMM, U_INDEX, U_IP, U_OP, UOP_SIZE } from '../uop/uop';

export const TMP0: u32 = REG_TMP0 << 3;
export const TMP1: u32 = REG_TMP1 << 3;
export const RSP8: u32 = 4 << 3;

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

/** A displacement from the next instruction: folded into d.disp where it fits 32 bits, else its base is made. */
export function rip_relative(d: Dec): void {
  if (!d.rip_relative) return;
  const end = <i64>d.disp + d.off + d.pos;
  if (end == <i64><i32>end) {
    d.disp = <i32>end;
    return;
  }
  next_address(d, TMP1);
  d.base = TMP1;
}

/** Leaves the address behind the instruction in a temporary. */
export function next_address(d: Dec, temporary: u32): void {
  put_op(d, O.OP_LEA64_BIS, temporary, 0, <i32>(d.off + d.pos), 0);
  store<u8>(d.last, REG_BLOCK << 3, U_BASE);
}

/** Makes d.base, d.index, d.disp what the micro-op needs: RIP-relative, segment base, checks outside 64-bit mode. */
export function prepare(d: Dec, bytes: u32, write: bool): void {
  rip_relative(d);
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
export function place(d: Dec, n: u32, size: u32): u32 {
  if (size == 0 && !d.rex && n >= 4) return ((n & 3) << 3) + 1;
  return n << 3;
}

/** No index, no segment: the short address form will do. */
export function simple(d: Dec): bool {
  return d.index == PLACE_ZERO && (d.base & 7) == 0;
}

export function sys(d: Dec, what: u32, a: u32, b: u32, disp: i32, extra: u32): u32 {
  put_op(d, O.OP_SYS, a, b, disp, what | ((1 << d.opsize) << 8) | (extra << 16));
  return EMIT_END;
}

export function sys_mem(d: Dec, what: u32, a: u32, b: u32, bytes: u32, write: bool): u32 {
  prepare(d, bytes, write);
  put_mem(d, O.OP_SYS, a, b, what | ((1 << d.opsize) << 8));
  return EMIT_END;
}

export function undefined_op(d: Dec): u32 {
  return sys(d, S.S_UD, 0, 0, 0, 0);
}

/** Loads the r/m operand of `size` into a register place: the register itself, or TMP0 from memory. */
export function rm_value(d: Dec, size: u32): u32 {
  if (!d.mem) return place(d, d.rm, size);
  prepare(d, 1 << size, false);
  put_mem(d, size == 0 ? O.OP_LDZX8 : size == 1 ? O.OP_LDZX16 : size == 2 ? O.OP_LD32 : O.OP_LD64, TMP0, 0, 0);
  return TMP0;
}
