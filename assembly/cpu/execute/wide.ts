/** 128-bit products and quotients: WASM has 64-bit ones only. */
import { raise, X_DE } from '../vcpu/fault';
import { Cpu } from '../vcpu/state';

/** High half of the unsigned 128-bit product, from four 32-bit ones. */
export function mulhi_u(a: u64, b: u64): u64 {
  const al = a & 0xffff_ffff;
  const ah = a >> 32;
  const bl = b & 0xffff_ffff;
  const bh = b >> 32;
  const mid = ah * bl + ((al * bl) >> 32);
  return ah * bh + (mid >> 32) + ((al * bh + (mid & 0xffff_ffff)) >> 32);
}

/** High half of the signed product. */
export function mulhi_s(a: u64, b: u64): u64 {
  return mulhi_u(a, b) - (<i64>a < 0 ? b : 0) - (<i64>b < 0 ? a : 0);
}

/** hi:lo / d in two digits of 32 bits (Knuth, TAOCP vol. 2, 4.3.1 D), hi < d. The quotient; the remainder is lo - q × d. */
function quotient(hi: u64, lo: u64, d: u64): u64 {
  const s = clz(d);
  d <<= s;
  const dh = d >> 32;
  const dl = d & 0xffff_ffff;
  const n = s ? (hi << s) | (lo >> (64 - s)) : hi;
  const l = lo << s;
  const q1 = digit(n, l >> 32, dh, dl);
  const rest = (n << 32) + (l >> 32) - q1 * d;
  return (q1 << 32) + digit(rest, l & 0xffff_ffff, dh, dl);
}

/** One digit of (n · 2^32 + next) / d, d = dh:dl normalized. */
@inline
function digit(n: u64, next: u64, dh: u64, dl: u64): u64 {
  let q = n / dh;
  let r = n % dh;
  while (q >> 32 || q * dl > ((r << 32) | next)) {
    q--;
    r += dh;
    if (r >> 32) break;
  }
  return q;
}

/** DIV of RDX:RAX; the caller knows RDX < d, d ≠ 0. */
export function div128(cpu: usize, d: u64): void {
  const c = changetype<Cpu>(cpu);
  const lo = c.r0;
  const q = quotient(c.r2, lo, d);
  c.r0 = q;
  c.r2 = lo - q * d;
}

/** IDIV of RDX:RAX by d ≠ 0; #DE when the quotient does not fit. */
export function idiv128(cpu: usize, d: u64): void {
  const c = changetype<Cpu>(cpu);
  let hi = c.r2;
  let lo = c.r0;
  const negative = <i64>hi < 0;
  if (negative) {
    lo = 0 - lo;
    hi = ~hi + (lo == 0 ? 1 : 0);
  }
  const m = <i64>d < 0 ? 0 - d : d;
  if (hi >= m) {
    raise(cpu, X_DE, 0);
    return;
  }
  const q = hi == 0 ? lo / m : quotient(hi, lo, m);
  const r = lo - q * m;
  const minus = negative != (<i64>d < 0);
  if (minus ? q > 0x8000_0000_0000_0000 : q >> 63 != 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  c.r0 = minus ? 0 - q : q;
  c.r2 = negative ? 0 - r : r;
}
