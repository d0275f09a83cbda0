/** x87 arithmetic on unpacked operands: the four operations, root, compare, FPREM, FSCALE, FXTRACT, FRNDINT. Intel SDM Vol. 1, 8.3 and 8.5; Vol. 2. */
import { Cpu } from '../vcpu/state';
import * as sf from './softfloat';
import { A, B, C_DENORMAL, C_INF, C_NORMAL, C_QNAN, C_SNAN, C_UNSUPPORTED, C_ZERO, IE, PE, R, SF_UP, TOP64, ZE } from './softfloat';
import {
  FSW_C0, FSW_C1, FSW_C2, FSW_C3, FSW_CC, conclude, invalid, nans, note_denormals, pop, precision, result_from, result_inf, result_zero,
  round_ext, rounding, signal, start, st, underflow, unpack_st, work, write_result, is_empty, set_st, NAN_SE, NAN_SIG, sig, se,
} from './x87stack';

export const X_ADD: u32 = 0;
export const X_MUL: u32 = 1;
export const X_SUB: u32 = 4;
export const X_SUBR: u32 = 5;
export const X_DIV: u32 = 6;
export const X_DIVR: u32 = 7;

/** R = A op B, rounded by the control word. */
export function operate(cpu: usize, op: u32): void {
  const t = work(cpu);
  if (nans(t, true)) return;
  const ca = sf.class_of(t, A);
  const cb = sf.class_of(t, B);
  const sa = sf.sign_of(t, A);
  const sb = sf.sign_of(t, B);
  switch (op) {
    case X_ADD:
    case X_SUB: {
      const neg: u32 = op == X_SUB ? 1 : 0;
      if (ca == C_INF || cb == C_INF) {
        if (ca == C_INF && cb == C_INF && sa != (sb ^ neg)) {
          invalid(t);
          return;
        }
        note_denormals(t, true);
        result_inf(t, ca == C_INF ? sa : sb ^ neg);
        return;
      }
      note_denormals(t, true);
      sf.sf_add(t, neg, rounding(cpu));
      break;
    }
    case X_MUL:
      if (ca == C_INF || cb == C_INF) {
        if (ca == C_ZERO || cb == C_ZERO) {
          invalid(t);
          return;
        }
        note_denormals(t, true);
        result_inf(t, sa ^ sb);
        return;
      }
      note_denormals(t, true);
      if (ca == C_ZERO || cb == C_ZERO) {
        result_zero(t, sa ^ sb);
        return;
      }
      sf.sf_mul(t);
      break;
    default: {
      if ((ca == C_INF && cb == C_INF) || (ca == C_ZERO && cb == C_ZERO)) {
        invalid(t);
        return;
      }
      if (ca == C_INF) {
        note_denormals(t, true);
        result_inf(t, sa ^ sb);
        return;
      }
      if (cb == C_ZERO) {
        sf.add_flags(t, ZE);
        result_inf(t, sa ^ sb);
        return;
      }
      note_denormals(t, true);
      if (cb == C_INF || ca == C_ZERO) {
        result_zero(t, sa ^ sb);
        return;
      }
      sf.sf_div(t);
    }
  }
  round_ext(cpu, precision(cpu));
}

/**
 * ST(dst) = A op B with A, B already unpacked when `op` is not reversed; `empty`: an operand is missing.
 * `pops` 1: FADDP and kin.
 */
export function binary(cpu: usize, op: u32, dst: u32, empty: bool, pops: u32): void {
  start(cpu);
  if (empty) {
    if (underflow(cpu)) return;
    set_st(cpu, dst, NAN_SE, NAN_SIG);
  } else {
    if (op == X_SUBR || op == X_DIVR) {
      const t = work(cpu);
      memory.copy(t + R, t + A, 32);
      memory.copy(t + A, t + B, 32);
      memory.copy(t + B, t + R, 32);
      op--;
    }
    operate(cpu, op);
    if (!conclude(cpu)) return;
    write_result(cpu, dst);
  }
  if (pops) pop(cpu);
}

export function fsqrt(cpu: usize): void {
  start(cpu);
  if (is_empty(cpu, 0)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 0);
  if (!nans(t, false)) {
    const ca = sf.class_of(t, A);
    if (ca == C_ZERO) result_from(t, A);
    else if (sf.sign_of(t, A)) invalid(t);
    else if (ca == C_INF) result_from(t, A);
    else {
      note_denormals(t, false);
      sf.sf_sqrt(t);
      round_ext(cpu, precision(cpu));
    }
  }
  if (conclude(cpu)) write_result(cpu, 0);
}

// ---- compares ------------------------------------------------------------------------------------------------------

/** A against B: 0 greater, 1 (C0, CF) less, 0x40 equal, 0x45 unordered; flags IE and DE collected. `quiet`: QNaNs are fine. */
export function compare(t: usize, quiet: bool): u32 {
  const ca = sf.class_of(t, A);
  const cb = sf.class_of(t, B);
  if (ca >= C_QNAN || cb >= C_QNAN) {
    if (!quiet || ca >= C_SNAN || cb >= C_SNAN) sf.add_flags(t, IE);
    return 0x45;
  }
  note_denormals(t, true);
  if (ca == C_ZERO && cb == C_ZERO) return 0x40;
  const sa = sf.sign_of(t, A);
  const sb = sf.sign_of(t, B);
  if (ca == C_ZERO) return sb ? 0 : 1;
  if (cb == C_ZERO) return sa ? 1 : 0;
  if (sa != sb) return sa ? 1 : 0;
  const ea = sf.exp_of(t, A);
  const eb = sf.exp_of(t, B);
  const ha = sf.hi_of(t, A);
  const hb = sf.hi_of(t, B);
  if (ea == eb && ha == hb) return 0x40;
  const less = ea < eb || (ea == eb && ha < hb);
  return less != (sa != 0) ? 1 : 0;
}

/** FCOM family: A and B unpacked unless `empty`. The condition codes change even when an exception is unmasked; the pop does not happen then. */
export function compare_status(cpu: usize, quiet: bool, empty: bool, pops: u32): void {
  const c = changetype<Cpu>(cpu);
  start(cpu);
  let r: u32 = 0x45;
  let ok: bool;
  if (empty) ok = !underflow(cpu);
  else {
    r = compare(work(cpu), quiet);
    ok = conclude(cpu);
  }
  // C0, C2, C3 sit where CF, PF, ZF are after SAHF
  c.fsw = (c.fsw & ~(FSW_C0 | FSW_C2 | FSW_C3)) | (r << 8);
  if (ok) for (let i: u32 = 0; i < pops; i++) pop(cpu);
}

export function fxam(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const p = st(cpu, 0);
  const t = work(cpu);
  let f: u32 = se(p) & 0x8000 ? FSW_C1 : 0;
  if (is_empty(cpu, 0)) f |= FSW_C3 | FSW_C0;
  else {
    sf.unpack_ext(t + A, se(p), sig(p));
    switch (sf.class_of(t, A)) {
      case C_ZERO: f |= FSW_C3; break;
      case C_NORMAL: f |= FSW_C2; break;
      case C_DENORMAL: f |= FSW_C3 | FSW_C2; break;
      case C_INF: f |= FSW_C2 | FSW_C0; break;
      case C_UNSUPPORTED: break;
      default: f |= FSW_C0;
    }
  }
  c.fsw = (c.fsw & ~FSW_CC) | f;
}

// ---- rounding to integers ------------------------------------------------------------------------------------------

/**
 * Integer part of the finite number A (zero included) by rounding mode `rc`: the magnitude is returned (all ones when it
 * does not fit 64 bits; check exp < 64 first). Adds PE and SF_UP.
 */
export function integer_of(t: usize, rc: u32): u64 {
  if (sf.class_of(t, A) == C_ZERO) return 0;
  const e = sf.exp_of(t, A);
  const h = sf.hi_of(t, A);
  if (e > 63) return 0xffff_ffff_ffff_ffff;
  let v: u64;
  let rem: u64;
  if (e < -1) {
    v = 0;
    rem = 1;
  } else if (e == -1) {
    v = 0;
    rem = h;
  } else if (e == 63) {
    v = h;
    rem = 0;
  } else {
    v = h >> (63 - e);
    rem = h << (e + 1);
  }
  if (rem != 0) {
    sf.add_flags(t, PE);
    if (sf.rounds_up(rc, sf.sign_of(t, A), (v & 1) != 0, rem)) {
      sf.add_flags(t, SF_UP);
      v++;
    }
  }
  return v;
}

export function frndint(cpu: usize): void {
  start(cpu);
  if (is_empty(cpu, 0)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 0);
  if (!nans(t, false)) {
    const ca = sf.class_of(t, A);
    note_denormals(t, false);
    if (ca == C_ZERO || ca == C_INF || sf.exp_of(t, A) >= 63) result_from(t, A);
    else {
      const v = integer_of(t, rounding(cpu));
      const n = <i32>clz(v);
      if (v == 0) result_zero(t, sf.sign_of(t, A));
      else sf.put(t + R, C_NORMAL, sf.sign_of(t, A), 63 - n, v << n, 0);
    }
  }
  if (conclude(cpu)) write_result(cpu, 0);
}

// ---- FSCALE, FXTRACT, FPREM ----------------------------------------------------------------------------------------

export function fscale(cpu: usize): void {
  start(cpu);
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 0);
  unpack_st(cpu, B, 1);
  if (!nans(t, true)) {
    const ca = sf.class_of(t, A);
    const cb = sf.class_of(t, B);
    const sa = sf.sign_of(t, A);
    const sb = sf.sign_of(t, B);
    if (cb == C_INF) {
      if ((ca == C_ZERO && !sb) || (ca == C_INF && sb)) invalid(t);
      else {
        note_denormals(t, true);
        if (sb) result_zero(t, sa);
        else result_inf(t, sa);
      }
    } else {
      note_denormals(t, true);
      if (ca == C_INF || ca == C_ZERO) result_from(t, A);
      else {
        let n: i32 = 0;
        const e = sf.exp_of(t, B);
        if (cb != C_ZERO && e >= 0) {
          n = e > 16 ? 0x2_0000 : <i32>(sf.hi_of(t, B) >> (63 - e));
          if (sb) n = -n;
        }
        sf.put(t + R, C_NORMAL, sa, sf.exp_of(t, A) + n, sf.hi_of(t, A), 0);
        round_ext(cpu, 64);
      }
    }
  }
  if (conclude(cpu)) write_result(cpu, 0);
}

/** ST0 becomes the exponent, the significand is pushed. */
export function fxtract(cpu: usize): void {
  start(cpu);
  const t = work(cpu);
  const empty = is_empty(cpu, 0);
  if (empty || !is_empty(cpu, 7)) {
    const c = changetype<Cpu>(cpu);
    if (!empty) c.fsw |= FSW_C1;
    if (signal(cpu, IE | 0x40)) return;
    set_st(cpu, 0, NAN_SE, NAN_SIG);
    c.fsw = (c.fsw & ~0x3800) | ((c.fsw + 0x3800) & 0x3800);
    set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  unpack_st(cpu, A, 0);
  let exp_se: u32;
  let exp_sig: u64;
  if (nans(t, false)) {
    exp_se = sf.pack_ext_se(t);
    exp_sig = sf.hi_of(t, R);
  } else {
    const ca = sf.class_of(t, A);
    if (ca == C_ZERO) {
      sf.add_flags(t, ZE);
      exp_se = 0xffff;
      exp_sig = TOP64;
      result_from(t, A);
    } else if (ca == C_INF) {
      exp_se = 0x7fff;
      exp_sig = TOP64;
      result_from(t, A);
    } else {
      note_denormals(t, false);
      sf.unpack_i64(t + B, <i64>sf.exp_of(t, A));
      memory.copy(t + R, t + B, 32);
      exp_se = sf.pack_ext_se(t);
      exp_sig = sf.hi_of(t, R);
      sf.put(t + R, C_NORMAL, sf.sign_of(t, A), 0, sf.hi_of(t, A), 0);
    }
  }
  if (!conclude(cpu)) return;
  set_st(cpu, 0, exp_se, exp_sig);
  const c = changetype<Cpu>(cpu);
  c.fsw = (c.fsw & ~0x3800) | ((c.fsw + 0x3800) & 0x3800);
  write_result(cpu, 0);
}

/** FPREM (`nearest` false) and FPREM1. */
export function fprem(cpu: usize, nearest: bool): void {
  const c = changetype<Cpu>(cpu);
  start(cpu);
  c.fsw &= ~FSW_C2;
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 0);
  unpack_st(cpu, B, 1);
  let q: u64 = 0;
  let partial = false;
  // without a remainder C0 and C3 stay as they were
  let keep = c.fsw & (FSW_C0 | FSW_C3);
  if (!nans(t, true)) {
    const ca = sf.class_of(t, A);
    const cb = sf.class_of(t, B);
    if (ca == C_INF || cb == C_ZERO) invalid(t);
    else {
      keep = 0;
      note_denormals(t, true);
      if (ca == C_ZERO || cb == C_INF) result_from(t, A);
      else {
        const d = sf.exp_of(t, A) - sf.exp_of(t, B);
        if (d >= 64) {
          partial = true;
          remainder_part(t, d);
        } else q = remainder(t, d, nearest);
      }
      if (sf.class_of(t, R) != C_ZERO && sf.class_of(t, R) != C_INF) round_ext(cpu, 64);
    }
  }
  if (!conclude(cpu)) return;
  let f = keep;
  if (partial) f = FSW_C2;
  else {
    if (q & 1) f |= FSW_C1;
    if (q & 2) f |= FSW_C3;
    if (q & 4) f |= FSW_C0;
  }
  c.fsw = (c.fsw & ~FSW_CC) | f;
  write_result(cpu, 0);
}

/** R = A − B·q for d = exp A − exp B < 64; returns q (its low bits). */
function remainder(t: usize, d: i32, nearest: bool): u64 {
  const sign = sf.sign_of(t, A);
  const a = sf.hi_of(t, A);
  const b = sf.hi_of(t, B);
  const eb = sf.exp_of(t, B);
  if (d < -1 || (d == -1 && (!nearest || a <= b))) {
    result_from(t, A);
    return 0;
  }
  if (d == -1) {
    // A is more than half of B: 2B − A at A's scale
    norm(t, sign ^ 1, eb - 1, (b << 1) - a);
    return 1;
  }
  let q: u64 = 0;
  let r = a;
  let carry = false;
  for (let i = d; ; i--) {
    q <<= 1;
    if (carry || r >= b) {
      r -= b;
      q |= 1;
    }
    if (i == 0) break;
    carry = r >> 63 != 0;
    r <<= 1;
  }
  if (nearest && (r > b - r || (r == b - r && q & 1))) {
    norm(t, sign ^ 1, eb, b - r);
    return q + 1;
  }
  norm(t, sign, eb, r);
  return q;
}

/** One partial step: the exponent difference shrinks by n = 32 + d mod 32 … as many quotient bits as that are removed. */
function remainder_part(t: usize, d: i32): void {
  const n = (d & 31) | 32;
  const b = sf.hi_of(t, B);
  let r = sf.hi_of(t, A);
  let carry = false;
  for (let i = n; ; i--) {
    if (carry || r >= b) r -= b;
    if (i == 0) break;
    carry = r >> 63 != 0;
    r <<= 1;
  }
  norm(t, sf.sign_of(t, A), sf.exp_of(t, A) - n, r);
}

function norm(t: usize, sign: u32, e: i32, h: u64): void {
  if (h == 0) {
    result_zero(t, h == 0 && sign != sf.sign_of(t, A) ? sf.sign_of(t, A) : sign);
    return;
  }
  const n = <i32>clz(h);
  sf.put(t + R, C_NORMAL, sign, e - n, h << n, 0);
}
