/** Multiplication and division. */
import { raise, X_DE } from '../vcpu/fault';
import { FLAG_SHIFT, flags_lazy } from '../vcpu/flags';
import { ptr_r } from '../memory/mem';
import { get_sx, put_reg, sx, zx } from '../memory/operand';
import { Cpu } from '../vcpu/state';
import { ea, U_A, U_B, U_DISP, U_IMM } from '../uop/uop';
import { div128, idiv128, mulhi_s, mulhi_u } from './wide';

/** IMUL r64: `dst` is the register's place. */
export function imul64(cpu: usize, dst: usize, a: u64, b: u64): void {
  const lo = a * b;
  const c = <u64>(mulhi_s(a, b) != <u64>(<i64>lo >> 63));
  flags_lazy(cpu, FLAG_SHIFT, lo, c, c);
  store<u64>(dst, lo);
}

/** IMUL r16: imm = 1 when the second factor is the immediate in disp. */
export function imul_generic(cpu: usize, u: usize): void {
  const dst = cpu + load<u8>(u, U_A);
  const src = <i32>load<i16>(cpu + load<u8>(u, U_B));
  const p = load<u32>(u, U_IMM) ? src * load<i32>(u, U_DISP) : <i32>load<i16>(dst) * src;
  const c = <u64>(p != <i32><i16>p);
  flags_lazy(cpu, FLAG_SHIFT, <u64><i64><i16>p, c, c);
  store<u16>(dst, <u16>p);
}

/** MUL, IMUL, DIV, IDIV on rAX and rDX: b = op | size << 2 | memory << 4. */
export function muldiv(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  const d: u32 = load<u8>(u, U_B);
  const op = d & 3;
  const size = (d >> 2) & 3;
  let p: usize = cpu + load<u8>(u, U_A);
  if (d & 0x10) {
    p = ptr_r(cpu, ea(cpu, u), 1 << size);
    if (p == 0) return;
  }
  const v = get_sx(p, size);
  if (op == 0) mul_unsigned(cpu, c, size, zx(v, size));
  else if (op == 1) mul_signed(cpu, c, size, v);
  else if (op == 2) div_unsigned(cpu, c, size, zx(v, size));
  else div_signed(cpu, c, size, v);
}

function mul_unsigned(cpu: usize, c: Cpu, size: u32, v: u64): void {
  let ov: u64;
  let lo: u64;
  switch (size) {
    case 0: lo = (c.r0 & 0xff) * v; ov = u64(lo > 0xff); store<u16>(cpu, <u16>lo); break;
    case 1: lo = (c.r0 & 0xffff) * v; ov = u64(lo > 0xffff); store<u16>(cpu, <u16>lo); store<u16>(cpu, <u16>(lo >> 16), 16); break;
    case 2: lo = (c.r0 & 0xffff_ffff) * v; ov = u64(lo > 0xffff_ffff); c.r0 = <u32>lo; c.r2 = lo >> 32; break;
    default: {
      const a = c.r0;
      lo = a * v;
      c.r0 = lo;
      c.r2 = mulhi_u(a, v);
      ov = u64(c.r2 != 0);
    }
  }
  flags_lazy(cpu, FLAG_SHIFT, sx(lo, size), ov, ov);
}

function mul_signed(cpu: usize, c: Cpu, size: u32, v: u64): void {
  const a = sx(c.r0, size);
  const lo = a * v;
  let ov: u64 = u64(lo != sx(lo, size));
  switch (size) {
    case 0: store<u16>(cpu, <u16>lo); break;
    case 1: store<u16>(cpu, <u16>lo); store<u16>(cpu, <u16>(lo >> 16), 16); break;
    case 2: c.r0 = <u32>lo; c.r2 = lo >> 32; break;
    default:
      c.r0 = lo;
      c.r2 = mulhi_s(a, v);
      ov = u64(c.r2 != <u64>(<i64>lo >> 63));
  }
  flags_lazy(cpu, FLAG_SHIFT, sx(lo, size), ov, ov);
}

function div_unsigned(cpu: usize, c: Cpu, size: u32, v: u64): void {
  if (v == 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  if (size == 3) {
    if (c.r2 >= v) {
      raise(cpu, X_DE, 0);
      return;
    }
    if (c.r2 == 0) {
      const a = c.r0;
      c.r0 = a / v;
      c.r2 = a % v;
    } else div128(cpu, v);
    return;
  }
  const bits: u32 = 8 << size;
  const n = size == 0 ? c.r0 & 0xffff : (zx(c.r2, size) << bits) | zx(c.r0, size);
  const q = n / v;
  if (q >> bits) {
    raise(cpu, X_DE, 0);
    return;
  }
  put_quotient(cpu, size, q, n % v);
}

function put_quotient(cpu: usize, size: u32, q: u64, r: u64): void {
  if (size == 0) {
    store<u8>(cpu, <u8>q);
    store<u8>(cpu, <u8>r, 1);
  } else {
    put_reg(cpu, size, q);
    put_reg(cpu + 16, size, r);
  }
}

function div_signed(cpu: usize, c: Cpu, size: u32, v: u64): void {
  if (v == 0) {
    raise(cpu, X_DE, 0);
    return;
  }
  if (size == 3) {
    idiv128(cpu, v);
    return;
  }
  const bits: u32 = 8 << size;
  const n: u64 = size == 0 ? <u64><i64><i16>c.r0 : size == 1 ? <u64><i64><i32>(<u32>(c.r2 << 16) | <u32>(c.r0 & 0xffff)) : (c.r2 << 32) | (c.r0 & 0xffff_ffff);
  // the one quotient that WASM traps on
  if (n == 0x8000_0000_0000_0000 && v == 0xffff_ffff_ffff_ffff) {
    raise(cpu, X_DE, 0);
    return;
  }
  const q = <i64>n / <i64>v;
  if (q != <i64>sx(<u64>q, size)) {
    raise(cpu, X_DE, 0);
    return;
  }
  put_quotient(cpu, size, <u64>q, <u64>(<i64>n % <i64>v));
  void bits;
}
