/** XCHG, XADD and the compare-and-exchange instructions. */
import { raise } from '../vcpu/fault';
import { FLAG_ADD, FLAG_SUB, flags_lazy, flags_materialize, ZF } from '../vcpu/flags';
import { lock_begin, lock_end } from '../memory/locked';
import { ptr_rw, ptr_w_done } from '../memory/mem';
import { atomic_ok, get_sx, put, put_reg, swap_if, sx } from '../memory/operand';
import { Cpu } from '../vcpu/state';
import { ea, U_A, U_B, U_IMM } from '../uop/uop';

// ---- XCHG, XADD, CMPXCHG: imm = op | size << 4 | memory << 6 | lock << 7; a = r/m register, b = register ------------------

export const X_XCHG: u32 = 0;
export const X_XADD: u32 = 1;
export const X_CMPXCHG: u32 = 2;
export const X_CMPXCHG8B: u32 = 3;
export const X_CMPXCHG16B: u32 = 4;

export function xchg_generic(cpu: usize, u: usize): void {
  const d = load<u32>(u, U_IMM);
  const op = d & 15;
  const size = (d >> 4) & 3;
  const reg = cpu + load<u8>(u, U_B);
  if (op == X_CMPXCHG8B || op == X_CMPXCHG16B) {
    compare_pair(cpu, u, op == X_CMPXCHG16B, (d & 0x80) != 0);
    return;
  }
  const src = get_sx(reg, size);
  const acc = get_sx(cpu, size);
  if (!(d & 0x40)) {
    const dst = cpu + load<u8>(u, U_A);
    const v = get_sx(dst, size);
    if (op == X_XCHG) {
      put_reg(reg, size, v);
      put_reg(dst, size, src);
    } else if (op == X_XADD) {
      const r = sx(v + src, size);
      flags_lazy(cpu, FLAG_ADD, r, v, src);
      put_reg(reg, size, v);
      put_reg(dst, size, r);
    } else {
      flags_lazy(cpu, FLAG_SUB, sx(acc - v, size), acc, v);
      if (v == acc) put_reg(dst, size, src);
      else put_reg(cpu, size, v);
    }
    return;
  }
  const va = ea(cpu, u);
  const bytes: u32 = 1 << size;
  const p = ptr_rw(cpu, va, bytes);
  if (p == 0) return;
  const lock = (d & 0x80) != 0;
  const direct = lock && atomic_ok(p, size);
  let v: u64;
  let w: u64;
  if (direct) {
    do {
      v = get_sx(p, size);
      w = op == X_XCHG ? src : op == X_XADD ? v + src : v == acc ? src : v;
    } while (!swap_if(p, size, v, w));
    ptr_w_done(cpu, p, va, bytes);
  } else {
    if (lock) lock_begin(cpu, p, va, bytes);
    v = get_sx(p, size);
    w = op == X_XCHG ? src : op == X_XADD ? v + src : v == acc ? src : v;
    put(p, size, w);
    ptr_w_done(cpu, p, va, bytes);
    if (lock) lock_end(cpu);
  }
  if (op == X_XCHG) put_reg(reg, size, v);
  else if (op == X_XADD) {
    flags_lazy(cpu, FLAG_ADD, sx(v + src, size), v, src);
    put_reg(reg, size, v);
  } else {
    flags_lazy(cpu, FLAG_SUB, sx(acc - v, size), acc, v);
    if (v != acc) put_reg(cpu, size, v);
  }
}

/** CMPXCHG8B and CMPXCHG16B. WebAssembly has no 128-bit atomic, so a locked one of 16 bytes takes the big lock. */
function compare_pair(cpu: usize, u: usize, wide: bool, lock: bool): void {
  const c = changetype<Cpu>(cpu);
  const va = ea(cpu, u);
  const bytes: u32 = wide ? 16 : 8;
  if (wide && va & 15) {
    raise(cpu, 13, 0);
    return;
  }
  const p = ptr_rw(cpu, va, bytes);
  if (p == 0) return;
  let equal: bool;
  if (!wide) {
    const want = (c.r2 << 32) | (c.r0 & 0xffff_ffff);
    const give = (c.r1 << 32) | (c.r3 & 0xffff_ffff);
    let v: u64;
    if (lock && atomic_ok(p, 3)) v = atomic.cmpxchg<u64>(p, want, give);
    else {
      if (lock) lock_begin(cpu, p, va, bytes);
      v = load<u64>(p);
      if (v == want) store<u64>(p, give);
      ptr_w_done(cpu, p, va, bytes);
      if (lock) lock_end(cpu);
    }
    if (lock && atomic_ok(p, 3)) ptr_w_done(cpu, p, va, bytes);
    equal = v == want;
    if (!equal) {
      c.r0 = <u32>v;
      c.r2 = v >> 32;
    }
  } else {
    if (lock) lock_begin(cpu, p, va, bytes);
    const lo = load<u64>(p);
    const hi = load<u64>(p, 8);
    equal = lo == c.r0 && hi == c.r2;
    if (equal) {
      store<u64>(p, c.r3);
      store<u64>(p, c.r1, 8);
    }
    ptr_w_done(cpu, p, va, bytes);
    if (lock) lock_end(cpu);
    if (!equal) {
      c.r0 = lo;
      c.r2 = hi;
    }
  }
  const f = flags_materialize(cpu) & ~ZF;
  c.eflags = equal ? f | ZF : f;
}
