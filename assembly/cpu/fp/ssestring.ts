/** PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI (SSE4.2). Intel SDM Vol. 2, 4.1. */
import { set_flags_explicit, xmm, gpr } from './env';

@inline
function element(p: usize, i: u32, word: bool, signed: bool): i32 {
  if (word) return signed ? <i32>load<i16>(p + (i << 1)) : <i32>load<u16>(p + (i << 1));
  return signed ? <i32>load<i8>(p + i) : <i32>load<u8>(p + i);
}

/** Elements before the first zero. */
function implicit_length(p: usize, n: u32, word: bool): u32 {
  for (let i: u32 = 0; i < n; i++) if (element(p, i, word, false) == 0) return i;
  return n;
}

/** |register|, at most n. */
function explicit_length(cpu: usize, r: usize, n: u32, wide: bool): u32 {
  const v = wide ? load<i64>(gpr(cpu, r)) : <i64>load<i32>(gpr(cpu, r));
  const m = v < 0 ? <u64>0 - <u64>v : <u64>v;
  return m > <u64>n ? n : <u32>m;
}

/** IntRes1 before polarity: one bit an element of `s`. */
function aggregate(kind: u32, d: usize, s: usize, la: u32, lb: u32, n: u32, word: bool, signed: bool): u32 {
  let r: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    let hit = false;
    switch (kind) {
      case 0: // equal any
        if (i < lb) {
          const b = element(s, i, word, signed);
          for (let j: u32 = 0; j < la && !hit; j++) hit = element(d, j, word, signed) == b;
        }
        break;
      case 1: // ranges
        if (i < lb) {
          const b = element(s, i, word, signed);
          for (let j: u32 = 0; j + 1 < la && !hit; j += 2) hit = element(d, j, word, signed) <= b && b <= element(d, j + 1, word, signed);
        }
        break;
      case 2: // equal each
        hit = i < la && i < lb ? element(d, i, word, signed) == element(s, i, word, signed) : i >= la && i >= lb;
        break;
      default: // equal ordered
        hit = true;
        for (let j: u32 = 0; j < la && i + j < n && hit; j++) hit = i + j < lb && element(d, j, word, signed) == element(s, i + j, word, signed);
    }
    if (hit) r |= 1 << i;
  }
  return r;
}

/** `op` 60 … 63: bit 0 index (to ECX) instead of mask (to XMM0), bit 1 implicit lengths. `d` is the first operand. */
export function string_compare(cpu: usize, op: u32, imm: u32, d: usize, s: usize, wide: bool): void {
  const word = (imm & 1) != 0;
  const n: u32 = word ? 8 : 16;
  let la: u32;
  let lb: u32;
  if (op & 2) {
    la = implicit_length(d, n, word);
    lb = implicit_length(s, n, word);
  } else {
    la = explicit_length(cpu, 0, n, wide);
    lb = explicit_length(cpu, 2, n, wide);
  }
  let r = aggregate((imm >> 2) & 3, d, s, la, lb, n, word, (imm & 2) != 0);
  const all: u32 = (1 << n) - 1;
  if ((imm & 0x30) == 0x10) r ^= all;
  else if ((imm & 0x30) == 0x30) r ^= (1 << lb) - 1;
  set_flags_explicit(cpu, (r ? 1 : 0) | (lb < n ? 0x40 : 0) | (la < n ? 0x80 : 0) | (r & 1 ? 0x800 : 0));
  if (op & 1) {
    const index: u32 = r == 0 ? n : imm & 0x40 ? 31 - clz(r) : ctz(r);
    store<u64>(gpr(cpu, 1), <u64>index);
    return;
  }
  const x = xmm(cpu, 0);
  if (!(imm & 0x40)) {
    store<u64>(x, <u64>r);
    store<u64>(x, 0, 8);
    return;
  }
  for (let i: u32 = 0; i < n; i++) {
    if (word) store<u16>(x + (i << 1), (r >> i) & 1 ? 0xffff : 0);
    else store<u8>(x + i, (r >> i) & 1 ? 0xff : 0);
  }
}
