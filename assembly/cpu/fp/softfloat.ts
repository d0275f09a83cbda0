/**
 * Exact binary arithmetic on unpacked numbers, shared by x87 (24, 53, 64 bits) and by the SSE paths that the host's
 * own arithmetic cannot serve (directed rounding, denormals, exact flags).
 *
 * A work area `t` holds three unpacked numbers A, B and R and the flags collected so far. An unpacked finite number is
 * (−1)^sign × hi/2^63 × 2^exp with bit 63 of `hi` set; `lo` continues the significand, its bit 0 is sticky.
 * Intel SDM Vol. 1, 4.8 and 8.5; IEEE 754 with tininess detected after rounding.
 */

export const A: usize = 0;
export const B: usize = 32;
export const R: usize = 64;
/** Collected exception flags (MXCSR and x87 order) plus SF_UP. */
export const T_FLAGS: usize = 96;

export const U_HI: usize = 0;
export const U_LO: usize = 8;
export const U_EXP: usize = 16;
export const U_SIGN: usize = 20;
export const U_CLASS: usize = 24;

export const C_ZERO: u32 = 0;
export const C_NORMAL: u32 = 1;
export const C_DENORMAL: u32 = 2;
export const C_INF: u32 = 3;
export const C_QNAN: u32 = 4;
export const C_SNAN: u32 = 5;
/** x87 encodings that no 387 accepts: unnormals, pseudo-infinities, pseudo-NaNs. */
export const C_UNSUPPORTED: u32 = 6;

export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;
/** The magnitude was rounded up (C1 of x87). */
export const SF_UP: u32 = 0x200;

export const RC_NEAREST: u32 = 0;
export const RC_DOWN: u32 = 1;
export const RC_UP: u32 = 2;
export const RC_ZERO: u32 = 3;

export const TOP64: u64 = 0x8000_0000_0000_0000;

@inline
export function hi_of(t: usize, p: usize): u64 { return load<u64>(t + p, U_HI); }
@inline
export function exp_of(t: usize, p: usize): i32 { return load<i32>(t + p, U_EXP); }
@inline
export function sign_of(t: usize, p: usize): u32 { return load<u32>(t + p, U_SIGN); }
@inline
export function class_of(t: usize, p: usize): u32 { return load<u32>(t + p, U_CLASS); }

@inline
export function put(p: usize, cls: u32, sign: u32, exp: i32, hi: u64, lo: u64): void {
  store<u64>(p, hi, U_HI);
  store<u64>(p, lo, U_LO);
  store<i32>(p, exp, U_EXP);
  store<u32>(p, sign, U_SIGN);
  store<u32>(p, cls, U_CLASS);
}

@inline
export function add_flags(t: usize, f: u32): void {
  store<u32>(t, load<u32>(t, T_FLAGS) | f, T_FLAGS);
}

/** High 64 bits of a × b. */
export function mulhi(a: u64, b: u64): u64 {
  const al = a & 0xffff_ffff;
  const ah = a >> 32;
  const bl = b & 0xffff_ffff;
  const bh = b >> 32;
  const mid = ah * bl + ((al * bl) >> 32);
  const mid2 = al * bh + (mid & 0xffff_ffff);
  return ah * bh + (mid >> 32) + (mid2 >> 32);
}

/** floor((u1·2^64 + u0) / v) for u1 < v and bit 63 of v set; the remainder goes to `rem`. Knuth's algorithm D with 32-bit digits. */
export function div128(u1: u64, u0: u64, v: u64, rem: usize): u64 {
  const vh = v >> 32;
  const vl = v & 0xffff_ffff;
  let q1 = u1 / vh;
  let r = u1 - q1 * vh;
  while (q1 >> 32 != 0 || q1 * vl > ((r << 32) | (u0 >> 32))) {
    q1--;
    r += vh;
    if (r >> 32 != 0) break;
  }
  const u21 = (u1 << 32) + (u0 >> 32) - q1 * v;
  let q0 = u21 / vh;
  r = u21 - q0 * vh;
  while (q0 >> 32 != 0 || q0 * vl > ((r << 32) | (u0 & 0xffff_ffff))) {
    q0--;
    r += vh;
    if (r >> 32 != 0) break;
  }
  store<u64>(rem, (u21 << 32) + (u0 & 0xffff_ffff) - q0 * v);
  return (q1 << 32) + q0;
}

// ---- unpack ------------------------------------------------------------------------------------------------------

export function unpack_f64(p: usize, bits: u64): void {
  const sign = <u32>(bits >> 63);
  const e = <i32>((bits >> 52) & 0x7ff);
  const m = bits & 0x000f_ffff_ffff_ffff;
  if (e == 0x7ff) {
    if (m == 0) put(p, C_INF, sign, 0x7fff, TOP64, 0);
    else put(p, m & 0x0008_0000_0000_0000 ? C_QNAN : C_SNAN, sign, 0x7fff, TOP64 | (m << 11), 0);
  } else if (e == 0) {
    if (m == 0) put(p, C_ZERO, sign, 0, 0, 0);
    else {
      const n = <i32>clz(m);
      put(p, C_DENORMAL, sign, -1011 - n, m << n, 0);
    }
  } else put(p, C_NORMAL, sign, e - 1023, TOP64 | (m << 11), 0);
}

export function unpack_f32(p: usize, bits: u32): void {
  const sign = bits >> 31;
  const e = <i32>((bits >> 23) & 0xff);
  const m = <u64>(bits & 0x007f_ffff);
  if (e == 0xff) {
    if (m == 0) put(p, C_INF, sign, 0x7fff, TOP64, 0);
    else put(p, m & 0x0040_0000 ? C_QNAN : C_SNAN, sign, 0x7fff, TOP64 | (m << 40), 0);
  } else if (e == 0) {
    if (m == 0) put(p, C_ZERO, sign, 0, 0, 0);
    else {
      const n = <i32>clz(m);
      put(p, C_DENORMAL, sign, -86 - n, m << n, 0);
    }
  } else put(p, C_NORMAL, sign, e - 127, TOP64 | (m << 40), 0);
}

/** `se`: sign and biased exponent, 16 bits. Pseudo-denormals count as denormals. */
export function unpack_ext(p: usize, se: u32, sig: u64): void {
  const sign = (se >> 15) & 1;
  const e = <i32>(se & 0x7fff);
  if (e == 0) {
    if (sig == 0) put(p, C_ZERO, sign, 0, 0, 0);
    else {
      const n = <i32>clz(sig);
      put(p, C_DENORMAL, sign, -16382 - n, sig << n, 0);
    }
    return;
  }
  if (!(sig & TOP64)) {
    put(p, C_UNSUPPORTED, sign, e - 16383, sig, 0);
    return;
  }
  if (e == 0x7fff) {
    if (sig == TOP64) put(p, C_INF, sign, 0x7fff, TOP64, 0);
    else put(p, sig & 0x4000_0000_0000_0000 ? C_QNAN : C_SNAN, sign, 0x7fff, sig, 0);
    return;
  }
  put(p, C_NORMAL, sign, e - 16383, sig, 0);
}

export function unpack_i64(p: usize, v: i64): void {
  if (v == 0) {
    put(p, C_ZERO, 0, 0, 0, 0);
    return;
  }
  const m = v < 0 ? <u64>0 - <u64>v : <u64>v;
  const n = <i32>clz(m);
  put(p, C_NORMAL, <u32>(v < 0), 63 - n, m << n, 0);
}

// ---- the four operations and the root on finite, non-zero numbers ------------------------------------------------

/** R = A + B, or A − B when `negate` is 1. A and B finite; either may be zero. An exact zero takes its sign from `rc`. */
export function sf_add(t: usize, negate: u32, rc: u32): void {
  const r = t + R;
  let sa = sign_of(t, A);
  let sb = sign_of(t, B) ^ negate;
  const ca = class_of(t, A);
  const cb = class_of(t, B);
  if (ca == C_ZERO || cb == C_ZERO) {
    if (ca == C_ZERO && cb == C_ZERO) put(r, C_ZERO, sa == sb ? sa : <u32>(rc == RC_DOWN), 0, 0, 0);
    else if (ca == C_ZERO) put(r, C_NORMAL, sb, exp_of(t, B), hi_of(t, B), 0);
    else put(r, C_NORMAL, sa, exp_of(t, A), hi_of(t, A), 0);
    return;
  }
  let e = exp_of(t, A);
  let eb = exp_of(t, B);
  let ah = hi_of(t, A);
  let bh = hi_of(t, B);
  if (e < eb || (e == eb && ah < bh)) {
    const te = e;
    e = eb;
    eb = te;
    const th = ah;
    ah = bh;
    bh = th;
    const ts = sa;
    sa = sb;
    sb = ts;
  }
  const d = <u32>(e - eb);
  let bl: u64 = 0;
  if (d != 0) {
    if (d < 64) {
      bl = bh << (64 - d);
      bh = bh >> d;
    } else {
      if (d == 64) bl = bh;
      else if (d < 128) bl = (bh >> (d - 64)) | <u64>((bh << (128 - d)) != 0);
      else bl = 1;
      bh = 0;
    }
  }
  if (sa == sb) {
    let h = ah + bh;
    if (h < ah) {
      bl = (bl >> 1) | (bl & 1) | (h << 63);
      h = (h >> 1) | TOP64;
      e++;
    }
    put(r, C_NORMAL, sa, e, h, bl);
    return;
  }
  let h = ah - bh - <u64>(bl != 0);
  let l = <u64>0 - bl;
  if ((h | l) == 0) {
    put(r, C_ZERO, <u32>(rc == RC_DOWN), 0, 0, 0);
    return;
  }
  if (h == 0) {
    h = l;
    l = 0;
    e -= 64;
  }
  const n = <i32>clz(h);
  if (n != 0) {
    h = (h << n) | (l >> (64 - n));
    l = l << n;
    e -= n;
  }
  put(r, C_NORMAL, sa, e, h, l);
}

/** R = A × B, both finite and not zero. */
export function sf_mul(t: usize): void {
  const a = hi_of(t, A);
  const b = hi_of(t, B);
  let h = mulhi(a, b);
  let l = a * b;
  let e = exp_of(t, A) + exp_of(t, B) + 1;
  if (!(h & TOP64)) {
    h = (h << 1) | (l >> 63);
    l = l << 1;
    e--;
  }
  put(t + R, C_NORMAL, sign_of(t, A) ^ sign_of(t, B), e, h, l);
}

/** R = A / B, both finite and not zero. */
export function sf_div(t: usize): void {
  const a = hi_of(t, A);
  const b = hi_of(t, B);
  let e = exp_of(t, A) - exp_of(t, B);
  const sign = sign_of(t, A) ^ sign_of(t, B);
  let q: u64;
  if (a >= b) q = div128(a >> 1, a << 63, b, t + R);
  else {
    q = div128(a, 0, b, t + R);
    e--;
  }
  const rem = load<u64>(t + R);
  put(t + R, C_NORMAL, sign, e, q, rem == 0 ? 0 : rem == b - rem ? TOP64 : rem > b - rem ? TOP64 | 1 : 1);
}

/** R = √A for A finite, positive, not zero. */
export function sf_sqrt(t: usize): void {
  const a = hi_of(t, A);
  const e = exp_of(t, A);
  let nh = a;
  let nl: u64 = 0;
  if (!(e & 1)) {
    nh = a >> 1;
    nl = a << 63;
  }
  // A first root of 52 good bits from the host, one Newton step, then at most a step or two of correction.
  let x = <u64>(sqrt<f64>(<f64>nh) * 4294967296.0);
  if (x <= nh) x = 0xffff_ffff_ffff_ffff;
  const q = x <= nh ? 0xffff_ffff_ffff_ffff : div128(nh, nl, x, t + R);
  x = (x >> 1) + (q >> 1) + (x & q & 1);
  let h = mulhi(x, x);
  let l = x * x;
  while (h > nh || (h == nh && l > nl)) {
    x--;
    h = mulhi(x, x);
    l = x * x;
  }
  for (;;) {
    // remainder = n − x²; the root is too small while remainder > 2x
    const rl = nl - l;
    const rh = nh - h - <u64>(nl < l);
    if (rh > 1 || (rh == 1 && rl > x << 1)) {
      x++;
      h = mulhi(x, x);
      l = x * x;
      continue;
    }
    const lo: u64 = (rh | rl) == 0 ? 0 : rh != 0 || rl > x ? TOP64 | 1 : 1;
    put(t + R, C_NORMAL, 0, e >> 1, x, lo);
    return;
  }
}

// ---- rounding ----------------------------------------------------------------------------------------------------

@inline
export function rounds_up(rc: u32, sign: u32, odd: bool, rem: u64): bool {
  if (rem == 0) return false;
  if (rc == RC_NEAREST) return rem > TOP64 || (rem == TOP64 && odd);
  if (rc == RC_ZERO) return false;
  return (rc == RC_DOWN) == (sign != 0);
}

/** The result's exponent is `d` below the least: a denormal number, or zero. */
function round_denormal(t: usize, p: u32, emin: i32, rc: u32, d: u32): void {
  const r = t + R;
  const sign = load<u32>(r, U_SIGN);
  let hi = load<u64>(r, U_HI);
  let lo = load<u64>(r, U_LO);
  const unit: u64 = (<u64>1) << (64 - p);
  if (d < 64) {
    lo = (hi << (64 - d)) | <u64>(lo != 0);
    hi = hi >> d;
  } else {
    lo = d == 64 ? hi | <u64>(lo != 0) : 1;
    hi = 0;
  }
  const rem = p == 64 ? lo : (hi << p) | <u64>(lo != 0);
  const up = rounds_up(rc, sign, (hi & unit) != 0, rem);
  hi = hi & ~(unit - 1);
  let flags: u32 = 0;
  if (up) {
    hi += unit;
    flags |= SF_UP;
  }
  if (rem != 0) flags |= UE | PE;
  add_flags(t, flags);
  put(r, hi == 0 ? C_ZERO : C_NORMAL, sign, emin, hi, 0);
}

/**
 * Rounds R (finite, not zero) to `p` bits (24, 53 or 64) and the exponent range emin … emax, and adds OE, UE, PE and SF_UP
 * to the flags. `unmasked`: OE and UE bits whose exceptions trap; the exponent then wraps by 24576 (x87; SSE discards the
 * result). `ftz`: a tiny result becomes zero (only with UE masked). R's class says zero, normal (bit 63 clear: denormal,
 * at emin) or infinity.
 */
export function sf_round(t: usize, p: u32, emin: i32, emax: i32, rc: u32, unmasked: u32, ftz: bool): void {
  const r = t + R;
  const sign = load<u32>(r, U_SIGN);
  let e = load<i32>(r, U_EXP);
  let hi = load<u64>(r, U_HI);
  const lo = load<u64>(r, U_LO);
  const unit: u64 = (<u64>1) << (64 - p);
  let flags: u32 = 0;
  const rem = p == 64 ? lo : (hi << p) | <u64>(lo != 0);
  const up = rounds_up(rc, sign, (hi & unit) != 0, rem);
  if (e < emin) {
    const top = hi & ~(unit - 1);
    const carries = up && top + unit == 0;
    if (!(e == emin - 1 && carries)) {
      if (unmasked & UE) {
        flags |= UE;
        if (emax == 16383) {
          e += 24576;
          if (e < emin) {
            add_flags(t, UE | PE);
            put(r, C_ZERO, sign, 0, 0, 0);
            return;
          }
        }
      } else {
        if (ftz) {
          add_flags(t, UE | PE);
          put(r, C_ZERO, sign, 0, 0, 0);
          return;
        }
        round_denormal(t, p, emin, rc, <u32>(emin - e));
        return;
      }
    }
  }
  hi = hi & ~(unit - 1);
  if (rem != 0) flags |= PE;
  if (up) {
    flags |= SF_UP;
    hi += unit;
    if (hi == 0) {
      hi = TOP64;
      e++;
    }
  }
  if (e > emax) {
    if (unmasked & OE) {
      flags |= OE;
      e -= 24576;
      if (e > emax && emax == 16383) {
        // FSCALE can overshoot what the wrap brings back
        add_flags(t, flags | PE | SF_UP);
        put(r, C_INF, sign, emax + 1, TOP64, 0);
        return;
      }
    } else {
      flags |= OE | PE;
      const toInf = rc == RC_NEAREST || (rc != RC_ZERO && (rc == RC_DOWN) == (sign != 0));
      add_flags(t, toInf ? flags | SF_UP : flags & ~SF_UP);
      if (toInf) put(r, C_INF, sign, emax + 1, TOP64, 0);
      else put(r, C_NORMAL, sign, emax, ~(unit - 1), 0);
      return;
    }
  }
  add_flags(t, flags);
  put(r, C_NORMAL, sign, e, hi, 0);
}

// ---- pack --------------------------------------------------------------------------------------------------------

export function pack_f64(t: usize): u64 {
  const s = <u64>sign_of(t, R) << 63;
  const c = class_of(t, R);
  if (c == C_ZERO) return s;
  if (c == C_INF) return s | 0x7ff0_0000_0000_0000;
  const hi = hi_of(t, R);
  if (!(hi & TOP64)) return s | (hi >> 11);
  return s | (<u64>(exp_of(t, R) + 1023) << 52) | ((hi >> 11) & 0x000f_ffff_ffff_ffff);
}

export function pack_f32(t: usize): u32 {
  const s = sign_of(t, R) << 31;
  const c = class_of(t, R);
  if (c == C_ZERO) return s;
  if (c == C_INF) return s | 0x7f80_0000;
  const hi = hi_of(t, R);
  if (!(hi & TOP64)) return s | <u32>(hi >> 40);
  return s | (<u32>(exp_of(t, R) + 127) << 23) | (<u32>(hi >> 40) & 0x007f_ffff);
}

/** Sign and biased exponent of R in the extended format; the significand is R's `hi`. */
export function pack_ext_se(t: usize): u32 {
  const s = sign_of(t, R) << 15;
  const c = class_of(t, R);
  if (c == C_ZERO) return s;
  if (c >= C_INF) return s | 0x7fff;
  if (!(hi_of(t, R) & TOP64)) return s;
  return s | <u32>(exp_of(t, R) + 16383);
}
