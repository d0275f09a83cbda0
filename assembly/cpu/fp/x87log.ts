/** F2XM1, FYL2X, FYL2XP1 (Intel SDM Vol. 1, 8.3.7; special cases: Vol. 2). */
import * as fx from './fixed128';
import * as sf from './softfloat';
import { A, B, C_INF, C_NORMAL, C_ZERO, PE, R, SF_UP, TOP64, UE, ZE, mulhi } from './softfloat';
import {
  NAN_SE, NAN_SIG, conclude, invalid, is_empty, nans, note_denormals, pop, result_from, result_inf, result_zero, round_ext, set_st, start,
  underflow, unpack_st, work, write_result,
} from './x87stack';
import { V, W, P, Q, Z, ONE, LN2_H, LN2_L, LOG2E_H, LOG2E_L, SQRT2, result, scale } from './x87series';

// ---- F2XM1 ---------------------------------------------------------------------------------------------------------

export function f2xm1(cpu: usize): void {
  start(cpu);
  if (is_empty(cpu, 0)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 0);
  if (!nans(t, false)) {
    const ca = sf.class_of(t, A);
    const sign = sf.sign_of(t, A);
    const e = sf.exp_of(t, A);
    if (ca == C_ZERO) result_from(t, A);
    else if (ca == C_INF) {
      if (sign) sf.put(t + R, C_NORMAL, 1, 0, TOP64, 0);
      else result_inf(t, 0);
    } else if (e == 0 && sf.hi_of(t, A) == TOP64) {
      sf.put(t + R, C_NORMAL, sign, sign ? -1 : 0, TOP64, 0);
      sf.add_flags(t, sign ? PE : PE | SF_UP);
    } else if (e >= 0) {
      // outside −1 … +1, undefined: the operand stays, as on AMD
      result_from(t, A);
      sf.add_flags(t, PE);
    }
    else {
      note_denormals(t, false);
      exp_minus_one(cpu, sf.hi_of(t, A), e, sign);
    }
  }
  if (conclude(cpu)) write_result(cpu, 0);
}

/** 2^x − 1 = z (1 + z/2 (1 + z/3 (1 + …))), z = x ln 2. */
function exp_minus_one(cpu: usize, x: u64, e: i32, sign: u32): void {
  const t = work(cpu);
  fx.set(t + V, LN2_H, LN2_L);
  fx.mul64(t + V, t + V, x);
  // product of two significands in [1, 2): the exponents add, one more if it reached 2
  e += -fx.normalize(t + V);
  fx.shr(t + Z, t + V, <u32>-(e + 1));
  fx.set(t + ONE, TOP64, 0);
  fx.copy(t + P, t + ONE);
  for (let k: u64 = 32; k > 1; k--) {
    fx.mul(t + Q, t + Z, t + P);
    fx.div_small(t + Q, t + Q, k);
    if (sign) fx.sub(t + P, t + ONE, t + Q);
    else fx.add(t + P, t + ONE, t + Q);
  }
  result(cpu, t + V, sign, e + scale(t + V, t + P));
}

// ---- logarithms ----------------------------------------------------------------------------------------------------

/**
 * log2 of the significand at W with exponent e: |result| at V; returns its exponent × 4, + 1 when negative, + 2 when it is
 * exact (an integer, maybe 0 with V = 0).
 */
function log2(t: usize, e: i32): i32 {
  // m in [√½, √2) as Q2.126
  let m_shift: u32 = 1;
  if (fx.hi(t + W) >= SQRT2) {
    m_shift = 2;
    e++;
  }
  fx.shr(t + W, t + W, m_shift);
  fx.set(t + ONE, 0x4000_0000_0000_0000, 0);
  const minus = fx.less(t + W, t + ONE);
  if (minus) fx.sub(t + P, t + ONE, t + W);
  else fx.sub(t + P, t + W, t + ONE);
  fx.add(t + Q, t + W, t + ONE);
  let le: i32 = 0;
  const power = fx.is_zero(t + P);
  if (power) fx.set(t + V, 0, 0);
  else {
    le = fx.normalize(t + Q) - fx.normalize(t + P);
    le += fx.divide(t + V, t + P, t + Q);
    le = logarithm_series(t, le);
  }
  if (e == 0) return (le << 2) | (minus ? 1 : 0) | (power ? 2 : 0);
  // Q16.112
  const neg = e < 0;
  fx.set(t + P, <u64>(neg ? -e : e) << 48, 0);
  if (!power) {
    fx.shr(t + Q, t + V, <u32>(15 - le));
    if (minus == neg) fx.add(t + P, t + P, t + Q);
    else fx.sub(t + P, t + P, t + Q);
  }
  const n = fx.normalize(t + P);
  fx.copy(t + V, t + P);
  return ((15 - n) << 2) | (neg ? 1 : 0) | (power ? 2 : 0);
}

/** V × 2^e = s becomes 2 log2(e) · artanh(s); returns the exponent. s² ≤ 0.03. */
function logarithm_series(t: usize, e: i32): i32 {
  fx.shr(t + Z, t + V, e < -200 ? 200 : <u32>-(e + 1));
  fx.mul(t + Z, t + Z, t + Z);
  fx.set(t + ONE, TOP64, 0);
  fx.set(t + P, 0, 0);
  for (let j: i32 = 26; j >= 0; j--) {
    fx.mul(t + Q, t + Z, t + P);
    fx.div_small(t + P, t + ONE, <u64>(2 * j + 1));
    fx.add(t + P, t + P, t + Q);
  }
  e += 1 + scale(t + V, t + P);
  fx.set(t + W, LOG2E_H, LOG2E_L);
  return e + scale(t + V, t + W);
}

/** R = y · L, y = A's partner at B's place, L = V with exponent and bits from log2. */
function times_y(cpu: usize, y: usize, l: i32): void {
  const t = work(cpu);
  const sign = sf.sign_of(t, y) ^ <u32>(l & 1);
  const exact = (l & 2) != 0;
  const h = sf.hi_of(t, y);
  if (exact && fx.lo(t + V) == 0) {
    // an integer logarithm: a product of 64-bit numbers, which may be exact
    const a = fx.hi(t + V);
    let ph = mulhi(a, h);
    let pl = a * h;
    let e = (l >> 2) + sf.exp_of(t, y) + 1;
    if (!(ph & TOP64)) {
      ph = (ph << 1) | (pl >> 63);
      pl <<= 1;
      e--;
    }
    sf.put(t + R, C_NORMAL, sign, e, ph, pl);
    round_ext(cpu, 64);
    // reported as inexact even when it is not, as CPUs do
    sf.add_flags(t, sf.hi_of(t, R) & TOP64 ? PE : PE | UE);
    return;
  }
  fx.mul64(t + V, t + V, h);
  const n = fx.normalize(t + V);
  result(cpu, t + V, sign, (l >> 2) + sf.exp_of(t, y) + 1 - n);
}

/** ST1 = ST1 · log2(ST0), or of ST0 + 1; pop. */
export function fyl2x(cpu: usize, plus1: bool): void {
  start(cpu);
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (underflow(cpu)) return;
    set_st(cpu, 1, NAN_SE, NAN_SIG);
    pop(cpu);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 0); // x
  unpack_st(cpu, B, 1); // y
  if (!nans(t, true)) {
    if (plus1) log_plus_one(cpu);
    else log_times(cpu);
  }
  if (!conclude(cpu)) return;
  write_result(cpu, 1);
  pop(cpu);
}

function log_times(cpu: usize): void {
  const t = work(cpu);
  const cx = sf.class_of(t, A);
  const cy = sf.class_of(t, B);
  const sy = sf.sign_of(t, B);
  if (sf.sign_of(t, A) && cx != C_ZERO) {
    invalid(t);
    return;
  }
  const e = sf.exp_of(t, A);
  const h = sf.hi_of(t, A);
  if (cx == C_ZERO) {
    if (cy == C_ZERO) invalid(t);
    else {
      if (cy != C_INF) sf.add_flags(t, ZE);
      result_inf(t, sy ^ 1);
    }
    return;
  }
  const one = cx != C_INF && e == 0 && h == TOP64;
  if ((cx == C_INF && cy == C_ZERO) || (one && cy == C_INF)) {
    invalid(t);
    return;
  }
  note_denormals(t, true);
  const below = cx != C_INF && e < 0;
  if (cx == C_INF || cy == C_INF) result_inf(t, sy ^ <u32>below);
  else if (cy == C_ZERO || one) result_zero(t, one ? sy : sy ^ <u32>below);
  else {
    fx.set(t + W, h, 0);
    times_y(cpu, B, log2(t, e));
  }
}

/** log2(1 ± x) for x = h · 2^(e - 63), e ≥ -2, `sx`: minus: 1 ± x in full, at most 66 bits below one, or x large. */
function log2_near(t: usize, e: i32, h: u64, sx: u32): i32 {
  if (e >= 63) {
    fx.set(t + W, h, 0);
    return log2(t, e);
  }
  // Q64.64
  fx.set(t + P, e >= 0 ? h >> (63 - e) : 0, e >= 0 ? (e == 63 ? 0 : h << (e + 1)) : h >> (-1 - e));
  let rest: u64 = 0;
  if (e < -1) rest = h << (65 + e);
  if (sx) {
    // 1 − x: borrow the dropped bits
    fx.set(t + W, 0, <u64>0 - fx.lo(t + P) - u64(rest != 0));
    rest = <u64>0 - rest;
    const n = <i32>clz(fx.lo(t + W));
    let a = fx.lo(t + W);
    let b = rest;
    if (n != 0) {
      a = (a << n) | (b >> (64 - n));
      b <<= n;
    }
    fx.set(t + W, a, b);
    return log2(t, -1 - n);
  }
  const hh = fx.hi(t + P) + 1;
  const n = <i32>clz(hh);
  const ll = fx.lo(t + P);
  if (n == 0) fx.set(t + W, hh, ll);
  else fx.set(t + W, (hh << n) | (ll >> (64 - n)), (ll << n) | (rest >> (64 - n)));
  return log2(t, 63 - n);
}

/** As log2_near for smaller x: by s = x / (2 ± x), so that the quotient keeps its relative precision. */
function log2_small(t: usize, e: i32, h: u64, sx: u32): i32 {
  const shift = <u32>(-e); // x in units of 2 (2 + x = 2 (1 + x/2))
  fx.set(t + P, h, 0);
  fx.set(t + ONE, TOP64, 0);
  fx.shr(t + Q, t + P, shift + 1 > 200 ? 200 : shift + 1);
  if (sx) fx.sub(t + Q, t + ONE, t + Q);
  else fx.add(t + Q, t + ONE, t + Q);
  let le = e - 1 + fx.normalize(t + Q);
  le += fx.divide(t + V, t + P, t + Q);
  le = logarithm_series(t, le);
  return (le << 2) | <i32>sx;
}

function log_plus_one(cpu: usize): void {
  const t = work(cpu);
  const cx = sf.class_of(t, A);
  const cy = sf.class_of(t, B);
  const sx = sf.sign_of(t, A);
  const sy = sf.sign_of(t, B);
  const e = sf.exp_of(t, A);
  const h = sf.hi_of(t, A);
  if (cx == C_ZERO) {
    if (cy == C_INF) invalid(t);
    else {
      note_denormals(t, true);
      result_zero(t, sx ^ sy);
    }
    return;
  }
  if (cx == C_INF) {
    if (sx || cy == C_ZERO) invalid(t);
    else {
      note_denormals(t, true);
      result_inf(t, sy);
    }
    return;
  }
  note_denormals(t, true);
  if (cy == C_INF) {
    result_inf(t, sx ^ sy);
    return;
  }
  if (cy == C_ZERO) {
    result_zero(t, sx ^ sy);
    return;
  }
  if (sx && e >= 0) {
    // 1 + x ≤ 0, outside the instruction's range, undefined: x is the result, as on AMD
    result_from(t, A);
    sf.add_flags(t, PE);
    return;
  }
  times_y(cpu, B, e >= -2 ? log2_near(t, e, h, sx) : log2_small(t, e, h, sx));
}
