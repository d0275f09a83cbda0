/**
 * Integer operations that the dispatcher does not do inline: 8- and 16-bit forms, memory destinations of rarer kinds,
 * locked ones, shifts, bit operations. All values are sign-extended from the operand size. `size` is log2 of bytes.
 * A function that finds a fault returns with nothing changed.
 */
import { raise, X_DE } from './fault';
import {
  AF, CF, FLAG_ADC, FLAG_ADD, FLAG_DEC, FLAG_INC, FLAG_SBB, FLAG_SHIFT, FLAG_SUB, flags_lazy, flags_logic, flags_materialize, flags_over,
  get_cf, get_of, PF, SF, set_flags_explicit, ZF,
} from './flags';
import { ptr_direct, ptr_r, ptr_rw, ptr_w_done } from './mem';
import { MODE_64 } from './modes';
import { lock_begin, lock_end } from './locked';
import { div128, idiv128, mulhi_s, mulhi_u } from './wide';
import { Cpu } from './state';
import { ea, U_A, U_B, U_DISP, U_IMM, U_INDEX, INDEX_ADDR32 } from './uop';

export const ALU_ADD: u32 = 0;
export const ALU_OR: u32 = 1;
export const ALU_ADC: u32 = 2;
export const ALU_SBB: u32 = 3;
export const ALU_AND: u32 = 4;
export const ALU_SUB: u32 = 5;
export const ALU_XOR: u32 = 6;
export const ALU_CMP: u32 = 7;
export const ALU_TEST: u32 = 8;

// ---- operand access -------------------------------------------------------------------------------------------------

export function sx(v: u64, size: u32): u64 {
  switch (size) {
    case 0: return <u64><i64><i8>v;
    case 1: return <u64><i64><i16>v;
    case 2: return <u64><i64><i32>v;
    default: return v;
  }
}

@inline
export function zx(v: u64, size: u32): u64 {
  return size == 3 ? v : v & ((<u64>1 << (8 << size)) - 1);
}

/** The value at linear-memory offset `p`, sign-extended. */
export function get_sx(p: usize, size: u32): u64 {
  switch (size) {
    case 0: return <u64><i64>load<i8>(p);
    case 1: return <u64><i64>load<i16>(p);
    case 2: return <u64><i64>load<i32>(p);
    default: return load<u64>(p);
  }
}

/** Stores without touching neighbours. */
export function put(p: usize, size: u32, v: u64): void {
  switch (size) {
    case 0: store<u8>(p, <u8>v); break;
    case 1: store<u16>(p, <u16>v); break;
    case 2: store<u32>(p, <u32>v); break;
    default: store<u64>(p, v);
  }
}

/** Writes a register operand: 32 bits clear the upper half. */
export function put_reg(p: usize, size: u32, v: u64): void {
  if (size == 2) store<u64>(p, <u64><u32>v);
  else put(p, size, v);
}

/** Compare-and-swap at an aligned place in RAM. True: it was `old`. */
export function swap_if(p: usize, size: u32, old: u64, v: u64): bool {
  switch (size) {
    case 0: return atomic.cmpxchg<u8>(p, <u8>old, <u8>v) == <u8>old;
    case 1: return atomic.cmpxchg<u16>(p, <u16>old, <u16>v) == <u16>old;
    case 2: return atomic.cmpxchg<u32>(p, <u32>old, <u32>v) == <u32>old;
    default: return atomic.cmpxchg<u64>(p, old, v) == old;
  }
}

/** True when a WASM atomic can do it: RAM itself and aligned. */
@inline
export function atomic_ok(p: usize, size: u32): bool {
  return ptr_direct(p) && (p & ((1 << size) - 1)) == 0;
}

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
export const G_LOCK: u32 = 0x200;
export const G_MI: u32 = 0xff;

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

// ---- shifts and rotates: b = op | size << 3 | memory << 5 | by CL << 6, imm = count -------------------------------------

/** Result of a shift or rotate of `a` (sign-extended) by a masked count n ≥ 1; sets the flags it defines. */
function shift_value(cpu: usize, op: u32, size: u32, a: u64, n: u32): u64 {
  const bits: u32 = 8 << size;
  const z = zx(a, size);
  let r: u64;
  let cf: u64;
  switch (op) {
    case 0: { // ROL
      const k = n & (bits - 1);
      r = sx(k == 0 ? z : (z << k) | (z >> (bits - k)), size);
      rotate_flags(cpu, <u32>r & 1, <u32>(((r >> (bits - 1)) ^ r) & 1));
      return r;
    }
    case 1: { // ROR
      const k = n & (bits - 1);
      r = sx(k == 0 ? z : (z >> k) | (z << (bits - k)), size);
      rotate_flags(cpu, <u32>(r >> (bits - 1)) & 1, <u32>((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
      return r;
    }
    case 2: { // RCL
      const k = size < 2 ? n % (bits + 1) : n;
      let c: u64 = get_cf(cpu);
      r = z;
      for (let i: u32 = 0; i < k; i++) {
        const out = (r >> (bits - 1)) & 1;
        r = (r << 1) | c;
        c = out;
      }
      r = sx(r, size);
      rotate_flags(cpu, <u32>c, <u32>((r >> (bits - 1)) ^ c) & 1);
      return r;
    }
    case 3: { // RCR
      const k = size < 2 ? n % (bits + 1) : n;
      let c: u64 = get_cf(cpu);
      r = z;
      for (let i: u32 = 0; i < k; i++) {
        const out = r & 1;
        r = (r >> 1) | (c << (bits - 1));
        c = out;
      }
      r = sx(r, size);
      rotate_flags(cpu, <u32>c, <u32>((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
      return r;
    }
    case 5: // SHR
      r = sx(z >> n, size);
      if (n >= bits) r = 0;
      cf = (z >> (n - 1)) & 1;
      flags_lazy(cpu, FLAG_SHIFT, r, cf, (z >> (bits - 1)) & 1);
      return r;
    case 7: // SAR
      r = <u64>(<i64>a >> n);
      cf = <u64>(<i64>a >> (n - 1)) & 1;
      flags_lazy(cpu, FLAG_SHIFT, r, cf, 0);
      return r;
    default: // SHL
      r = sx(z << n, size);
      cf = size == 3 ? (z >> (64 - n)) & 1 : ((z << n) >> bits) & 1;
      flags_lazy(cpu, FLAG_SHIFT, r, cf, cf ^ (r >> 63));
      return r;
  }
}

/** Rotates change CF and OF only. */
function rotate_flags(cpu: usize, cf: u32, ov: u32): void {
  flags_over(cpu, cf, ov);
}

export function shift_generic(cpu: usize, u: usize): void {
  const d: u32 = load<u8>(u, U_B);
  const size = (d >> 3) & 3;
  let n: u32 = d & 0x40 ? load<u8>(cpu, 8) : load<u8>(u, U_IMM);
  n &= size == 3 ? 63 : 31;
  if (d & 0x20) {
    const va = ea(cpu, u);
    const p = ptr_rw(cpu, va, 1 << size);
    if (p == 0) return;
    if (n) put(p, size, shift_value(cpu, d & 7, size, get_sx(p, size), n));
    ptr_w_done(cpu, p, va, 1 << size);
    return;
  }
  const reg = cpu + load<u8>(u, U_A);
  put_reg(reg, size, n ? shift_value(cpu, d & 7, size, get_sx(reg, size), n) : get_sx(reg, size));
}

/** SHLD, SHRD: `right` for SHRD. n masked, n ≥ 1. For 16 bits and n > 16 the result is undefined; like other CPUs it rotates on. */
export function double_shift(cpu: usize, right: bool, size: u32, a: u64, b: u64, n: u32): u64 {
  const bits: u32 = 8 << size;
  const za = zx(a, size);
  const zb = zx(b, size);
  let r: u64;
  let cf: u64;
  if (size == 1) {
    // 48 bits: a, b, a
    if (right) {
      const v = za | (zb << 16) | (za << 32);
      r = v >> n;
      cf = (v >> (n - 1)) & 1;
    } else {
      const v = (za << 32) | (zb << 16) | za;
      r = (v << n) >> 32;
      cf = ((v << n) >> 48) & 1;
    }
  } else if (right) {
    r = (za >> n) | (zb << (bits - n));
    cf = (za >> (n - 1)) & 1;
  } else {
    r = (za << n) | (zb >> (bits - n));
    cf = (za >> (bits - n)) & 1;
  }
  r = sx(r, size);
  flags_lazy(cpu, FLAG_SHIFT, r, cf, (r ^ sx(za, size)) >> 63);
  return r;
}

// ---- multiplication and division ---------------------------------------------------------------------------------------

/** IMUL r64: `dst` is the register's place. */
export function imul64(cpu: usize, dst: usize, a: u64, b: u64): void {
  const lo = a * b;
  const c = <u64>(mulhi_s(a, b) != <u64>(<i64>lo >> 63));
  flags_lazy(cpu, FLAG_SHIFT, lo, c, c);
  store<u64>(dst, lo);
}

/** IMUL r16: imm = 1 when the second factor is the immediate in disp. */
export function imul_generic(cpu: usize, u: usize): void {
  const dst = cpu + load<u8>(u, U_A);
  const src = <i32>load<i16>(cpu + load<u8>(u, U_B));
  const p = load<u32>(u, U_IMM) ? src * load<i32>(u, U_DISP) : <i32>load<i16>(dst) * src;
  const c = <u64>(p != <i32><i16>p);
  flags_lazy(cpu, FLAG_SHIFT, <u64><i64><i16>p, c, c);
  store<u16>(dst, <u16>p);
}

/** MUL, IMUL, DIV, IDIV on rAX and rDX: b = op | size << 2 | memory << 4. */
export function muldiv(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const d: u32 = load<u8>(u, U_B);
  const op = d & 3;
  const size = (d >> 2) & 3;
  let p: usize = cpu + load<u8>(u, U_A);
  if (d & 0x10) {
    p = ptr_r(cpu, ea(cpu, u), 1 << size);
    if (p == 0) return;
  }
  const v = get_sx(p, size);
  if (op == 0) mul_unsigned(cpu, c, size, zx(v, size));
  else if (op == 1) mul_signed(cpu, c, size, v);
  else if (op == 2) div_unsigned(cpu, c, size, zx(v, size));
  else div_signed(cpu, c, size, v);
}

function mul_unsigned(cpu: usize, c: Cpu, size: u32, v: u64): void {
  let ov: u64;
  let lo: u64;
  switch (size) {
    case 0: lo = (c.r0 & 0xff) * v; ov = u64(lo > 0xff); store<u16>(cpu, <u16>lo); break;
    case 1: lo = (c.r0 & 0xffff) * v; ov = u64(lo > 0xffff); store<u16>(cpu, <u16>lo); store<u16>(cpu, <u16>(lo >> 16), 16); break;
    case 2: lo = (c.r0 & 0xffff_ffff) * v; ov = u64(lo > 0xffff_ffff); c.r0 = <u32>lo; c.r2 = lo >> 32; break;
    default: {
      const a = c.r0;
      lo = a * v;
      c.r0 = lo;
      c.r2 = mulhi_u(a, v);
      ov = u64(c.r2 != 0);
    }
  }
  flags_lazy(cpu, FLAG_SHIFT, sx(lo, size), ov, ov);
}

function mul_signed(cpu: usize, c: Cpu, size: u32, v: u64): void {
  const a = sx(c.r0, size);
  const lo = a * v;
  let ov: u64 = u64(lo != sx(lo, size));
  switch (size) {
    case 0: store<u16>(cpu, <u16>lo); break;
    case 1: store<u16>(cpu, <u16>lo); store<u16>(cpu, <u16>(lo >> 16), 16); break;
    case 2: c.r0 = <u32>lo; c.r2 = lo >> 32; break;
    default:
      c.r0 = lo;
      c.r2 = mulhi_s(a, v);
      ov = u64(c.r2 != <u64>(<i64>lo >> 63));
  }
  flags_lazy(cpu, FLAG_SHIFT, sx(lo, size), ov, ov);
}

function div_unsigned(cpu: usize, c: Cpu, size: u32, v: u64): void {
  if (v == 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  if (size == 3) {
    if (c.r2 >= v) {
      raise(cpu, X_DE, 0);
      return;
    }
    if (c.r2 == 0) {
      const a = c.r0;
      c.r0 = a / v;
      c.r2 = a % v;
    } else div128(cpu, v);
    return;
  }
  const bits: u32 = 8 << size;
  const n = size == 0 ? c.r0 & 0xffff : (zx(c.r2, size) << bits) | zx(c.r0, size);
  const q = n / v;
  if (q >> bits) {
    raise(cpu, X_DE, 0);
    return;
  }
  put_quotient(cpu, size, q, n % v);
}

function put_quotient(cpu: usize, size: u32, q: u64, r: u64): void {
  if (size == 0) {
    store<u8>(cpu, <u8>q);
    store<u8>(cpu, <u8>r, 1);
  } else {
    put_reg(cpu, size, q);
    put_reg(cpu + 16, size, r);
  }
}

function div_signed(cpu: usize, c: Cpu, size: u32, v: u64): void {
  if (v == 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  if (size == 3) {
    idiv128(cpu, v);
    return;
  }
  const bits: u32 = 8 << size;
  const n: u64 = size == 0 ? <u64><i64><i16>c.r0 : size == 1 ? <u64><i64><i32>(<u32>(c.r2 << 16) | <u32>(c.r0 & 0xffff)) : (c.r2 << 32) | (c.r0 & 0xffff_ffff);
  // the one quotient that WASM traps on
  if (n == 0x8000_0000_0000_0000 && v == 0xffff_ffff_ffff_ffff) {
    raise(cpu, X_DE, 0);
    return;
  }
  const q = <i64>n / <i64>v;
  if (q != <i64>sx(<u64>q, size)) {
    raise(cpu, X_DE, 0);
    return;
  }
  put_quotient(cpu, size, <u64>q, <u64>(<i64>n % <i64>v));
  void bits;
}

// ---- bits: imm = op | size << 3 | memory << 5 | lock << 6 | by immediate << 7 | bit number << 8 ----------------------------

export const BIT_BT: u32 = 0;
export const BIT_BTS: u32 = 1;
export const BIT_BTR: u32 = 2;
export const BIT_BTC: u32 = 3;
export const BIT_BSF: u32 = 4;
export const BIT_BSR: u32 = 5;
export const BIT_POPCNT: u32 = 6;

function bit_value(op: u32, v: u64, bit: u64): u64 {
  switch (op) {
    case BIT_BTS: return v | bit;
    case BIT_BTR: return v & ~bit;
    default: return v ^ bit;
  }
}

export function bit_generic(cpu: usize, u: usize): void {
  const d = load<u32>(u, U_IMM);
  const op = d & 7;
  const size = (d >> 3) & 3;
  const dst = cpu + load<u8>(u, U_A);
  const src = cpu + load<u8>(u, U_B);
  if (op >= BIT_BSF) {
    bit_scan(cpu, op, size, dst, zx(load<u64>(src), size));
    return;
  }
  const bits: u32 = 8 << size;
  const n = d & 0x80 ? <i64>((d >> 8) & 0xff) : <i64>get_sx(src, size);
  const bit: u64 = <u64>1 << (n & (bits - 1));
  let v: u64;
  if (d & 0x20) {
    let va = ea(cpu, u);
    if (!(d & 0x80)) {
      va += <u64>((n >> (3 + size)) << size);
      if (load<u8>(u, U_INDEX) & INDEX_ADDR32 || !(changetype<Cpu>(cpu).mode & MODE_64)) va &= 0xffff_ffff;
    }
    const bytes: u32 = 1 << size;
    if (op == BIT_BT) {
      const p = ptr_r(cpu, va, bytes);
      if (p == 0) return;
      v = get_sx(p, size);
    } else {
      const p = ptr_rw(cpu, va, bytes);
      if (p == 0) return;
      if (d & 0x40 && atomic_ok(p, size)) {
        do v = get_sx(p, size); while (!swap_if(p, size, v, bit_value(op, v, bit)));
        ptr_w_done(cpu, p, va, bytes);
      } else {
        if (d & 0x40) lock_begin(cpu, p, va, bytes);
        v = get_sx(p, size);
        put(p, size, bit_value(op, v, bit));
        ptr_w_done(cpu, p, va, bytes);
        if (d & 0x40) lock_end(cpu);
      }
    }
  } else {
    v = get_sx(dst, size);
    if (op != BIT_BT) put_reg(dst, size, bit_value(op, v, bit));
  }
  flags_over(cpu, u32((v & bit) != 0), get_of(cpu));
}

/** BSF, BSR (a zero source leaves the destination alone), POPCNT. */
function bit_scan(cpu: usize, op: u32, size: u32, dst: usize, v: u64): void {
  if (op == BIT_POPCNT) {
    put_reg(dst, size, popcnt(v));
    set_flags_explicit(cpu, v == 0 ? ZF : 0);
    return;
  }
  const f = flags_materialize(cpu);
  if (v == 0) {
    changetype<Cpu>(cpu).eflags = f | ZF;
    return;
  }
  put_reg(dst, size, op == BIT_BSF ? ctz(v) : 63 - clz(v));
  changetype<Cpu>(cpu).eflags = f & ~ZF;
}

// ---- XCHG, XADD, CMPXCHG: imm = op | size << 4 | memory << 6 | lock << 7; a = r/m register, b = register ------------------

export const X_XCHG: u32 = 0;
export const X_XADD: u32 = 1;
export const X_CMPXCHG: u32 = 2;
export const X_CMPXCHG8B: u32 = 3;
export const X_CMPXCHG16B: u32 = 4;

export function xchg_generic(cpu: usize, u: usize): void {
  const d = load<u32>(u, U_IMM);
  const op = d & 15;
  const size = (d >> 4) & 3;
  const reg = cpu + load<u8>(u, U_B);
  if (op == X_CMPXCHG8B || op == X_CMPXCHG16B) {
    compare_pair(cpu, u, op == X_CMPXCHG16B, (d & 0x80) != 0);
    return;
  }
  const src = get_sx(reg, size);
  const acc = get_sx(cpu, size);
  if (!(d & 0x40)) {
    const dst = cpu + load<u8>(u, U_A);
    const v = get_sx(dst, size);
    if (op == X_XCHG) {
      put_reg(reg, size, v);
      put_reg(dst, size, src);
    } else if (op == X_XADD) {
      const r = sx(v + src, size);
      flags_lazy(cpu, FLAG_ADD, r, v, src);
      put_reg(reg, size, v);
      put_reg(dst, size, r);
    } else {
      flags_lazy(cpu, FLAG_SUB, sx(acc - v, size), acc, v);
      if (v == acc) put_reg(dst, size, src);
      else put_reg(cpu, size, v);
    }
    return;
  }
  const va = ea(cpu, u);
  const bytes: u32 = 1 << size;
  const p = ptr_rw(cpu, va, bytes);
  if (p == 0) return;
  const lock = (d & 0x80) != 0;
  const direct = lock && atomic_ok(p, size);
  let v: u64;
  let w: u64;
  if (direct) {
    do {
      v = get_sx(p, size);
      w = op == X_XCHG ? src : op == X_XADD ? v + src : v == acc ? src : v;
    } while (!swap_if(p, size, v, w));
    ptr_w_done(cpu, p, va, bytes);
  } else {
    if (lock) lock_begin(cpu, p, va, bytes);
    v = get_sx(p, size);
    w = op == X_XCHG ? src : op == X_XADD ? v + src : v == acc ? src : v;
    put(p, size, w);
    ptr_w_done(cpu, p, va, bytes);
    if (lock) lock_end(cpu);
  }
  if (op == X_XCHG) put_reg(reg, size, v);
  else if (op == X_XADD) {
    flags_lazy(cpu, FLAG_ADD, sx(v + src, size), v, src);
    put_reg(reg, size, v);
  } else {
    flags_lazy(cpu, FLAG_SUB, sx(acc - v, size), acc, v);
    if (v != acc) put_reg(cpu, size, v);
  }
}

/** CMPXCHG8B, CMPXCHG16B (only offered with one vCPU, since WASM has no 128-bit atomic; with more it takes the big lock). */
function compare_pair(cpu: usize, u: usize, wide: bool, lock: bool): void {
  const c = changetype<Cpu>(cpu);
  const va = ea(cpu, u);
  const bytes: u32 = wide ? 16 : 8;
  if (wide && va & 15) {
    raise(cpu, 13, 0);
    return;
  }
  const p = ptr_rw(cpu, va, bytes);
  if (p == 0) return;
  let equal: bool;
  if (!wide) {
    const want = (c.r2 << 32) | (c.r0 & 0xffff_ffff);
    const give = (c.r1 << 32) | (c.r3 & 0xffff_ffff);
    let v: u64;
    if (lock && atomic_ok(p, 3)) v = atomic.cmpxchg<u64>(p, want, give);
    else {
      if (lock) lock_begin(cpu, p, va, bytes);
      v = load<u64>(p);
      if (v == want) store<u64>(p, give);
      ptr_w_done(cpu, p, va, bytes);
      if (lock) lock_end(cpu);
    }
    if (lock && atomic_ok(p, 3)) ptr_w_done(cpu, p, va, bytes);
    equal = v == want;
    if (!equal) {
      c.r0 = <u32>v;
      c.r2 = v >> 32;
    }
  } else {
    if (lock) lock_begin(cpu, p, va, bytes);
    const lo = load<u64>(p);
    const hi = load<u64>(p, 8);
    equal = lo == c.r0 && hi == c.r2;
    if (equal) {
      store<u64>(p, c.r3);
      store<u64>(p, c.r1, 8);
    }
    ptr_w_done(cpu, p, va, bytes);
    if (lock) lock_end(cpu);
    if (!equal) {
      c.r0 = lo;
      c.r2 = hi;
    }
  }
  const f = flags_materialize(cpu) & ~ZF;
  c.eflags = equal ? f | ZF : f;
}

// ---- decimal adjustments (32- and 16-bit code only) -----------------------------------------------------------------------

/** op: 0 AAA, 1 AAS, 2 DAA, 3 DAS. */
export function decimal_adjust(cpu: usize, op: u32): void {
  const f = flags_materialize(cpu);
  const al: u32 = load<u8>(cpu);
  let cf: u32 = 0;
  let af: u32 = 0;
  if (op < 2) {
    if ((al & 15) > 9 || f & AF) {
      const ax: u32 = load<u16>(cpu);
      store<u16>(cpu, <u16>(op == 0 ? ax + 0x106 : ax - 0x106));
      cf = CF;
      af = AF;
    }
    const r: u32 = load<u8>(cpu) & 15;
    store<u8>(cpu, <u8>r);
    decimal_flags(cpu, r, cf | af);
    return;
  }
  let r = al;
  if ((al & 15) > 9 || f & AF) {
    r = op == 2 ? r + 6 : r - 6;
    cf = f & CF || (op == 2 ? al > 0xf9 : al < 6) ? CF : 0;
    af = AF;
  }
  if (al > 0x99 || f & CF) {
    r = op == 2 ? r + 0x60 : r - 0x60;
    cf = CF;
  }
  store<u8>(cpu, <u8>r);
  decimal_flags(cpu, r, cf | af);
}

function decimal_flags(cpu: usize, r: u32, bits: u32): void {
  let f = bits;
  if ((r & 0xff) == 0) f |= ZF;
  if (r & 0x80) f |= SF;
  if (!(popcnt(r & 0xff) & 1)) f |= PF;
  set_flags_explicit(cpu, f);
}

/** AAM by `base`; #DE for 0. */
export function aam(cpu: usize, base: u32): void {
  if (base == 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  const al: u32 = load<u8>(cpu);
  store<u8>(cpu, <u8>(al / base), 1);
  store<u8>(cpu, <u8>(al % base));
  decimal_flags(cpu, al % base, 0);
}

export function aad(cpu: usize, base: u32): void {
  const r: u32 = (load<u8>(cpu) + load<u8>(cpu, 1) * base) & 0xff;
  store<u16>(cpu, <u16>r);
  decimal_flags(cpu, r, 0);
}
