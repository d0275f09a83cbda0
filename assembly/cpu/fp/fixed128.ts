/**
 * 128-bit fixed-point numbers in memory: u64 high at +0, u64 low at +8. What the transcendentals compute with; the
 * position of the point is the caller's business. Results are truncated unless said otherwise.
 */
import { mulhi } from './softfloat';

@inline
export function hi(p: usize): u64 {
  return load<u64>(p);
}
@inline
export function lo(p: usize): u64 {
  return load<u64>(p, 8);
}
@inline
export function set(p: usize, h: u64, l: u64): void {
  store<u64>(p, h);
  store<u64>(p, l, 8);
}
@inline
export function copy(d: usize, s: usize): void {
  v128.store(d, v128.load(s));
}
@inline
export function is_zero(p: usize): bool {
  return (hi(p) | lo(p)) == 0;
}

/** d = floor(a × b / 2^128). */
export function mul(d: usize, a: usize, b: usize): void {
  const ah = hi(a);
  const al = lo(a);
  const bh = hi(b);
  const bl = lo(b);
  let mid = mulhi(al, bl);
  let carry: u64 = 0;
  const x = al * bh;
  mid += x;
  carry += u64(mid < x);
  const y = ah * bl;
  mid += y;
  carry += u64(mid < y);
  let l = ah * bh;
  let h = mulhi(ah, bh);
  const u = mulhi(al, bh);
  l += u;
  h += u64(l < u);
  const v = mulhi(ah, bl);
  l += v;
  h += u64(l < v);
  l += carry;
  h += u64(l < carry);
  set(d, h, l);
}

/** d = floor(a × b / 2^64) for b < 2^64 · 2^64/a, that is: a 128-bit × 64-bit product's upper 128 bits. */
export function mul64(d: usize, a: usize, b: u64): void {
  const p = lo(a);
  const q = hi(a);
  const t = mulhi(p, b);
  let l = q * b;
  let h = mulhi(q, b);
  l += t;
  h += u64(l < t);
  set(d, h, l);
}

@inline
export function add(d: usize, a: usize, b: usize): void {
  const l = lo(a) + lo(b);
  const h = hi(a) + hi(b) + u64(l < lo(a));
  set(d, h, l);
}

@inline
export function sub(d: usize, a: usize, b: usize): void {
  const h = hi(a) - hi(b) - u64(lo(a) < lo(b));
  set(d, h, lo(a) - lo(b));
}

@inline
export function less(a: usize, b: usize): bool {
  return hi(a) < hi(b) || (hi(a) == hi(b) && lo(a) < lo(b));
}

/** d = a >> n, any n ≥ 0. */
export function shr(d: usize, a: usize, n: u32): void {
  const h = hi(a);
  if (n == 0) copy(d, a);
  else if (n < 64) set(d, h >> n, (lo(a) >> n) | (h << (64 - n)));
  else set(d, 0, n < 128 ? h >> (n - 64) : 0);
}

/** Shifts left until bit 127 is set; returns by how much. `p` is not zero. */
export function normalize(p: usize): i32 {
  let h = hi(p);
  let l = lo(p);
  let n: i32 = 0;
  if (h == 0) {
    h = l;
    l = 0;
    n = 64;
  }
  const k = <i32>clz(h);
  if (k != 0) {
    h = (h << k) | (l >> (64 - k));
    l <<= k;
  }
  set(p, h, l);
  return n + k;
}

/** d = a / k for k < 2^32. */
export function div_small(d: usize, a: usize, k: u64): void {
  const h = hi(a);
  const l = lo(a);
  const qh = h / k;
  let r = ((h - qh * k) << 32) | (l >> 32);
  const q1 = r / k;
  r = ((r - q1 * k) << 32) | (l & 0xffff_ffff);
  set(d, qh, (q1 << 32) | (r / k));
}

/** d = n / m, both with bit 127 set: the quotient with bit 127 set, and 0 or −1, its exponent. */
export function divide(d: usize, n: usize, m: usize): i32 {
  const mh = hi(m);
  const ml = lo(m);
  let rh = hi(n);
  let rl = lo(n);
  let e: i32 = 0;
  let carry: u64 = 0;
  if (rh < mh || (rh == mh && rl < ml)) {
    e = -1;
    carry = rh >> 63;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
  }
  let qh: u64 = 0;
  let ql: u64 = 0;
  for (let i = 0; i < 128; i++) {
    qh = (qh << 1) | (ql >> 63);
    ql <<= 1;
    if (carry != 0 || rh > mh || (rh == mh && rl >= ml)) {
      rh = rh - mh - u64(rl < ml);
      rl -= ml;
      ql |= 1;
    }
    carry = rh >> 63;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
  }
  set(d, qh, ql);
  return e;
}
