/**
 * Packed integer operations of SSE2 and MMX by WebAssembly SIMD. The case numbers are the second opcode bytes
 * (66 0F xx, Intel SDM Vol. 2). MMX operands come in the low halves; what differs there is in mmx.ts.
 */

/** Shift count of the xmm/imm shifts: the low 64 bits, clamped so that every over-long shift looks alike. */
@inline
function count(b: v128): u32 {
  const n = v128.extract_lane<u64>(b, 0);
  return n > 255 ? 255 : <u32>n;
}

@inline
export function sll16(a: v128, n: u32): v128 { return n > 15 ? i64x2.splat(0) : i16x8.shl(a, n); }
@inline
export function sll32(a: v128, n: u32): v128 { return n > 31 ? i64x2.splat(0) : i32x4.shl(a, n); }
@inline
export function sll64(a: v128, n: u32): v128 { return n > 63 ? i64x2.splat(0) : i64x2.shl(a, n); }
@inline
export function srl16(a: v128, n: u32): v128 { return n > 15 ? i64x2.splat(0) : i16x8.shr_u(a, n); }
@inline
export function srl32(a: v128, n: u32): v128 { return n > 31 ? i64x2.splat(0) : i32x4.shr_u(a, n); }
@inline
export function srl64(a: v128, n: u32): v128 { return n > 63 ? i64x2.splat(0) : i64x2.shr_u(a, n); }
@inline
export function sra16(a: v128, n: u32): v128 { return i16x8.shr_s(a, n > 15 ? 15 : n); }
@inline
export function sra32(a: v128, n: u32): v128 { return i32x4.shr_s(a, n > 31 ? 31 : n); }

function mulhi_s(a: v128, b: v128): v128 {
  const lo = i32x4.extmul_low_i16x8_s(a, b);
  const hi = i32x4.extmul_high_i16x8_s(a, b);
  return v128.shuffle<i16>(lo, hi, 1, 3, 5, 7, 9, 11, 13, 15);
}

function mulhi_u(a: v128, b: v128): v128 {
  const lo = i32x4.extmul_low_i16x8_u(a, b);
  const hi = i32x4.extmul_high_i16x8_u(a, b);
  return v128.shuffle<i16>(lo, hi, 1, 3, 5, 7, 9, 11, 13, 15);
}

function muludq(a: v128, b: v128): v128 {
  const m = i64x2.splat(0xffff_ffff);
  return i64x2.mul(v128.and(a, m), v128.and(b, m));
}

function sadbw(a: v128, b: v128): v128 {
  const d = i8x16.sub(i8x16.max_u(a, b), i8x16.min_u(a, b));
  const s = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(d));
  return i64x2.add(v128.and(s, i64x2.splat(0xffff_ffff)), i64x2.shr_u(s, 32));
}

/** For callers off the hot path. */
export function packed_int(op: u32, a: v128, b: v128): v128 {
  return packed_inline(op, a, b);
}

/** a = destination, b = source. `op` is one of the opcodes below (the callers have sorted out the others). */
@inline
export function packed_inline(op: u32, a: v128, b: v128): v128 {
  switch (op) {
    case 0x60: return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case 0x61: return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case 0x62: return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    case 0x63: return i8x16.narrow_i16x8_s(a, b);
    case 0x64: return i8x16.gt_s(a, b);
    case 0x65: return i16x8.gt_s(a, b);
    case 0x66: return i32x4.gt_s(a, b);
    case 0x67: return i8x16.narrow_i16x8_u(a, b);
    case 0x68: return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case 0x69: return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case 0x6a: return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    case 0x6b: return i16x8.narrow_i32x4_s(a, b);
    case 0x6c: return v128.shuffle<i64>(a, b, 0, 2);
    case 0x6d: return v128.shuffle<i64>(a, b, 1, 3);
    case 0x74: return i8x16.eq(a, b);
    case 0x75: return i16x8.eq(a, b);
    case 0x76: return i32x4.eq(a, b);
    case 0xd1: return srl16(a, count(b));
    case 0xd2: return srl32(a, count(b));
    case 0xd3: return srl64(a, count(b));
    case 0xd4: return i64x2.add(a, b);
    case 0xd5: return i16x8.mul(a, b);
    case 0xd8: return i8x16.sub_sat_u(a, b);
    case 0xd9: return i16x8.sub_sat_u(a, b);
    case 0xda: return i8x16.min_u(a, b);
    case 0x54:
    case 0xdb: return v128.and(a, b);
    case 0xdc: return i8x16.add_sat_u(a, b);
    case 0xdd: return i16x8.add_sat_u(a, b);
    case 0xde: return i8x16.max_u(a, b);
    case 0x55:
    case 0xdf: return v128.andnot(b, a);
    case 0xe0: return i8x16.avgr_u(a, b);
    case 0xe1: return sra16(a, count(b));
    case 0xe2: return sra32(a, count(b));
    case 0xe3: return i16x8.avgr_u(a, b);
    case 0xe4: return mulhi_u(a, b);
    case 0xe5: return mulhi_s(a, b);
    case 0xe8: return i8x16.sub_sat_s(a, b);
    case 0xe9: return i16x8.sub_sat_s(a, b);
    case 0xea: return i16x8.min_s(a, b);
    case 0x56:
    case 0xeb: return v128.or(a, b);
    case 0xec: return i8x16.add_sat_s(a, b);
    case 0xed: return i16x8.add_sat_s(a, b);
    case 0xee: return i16x8.max_s(a, b);
    case 0x57:
    case 0xef: return v128.xor(a, b);
    case 0xf1: return sll16(a, count(b));
    case 0xf2: return sll32(a, count(b));
    case 0xf3: return sll64(a, count(b));
    case 0xf4: return muludq(a, b);
    case 0xf5: return i32x4.dot_i16x8_s(a, b);
    case 0xf6: return sadbw(a, b);
    case 0xf8: return i8x16.sub(a, b);
    case 0xf9: return i16x8.sub(a, b);
    case 0xfa: return i32x4.sub(a, b);
    case 0xfb: return i64x2.sub(a, b);
    case 0xfc: return i8x16.add(a, b);
    case 0xfd: return i16x8.add(a, b);
    default: return i32x4.add(a, b); // 0xfe
  }
}

/** True when 0F/66 0F `op` is a two-operand packed integer operation that packed_int knows (0x6c and 0x6d: xmm only). */
export function is_packed_int(op: u32): bool {
  if (op < 0x60) return false;
  if (op < 0x6e) return true;
  if (op < 0x74) return false;
  if (op < 0x77) return true;
  if (op < 0xd1) return false;
  return op != 0xd6 && op != 0xd7 && op != 0xe6 && op != 0xe7 && op != 0xf0 && op != 0xf7 && op != 0xff;
}

/** Groups 71, 72, 73: shift by an immediate. `ext` is modrm.reg; false for an undefined form. `p` points at the operand. */
export function shift_imm(op: u32, ext: u32, n: u32, p: usize, xmm_form: bool): bool {
  const a = v128.load(p);
  let r: v128;
  switch ((op - 0x71) * 8 + ext) {
    case 2: r = srl16(a, n); break;
    case 4: r = sra16(a, n); break;
    case 6: r = sll16(a, n); break;
    case 10: r = srl32(a, n); break;
    case 12: r = sra32(a, n); break;
    case 14: r = sll32(a, n); break;
    case 18: r = srl64(a, n); break;
    case 19:
      if (!xmm_form) return false;
      r = shift_bytes_right(a, n);
      break;
    case 22: r = sll64(a, n); break;
    case 23:
      if (!xmm_form) return false;
      r = shift_bytes_left(a, n);
      break;
    default: return false;
  }
  if (xmm_form) v128.store(p, r);
  else v128.store_lane<u64>(p, r, 0);
  return true;
}

/** The byte numbers 0 … 15. */
@inline
export function iota(): v128 { return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

export function shift_bytes_right(a: v128, n: u32): v128 {
  // swizzle gives 0 for every index above 15
  return i8x16.swizzle(a, i8x16.add(iota(), i8x16.splat(<i8>(n > 15 ? 16 : n))));
}

export function shift_bytes_left(a: v128, n: u32): v128 {
  return i8x16.swizzle(a, i8x16.sub(iota(), i8x16.splat(<i8>(n > 15 ? 16 : n))));
}

/** PSHUFD. */
export function shuffle32(a: v128, imm: u32): v128 {
  const sel = i32x4.replace_lane(
    i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(imm & 3), 1, (imm >> 2) & 3), 2, (imm >> 4) & 3),
    3,
    (imm >> 6) & 3,
  );
  return i8x16.swizzle(a, i32x4.add(i32x4.mul(sel, i32x4.splat(0x04040404)), i32x4.splat(0x03020100)));
}

/** Byte numbers of four words taken by `imm` from words first … first+3. */
@inline
function word_select(imm: u32, first: u32): u64 {
  const a = (imm & 3) + first;
  const b = ((imm >> 2) & 3) + first;
  const c = ((imm >> 4) & 3) + first;
  const d = ((imm >> 6) & 3) + first;
  const lo = a * 0x0202 + b * 0x0202_0000 + 0x0100_0100;
  const hi = c * 0x0202 + d * 0x0202_0000 + 0x0100_0100;
  return (<u64>hi << 32) | lo;
}

/** PSHUFLW, and PSHUFW in the low half. */
export function shuffle_low16(a: v128, imm: u32): v128 {
  return i8x16.swizzle(a, i64x2(<i64>word_select(imm, 0), 0x0f0e0d0c0b0a0908));
}

/** PSHUFHW. */
export function shuffle_high16(a: v128, imm: u32): v128 {
  return i8x16.swizzle(a, i64x2(0x0706050403020100, <i64>word_select(imm, 4)));
}

/** SHUFPS: two of a, then two of b. */
export function shuffle_ps(a: v128, b: v128, imm: u32): v128 {
  const x = shuffle32(a, imm);
  const y = shuffle32(b, imm);
  return v128.shuffle<i32>(x, y, 0, 1, 6, 7);
}
