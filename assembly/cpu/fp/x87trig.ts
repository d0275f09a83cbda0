/**
 * FSIN, FCOS, FSINCOS, FPTAN (Intel SDM Vol. 1, 8.3.6; special cases: Vol. 2). Arguments are reduced by an exact
 * pi, not by the 66-bit pi of real CPUs: the difference shows only for large arguments, or near multiples of pi.
 */
import { Cpu } from '../vcpu/state';
import * as fx from './fixed128';
import * as sf from './softfloat';
import { A, C_INF, C_NORMAL, C_ZERO, IE, R, TOP64, mulhi } from './softfloat';
import {
  FSW_C1, FSW_C2, FSW_SF, NAN_SE, NAN_SIG, conclude, invalid, is_empty, nans, note_denormals, result_from, set_st, set_top, signal, start,
  top, underflow, unpack_st, work, write_result,
} from './x87stack';
import { V, W, P, Q, Z, ONE, SIN, COS, SIN_E, COS_E, WIDE, PI_2_H, PI_2_L, result, scale } from './x87series';

/** 2/pi, 320 bits of fraction. */
const TWO_OVER_PI = memory.data<u64>([
  0xa2f9_836e_4e44_1529, 0xfc27_57d1_f534_ddc0, 0xdb62_9599_3c43_9041, 0xfe51_63ab_debb_c561, 0xb724_6e3a_424d_d2e0,
]);

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
