/** Shifts and rotates: b = op | size << 3 | memory << 5 | by CL << 6, imm = count. */
import { FLAG_SHIFT, flags_lazy, flags_over, get_cf } from '../vcpu/flags';
import { ptr_rw, ptr_w_done } from '../memory/mem';
import { get_sx, put, put_reg, sx, zx } from '../memory/operand';
import { ea, U_A, U_B, U_IMM } from '../uop/uop';

/** Result of a shift or rotate of `a` (sign-extended) by a masked count n ≥ 1; sets the flags it defines. */
function shift_value(cpu: usize, op: u32, size: u32, a: u64, n: u32): u64 {
  const bits: u32 = 8 << size;
  const z = zx(a, size);
  let r: u64;
  let cf: u64;
  switch (op) {
    case 0: { // ROL
      const k = n & (bits - 1);
      r = sx(k == 0 ? z : (z << k) | (z >> (bits - k)), size);
      rotate_flags(cpu, <u32>r & 1, <u32>(((r >> (bits - 1)) ^ r) & 1));
      return r;
    }
    case 1: { // ROR
      const k = n & (bits - 1);
      r = sx(k == 0 ? z : (z >> k) | (z << (bits - k)), size);
      rotate_flags(cpu, <u32>(r >> (bits - 1)) & 1, <u32>((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
      return r;
    }
    case 2: { // RCL
      const k = size < 2 ? n % (bits + 1) : n;
      let c: u64 = get_cf(cpu);
      r = z;
      for (let i: u32 = 0; i < k; i++) {
        const out = (r >> (bits - 1)) & 1;
        r = (r << 1) | c;
        c = out;
      }
      r = sx(r, size);
      rotate_flags(cpu, <u32>c, <u32>((r >> (bits - 1)) ^ c) & 1);
      return r;
    }
    case 3: { // RCR
      const k = size < 2 ? n % (bits + 1) : n;
      let c: u64 = get_cf(cpu);
      r = z;
      for (let i: u32 = 0; i < k; i++) {
        const out = r & 1;
        r = (r >> 1) | (c << (bits - 1));
        c = out;
      }
      r = sx(r, size);
      rotate_flags(cpu, <u32>c, <u32>((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
      return r;
    }
    case 5: // SHR
      r = sx(z >> n, size);
      if (n >= bits) r = 0;
      cf = (z >> (n - 1)) & 1;
      flags_lazy(cpu, FLAG_SHIFT, r, cf, (z >> (bits - 1)) & 1);
      return r;
    case 7: // SAR
      r = <u64>(<i64>a >> n);
      cf = <u64>(<i64>a >> (n - 1)) & 1;
      flags_lazy(cpu, FLAG_SHIFT, r, cf, 0);
      return r;
    default: // SHL
      r = sx(z << n, size);
      cf = size == 3 ? (z >> (64 - n)) & 1 : ((z << n) >> bits) & 1;
      flags_lazy(cpu, FLAG_SHIFT, r, cf, cf ^ (r >> 63));
      return r;
  }
}

/** Rotates change CF and OF only. */
function rotate_flags(cpu: usize, cf: u32, ov: u32): void {
  flags_over(cpu, cf, ov);
}

export function shift_generic(cpu: usize, u: usize): void {
  const d: u32 = load<u8>(u, U_B);
  const size = (d >> 3) & 3;
  let n: u32 = d & 0x40 ? load<u8>(cpu, 8) : load<u8>(u, U_IMM);
  n &= size == 3 ? 63 : 31;
  if (d & 0x20) {
    const va = ea(cpu, u);
    const p = ptr_rw(cpu, va, 1 << size);
    if (p == 0) return;
    if (n) put(p, size, shift_value(cpu, d & 7, size, get_sx(p, size), n));
    ptr_w_done(cpu, p, va, 1 << size);
    return;
  }
  const reg = cpu + load<u8>(u, U_A);
  put_reg(reg, size, n ? shift_value(cpu, d & 7, size, get_sx(reg, size), n) : get_sx(reg, size));
}

/** SHLD, SHRD: `right` for SHRD. n masked, n ≥ 1. For 16 bits and n > 16 the result is undefined; like other CPUs it rotates on. */
export function double_shift(cpu: usize, right: bool, size: u32, a: u64, b: u64, n: u32): u64 {
  const bits: u32 = 8 << size;
  const za = zx(a, size);
  const zb = zx(b, size);
  let r: u64;
  let cf: u64;
  if (size == 1) {
    // 48 bits: a, b, a
    if (right) {
      const v = za | (zb << 16) | (za << 32);
      r = v >> n;
      cf = (v >> (n - 1)) & 1;
    } else {
      const v = (za << 32) | (zb << 16) | za;
      r = (v << n) >> 32;
      cf = ((v << n) >> 48) & 1;
    }
  } else if (right) {
    r = (za >> n) | (zb << (bits - n));
    cf = (za >> (n - 1)) & 1;
  } else {
    r = (za << n) | (zb >> (bits - n));
    cf = (za >> (bits - n)) & 1;
  }
  r = sx(r, size);
  flags_lazy(cpu, FLAG_SHIFT, r, cf, (r ^ sx(za, size)) >> 63);
  return r;
}
