/**
 * What the transcendentals share. Values are computed with about 2^-110 relative error and rounded once, so the result is
 * the correctly rounded one but in the rarest cases. A positive value during the computation: 128-bit significand with
 * bit 127 set (fixed128.ts) and an exponent.
 */
import * as fx from './fixed128';
import * as sf from './softfloat';
import { C_NORMAL, R } from './softfloat';
import { round_ext, work } from './x87stack';

// Slots of the work area behind softfloat.ts's.
export const V: usize = 256; // the value in work
export const W: usize = 272;
export const P: usize = 288; // series accumulator, Q1.127
export const Q: usize = 304;
export const Z: usize = 320; // argument, Q0.128
export const ONE: usize = 336; // 1 in Q1.127
export const SIN: usize = 352; // significand; exponent at SIN_E
export const COS: usize = 368;
export const SIN_E: usize = 384;
export const COS_E: usize = 388;
export const WIDE: usize = 400; // 6 words of the argument reduction

export const PI_2_H: u64 = 0xc90f_daa2_2168_c234; // pi/2 and pi as significands, exponents 0 and 1
export const PI_2_L: u64 = 0xc4c6_628b_80dc_1cd1;
export const LN2_H: u64 = 0xb172_17f7_d1cf_79ab; // exponent −1
export const LN2_L: u64 = 0xc9e3_b398_03f2_f6af;
export const LOG2E_H: u64 = 0xb8aa_3b29_5c17_f0bb; // exponent 0
export const LOG2E_L: u64 = 0xbe87_fed0_691d_3e88;
export const SQRT2: u64 = 0xb504_f333_f9de_6484;

/** R = ± the value at `p` with exponent `e`, not exact: rounds to 64 bits and always leaves PE. */
export function result(cpu: usize, p: usize, sign: u32, e: i32): void {
  const t = work(cpu);
  sf.put(t + R, C_NORMAL, sign, e, fx.hi(p), fx.lo(p) | 1);
  round_ext(cpu, 64);
}

/** p × q for a significand p and a Q1.127 factor q in (0.5, 2): p becomes a significand again; returns the exponent's change. */
export function scale(p: usize, q: usize): i32 {
  fx.mul(p, p, q);
  return 1 - fx.normalize(p);
}
