/** Packed float operations: the vector unit of the host where all lanes are harmless, else lane by lane (ssefloat.ts). */
import { CPU_FPTMP } from './env';
import { cmp32, cmp64, f32_to_f64, f64_to_f32, i64_to_f32, int_arg32, int_arg64, round32, round64, to_i32 } from './sseconvert';
import { MX_FAST, MX_FAST_MASK, OP_ADD, OP_SQRT, OP_SUB, begin, commit, mxcsr, op32, op64 } from './ssefloat';

/** Lanes are collected here before the destination is touched. */
const T_OUT: usize = 128;

/** Each lane zero, normal or infinite. */
@inline
function plain32(a: v128): v128 {
  const x = f32x4.abs(a);
  return v128.or(f32x4.ge(x, f32x4.splat(reinterpret<f32>(0x0080_0000))), f32x4.eq(x, f32x4.splat(0)));
}
@inline
function plain64(a: v128): v128 {
  const x = f64x2.abs(a);
  return v128.or(f64x2.ge(x, f64x2.splat(reinterpret<f64>(0x0010_0000_0000_0000))), f64x2.eq(x, f64x2.splat(0)));
}
/** Finite and at least twice the least normal number: neither overflow nor underflow happened. */
@inline
function sound32(r: v128): v128 {
  const x = f32x4.abs(r);
  return v128.and(f32x4.ge(x, f32x4.splat(reinterpret<f32>(0x0100_0000))), f32x4.le(x, f32x4.splat(reinterpret<f32>(0x7f7f_ffff))));
}
@inline
function sound64(r: v128): v128 {
  const x = f64x2.abs(r);
  return v128.and(
    f64x2.ge(x, f64x2.splat(reinterpret<f64>(0x0020_0000_0000_0000))),
    f64x2.le(x, f64x2.splat(reinterpret<f64>(0x7fef_ffff_ffff_ffff))),
  );
}

/** d = d op s on four singles. */
export function arith_ps(cpu: usize, op: u32, d: usize, s: usize): void {
  const b = v128.load(s);
  const a = op == OP_SQRT ? b : v128.load(d);
  if ((mxcsr(cpu) & MX_FAST_MASK) == MX_FAST && v128.all_true<i32>(v128.and(plain32(a), plain32(b)))) {
    let r: v128;
    switch (op) {
      case 0: r = f32x4.add(a, b); break;
      case 1: r = f32x4.sub(a, b); break;
      case 2: r = f32x4.mul(a, b); break;
      case 3: r = f32x4.div(a, b); break;
      case 4: r = f32x4.sqrt(b); break;
      case 5:
        v128.store(d, f32x4.pmin(b, a));
        return;
      default:
        v128.store(d, f32x4.pmax(b, a));
        return;
    }
    const zero = f32x4.splat(0);
    let z = f32x4.eq(r, zero);
    if (op > OP_SUB) z = v128.and(z, v128.or(f32x4.eq(a, zero), f32x4.eq(b, zero)));
    if (v128.all_true<i32>(v128.or(sound32(r), z))) {
      v128.store(d, r);
      return;
    }
  }
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 4) store<f32>(out + i, op32(cpu, op, load<f32>(d + i), load<f32>(s + i)));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

/** d = d op s on two doubles. */
export function arith_pd(cpu: usize, op: u32, d: usize, s: usize): void {
  const b = v128.load(s);
  const a = op == OP_SQRT ? b : v128.load(d);
  if ((mxcsr(cpu) & MX_FAST_MASK) == MX_FAST && v128.all_true<i64>(v128.and(plain64(a), plain64(b)))) {
    let r: v128;
    switch (op) {
      case 0: r = f64x2.add(a, b); break;
      case 1: r = f64x2.sub(a, b); break;
      case 2: r = f64x2.mul(a, b); break;
      case 3: r = f64x2.div(a, b); break;
      case 4: r = f64x2.sqrt(b); break;
      case 5:
        v128.store(d, f64x2.pmin(b, a));
        return;
      default:
        v128.store(d, f64x2.pmax(b, a));
        return;
    }
    const zero = f64x2.splat(0);
    let z = f64x2.eq(r, zero);
    if (op > OP_SUB) z = v128.and(z, v128.or(f64x2.eq(a, zero), f64x2.eq(b, zero)));
    if (v128.all_true<i64>(v128.or(sound64(r), z))) {
      v128.store(d, r);
      return;
    }
  }
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 8) store<f64>(out + i, op64(cpu, op, load<f64>(d + i), load<f64>(s + i)));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

/** CMPPS. */
export function cmp_ps(cpu: usize, p: u32, d: usize, s: usize): void {
  const a = v128.load(d);
  const b = v128.load(s);
  if (v128.all_true<i32>(v128.and(plain32(a), plain32(b)))) {
    let r: v128;
    switch (p & 7) {
      case 0: r = f32x4.eq(a, b); break;
      case 1: r = f32x4.lt(a, b); break;
      case 2: r = f32x4.le(a, b); break;
      case 3: r = i64x2.splat(0); break;
      case 4: r = f32x4.ne(a, b); break;
      case 5: r = f32x4.ge(a, b); break;
      case 6: r = f32x4.gt(a, b); break;
      default: r = i64x2.splat(-1);
    }
    v128.store(d, r);
    return;
  }
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 4) store<i32>(out + i, -<i32>cmp32(cpu, load<u32>(d + i), load<u32>(s + i), p & 7));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

/** CMPPD. */
export function cmp_pd(cpu: usize, p: u32, d: usize, s: usize): void {
  begin(cpu);
  const lo = -<i64>cmp64(cpu, load<u64>(d), load<u64>(s), p & 7);
  const hi = -<i64>cmp64(cpu, load<u64>(d, 8), load<u64>(s, 8), p & 7);
  if (!commit(cpu)) return;
  store<i64>(d, lo);
  store<i64>(d, hi, 8);
}

/** CVTDQ2PS. */
export function cvt_dq_ps(cpu: usize, d: usize, s: usize): void {
  if ((mxcsr(cpu) & MX_FAST_MASK) == MX_FAST) {
    v128.store(d, f32x4.convert_i32x4_s(v128.load(s)));
    return;
  }
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 4) store<u32>(out + i, i64_to_f32(cpu, <i64>load<i32>(s + i)));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

/** CVTPS2DQ, CVTTPS2DQ (`mode` RC_ZERO). */
export function cvt_ps_dq(cpu: usize, mode: u32, d: usize, s: usize): void {
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 4) store<i32>(out + i, to_i32(cpu, int_arg32(cpu, load<u32>(s + i)), mode));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

/** CVTPD2DQ, CVTTPD2DQ: two integers, upper half zero. */
export function cvt_pd_dq(cpu: usize, mode: u32, d: usize, s: usize): void {
  begin(cpu);
  const lo = to_i32(cpu, int_arg64(cpu, load<u64>(s)), mode);
  const hi = to_i32(cpu, int_arg64(cpu, load<u64>(s, 8)), mode);
  if (!commit(cpu)) return;
  store<u64>(d, (<u64>(<u32>hi) << 32) | <u64>(<u32>lo));
  store<u64>(d, 0, 8);
}

/** CVTPS2PD. */
export function cvt_ps_pd(cpu: usize, d: usize, s: usize): void {
  begin(cpu);
  const lo = f32_to_f64(cpu, load<u32>(s));
  const hi = f32_to_f64(cpu, load<u32>(s, 4));
  if (!commit(cpu)) return;
  store<u64>(d, lo);
  store<u64>(d, hi, 8);
}

/** CVTPD2PS: upper half zero. */
export function cvt_pd_ps(cpu: usize, d: usize, s: usize): void {
  begin(cpu);
  const lo = f64_to_f32(cpu, load<u64>(s));
  const hi = f64_to_f32(cpu, load<u64>(s, 8));
  if (!commit(cpu)) return;
  store<u64>(d, (<u64>hi << 32) | <u64>lo);
  store<u64>(d, 0, 8);
}

/** HADDPS, HSUBPS (`sub` OP_SUB): sums of neighbours, two of d, then two of s. */
export function hadd_ps(cpu: usize, sub: u32, d: usize, s: usize): void {
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 2; i++) {
    store<f32>(out + (i << 2), op32(cpu, sub, load<f32>(d + (i << 3)), load<f32>(d + (i << 3), 4)));
    store<f32>(out + (i << 2), op32(cpu, sub, load<f32>(s + (i << 3)), load<f32>(s + (i << 3), 4)), 8);
  }
  if (commit(cpu)) v128.store(d, v128.load(out));
}

export function hadd_pd(cpu: usize, sub: u32, d: usize, s: usize): void {
  begin(cpu);
  const lo = op64(cpu, sub, load<f64>(d), load<f64>(d, 8));
  const hi = op64(cpu, sub, load<f64>(s), load<f64>(s, 8));
  if (!commit(cpu)) return;
  store<f64>(d, lo);
  store<f64>(d, hi, 8);
}

export function addsub_ps(cpu: usize, d: usize, s: usize): void {
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 4) store<f32>(out + i, op32(cpu, i & 4 ? OP_ADD : OP_SUB, load<f32>(d + i), load<f32>(s + i)));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

export function addsub_pd(cpu: usize, d: usize, s: usize): void {
  begin(cpu);
  const lo = op64(cpu, OP_SUB, load<f64>(d), load<f64>(s));
  const hi = op64(cpu, OP_ADD, load<f64>(d, 8), load<f64>(s, 8));
  if (!commit(cpu)) return;
  store<f64>(d, lo);
  store<f64>(d, hi, 8);
}

/** ROUNDPS. */
export function round_ps(cpu: usize, imm: u32, d: usize, s: usize): void {
  begin(cpu);
  const out = cpu + CPU_FPTMP + T_OUT;
  for (let i: usize = 0; i < 16; i += 4) store<u32>(out + i, round32(cpu, load<u32>(s + i), imm));
  if (commit(cpu)) v128.store(d, v128.load(out));
}

/** ROUNDPD. */
export function round_pd(cpu: usize, imm: u32, d: usize, s: usize): void {
  begin(cpu);
  const lo = round64(cpu, load<u64>(s), imm);
  const hi = round64(cpu, load<u64>(s, 8), imm);
  if (!commit(cpu)) return;
  store<u64>(d, lo);
  store<u64>(d, hi, 8);
}

/** RCPSS lane: within half an ulp, so far within 1.5·2^-12; denormals count as zero on both sides; no flags. */
export function rcp32(bits: u32): u32 {
  const sign = bits & 0x8000_0000;
  const e = bits & 0x7f80_0000;
  if (e == 0x7f80_0000 && bits & 0x007f_ffff) return bits | 0x0040_0000;
  if (e == 0) return sign | 0x7f80_0000;
  const r = reinterpret<u32>(<f32>1 / reinterpret<f32>(bits));
  return r & 0x7f80_0000 ? r : sign;
}

/** RSQRTSS lane. */
export function rsqrt32(bits: u32): u32 {
  const e = bits & 0x7f80_0000;
  if (e == 0x7f80_0000 && bits & 0x007f_ffff) return bits | 0x0040_0000;
  if (e == 0) return (bits & 0x8000_0000) | 0x7f80_0000;
  if (bits >> 31) return 0xffc0_0000;
  return reinterpret<u32>(<f32>(1.0 / sqrt<f64>(<f64>reinterpret<f32>(bits))));
}
