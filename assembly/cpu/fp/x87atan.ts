/** FPATAN (Intel SDM Vol. 2, tables for FPATAN). */
import * as fx from './fixed128';
import * as sf from './softfloat';
import { A, B, C_INF, C_ZERO, TOP64, mulhi } from './softfloat';
import {
  NAN_SE, NAN_SIG, conclude, is_empty, nans, note_denormals, pop, result_zero, set_st, start, underflow, unpack_st, work, write_result,
} from './x87stack';
import { V, W, P, Q, Z, ONE, PI_2_H, PI_2_L, result, scale } from './x87series';

/** atan(k/8), k = 0 … 8, in Q2.126. */
const ATAN_TABLE = memory.data<u64>([
  0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x07f5_6ea6_ab0b_db71, 0x9644_bcc4_f9f4_4477, 0x0fad_bafc_9640_6eb1, 0x56dc_79ef_5f7a_217e,
  0x16f6_1941_e4de_f08e, 0x7154_6424_5b9f_c890, 0x1dac_6705_61bb_4f68, 0xadfc_88bd_9787_51a0, 0x23c0_1757_bdfd_67e6, 0xd720_d785_9971_0dd1,
  0x292f_1f46_4d3d_c249, 0x066a_1fca_915f_6b27, 0x2e01_4f8a_f08c_679c, 0xf2cb_6954_8429_110f, 0x3243_f6a8_885a_308d, 0x3131_98a2_e037_0734,
]);

// ---- FPATAN --------------------------------------------------------------------------------------------------------

/** R = k·pi/4, inexact; k = 1 … 4. */
function quarter_pi(cpu: usize, k: u32, sign: u32): void {
  const t = work(cpu);
  if (k == 3) {
    fx.set(t + V, 0x96cb_e3f9_990e_91a7, 0x9394_c9e8_a0a5_159c);
    result(cpu, t + V, sign, 1);
    return;
  }
  fx.set(t + V, PI_2_H, PI_2_L);
  result(cpu, t + V, sign, k == 4 ? 1 : k == 2 ? 0 : -1);
}

/** ST1 = arctan(ST1 / ST0) in the quadrant that the signs tell; pop. */
export function fpatan(cpu: usize): void {
  start(cpu);
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (underflow(cpu)) return;
    set_st(cpu, 1, NAN_SE, NAN_SIG);
    pop(cpu);
    return;
  }
  const t = work(cpu);
  unpack_st(cpu, A, 1); // y
  unpack_st(cpu, B, 0); // x
  if (!nans(t, true)) {
    const cy = sf.class_of(t, A);
    const cx = sf.class_of(t, B);
    const sy = sf.sign_of(t, A);
    const sx = sf.sign_of(t, B);
    note_denormals(t, true);
    if (cy == C_INF) quarter_pi(cpu, cx == C_INF ? (sx ? 3 : 1) : 2, sy);
    else if (cx == C_INF || cy == C_ZERO) {
      if (sx) quarter_pi(cpu, 4, sy);
      else result_zero(t, sy);
    } else if (cx == C_ZERO) quarter_pi(cpu, 2, sy);
    else arctangent(cpu, sy, sx);
  }
  if (!conclude(cpu)) return;
  write_result(cpu, 1);
  pop(cpu);
}

/** Q2.126 of V × 2^e (e ≤ 1), never nothing. */
function to_fixed(t: usize, d: usize, e: i32): void {
  const n = 1 - e;
  fx.shr(d, t + V, n > 200 ? 200 : <u32>n);
  store<u64>(d, fx.lo(d) | 1, 8);
}

function arctangent(cpu: usize, sy: u32, sx: u32): void {
  const t = work(cpu);
  let n = sf.hi_of(t, A);
  let ne = sf.exp_of(t, A);
  let m = sf.hi_of(t, B);
  let me = sf.exp_of(t, B);
  const swap = ne > me || (ne == me && n > m);
  if (swap) {
    const h = n;
    n = m;
    m = h;
    const x = ne;
    ne = me;
    me = x;
  }
  const d = me - ne;
  // u = (n/m − k/8) / (1 + n/m · k/8), k the nearest eighth, |u| ≤ 1/16
  let k: u64 = 0;
  if (d < 6) k = <u64>(<f64>n / <f64>m / <f64>(1 << d) * 8.0 + 0.5);
  let e: i32;
  let minus = false;
  let zero = false;
  if (k == 0) {
    fx.set(t + P, n, 0);
    fx.set(t + Q, m, 0);
    e = fx.divide(t + V, t + P, t + Q) - d;
  } else {
    // scaled by 2^56 over m's last bit: 8n and 8m stay below 2^124
    fx.set(t + P, n >> (8 + d), n << (56 - d));
    fx.set(t + Q, m >> 8, m << 56);
    times(t + W, t + Q, k);
    times(t + V, t + P, 8);
    minus = fx.less(t + V, t + W);
    if (minus) fx.sub(t + V, t + W, t + V);
    else fx.sub(t + V, t + V, t + W);
    times(t + W, t + P, k);
    times(t + Q, t + Q, 8);
    fx.add(t + Q, t + Q, t + W);
    zero = fx.is_zero(t + V);
    e = 0;
    if (!zero) {
      e = fx.normalize(t + Q) - fx.normalize(t + V);
      fx.copy(t + P, t + V);
      e += fx.divide(t + V, t + P, t + Q);
    }
  }
  if (!zero) {
    fx.shr(t + Z, t + V, e < -200 ? 200 : <u32>-(e + 1));
    fx.mul(t + Z, t + Z, t + Z);
    fx.set(t + ONE, TOP64, 0);
    fx.set(t + P, 0, 0);
    for (let j: i32 = 16; j >= 0; j--) {
      fx.mul(t + Q, t + Z, t + P);
      if (j == 0) store<u64>(t + Q, fx.lo(t + Q) | 1, 8);
      fx.div_small(t + P, t + ONE, <u64>(2 * j + 1));
      fx.sub(t + P, t + P, t + Q);
    }
    e += scale(t + V, t + P);
  }
  if (k == 0 && !swap && !sx) {
    result(cpu, t + V, sy, e);
    return;
  }
  fx.set(t + P, load<u64>(ATAN_TABLE + (<usize>k << 4)), load<u64>(ATAN_TABLE + (<usize>k << 4), 8));
  if (!zero) {
    to_fixed(t, t + Q, e);
    if (minus) fx.sub(t + P, t + P, t + Q);
    else fx.add(t + P, t + P, t + Q);
  }
  fx.set(t + W, PI_2_H, PI_2_L);
  if (swap) {
    fx.shr(t + Q, t + W, 1);
    fx.sub(t + P, t + Q, t + P);
  }
  if (sx) fx.sub(t + P, t + W, t + P); // the same digits, a binary place higher, are pi
  e = 1 - fx.normalize(t + P);
  result(cpu, t + P, sy, e);
}

/** d = a × k without overflow. */
function times(d: usize, a: usize, k: u64): void {
  const l = fx.lo(a);
  fx.set(d, fx.hi(a) * k + mulhi(l, k), l * k);
}
