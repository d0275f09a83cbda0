/**
 * SSE arithmetic on single numbers, with x86's NaNs, rounding control, FTZ, DAZ and exact exception flags.
 *
 * The host's own arithmetic does the work when rounding is to nearest and operands and result are normal; what is left
 * to find out is then PE alone, by exact tests. All else goes through softfloat.ts. Flags collect in the work area at
 * cpu + CPU_FPTMP (T_FLAGS) until `commit` moves them to MXCSR. Intel SDM Vol. 1, 11.5 and Table 4-7.
 */
import { MX_FAST, MX_FAST_MASK } from '../../contract/translator';
import { Cpu } from '../vcpu/state';
import { CPU_FPTMP, CR4_OSXMMEXCPT, VEC_UD, VEC_XM, raise } from './env';
import * as sf from './softfloat';
import { A, B, R, T_FLAGS, C_DENORMAL, C_INF, C_QNAN, C_SNAN, C_ZERO, IE, DE, ZE, OE, UE, PE } from './softfloat';

export const OP_ADD: u32 = 0;
export const OP_SUB: u32 = 1;
export const OP_MUL: u32 = 2;
export const OP_DIV: u32 = 3;
export const OP_SQRT: u32 = 4;
export const OP_MIN: u32 = 5;
export const OP_MAX: u32 = 6;

export const MX_DAZ: u32 = 0x40;
export const MX_FTZ: u32 = 0x8000;
export const MX_RC: u32 = 0x6000;
export { MX_FAST, MX_FAST_MASK } from '../../contract/translator';

export const F64_DEFAULT_NAN: u64 = 0xfff8_0000_0000_0000;
export const F32_DEFAULT_NAN: u32 = 0xffc0_0000;

@inline
export function mxcsr(cpu: usize): u32 { return changetype<Cpu>(cpu).mxcsr; }
@inline
export function rc(m: u32): u32 { return (m >> 13) & 3; }
@inline
export function begin(cpu: usize): void { store<u32>(cpu + CPU_FPTMP, 0, T_FLAGS); }
@inline
export function flag(cpu: usize, f: u32): void { sf.add_flags(cpu + CPU_FPTMP, f); }

/**
 * Moves the collected flags to MXCSR. False: one of them is unmasked, #XM (#UD without CR4.OSXMMEXCPT) is set and the
 * instruction must not write. Unmasked IE, DE, ZE are found before any lane's OE, UE, PE (SDM Vol. 1, 11.5.2).
 */
export function commit(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  const f = load<u32>(cpu + CPU_FPTMP, T_FLAGS) & 0x3f;
  if (f == 0) return true;
  const trap = f & ~(c.mxcsr >> 7);
  if (trap == 0) {
    c.mxcsr |= f;
    return true;
  }
  c.mxcsr |= trap & (IE | DE | ZE) ? f & (IE | DE | ZE) : f;
  raise(cpu, c.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
  return false;
}

@inline
function normal64(bits: u64): bool { return ((<u32>(bits >> 52) & 0x7ff) - 1) < 0x7fe; }
@inline
export function normal_or_zero64(bits: u64): bool { return ((<u32>(bits >> 52) & 0x7ff) - 1) < 0x7fe || bits << 1 == 0; }
/** A result that neither underflowed nor overflowed, and did not round up to the least normal number. */
@inline
function sound64(bits: u64): bool { return ((<u32>(bits >> 52) & 0x7ff) - 2) < 0x7fd; }
@inline
export function normal_or_zero32(bits: u32): bool { return (((bits >> 23) & 0xff) - 1) < 0xfe || bits << 1 == 0; }
@inline
export function sound32(bits: u32): bool { return (((bits >> 23) & 0xff) - 2) < 0xfd; }

// ---- the slow path: any operands, any MXCSR ----------------------------------------------------------------------

/** Replaces a denormal by zero (DAZ) or notes DE. */
function denormals(t: usize, p: usize, m: u32): void {
  if (class_(t, p) != C_DENORMAL) return;
  if (m & MX_DAZ) sf.put(t + p, C_ZERO, sf.sign_of(t, p), 0, 0, 0);
}

@inline
function class_(t: usize, p: usize): u32 { return load<u32>(t + p, sf.U_CLASS); }

@inline
export function quiet(bits: u64, wide: bool): u64 {
  return wide ? bits | 0x0008_0000_0000_0000 : bits | 0x0040_0000;
}

@inline
function default_nan(wide: bool): u64 { return wide ? F64_DEFAULT_NAN : <u64>F32_DEFAULT_NAN; }

export function unpack(p: usize, bits: u64, wide: bool): void {
  if (wide) sf.unpack_f64(p, bits);
  else sf.unpack_f32(p, <u32>bits);
}

/** Rounds R by MXCSR and packs it. */
export function round_pack(t: usize, m: u32, wide: bool): u64 {
  const unmasked = (~m >> 7) & (OE | UE);
  if (wide) {
    sf.sf_round(t, 53, -1022, 1023, rc(m), unmasked, (m & MX_FTZ) != 0);
    return sf.pack_f64(t);
  }
  sf.sf_round(t, 24, -126, 127, rc(m), unmasked, (m & MX_FTZ) != 0);
  return <u64>sf.pack_f32(t);
}

/** One operation of two numbers of 64 (`wide`) or 32 bits. SQRT takes `b` alone. */
export function arith_slow(cpu: usize, op: u32, a: u64, b: u64, wide: bool): u64 {
  const t = cpu + CPU_FPTMP;
  const m = mxcsr(cpu);
  unpack(t + A, op == OP_SQRT ? b : a, wide);
  unpack(t + B, b, wide);
  let ca = class_(t, A);
  let cb = class_(t, B);
  if (ca >= C_QNAN || cb >= C_QNAN) {
    if (ca == C_SNAN || cb == C_SNAN) sf.add_flags(t, IE);
    return quiet(ca >= C_QNAN && op != OP_SQRT ? a : b, wide);
  }
  denormals(t, A, m);
  denormals(t, B, m);
  ca = class_(t, A);
  cb = class_(t, B);
  const sa = sf.sign_of(t, A);
  const sb = sf.sign_of(t, B);
  let f: u32 = ca == C_DENORMAL || cb == C_DENORMAL ? DE : 0;
  const r = t + R;
  if (op <= OP_SUB) {
    const neg = op == OP_SUB ? <u32>1 : 0;
    if (ca == C_INF || cb == C_INF) {
      if (ca == C_INF && cb == C_INF && sa != (sb ^ neg)) {
        sf.add_flags(t, IE);
        return default_nan(wide);
      }
      sf.add_flags(t, f);
      sf.put(r, C_INF, ca == C_INF ? sa : sb ^ neg, 0, 0, 0);
      return wide ? sf.pack_f64(t) : <u64>sf.pack_f32(t);
    }
    sf.sf_add(t, neg, rc(m));
  } else if (op == OP_MUL) {
    if (ca == C_INF || cb == C_INF || ca == C_ZERO || cb == C_ZERO) {
      if ((ca == C_INF && cb == C_ZERO) || (ca == C_ZERO && cb == C_INF)) {
        sf.add_flags(t, IE);
        return default_nan(wide);
      }
      sf.put(r, ca == C_INF || cb == C_INF ? C_INF : C_ZERO, sa ^ sb, 0, 0, 0);
    } else sf.sf_mul(t);
  } else if (op == OP_DIV) {
    if ((ca == C_INF && cb == C_INF) || (ca == C_ZERO && cb == C_ZERO)) {
      sf.add_flags(t, IE);
      return default_nan(wide);
    }
    if (ca == C_INF || cb == C_ZERO) {
      if (ca != C_INF) f = ZE;
      sf.put(r, C_INF, sa ^ sb, 0, 0, 0);
    } else if (cb == C_INF || ca == C_ZERO) sf.put(r, C_ZERO, sa ^ sb, 0, 0, 0);
    else sf.sf_div(t);
  } else {
    if (ca == C_ZERO) return wide ? <u64>sa << 63 : <u64>(sa << 31);
    if (sa) {
      sf.add_flags(t, IE);
      return default_nan(wide);
    }
    if (ca == C_INF) sf.put(r, C_INF, 0, 0, 0, 0);
    else sf.sf_sqrt(t);
  }
  sf.add_flags(t, f);
  const cr = class_(t, R);
  if (cr == C_ZERO || cr == C_INF) return wide ? sf.pack_f64(t) : <u64>sf.pack_f32(t);
  // An unmasked DE stops before the result's own exceptions; commit() sorts that out.
  return round_pack(t, m, wide);
}

// ---- double --------------------------------------------------------------------------------------------------------

@inline
function slow64(cpu: usize, op: u32, a: f64, b: f64): f64 {
  return reinterpret<f64>(arith_slow(cpu, op, reinterpret<u64>(a), reinterpret<u64>(b), true));
}

export function add64(cpu: usize, a: f64, b: f64): f64 {
  const r = a + b;
  const m = mxcsr(cpu);
  const rb = reinterpret<u64>(r);
  if ((m & MX_RC) == 0 && normal_or_zero64(reinterpret<u64>(a)) && normal_or_zero64(reinterpret<u64>(b)) && (sound64(rb) || rb << 1 == 0)) {
    if ((m & MX_FAST_MASK) == MX_FAST) return r;
    // Knuth's TwoSum: the rounding error is exactly representable
    const bb = r - a;
    if ((a - (r - bb)) + (b - bb) != 0) flag(cpu, PE);
    return r;
  }
  return slow64(cpu, OP_ADD, a, b);
}

export function sub64(cpu: usize, a: f64, b: f64): f64 {
  const r = a - b;
  const m = mxcsr(cpu);
  const rb = reinterpret<u64>(r);
  if ((m & MX_RC) == 0 && normal_or_zero64(reinterpret<u64>(a)) && normal_or_zero64(reinterpret<u64>(b)) && (sound64(rb) || rb << 1 == 0)) {
    if ((m & MX_FAST_MASK) == MX_FAST) return r;
    const bb = r - a;
    if ((a - (r - bb)) - (b + bb) != 0) flag(cpu, PE);
    return r;
  }
  return slow64(cpu, OP_SUB, a, b);
}

/** The odd part of a normal number's significand. */
@inline
function odd64(bits: u64): u64 {
  const s = (bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;
  return s >> ctz(s);
}
/** x·y has at most `p` bits (x, y odd, p ≤ 53). */
@inline
function fits(x: u64, y: u64, p: u64): bool {
  return 128 - clz(x) - clz(y) <= p + 1 && x * y >> p == 0;
}

export function mul64(cpu: usize, a: f64, b: f64): f64 {
  const r = a * b;
  const m = mxcsr(cpu);
  const ab = reinterpret<u64>(a);
  const bb = reinterpret<u64>(b);
  const rb = reinterpret<u64>(r);
  if ((m & MX_RC) == 0) {
    if (normal64(ab) && normal64(bb) && sound64(rb)) {
      if ((m & MX_FAST_MASK) != MX_FAST && !fits(odd64(ab), odd64(bb), 53)) flag(cpu, PE);
      return r;
    }
    if (rb << 1 == 0 && normal_or_zero64(ab) && normal_or_zero64(bb) && (ab << 1 == 0 || bb << 1 == 0)) return r;
  }
  return slow64(cpu, OP_MUL, a, b);
}

export function div64(cpu: usize, a: f64, b: f64): f64 {
  const r = a / b;
  const m = mxcsr(cpu);
  const ab = reinterpret<u64>(a);
  const bb = reinterpret<u64>(b);
  const rb = reinterpret<u64>(r);
  if ((m & MX_RC) == 0 && normal64(ab) && normal64(bb) && sound64(rb)) {
    if ((m & MX_FAST_MASK) != MX_FAST) {
      const q = odd64(rb);
      const d = odd64(bb);
      if (!fits(q, d, 53) || q * d != odd64(ab)) flag(cpu, PE);
    }
    return r;
  }
  return slow64(cpu, OP_DIV, a, b);
}

export function sqrt64(cpu: usize, b: f64): f64 {
  const bb = reinterpret<u64>(b);
  const m = mxcsr(cpu);
  if ((m & MX_RC) == 0 && normal64(bb) && !(bb >> 63)) {
    const r = sqrt<f64>(b);
    if ((m & MX_FAST_MASK) != MX_FAST) {
      const q = odd64(reinterpret<u64>(r));
      if (!fits(q, q, 53) || q * q != odd64(bb)) flag(cpu, PE);
    }
    return r;
  }
  return reinterpret<f64>(arith_slow(cpu, OP_SQRT, 0, bb, true));
}

/** MIN and MAX return the second operand when either is NaN or both are zero. */
export function minmax64(cpu: usize, a: u64, b: u64, max: bool): u64 {
  if (!(normal_or_zero64(a) && normal_or_zero64(b))) {
    const daz = (mxcsr(cpu) & MX_DAZ) != 0;
    const da = denormal64(a);
    const db = denormal64(b);
    if (daz && da) a &= sf.TOP64;
    if (daz && db) b &= sf.TOP64;
    if (nan64(a) || nan64(b)) {
      flag(cpu, IE);
      return b;
    }
    if (!daz && (da || db)) flag(cpu, DE);
  }
  const fa = reinterpret<f64>(a);
  const fb = reinterpret<f64>(b);
  return (max ? fa > fb : fa < fb) ? a : b;
}

export function minmax32(cpu: usize, a: u32, b: u32, max: bool): u32 {
  if (!(normal_or_zero32(a) && normal_or_zero32(b))) {
    const daz = (mxcsr(cpu) & MX_DAZ) != 0;
    const da = denormal32(a);
    const db = denormal32(b);
    if (daz && da) a &= 0x8000_0000;
    if (daz && db) b &= 0x8000_0000;
    if (nan32(a) || nan32(b)) {
      flag(cpu, IE);
      return b;
    }
    if (!daz && (da || db)) flag(cpu, DE);
  }
  const fa = reinterpret<f32>(a);
  const fb = reinterpret<f32>(b);
  return (max ? fa > fb : fa < fb) ? a : b;
}

@inline
export function denormal64(bits: u64): bool { return (bits & 0x7ff0_0000_0000_0000) == 0 && bits << 1 != 0; }
@inline
export function denormal32(bits: u32): bool { return (bits & 0x7f80_0000) == 0 && bits << 1 != 0; }
@inline
export function nan64(bits: u64): bool { return bits << 1 > 0xffe0_0000_0000_0000; }
@inline
export function nan32(bits: u32): bool { return bits << 1 > 0xff00_0000; }
@inline
export function snan64(bits: u64): bool { return nan64(bits) && !(bits & 0x0008_0000_0000_0000); }
@inline
export function snan32(bits: u32): bool { return nan32(bits) && !(bits & 0x0040_0000); }

// ---- single --------------------------------------------------------------------------------------------------------

@inline
function slow32(cpu: usize, op: u32, a: f32, b: f32): f32 {
  return reinterpret<f32>(<u32>arith_slow(cpu, op, <u64>reinterpret<u32>(a), <u64>reinterpret<u32>(b), false));
}

export function add32(cpu: usize, a: f32, b: f32): f32 {
  const r = a + b;
  const m = mxcsr(cpu);
  const rb = reinterpret<u32>(r);
  if ((m & MX_RC) == 0 && normal_or_zero32(reinterpret<u32>(a)) && normal_or_zero32(reinterpret<u32>(b)) && (sound32(rb) || rb << 1 == 0)) {
    if ((m & MX_FAST_MASK) == MX_FAST) return r;
    const bb: f32 = r - a;
    if ((a - (r - bb)) + (b - bb) != 0) flag(cpu, PE);
    return r;
  }
  return slow32(cpu, OP_ADD, a, b);
}

export function sub32(cpu: usize, a: f32, b: f32): f32 {
  const r = a - b;
  const m = mxcsr(cpu);
  const rb = reinterpret<u32>(r);
  if ((m & MX_RC) == 0 && normal_or_zero32(reinterpret<u32>(a)) && normal_or_zero32(reinterpret<u32>(b)) && (sound32(rb) || rb << 1 == 0)) {
    if ((m & MX_FAST_MASK) == MX_FAST) return r;
    const bb: f32 = r - a;
    if ((a - (r - bb)) - (b + bb) != 0) flag(cpu, PE);
    return r;
  }
  return slow32(cpu, OP_SUB, a, b);
}

export function mul32(cpu: usize, a: f32, b: f32): f32 {
  const r = a * b;
  const m = mxcsr(cpu);
  const ab = reinterpret<u32>(a);
  const bb = reinterpret<u32>(b);
  const rb = reinterpret<u32>(r);
  if ((m & MX_RC) == 0) {
    if (normal_or_zero32(ab) && normal_or_zero32(bb) && ((sound32(rb)) || (rb << 1 == 0 && (ab << 1 == 0 || bb << 1 == 0)))) {
      // two 24-bit significands: the product is exact in double
      if ((m & MX_FAST_MASK) != MX_FAST && <f64>r != <f64>a * <f64>b) flag(cpu, PE);
      return r;
    }
  }
  return slow32(cpu, OP_MUL, a, b);
}

export function div32(cpu: usize, a: f32, b: f32): f32 {
  const r = a / b;
  const m = mxcsr(cpu);
  const ab = reinterpret<u32>(a);
  const bb = reinterpret<u32>(b);
  if ((m & MX_RC) == 0 && normal_or_zero32(ab) && ab << 1 != 0 && normal_or_zero32(bb) && sound32(reinterpret<u32>(r))) {
    if ((m & MX_FAST_MASK) != MX_FAST && <f64>r * <f64>b != <f64>a) flag(cpu, PE);
    return r;
  }
  return slow32(cpu, OP_DIV, a, b);
}

export function sqrt32(cpu: usize, b: f32): f32 {
  const bb = reinterpret<u32>(b);
  const m = mxcsr(cpu);
  if ((m & MX_RC) == 0 && normal_or_zero32(bb) && bb - 1 < 0x7fff_ffff) {
    const r = sqrt<f32>(b);
    if ((m & MX_FAST_MASK) != MX_FAST && <f64>r * <f64>r != <f64>b) flag(cpu, PE);
    return r;
  }
  return reinterpret<f32>(<u32>arith_slow(cpu, OP_SQRT, 0, <u64>bb, false));
}

// ---- dispatch by operation ---------------------------------------------------------------------------------------

export function op64(cpu: usize, op: u32, a: f64, b: f64): f64 {
  switch (op) {
    case 0: return add64(cpu, a, b);
    case 1: return sub64(cpu, a, b);
    case 2: return mul64(cpu, a, b);
    case 3: return div64(cpu, a, b);
    case 4: return sqrt64(cpu, b);
    default: return reinterpret<f64>(minmax64(cpu, reinterpret<u64>(a), reinterpret<u64>(b), op == OP_MAX));
  }
}

export function op32(cpu: usize, op: u32, a: f32, b: f32): f32 {
  switch (op) {
    case 0: return add32(cpu, a, b);
    case 1: return sub32(cpu, a, b);
    case 2: return mul32(cpu, a, b);
    case 3: return div32(cpu, a, b);
    case 4: return sqrt32(cpu, b);
    default: return reinterpret<f32>(minmax32(cpu, reinterpret<u32>(a), reinterpret<u32>(b), op == OP_MAX));
  }
}
