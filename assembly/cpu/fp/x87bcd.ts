/** FBLD and FBSTP: 18 packed decimal digits and a sign byte. Intel SDM Vol. 1, 4.7. */
import * as sf from './softfloat';
import { A, C_INF, C_ZERO, IE, R, T_FLAGS } from './softfloat';
import { conclude, is_empty, pop, push, rounding, start, underflow, unpack_st, work } from './x87stack';
import { integer_of } from './x87arith';

const LIMIT: u64 = 1_000_000_000_000_000_000;

export function fbld(cpu: usize, p: usize): void {
  let v: u64 = 0;
  for (let i: i32 = 8; i >= 0; i--) {
    const b = <u64>load<u8>(p + i);
    v = v * 100 + (b >> 4) * 10 + (b & 15);
  }
  const t = work(cpu);
  sf.unpack_i64(t + R, <i64>v);
  const sign: u32 = load<u8>(p, 9) & 0x80 ? 0x8000 : 0;
  push(cpu, sf.pack_ext_se(t) | sign, sf.hi_of(t, R));
}

/** True: the ten bytes at `p` were written. */
export function fbstp(cpu: usize, p: usize): bool {
  const t = work(cpu);
  start(cpu);
  let ok = false;
  let v: u64 = 0;
  let sign: u32 = 0;
  if (is_empty(cpu, 0)) {
    if (underflow(cpu)) return false;
  } else {
    unpack_st(cpu, A, 0);
    const ca = sf.class_of(t, A);
    sign = sf.sign_of(t, A);
    if (ca < C_INF && (ca == C_ZERO || sf.exp_of(t, A) < 61)) {
      v = integer_of(t, rounding(cpu));
      ok = v < LIMIT;
    }
    if (!ok) store<u32>(t, IE, T_FLAGS);
    if (!conclude(cpu)) return false;
  }
  if (ok) {
    for (let i: u32 = 0; i < 9; i++) {
      const d = v % 100;
      v /= 100;
      store<u8>(p + i, <u8>((d / 10 << 4) | (d % 10)));
    }
    store<u8>(p, sign ? 0x80 : 0, 9);
  } else {
    store<u64>(p, 0xc000_0000_0000_0000);
    store<u16>(p, 0xffff, 8);
  }
  pop(cpu);
  return true;
}
