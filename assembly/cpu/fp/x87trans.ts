/**
 * F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS (Intel SDM Vol. 1, 8.3.6 and 8.3.7; special cases: Vol. 2).
 *
 * Values are computed with about 2^-110 relative error and rounded once, so the result is the correctly rounded one but
 * in the rarest cases. Arguments of the circular functions are reduced by an exact pi, not by the 66-bit pi of real
 * CPUs: the difference shows only for large arguments, or near multiples of pi.
 *
 * A positive value during the computation: 128-bit significand with bit 127 set (fixed128.ts) and an exponent.
 */
import { Cpu } from '../state';
import * as fx from './fixed128';
import * as sf from './softfloat';
import { A, B, C_INF, C_NORMAL, C_ZERO, DE, IE, PE, R, SF_UP, TOP64, UE, ZE, mulhi } from './softfloat';
import {
  FSW_C1, FSW_C2, FSW_SF, NAN_SE, NAN_SIG, clear_c1, conclude, invalid, is_empty, nans, note_denormals, pop, result_from, result_inf,
  result_zero, round_ext, se, set_st, set_top, sig, signal, st, start, top, underflow, unpack_st, work, write_result,
} from './x87stack';

// Slots of the work area behind softfloat.ts's.
const V: usize = 256; // the value in work
const W: usize = 272;
const P: usize = 288; // series accumulator, Q1.127
const Q: usize = 304;
const Z: usize = 320; // argument, Q0.128
const ONE: usize = 336; // 1 in Q1.127
const SIN: usize = 352; // significand; exponent at SIN_E
const COS: usize = 368;
const SIN_E: usize = 384;
const COS_E: usize = 388;
const WIDE: usize = 400; // 6 words of the argument reduction

const PI_2_H: u64 = 0xc90f_daa2_2168_c234; // pi/2 and pi as significands, exponents 0 and 1
const PI_2_L: u64 = 0xc4c6_628b_80dc_1cd1;
const LN2_H: u64 = 0xb172_17f7_d1cf_79ab; // exponent −1
const LN2_L: u64 = 0xc9e3_b398_03f2_f6af;
const LOG2E_H: u64 = 0xb8aa_3b29_5c17_f0bb; // exponent 0
const LOG2E_L: u64 = 0xbe87_fed0_691d_3e88;
const SQRT2: u64 = 0xb504_f333_f9de_6484;

/** atan(k/8), k = 0 … 8, in Q2.126. */
const ATAN_TABLE = memory.data<u64>([
  0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x07f5_6ea6_ab0b_db71, 0x9644_bcc4_f9f4_4477, 0x0fad_bafc_9640_6eb1, 0x56dc_79ef_5f7a_217e,
  0x16f6_1941_e4de_f08e, 0x7154_6424_5b9f_c890, 0x1dac_6705_61bb_4f68, 0xadfc_88bd_9787_51a0, 0x23c0_1757_bdfd_67e6, 0xd720_d785_9971_0dd1,
  0x292f_1f46_4d3d_c249, 0x066a_1fca_915f_6b27, 0x2e01_4f8a_f08c_679c, 0xf2cb_6954_8429_110f, 0x3243_f6a8_885a_308d, 0x3131_98a2_e037_0734,
]);

/** 2/pi, 320 bits of fraction. */
const TWO_OVER_PI = memory.data<u64>([
  0xa2f9_836e_4e44_1529, 0xfc27_57d1_f534_ddc0, 0xdb62_9599_3c43_9041, 0xfe51_63ab_debb_c561, 0xb724_6e3a_424d_d2e0,
]);

/** R = ± the value at `p` with exponent `e`, not exact: rounds to 64 bits and always leaves PE. */
function result(cpu: usize, p: usize, sign: u32, e: i32): void {
  const t = work(cpu);
  sf.put(t + R, C_NORMAL, sign, e, fx.hi(p), fx.lo(p) | 1);
  round_ext(cpu, 64);
}

/** p × q for a significand p and a Q1.127 factor q in (0.5, 2): p becomes a significand again; returns the exponent's change. */
function scale(p: usize, q: usize): i32 {
  fx.mul(p, p, q);
  return 1 - fx.normalize(p);
}

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

// ---- circular functions --------------------------------------------------------------------------------------------

/**
 * Reduces A (exponent ≤ 62) to r in [−pi/4, pi/4] and a quadrant: |r| at V, its exponent in the result's upper part.
 * Returns quadrant | sign of r << 2 | (exponent << 8).
 */
function reduce(t: usize): i32 {
  const x = sf.hi_of(t, A);
  const e = sf.exp_of(t, A);
  if (e < -1) {
    fx.set(t + V, x, 0);
    return e << 8;
  }
  // x · 2/pi: 64 bits of integer, 320 of fraction, then the exponent's shift
  const w = t + WIDE;
  let carry: u64 = 0;
  for (let i: i32 = 4; i >= 0; i--) {
    const a = load<u64>(TWO_OVER_PI + (<usize>i << 3));
    const low = a * x;
    const sum = low + carry;
    carry = mulhi(a, x) + u64(sum < low);
    store<u64>(w + (<usize>(i + 1) << 3), sum);
  }
  store<u64>(w, carry);
  const s = <u32>(63 - e);
  if (s == 64) {
    for (let i: i32 = 5; i > 0; i--) store<u64>(w + (<usize>i << 3), load<u64>(w + (<usize>(i - 1) << 3)));
    store<u64>(w, 0);
  } else {
    for (let i: i32 = 5; i > 0; i--) {
      store<u64>(w + (<usize>i << 3), (load<u64>(w + (<usize>i << 3)) >> s) | (load<u64>(w + (<usize>(i - 1) << 3)) << (64 - s)));
    }
    store<u64>(w, load<u64>(w) >> s);
  }
  let q = <i32>load<u64>(w);
  let neg: i32 = 0;
  if (load<u64>(w, 8) >> 63 != 0) {
    q++;
    neg = 4;
    // fraction − 1: negate the 320 bits
    let c = true;
    for (let i: usize = 40; i >= 8; i -= 8) {
      const v = ~load<u64>(w + i) + u64(c);
      c = c && v == 0;
      store<u64>(w + i, v);
    }
  }
  // the leading 128 bits of the fraction
  let i: usize = 8;
  let fe: i32 = -1;
  while (i < 32 && load<u64>(w + i) == 0) {
    i += 8;
    fe -= 64;
  }
  const n = <u32>clz(load<u64>(w + i));
  let h = load<u64>(w + i);
  let l = i < 40 ? load<u64>(w + i, 8) : 0;
  if (n != 0) {
    h = (h << n) | (l >> (64 - n));
    l = (l << n) | (i < 32 ? load<u64>(w + i, 16) >> (64 - n) : 0);
  }
  fx.set(t + V, h, l);
  fx.set(t + W, PI_2_H, PI_2_L);
  fe += scale(t + V, t + W) - <i32>n;
  return ((fe << 8) | neg) | (q & 3);
}

/** Sine and cosine of V (exponent e ≤ −1) at SIN and COS. */
function sine_cosine(t: usize, e: i32): void {
  fx.shr(t + Z, t + V, <u32>-(e + 1));
  fx.mul(t + Z, t + Z, t + Z);
  fx.set(t + ONE, TOP64, 0);
  fx.copy(t + P, t + ONE);
  for (let k: u64 = 17; k > 0; k--) {
    fx.mul(t + Q, t + Z, t + P);
    fx.div_small(t + Q, t + Q, 2 * k * (2 * k + 1));
    // never exactly one: a tiny argument must still round as what lies below it
    if (k == 1) store<u64>(t + Q, fx.lo(t + Q) | 1, 8);
    fx.sub(t + P, t + ONE, t + Q);
  }
  fx.copy(t + SIN, t + V);
  store<i32>(t + SIN_E, e + scale(t + SIN, t + P));
  fx.copy(t + P, t + ONE);
  for (let k: u64 = 17; k > 0; k--) {
    fx.mul(t + Q, t + Z, t + P);
    fx.div_small(t + Q, t + Q, 2 * k * (2 * k - 1));
    if (k == 1) store<u64>(t + Q, fx.lo(t + Q) | 1, 8);
    fx.sub(t + P, t + ONE, t + Q);
  }
  fx.copy(t + COS, t + P);
  store<i32>(t + COS_E, -fx.normalize(t + COS));
}

/** R = sine (`which` 0) or cosine (1) of the reduced argument. */
function circular(cpu: usize, which: u32, r: i32, sign: u32): void {
  const t = work(cpu);
  const q = <u32>(r & 3);
  const rs = <u32>(r >> 2) & 1;
  if ((q & 1) == which) {
    // sine of r: odd in r
    const s = which == 0 ? sign ^ rs ^ (q >> 1) : rs ^ (((q + 1) >> 1) & 1);
    result(cpu, t + SIN, s, load<i32>(t + SIN_E));
  } else {
    const s = which == 0 ? sign ^ (q >> 1) : ((q + 1) >> 1) & 1;
    result(cpu, t + COS, s, load<i32>(t + COS_E));
  }
}

/** True when |ST0| ≥ 2^63: C2 is set, nothing else changes. */
function out_of_range(cpu: usize): bool {
  const t = work(cpu);
  if (sf.class_of(t, A) > sf.C_DENORMAL || sf.class_of(t, A) == C_ZERO || sf.exp_of(t, A) < 63) return false;
  changetype<Cpu>(cpu).fsw |= FSW_C2;
  return true;
}

/** Stack faults of the instructions that push a second result. True: the instruction is over. */
function push_faults(cpu: usize): bool {
  const empty = is_empty(cpu, 0);
  if (!empty && is_empty(cpu, 7)) return false;
  const c = changetype<Cpu>(cpu);
  if (!empty) c.fsw |= FSW_C1;
  if (signal(cpu, IE | FSW_SF)) return true;
  set_st(cpu, 0, NAN_SE, NAN_SIG);
  set_top(cpu, top(cpu) + 7);
  set_st(cpu, 0, NAN_SE, NAN_SIG);
  return true;
}

/** FSIN (`which` 1), FCOS (2), FSINCOS (3). */
export function fsincos(cpu: usize, which: u32): void {
  const c = changetype<Cpu>(cpu);
  const t = work(cpu);
  start(cpu);
  c.fsw &= ~FSW_C2;
  if (which == 3) {
    if (push_faults(cpu)) return;
  } else if (is_empty(cpu, 0)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  unpack_st(cpu, A, 0);
  if (out_of_range(cpu)) return;
  // the cosine's bits while R is used for the sine
  let cos_se: u32 = 0;
  let cos_sig: u64 = 0;
  const ca = sf.class_of(t, A);
  if (nans(t, false) || ca == C_INF) {
    if (ca == C_INF) invalid(t);
    cos_se = sf.pack_ext_se(t);
    cos_sig = sf.hi_of(t, R);
  } else if (ca == C_ZERO) {
    cos_se = 0x3fff;
    cos_sig = TOP64;
    if (which == 2) sf.put(t + R, C_NORMAL, 0, 0, TOP64, 0);
    else result_from(t, A);
  } else {
    note_denormals(t, false);
    const r = reduce(t);
    sine_cosine(t, r >> 8);
    if (which & 2) {
      circular(cpu, 1, r, sf.sign_of(t, A));
      cos_se = sf.pack_ext_se(t);
      cos_sig = sf.hi_of(t, R);
    }
    if (which & 1) circular(cpu, 0, r, sf.sign_of(t, A));
  }
  if (!conclude(cpu)) return;
  write_result(cpu, 0);
  if (which == 3) {
    set_top(cpu, top(cpu) + 7);
    set_st(cpu, 0, cos_se, cos_sig);
  }
}

/** Tangent, then 1.0 on top. */
export function fptan(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const t = work(cpu);
  start(cpu);
  c.fsw &= ~FSW_C2;
  if (push_faults(cpu)) return;
  unpack_st(cpu, A, 0);
  if (out_of_range(cpu)) return;
  let one_se: u32 = 0x3fff;
  let one_sig = TOP64;
  const ca = sf.class_of(t, A);
  if (nans(t, false) || ca == C_INF) {
    if (ca == C_INF) invalid(t);
    one_se = sf.pack_ext_se(t);
    one_sig = sf.hi_of(t, R);
  } else if (ca == C_ZERO) result_from(t, A);
  else {
    note_denormals(t, false);
    const r = reduce(t);
    if (sf.exp_of(t, A) < -60) {
      // x + x³/3: beyond the value itself only stickiness is left, upwards
      fx.set(t + V, sf.hi_of(t, A), 0);
      result(cpu, t + V, sf.sign_of(t, A), r >> 8);
    } else tangent(cpu, r);
  }
  if (!conclude(cpu)) return;
  write_result(cpu, 0);
  set_top(cpu, top(cpu) + 7);
  set_st(cpu, 0, one_se, one_sig);
}

function tangent(cpu: usize, r: i32): void {
  const t = work(cpu);
  sine_cosine(t, r >> 8);
  const sign = sf.sign_of(t, A) ^ (<u32>(r >> 2) & 1) ^ (r & 1);
  const e = load<i32>(t + SIN_E) - load<i32>(t + COS_E);
  if (r & 1) result(cpu, t + V, sign, fx.divide(t + V, t + COS, t + SIN) - e);
  else result(cpu, t + V, sign, fx.divide(t + V, t + SIN, t + COS) + e);
}

// ---- FPATAN --------------------------------------------------------------------------------------------------------

/** R = k·pi/4, inexact; k = 1 … 4. */
function quarter_pi(cpu: usize, k: u32, sign: u32): void {
  const t = work(cpu);
  if (k == 3) {
    fx.set(t + V, 0x96cb_e3f9_990e_91a7, 0x9394_c9e8_a0a5_159c);
    result(cpu, t + V, sign, 1);
    return;
  }
  fx.set(t + V, PI_2_H, PI_2_L);
  result(cpu, t + V, sign, k == 4 ? 1 : k == 2 ? 0 : -1);
}

/** ST1 = arctan(ST1 / ST0) in the quadrant that the signs tell; pop. */
export function fpatan(cpu: usize): void {
  start(cpu);
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (underflow(cpu)) return;
    set_st(cpu, 1, NAN_SE, NAN_SIG);
    pop(cpu);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 1); // y
  unpack_st(cpu, B, 0); // x
  if (!nans(t, true)) {
    const cy = sf.class_of(t, A);
    const cx = sf.class_of(t, B);
    const sy = sf.sign_of(t, A);
    const sx = sf.sign_of(t, B);
    note_denormals(t, true);
    if (cy == C_INF) quarter_pi(cpu, cx == C_INF ? (sx ? 3 : 1) : 2, sy);
    else if (cx == C_INF || cy == C_ZERO) {
      if (sx) quarter_pi(cpu, 4, sy);
      else result_zero(t, sy);
    } else if (cx == C_ZERO) quarter_pi(cpu, 2, sy);
    else arctangent(cpu, sy, sx);
  }
  if (!conclude(cpu)) return;
  write_result(cpu, 1);
  pop(cpu);
}

/** Q2.126 of V × 2^e (e ≤ 1), never nothing. */
function to_fixed(t: usize, d: usize, e: i32): void {
  const n = 1 - e;
  fx.shr(d, t + V, n > 200 ? 200 : <u32>n);
  store<u64>(d, fx.lo(d) | 1, 8);
}

function arctangent(cpu: usize, sy: u32, sx: u32): void {
  const t = work(cpu);
  let n = sf.hi_of(t, A);
  let ne = sf.exp_of(t, A);
  let m = sf.hi_of(t, B);
  let me = sf.exp_of(t, B);
  const swap = ne > me || (ne == me && n > m);
  if (swap) {
    const h = n;
    n = m;
    m = h;
    const x = ne;
    ne = me;
    me = x;
  }
  const d = me - ne;
  // u = (n/m − k/8) / (1 + n/m · k/8), k the nearest eighth, |u| ≤ 1/16
  let k: u64 = 0;
  if (d < 6) k = <u64>(<f64>n / <f64>m / <f64>(1 << d) * 8.0 + 0.5);
  let e: i32;
  let minus = false;
  let zero = false;
  if (k == 0) {
    fx.set(t + P, n, 0);
    fx.set(t + Q, m, 0);
    e = fx.divide(t + V, t + P, t + Q) - d;
  } else {
    // scaled by 2^56 over m's last bit: 8n and 8m stay below 2^124
    fx.set(t + P, n >> (8 + d), n << (56 - d));
    fx.set(t + Q, m >> 8, m << 56);
    times(t + W, t + Q, k);
    times(t + V, t + P, 8);
    minus = fx.less(t + V, t + W);
    if (minus) fx.sub(t + V, t + W, t + V);
    else fx.sub(t + V, t + V, t + W);
    times(t + W, t + P, k);
    times(t + Q, t + Q, 8);
    fx.add(t + Q, t + Q, t + W);
    zero = fx.is_zero(t + V);
    e = 0;
    if (!zero) {
      e = fx.normalize(t + Q) - fx.normalize(t + V);
      fx.copy(t + P, t + V);
      e += fx.divide(t + V, t + P, t + Q);
    }
  }
  if (!zero) {
    fx.shr(t + Z, t + V, e < -200 ? 200 : <u32>-(e + 1));
    fx.mul(t + Z, t + Z, t + Z);
    fx.set(t + ONE, TOP64, 0);
    fx.set(t + P, 0, 0);
    for (let j: i32 = 16; j >= 0; j--) {
      fx.mul(t + Q, t + Z, t + P);
      if (j == 0) store<u64>(t + Q, fx.lo(t + Q) | 1, 8);
      fx.div_small(t + P, t + ONE, <u64>(2 * j + 1));
      fx.sub(t + P, t + P, t + Q);
    }
    e += scale(t + V, t + P);
  }
  if (k == 0 && !swap && !sx) {
    result(cpu, t + V, sy, e);
    return;
  }
  fx.set(t + P, load<u64>(ATAN_TABLE + (<usize>k << 4)), load<u64>(ATAN_TABLE + (<usize>k << 4), 8));
  if (!zero) {
    to_fixed(t, t + Q, e);
    if (minus) fx.sub(t + P, t + P, t + Q);
    else fx.add(t + P, t + P, t + Q);
  }
  fx.set(t + W, PI_2_H, PI_2_L);
  if (swap) {
    fx.shr(t + Q, t + W, 1);
    fx.sub(t + P, t + Q, t + P);
  }
  if (sx) fx.sub(t + P, t + W, t + P); // the same digits, a binary place higher, are pi
  e = 1 - fx.normalize(t + P);
  result(cpu, t + P, sy, e);
}

/** d = a × k without overflow. */
function times(d: usize, a: usize, k: u64): void {
  const l = fx.lo(a);
  fx.set(d, fx.hi(a) * k + mulhi(l, k), l * k);
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
  let minus = fx.less(t + W, t + ONE);
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
  let l: i32;
  if (sx && e >= 0) {
    // 1 + x ≤ 0, outside the instruction's range, undefined: x is the result, as on AMD
    result_from(t, A);
    sf.add_flags(t, PE);
    return;
  }
  if (e >= -2) {
    // 1 + x in full: at most 66 bits below one, or x large
    if (e >= 63) {
      fx.set(t + W, h, 0);
      l = log2(t, e);
    } else {
      // Q64.64
      fx.set(t + P, e >= 0 ? h >> (63 - e) : 0, e >= 0 ? (e == 63 ? 0 : h << (e + 1)) : h >> (-1 - e));
      let rest: u64 = 0;
      if (e < -1) rest = h << (65 + e);
      if (sx) {
        // 1 − x: borrow the dropped bits
        fx.set(t + W, 0, <u64>0 - fx.lo(t + P) - u64(rest != 0));
        rest = <u64>0 - rest;
        let n = <i32>clz(fx.lo(t + W));
        let a = fx.lo(t + W);
        let b = rest;
        if (n != 0) {
          a = (a << n) | (b >> (64 - n));
          b <<= n;
        }
        fx.set(t + W, a, b);
        l = log2(t, -1 - n);
      } else {
        const hh = fx.hi(t + P) + 1;
        const n = <i32>clz(hh);
        const ll = fx.lo(t + P);
        if (n == 0) fx.set(t + W, hh, ll);
        else fx.set(t + W, (hh << n) | (ll >> (64 - n)), (ll << n) | (rest >> (64 - n)));
        l = log2(t, 63 - n);
      }
    }
  } else {
    // s = x / (2 + x): x is small, the quotient keeps its relative precision
    const shift = <u32>(-e); // x in units of 2 (2 + x = 2 (1 + x/2))
    fx.set(t + P, h, 0);
    fx.set(t + ONE, TOP64, 0);
    fx.shr(t + Q, t + P, shift + 1 > 200 ? 200 : shift + 1);
    if (sx) fx.sub(t + Q, t + ONE, t + Q);
    else fx.add(t + Q, t + ONE, t + Q);
    let le = e - 1 + fx.normalize(t + Q);
    le += fx.divide(t + V, t + P, t + Q);
    le = logarithm_series(t, le);
    l = (le << 2) | <i32>sx;
  }
  times_y(cpu, B, l);
}
