/**
 * SSSE3, SSE4.1 and SSE4.2 (maps 0F 38 and 0F 3A), offered by the x86-64-v2 model only. Intel SDM Vol. 2.
 * MMX forms (no prefix, SSSE3) go through the same operations on 64 bits.
 */
import { Cpu } from '../vcpu/state';
import {
  CPU_FPTMP, CR0_EM, CR0_TS, SSE_MEM, SSE_W, VEC_NM, VEC_UD, ea, gpr, mm, ptr_r, ptr_w, ptr_w_done, raise,
  set_flags_explicit, src16, src_mm, src_u, u_a, u_b, u_imm2, xmm,
} from './env';
import { iota } from './packed';
import { mmx_commit, mmx_pending } from './mmx';
import { has_v2, sse_allowed, store4, store8 } from './ssebase';
import * as sc from './sseconvert';
import * as sf from './ssefloat';
import * as ps from './ssepacked';
import { string_compare } from './ssestring';

const T_OUT: usize = 128;

@inline
function evens(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}
@inline
function odds(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

function maddubsw(a: v128, b: v128): v128 {
  const lo = i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8));
  const hi = i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8));
  return i16x8.add_sat_s(lo, hi);
}

function mulhrsw(a: v128, b: v128): v128 {
  // the one product that WebAssembly saturates wraps here
  const least = i16x8.splat(i16.MIN_VALUE);
  return v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, least), i16x8.eq(b, least)));
}

function minpos(b: v128, p: usize): v128 {
  v128.store(p, b);
  let least: u32 = load<u16>(p);
  let at: u32 = 0;
  for (let i: u32 = 1; i < 8; i++) {
    const v: u32 = load<u16>(p + (i << 1));
    if (v < least) {
      least = v;
      at = i;
    }
  }
  return i64x2.replace_lane(i64x2.splat(0), 0, <i64>(least | (at << 16)));
}

/** The SSSE3 operations with an MMX form: 00 … 0B, 1C … 1E. */
function ssse3(op: u32, a: v128, b: v128): v128 {
  let m: v128;
  switch (op) {
    case 0x00: return i8x16.swizzle(a, v128.and(b, i8x16.splat(<i8>0x8f)));
    case 0x01: return i16x8.add(evens(a, b), odds(a, b));
    case 0x02: return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
    case 0x03: return i16x8.add_sat_s(evens(a, b), odds(a, b));
    case 0x04: return maddubsw(a, b);
    case 0x05: return i16x8.sub(evens(a, b), odds(a, b));
    case 0x06: return i32x4.sub(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
    case 0x07: return i16x8.sub_sat_s(evens(a, b), odds(a, b));
    case 0x08:
      m = i8x16.shr_s(b, 7);
      return v128.andnot(i8x16.sub(v128.xor(a, m), m), i8x16.eq(b, i64x2.splat(0)));
    case 0x09:
      m = i16x8.shr_s(b, 15);
      return v128.andnot(i16x8.sub(v128.xor(a, m), m), i16x8.eq(b, i64x2.splat(0)));
    case 0x0a:
      m = i32x4.shr_s(b, 31);
      return v128.andnot(i32x4.sub(v128.xor(a, m), m), i32x4.eq(b, i64x2.splat(0)));
    case 0x0b: return mulhrsw(a, b);
    case 0x1c: return i8x16.abs(b);
    case 0x1d: return i16x8.abs(b);
    default: return i32x4.abs(b);
  }
}

/** #UD, #NM and #MF of an MMX form. */
function mmx_allowed(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (c.cr0 & (CR0_EM | CR0_TS)) {
    raise(cpu, c.cr0 & CR0_EM ? VEC_UD : VEC_NM);
    return false;
  }
  return !mmx_pending(cpu);
}

function mmx_set(cpu: usize, d: usize, v: u64): void {
  store<u64>(d, v);
  store<u16>(d, 0xffff, 8);
  mmx_commit(cpu);
}

function ssse3_mmx(cpu: usize, u: usize, op: u32): void {
  if (!mmx_allowed(cpu)) return;
  const s = src_mm(cpu, u, 8);
  if (!s) return;
  const d = mm(cpu, u_a(u));
  let a = v128.load_zero<u64>(d);
  let b = v128.load_zero<u64>(s);
  if (op == 0) b = v128.and(b, i64x2.splat(<i64>0x8787_8787_8787_8787));
  else if (op != 4 && op < 8) {
    // neighbours of both operands: side by side they are one vector
    a = i64x2.replace_lane(a, 1, v128.extract_lane<i64>(b, 0));
    b = a;
  }
  mmx_set(cpu, d, v128.extract_lane<u64>(ssse3(op, a, b), 0));
}

/** Sign (20 … 25) and zero (30 … 35) extensions of the low elements. */
function extend(op: u32, b: v128): v128 {
  switch (op) {
    case 0x20: return i16x8.extend_low_i8x16_s(b);
    case 0x21: return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(b));
    case 0x22: return i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(b)));
    case 0x23: return i32x4.extend_low_i16x8_s(b);
    case 0x24: return i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(b));
    case 0x25: return i64x2.extend_low_i32x4_s(b);
    case 0x30: return i16x8.extend_low_i8x16_u(b);
    case 0x31: return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(b));
    case 0x32: return i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(b)));
    case 0x33: return i32x4.extend_low_i16x8_u(b);
    case 0x34: return i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(b));
    default: return i64x2.extend_low_i32x4_u(b);
  }
}

function extend_load(cpu: usize, u: usize, op: u32): void {
  const kind = op & 15;
  const size: u32 = kind == 2 ? 2 : kind == 1 || kind == 4 ? 4 : 8;
  const s = src_u(cpu, u, size);
  if (!s) return;
  const b = size == 8 ? v128.load_zero<u64>(s) : size == 4 ? v128.load_zero<u32>(s) : i32x4.splat(load<u16>(s));
  v128.store(xmm(cpu, u_a(u)), extend(op, b));
}

/** d = bytes of s where the mask's byte, word pair or quad has its sign bit set. XMM0 is the mask. */
function blend_variable(cpu: usize, op: u32, a: v128, b: v128): v128 {
  const k = v128.load(xmm(cpu, 0));
  const m = op == 0x10 ? i8x16.shr_s(k, 7) : op == 0x14 ? i32x4.shr_s(k, 31) : i64x2.shr_s(k, 63);
  return v128.bitselect(b, a, m);
}

/** Map 0F 38. */
export function sse_map38(cpu: usize, u: usize): void {
  if (!has_v2(cpu)) return;
  const i = u_imm2(u);
  const op = i & 0xff;
  const prefix = (i >> 8) & 3;
  const is_ssse3 = op < 0x0c || (op >= 0x1c && op <= 0x1e);
  if (prefix == 0 && is_ssse3) {
    ssse3_mmx(cpu, u, op);
    return;
  }
  if (prefix != 1) {
    raise(cpu, VEC_UD);
    return;
  }
  if (!sse_allowed(cpu)) return;
  if ((op >= 0x20 && op <= 0x25) || (op >= 0x30 && op <= 0x35)) {
    extend_load(cpu, u, op);
    return;
  }
  if (!is_ssse3 && op != 0x10 && op != 0x14 && op != 0x15 && op != 0x17 && (op < 0x28 || op > 0x41 || (op > 0x2b && op < 0x37))) {
    raise(cpu, VEC_UD);
    return;
  }
  if (op == 0x2a && !(i & SSE_MEM)) {
    raise(cpu, VEC_UD);
    return;
  }
  const s = src16(cpu, u);
  if (!s) return;
  const d = xmm(cpu, u_a(u));
  const a = v128.load(d);
  const b = v128.load(s);
  let r: v128;
  switch (op) {
    case 0x10:
    case 0x14:
    case 0x15: r = blend_variable(cpu, op, a, b); break;
    case 0x17:
      set_flags_explicit(cpu, (v128.any_true(v128.and(a, b)) ? 0 : 0x40) | (v128.any_true(v128.andnot(b, a)) ? 0 : 1));
      return;
    case 0x28: r = i64x2.mul(i64x2.shr_s(i64x2.shl(a, 32), 32), i64x2.shr_s(i64x2.shl(b, 32), 32)); break;
    case 0x29: r = i64x2.eq(a, b); break;
    case 0x2a: r = b; break;
    case 0x2b: r = i16x8.narrow_i32x4_u(a, b); break;
    case 0x37: r = i64x2.gt_s(a, b); break;
    case 0x38: r = i8x16.min_s(a, b); break;
    case 0x39: r = i32x4.min_s(a, b); break;
    case 0x3a: r = i16x8.min_u(a, b); break;
    case 0x3b: r = i32x4.min_u(a, b); break;
    case 0x3c: r = i8x16.max_s(a, b); break;
    case 0x3d: r = i32x4.max_s(a, b); break;
    case 0x3e: r = i16x8.max_u(a, b); break;
    case 0x3f: r = i32x4.max_u(a, b); break;
    case 0x40: r = i32x4.mul(a, b); break;
    case 0x41: r = minpos(b, cpu + CPU_FPTMP + T_OUT); break;
    default: r = ssse3(op, a, b);
  }
  v128.store(d, r);
}

/** PALIGNR on 16 bytes: bytes n … n + 15 of d:s. */
function align_right(a: v128, b: v128, n: u32): v128 {
  const at = i8x16.add(iota(), i8x16.splat(<i8>(n > 32 ? 32 : n)));
  // swizzle gives 0 outside 0 … 15: the low part from b, the high part from a
  return v128.or(i8x16.swizzle(b, at), i8x16.swizzle(a, i8x16.sub(at, i8x16.splat(16))));
}

function palignr_mmx(cpu: usize, u: usize, n: u32): void {
  if (!mmx_allowed(cpu)) return;
  const s = src_mm(cpu, u, 8);
  if (!s) return;
  const d = mm(cpu, u_a(u));
  const both = i64x2.replace_lane(v128.load_zero<u64>(s), 1, load<i64>(d));
  mmx_set(cpu, d, n > 15 ? 0 : v128.extract_lane<u64>(align_right(i64x2.splat(0), both, n), 0));
}

/** A mask of four bits to lanes of 32 bits. */
@inline
function lanes32(imm: u32): v128 {
  return i32x4.ne(v128.and(i32x4.splat(imm), i32x4(1, 2, 4, 8)), i64x2.splat(0));
}

function mpsadbw(a: v128, b: v128, imm: u32, p: usize): v128 {
  v128.store(p, a);
  v128.store(p + 16, b);
  const from = p + ((imm & 4) != 0 ? 4 : 0);
  const block = p + 16 + ((imm & 3) << 2);
  for (let i: usize = 0; i < 8; i++) {
    let sum: i32 = 0;
    for (let k: usize = 0; k < 4; k++) sum += abs<i32>(<i32>load<u8>(from + i + k) - <i32>load<u8>(block + k));
    store<u16>(p + 32 + (i << 1), <u16>sum);
  }
  return v128.load(p + 32);
}

/** DPPS: the exceptions of the products are looked at before those of the sums. */
function dpps(cpu: usize, imm: u32, d: usize, s: usize): void {
  const p = cpu + CPU_FPTMP + T_OUT;
  sf.begin(cpu);
  for (let i: usize = 0; i < 4; i++) {
    const q = i << 2;
    store<f32>(p + q, (imm >> (4 + <u32>i)) & 1 ? sf.mul32(cpu, load<f32>(d + q), load<f32>(s + q)) : 0);
  }
  if (!sf.commit(cpu)) return;
  const lo = sf.add32(cpu, load<f32>(p), load<f32>(p, 4));
  const hi = sf.add32(cpu, load<f32>(p, 8), load<f32>(p, 12));
  if (!sf.commit(cpu)) return;
  const sum = sf.add32(cpu, lo, hi);
  if (!sf.commit(cpu)) return;
  for (let i: usize = 0; i < 4; i++) store<f32>(d + (i << 2), (imm >> <u32>i) & 1 ? sum : 0);
}

function dppd(cpu: usize, imm: u32, d: usize, s: usize): void {
  sf.begin(cpu);
  const lo: f64 = imm & 16 ? sf.mul64(cpu, load<f64>(d), load<f64>(s)) : 0;
  const hi: f64 = imm & 32 ? sf.mul64(cpu, load<f64>(d, 8), load<f64>(s, 8)) : 0;
  if (!sf.commit(cpu)) return;
  const sum = sf.add64(cpu, lo, hi);
  if (!sf.commit(cpu)) return;
  store<f64>(d, imm & 1 ? sum : 0);
  store<f64>(d, imm & 2 ? sum : 0, 8);
}

function round_scalar(cpu: usize, u: usize, op: u32, imm: u32, d: usize): void {
  const s = src_u(cpu, u, op == 0x0a ? 4 : 8);
  if (!s) return;
  sf.begin(cpu);
  if (op == 0x0a) {
    const r = sc.round32(cpu, load<u32>(s), imm);
    if (sf.commit(cpu)) store<u32>(d, r);
  } else {
    const r = sc.round64(cpu, load<u64>(s), imm);
    if (sf.commit(cpu)) store<u64>(d, r);
  }
}

/** PEXTRB, PEXTRW, PEXTRD/Q, EXTRACTPS: to a gpr (zero-extended) or memory. */
function extract(cpu: usize, u: usize, op: u32, imm: u32): void {
  const p = xmm(cpu, u_a(u));
  const wide = op == 0x16 && (u_imm2(u) & SSE_W) != 0;
  let v: u64;
  let size: u32 = 4;
  if (op == 0x14) {
    v = load<u8>(p + (imm & 15));
    size = 1;
  } else if (op == 0x15) {
    v = load<u16>(p + ((imm & 7) << 1));
    size = 2;
  } else if (wide) {
    v = load<u64>(p + ((imm & 1) << 3));
    size = 8;
  } else v = load<u32>(p + ((imm & 3) << 2));
  if (!(u_imm2(u) & SSE_MEM)) {
    store<u64>(gpr(cpu, u_b(u)), v);
    return;
  }
  if (size == 8) store8(cpu, u, v);
  else if (size == 4) store4(cpu, u, <u32>v);
  else {
    const va = ea(cpu, u);
    const w = ptr_w(cpu, va, size);
    if (!w) return;
    if (size == 1) store<u8>(w, <u8>v);
    else store<u16>(w, <u16>v);
    ptr_w_done(cpu, w, va, size);
  }
}

/** PINSRB, PINSRD/Q. */
function insert(cpu: usize, u: usize, op: u32, imm: u32): void {
  const wide = (u_imm2(u) & SSE_W) != 0;
  const size: u32 = op == 0x20 ? 1 : wide ? 8 : 4;
  const s = u_imm2(u) & SSE_MEM ? ptr_r(cpu, ea(cpu, u), size) : gpr(cpu, u_b(u));
  // register 0 is at cpu + 0, which is never 0 itself
  if (!s) return;
  const d = xmm(cpu, u_a(u));
  if (size == 1) store<u8>(d + (imm & 15), load<u8>(s));
  else if (size == 4) store<u32>(d + ((imm & 3) << 2), load<u32>(s));
  else store<u64>(d + ((imm & 1) << 3), load<u64>(s));
}

function insertps(cpu: usize, u: usize, imm: u32): void {
  const mem = (u_imm2(u) & SSE_MEM) != 0;
  const s = src_u(cpu, u, 4);
  if (!s) return;
  const d = xmm(cpu, u_a(u));
  const v = load<u32>(mem ? s : s + ((imm >> 6) << 2));
  store<u32>(d + (((imm >> 4) & 3) << 2), v);
  v128.store(d, v128.andnot(v128.load(d), lanes32(imm & 15)));
}

/** Map 0F 3A. */
export function sse_map3a(cpu: usize, u: usize): void {
  if (!has_v2(cpu)) return;
  const i = u_imm2(u);
  const op = i & 0xff;
  const prefix = (i >> 8) & 3;
  const imm = (i >> 16) & 0xff;
  if (prefix == 0 && op == 0x0f) {
    palignr_mmx(cpu, u, imm);
    return;
  }
  if (prefix != 1) {
    raise(cpu, VEC_UD);
    return;
  }
  if (!sse_allowed(cpu)) return;
  const d = xmm(cpu, u_a(u));
  switch (op) {
    case 0x0a:
    case 0x0b: round_scalar(cpu, u, op, imm, d); return;
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x17: extract(cpu, u, op, imm); return;
    case 0x20:
    case 0x22: insert(cpu, u, op, imm); return;
    case 0x21: insertps(cpu, u, imm); return;
    case 0x60:
    case 0x61:
    case 0x62:
    case 0x63: {
      const s = src_u(cpu, u, 16);
      if (s) string_compare(cpu, op, imm, d, s, (i & SSE_W) != 0);
      return;
    }
    case 0x08: case 0x09: case 0x0c: case 0x0d: case 0x0e: case 0x0f: case 0x40: case 0x41: case 0x42: break;
    default:
      raise(cpu, VEC_UD);
      return;
  }
  const s = src16(cpu, u);
  if (!s) return;
  const a = v128.load(d);
  const b = v128.load(s);
  switch (op) {
    case 0x08: ps.round_ps(cpu, imm, d, s); return;
    case 0x09: ps.round_pd(cpu, imm, d, s); return;
    case 0x0c: v128.store(d, v128.bitselect(b, a, lanes32(imm))); return;
    case 0x0d: v128.store(d, v128.bitselect(b, a, i64x2(-<i64>(imm & 1), -<i64>((imm >> 1) & 1)))); return;
    case 0x0e: {
      const m = i16x8.ne(v128.and(i16x8.splat(<i16>imm), i16x8(1, 2, 4, 8, 16, 32, 64, 128)), i64x2.splat(0));
      v128.store(d, v128.bitselect(b, a, m));
      return;
    }
    case 0x0f: v128.store(d, align_right(a, b, imm)); return;
    case 0x40: dpps(cpu, imm, d, s); return;
    case 0x41: dppd(cpu, imm, d, s); return;
    default: v128.store(d, mpsadbw(a, b, imm, cpu + CPU_FPTMP + T_OUT));
  }
}
