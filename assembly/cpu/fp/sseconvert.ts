/** SSE compares, conversions and rounding to integers on single numbers; flags collect as in ssefloat.ts. */
import { CPU_FPTMP } from './env';
import * as sf from './softfloat';
import { DE, IE, PE, R } from './softfloat';
import {
  MX_DAZ, MX_RC, MX_FAST_MASK, MX_FAST, mxcsr, rc, flag, normal_or_zero64, normal_or_zero32, sound32, quiet, round_pack, denormal64,
  denormal32, nan64, nan32, snan64, snan32,
} from './ssefloat';

// ---- compares ------------------------------------------------------------------------------------------------------

/** Flags of a compare. `signal`: quiet NaNs are invalid too. Returns true when unordered. */
function compare_flags(cpu: usize, nan: bool, snan: bool, den: bool, signal: bool): void {
  if (nan) {
    if (snan || signal) flag(cpu, IE);
  } else if (den && !(mxcsr(cpu) & MX_DAZ)) flag(cpu, DE);
}

/** CMPSD predicate `p` (0 … 7): EQ LT LE UNORD NEQ NLT NLE ORD. */
export function cmp64(cpu: usize, a: u64, b: u64, p: u32): bool {
  let fa = reinterpret<f64>(a);
  let fb = reinterpret<f64>(b);
  if (!(normal_or_zero64(a) && normal_or_zero64(b))) {
    compare_flags(cpu, nan64(a) || nan64(b), snan64(a) || snan64(b), denormal64(a) || denormal64(b), (p & 3) == 1 || (p & 3) == 2);
    if (mxcsr(cpu) & MX_DAZ) {
      if (denormal64(a)) fa = 0;
      if (denormal64(b)) fb = 0;
    }
  }
  return predicate(p, fa == fb, fa < fb, fa != fa || fb != fb);
}

export function cmp32(cpu: usize, a: u32, b: u32, p: u32): bool {
  let fa = reinterpret<f32>(a);
  let fb = reinterpret<f32>(b);
  if (!(normal_or_zero32(a) && normal_or_zero32(b))) {
    compare_flags(cpu, nan32(a) || nan32(b), snan32(a) || snan32(b), denormal32(a) || denormal32(b), (p & 3) == 1 || (p & 3) == 2);
    if (mxcsr(cpu) & MX_DAZ) {
      if (denormal32(a)) fa = 0;
      if (denormal32(b)) fb = 0;
    }
  }
  return predicate(p, fa == fb, fa < fb, fa != fa || fb != fb);
}

function predicate(p: u32, eq: bool, lt: bool, un: bool): bool {
  let r: bool;
  switch (p & 3) {
    case 0: r = eq; break;
    case 1: r = lt; break;
    case 2: r = lt || eq; break;
    default: r = un;
  }
  return p & 4 ? !r : r;
}

/** ZF PF CF of (U)COMISD; `signal` for COMISD. */
export function comi64(cpu: usize, a: u64, b: u64, signal: bool): u32 {
  const fa = reinterpret<f64>(a);
  const fb = reinterpret<f64>(b);
  if (normal_or_zero64(a) && normal_or_zero64(b)) return fa < fb ? 1 : fa == fb ? 0x40 : 0;
  if (nan64(a) || nan64(b)) {
    compare_flags(cpu, true, snan64(a) || snan64(b), false, signal);
    return 0x45;
  }
  const da = denormal64(a);
  const db = denormal64(b);
  compare_flags(cpu, false, false, da || db, signal);
  const daz = (mxcsr(cpu) & MX_DAZ) != 0;
  const za: f64 = daz && da ? 0 : fa;
  const zb: f64 = daz && db ? 0 : fb;
  return za < zb ? 1 : za == zb ? 0x40 : 0;
}

export function comi32(cpu: usize, a: u32, b: u32, signal: bool): u32 {
  const fa = reinterpret<f32>(a);
  const fb = reinterpret<f32>(b);
  if (normal_or_zero32(a) && normal_or_zero32(b)) return fa < fb ? 1 : fa == fb ? 0x40 : 0;
  if (nan32(a) || nan32(b)) {
    compare_flags(cpu, true, snan32(a) || snan32(b), false, signal);
    return 0x45;
  }
  const da = denormal32(a);
  const db = denormal32(b);
  compare_flags(cpu, false, false, da || db, signal);
  const daz = (mxcsr(cpu) & MX_DAZ) != 0;
  const za: f32 = daz && da ? 0 : fa;
  const zb: f32 = daz && db ? 0 : fb;
  return za < zb ? 1 : za == zb ? 0x40 : 0;
}

// ---- conversions ---------------------------------------------------------------------------------------------------

@inline
function by_rc(x: f64, mode: u32): f64 {
  switch (mode) {
    case 0: return nearest<f64>(x);
    case 1: return floor<f64>(x);
    case 2: return ceil<f64>(x);
    default: return trunc<f64>(x);
  }
}

/** A double (or a single, widened) to a 32-bit integer; 0x80000000 and IE when it does not fit. `mode`: rounding control. */
export function to_i32(cpu: usize, x: f64, mode: u32): i32 {
  const y = by_rc(x, mode);
  if (y >= -2147483648.0 && y <= 2147483647.0) {
    if (x != y) flag(cpu, PE);
    return <i32>y;
  }
  flag(cpu, IE);
  return i32.MIN_VALUE;
}

export function to_i64(cpu: usize, x: f64, mode: u32): i64 {
  const y = by_rc(x, mode);
  if (y >= -9223372036854775808.0 && y < 9223372036854775808.0) {
    if (x != y) flag(cpu, PE);
    return <i64>y;
  }
  flag(cpu, IE);
  return i64.MIN_VALUE;
}

/** The operand of a conversion to integer, widened; DAZ applied. A single's SNaN is fine: NaN is all that counts. */
@inline
export function int_arg64(cpu: usize, bits: u64): f64 {
  return mxcsr(cpu) & MX_DAZ && denormal64(bits) ? 0 : reinterpret<f64>(bits);
}
@inline
export function int_arg32(cpu: usize, bits: u32): f64 {
  return mxcsr(cpu) & MX_DAZ && denormal32(bits) ? 0 : <f64>reinterpret<f32>(bits);
}

/** CVTSI2SD (64-bit source) with PE. 32-bit sources are always exact. */
export function i64_to_f64(cpu: usize, v: i64): u64 {
  const m = mxcsr(cpu);
  if (v + 0x20_0000_0000_0000 >= 0 && v <= 0x20_0000_0000_0000) return reinterpret<u64>(<f64>v);
  if ((m & MX_FAST_MASK) == MX_FAST) return reinterpret<u64>(<f64>v);
  const t = cpu + CPU_FPTMP;
  sf.unpack_i64(t + R, v);
  return round_pack(t, m, true);
}

export function i64_to_f32(cpu: usize, v: i64): u32 {
  const m = mxcsr(cpu);
  if ((v >= -16777216 && v <= 16777216) || (m & MX_FAST_MASK) == MX_FAST) return reinterpret<u32>(<f32>v);
  const t = cpu + CPU_FPTMP;
  sf.unpack_i64(t + R, v);
  return <u32>round_pack(t, m, false);
}

/** CVTSS2SD: exact but for NaNs (quieted) and denormals (DE). */
export function f32_to_f64(cpu: usize, bits: u32): u64 {
  if (normal_or_zero32(bits)) return reinterpret<u64>(<f64>reinterpret<f32>(bits));
  if (nan32(bits)) {
    if (snan32(bits)) flag(cpu, IE);
    return (<u64>(bits >> 31) << 63) | 0x7ff8_0000_0000_0000 | (<u64>(bits & 0x007f_ffff) << 29);
  }
  if (denormal32(bits)) {
    if (mxcsr(cpu) & MX_DAZ) return <u64>(bits >> 31) << 63;
    flag(cpu, DE);
  }
  return reinterpret<u64>(<f64>reinterpret<f32>(bits));
}

/** CVTSD2SS. */
export function f64_to_f32(cpu: usize, bits: u64): u32 {
  const m = mxcsr(cpu);
  const x = reinterpret<f64>(bits);
  if (normal_or_zero64(bits)) {
    const r = <f32>x;
    const rb = reinterpret<u32>(r);
    if ((m & MX_RC) == 0 && (sound32(rb) || bits << 1 == 0)) {
      if (<f64>r != x) flag(cpu, PE);
      return rb;
    }
  } else if (nan64(bits)) {
    if (snan64(bits)) flag(cpu, IE);
    return (<u32>(bits >> 63) << 31) | 0x7fc0_0000 | (<u32>(bits >> 29) & 0x003f_ffff);
  } else if (bits << 1 == 0xffe0_0000_0000_0000) return (<u32>(bits >> 63) << 31) | 0x7f80_0000;
  else if (m & MX_DAZ) return <u32>(bits >> 63) << 31;
  else flag(cpu, DE);
  const t = cpu + CPU_FPTMP;
  sf.unpack_f64(t + R, bits);
  return <u32>round_pack(t, m, false);
}

// ---- rounding (SSE4.1) ---------------------------------------------------------------------------------------------

/** ROUNDSD: imm8 bits 1:0 mode, 2 take MXCSR.RC, 3 suppress PE. */
export function round64(cpu: usize, bits: u64, imm: u32): u64 {
  if (nan64(bits)) {
    if (snan64(bits)) flag(cpu, IE);
    return quiet(bits, true);
  }
  const m = mxcsr(cpu);
  if (denormal64(bits) && m & MX_DAZ) return bits & sf.TOP64;
  const x = reinterpret<f64>(bits);
  const y = by_rc(x, imm & 4 ? rc(m) : imm & 3);
  if (y != x && !(imm & 8)) flag(cpu, PE);
  return reinterpret<u64>(y);
}

export function round32(cpu: usize, bits: u32, imm: u32): u32 {
  if (nan32(bits)) {
    if (snan32(bits)) flag(cpu, IE);
    return <u32>quiet(<u64>bits, false);
  }
  const m = mxcsr(cpu);
  if (denormal32(bits) && m & MX_DAZ) return bits & 0x8000_0000;
  const x = <f64>reinterpret<f32>(bits);
  const y = by_rc(x, imm & 4 ? rc(m) : imm & 3);
  if (y != x && !(imm & 8)) flag(cpu, PE);
  return reinterpret<u32>(<f32>y);
}
