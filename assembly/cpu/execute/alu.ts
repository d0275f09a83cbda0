/**
 * Integer operations that the dispatcher does not do inline: 8- and 16-bit forms, memory destinations of rarer kinds, locked
 * ones. All values are sign-extended from the operand size. `size` is log2 of bytes. Here and in shift.ts, muldiv.ts, bits.ts
 * and exchange.ts a function that finds a fault returns with nothing changed.
 */
import { G_LOCK, G_MI } from '../../contract/translator';
import { FLAG_ADC, FLAG_ADD, FLAG_DEC, FLAG_INC, FLAG_SBB, FLAG_SUB, flags_lazy, flags_logic, get_cf } from '../vcpu/flags';
import { lock_begin, lock_end } from '../memory/locked';
import { ptr_r, ptr_rw, ptr_w_done } from '../memory/mem';
import { atomic_ok, get_sx, put, put_reg, swap_if, sx } from '../memory/operand';
import { ea, U_A, U_B, U_DISP, U_IMM } from '../uop/uop';

export const ALU_ADD: u32 = 0;
export const ALU_OR: u32 = 1;
export const ALU_ADC: u32 = 2;
export const ALU_SBB: u32 = 3;
export const ALU_AND: u32 = 4;
export const ALU_SUB: u32 = 5;
export const ALU_XOR: u32 = 6;
export const ALU_CMP: u32 = 7;
export const ALU_TEST: u32 = 8;

// ---- the eight operations and TEST ------------------------------------------------------------------------------------

function alu_value(op: u32, size: u32, a: u64, b: u64, carry: u64): u64 {
  switch (op) {
    case ALU_ADD: return sx(a + b, size);
    case ALU_OR: return a | b;
    case ALU_ADC: return sx(a + b + carry, size);
    case ALU_SBB: return sx(a - b - carry, size);
    case ALU_XOR: return a ^ b;
    case ALU_SUB:
    case ALU_CMP: return sx(a - b, size);
    default: return a & b;
  }
}

function alu_flags(cpu: usize, op: u32, r: u64, a: u64, b: u64): void {
  switch (op) {
    case ALU_ADD: flags_lazy(cpu, FLAG_ADD, r, a, b); break;
    case ALU_ADC: flags_lazy(cpu, FLAG_ADC, r, a, b); break;
    case ALU_SBB: flags_lazy(cpu, FLAG_SBB, r, a, b); break;
    case ALU_SUB:
    case ALU_CMP: flags_lazy(cpu, FLAG_SUB, r, a, b); break;
    default: flags_logic(cpu, r);
  }
}

/** ADC (or SBB) of 32 or 64 bits on sign-extended values; sets the flags. */
export function alu_carry(cpu: usize, sub: bool, a: u64, b: u64, narrow: bool): u64 {
  const c = <u64>get_cf(cpu);
  let r = sub ? a - b - c : a + b + c;
  if (narrow) r = <u64><i64><i32>r;
  flags_lazy(cpu, sub ? FLAG_SBB : FLAG_ADC, r, a, b);
  return r;
}

/**
 * Memory-destination operation at `va`. False: fault.
 */
function alu_memory(cpu: usize, op: u32, size: u32, va: u64, b: u64, lock: bool): bool {
  const bytes: u32 = 1 << size;
  if (op >= ALU_CMP) {
    const p = ptr_r(cpu, va, bytes);
    if (p == 0) return false;
    const a = get_sx(p, size);
    alu_flags(cpu, op, alu_value(op, size, a, b, 0), a, b);
    return true;
  }
  const p = ptr_rw(cpu, va, bytes);
  if (p == 0) return false;
  const carry: u64 = op == ALU_ADC || op == ALU_SBB ? get_cf(cpu) : 0;
  let a: u64 = 0;
  let r: u64 = 0;
  if (lock && atomic_ok(p, size)) {
    do {
      a = get_sx(p, size);
      r = alu_value(op, size, a, b, carry);
    } while (!swap_if(p, size, a, r));
    ptr_w_done(cpu, p, va, bytes);
  } else {
    if (lock) lock_begin(cpu, p, va, bytes);
    a = get_sx(p, size);
    r = alu_value(op, size, a, b, carry);
    put(p, size, r);
    ptr_w_done(cpu, p, va, bytes);
    if (lock) lock_end(cpu);
  }
  alu_flags(cpu, op, r, a, b);
  return true;
}

// Forms of OP_ALU_G in bits 6..8 of imm; b = 0xff: memory and immediate, then `a` holds op | size << 4 | lock << 6.
export const G_RR: u32 = 0;
export const G_RI: u32 = 1;
export const G_RM: u32 = 2;
export const G_MR: u32 = 3;
export { G_LOCK, G_MI } from '../../contract/translator';

export function alu_generic(cpu: usize, u: usize): void {
  const ra: u32 = load<u8>(u, U_A);
  const rb: u32 = load<u8>(u, U_B);
  if (rb == G_MI) {
    const size = (ra >> 4) & 3;
    alu_memory(cpu, ra & 15, size, ea(cpu, u), sx(<u64><i64>load<i32>(u, U_IMM), size), (ra & 0x40) != 0);
    return;
  }
  const d = load<u32>(u, U_IMM);
  const op = d & 15;
  const size = (d >> 4) & 3;
  const form = (d >> 6) & 7;
  if (form == G_MR) {
    alu_memory(cpu, op, size, ea(cpu, u), get_sx(cpu + ra, size), (d & G_LOCK) != 0);
    return;
  }
  let b: u64;
  if (form == G_RM) {
    const p = ptr_r(cpu, ea(cpu, u), 1 << size);
    if (p == 0) return;
    b = get_sx(p, size);
  } else b = form == G_RR ? get_sx(cpu + rb, size) : sx(<u64><i64>load<i32>(u, U_DISP), size);
  const a = get_sx(cpu + ra, size);
  const r = alu_value(op, size, a, b, op == ALU_ADC || op == ALU_SBB ? get_cf(cpu) : 0);
  alu_flags(cpu, op, r, a, b);
  if (op < ALU_CMP) put_reg(cpu + ra, size, r);
}

// ---- INC, DEC, NOT, NEG: b = op | size << 2 | memory << 4 | lock << 5 ---------------------------------------------------

export const U_INC: u32 = 0;
export const U_DEC: u32 = 1;
export const U_NOT: u32 = 2;
export const U_NEG: u32 = 3;

function unary_value(op: u32, size: u32, a: u64): u64 {
  switch (op) {
    case U_INC: return sx(a + 1, size);
    case U_DEC: return sx(a - 1, size);
    case U_NOT: return ~a;
    default: return sx(0 - a, size);
  }
}

export function unary_generic(cpu: usize, u: usize): void {
  const d: u32 = load<u8>(u, U_B);
  const op = d & 3;
  const size = (d >> 2) & 3;
  let a: u64 = 0;
  let r: u64 = 0;
  if (d & 0x10) {
    const va = ea(cpu, u);
    const bytes: u32 = 1 << size;
    const p = ptr_rw(cpu, va, bytes);
    if (p == 0) return;
    const lock = (d & 0x20) != 0;
    if (lock && atomic_ok(p, size)) {
      do {
        a = get_sx(p, size);
        r = unary_value(op, size, a);
      } while (!swap_if(p, size, a, r));
      ptr_w_done(cpu, p, va, bytes);
    } else {
      if (lock) lock_begin(cpu, p, va, bytes);
      a = get_sx(p, size);
      r = unary_value(op, size, a);
      put(p, size, r);
      ptr_w_done(cpu, p, va, bytes);
      if (lock) lock_end(cpu);
    }
  } else {
    const reg = cpu + load<u8>(u, U_A);
    a = get_sx(reg, size);
    r = unary_value(op, size, a);
    put_reg(reg, size, r);
  }
  switch (op) {
    case U_INC: flags_lazy(cpu, FLAG_INC, r, a, get_cf(cpu)); break;
    case U_DEC: flags_lazy(cpu, FLAG_DEC, r, a, get_cf(cpu)); break;
    case U_NOT: break;
    default: flags_lazy(cpu, FLAG_SUB, r, 0, a);
  }
}
