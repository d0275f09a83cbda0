/** Bit tests and scans. */
import { flags_logic, flags_over, get_of, set_flags_explicit, ZF } from '../vcpu/flags';
import { lock_begin, lock_end } from '../memory/locked';
import { ptr_r, ptr_rw, ptr_w_done } from '../memory/mem';
import { atomic_ok, get_sx, put, put_reg, swap_if, zx } from '../memory/operand';
import { CPU_SEGS } from '../vcpu/state';
import { ea, INDEX_ADDR32, U_A, U_B, U_BASE, U_DISP, U_IMM, U_INDEX } from '../uop/uop';

// ---- bits: imm = op | size << 3 | memory << 5 | lock << 6 | by immediate << 7 | bit number << 8 ----------------------------

export const BIT_BT: u32 = 0;
export const BIT_BTS: u32 = 1;
export const BIT_BTR: u32 = 2;
export const BIT_BTC: u32 = 3;
export const BIT_BSF: u32 = 4;
export const BIT_BSR: u32 = 5;
export const BIT_POPCNT: u32 = 6;

/** In imm: the operand's address already has the bit number's part in it (OP_MISC's M_BIT_DISP). */
export const BIT_MOVED: u32 = 0x1_0000;

/** What bit number `n` from a register adds to an operand of 1 << size bytes. */
@inline
export function bit_displacement(n: i64, size: u32): u64 {
  return <u64>((n >> (3 + size)) << size);
}

/** Address of bit `n`: the offset, with the bit number's part in it, wraps to the address size before the segment's base is added. */
function bit_address(cpu: usize, u: usize, n: i64, size: u32): u64 {
  const base: u32 = load<u8>(u, U_BASE);
  const index: u32 = load<u8>(u, U_INDEX);
  let off = load<u64>(cpu + (base & 0xf8)) + (load<u64>(cpu + (index & 0xf8)) << (index & 3)) + <i64>load<i32>(u, U_DISP);
  off += bit_displacement(n, size);
  if (index & INDEX_ADDR32) off &= 0xffff_ffff;
  return base & 7 ? off + load<u64>(cpu + CPU_SEGS + (((base & 7) - 1) << 5)) : off;
}

function bit_value(op: u32, v: u64, bit: u64): u64 {
  switch (op) {
    case BIT_BTS: return v | bit;
    case BIT_BTR: return v & ~bit;
    default: return v ^ bit;
  }
}

export function bit_generic(cpu: usize, u: usize): void {
  const d = load<u32>(u, U_IMM);
  const op = d & 7;
  const size = (d >> 3) & 3;
  const dst = cpu + load<u8>(u, U_A);
  const src = cpu + load<u8>(u, U_B);
  if (op >= BIT_BSF) {
    bit_scan(cpu, op, size, dst, zx(load<u64>(src), size));
    return;
  }
  const bits: u32 = 8 << size;
  const n = d & 0x80 ? <i64>((d >> 8) & 0xff) : <i64>get_sx(src, size);
  const bit: u64 = <u64>1 << (n & (bits - 1));
  let v: u64;
  if (d & 0x20) {
    const va = d & 0x80 || d & BIT_MOVED ? ea(cpu, u) : bit_address(cpu, u, n, size);
    const bytes: u32 = 1 << size;
    if (op == BIT_BT) {
      const p = ptr_r(cpu, va, bytes);
      if (p == 0) return;
      v = get_sx(p, size);
    } else {
      const p = ptr_rw(cpu, va, bytes);
      if (p == 0) return;
      if (d & 0x40 && atomic_ok(p, size)) {
        do v = get_sx(p, size); while (!swap_if(p, size, v, bit_value(op, v, bit)));
        ptr_w_done(cpu, p, va, bytes);
      } else {
        if (d & 0x40) lock_begin(cpu, p, va, bytes);
        v = get_sx(p, size);
        put(p, size, bit_value(op, v, bit));
        ptr_w_done(cpu, p, va, bytes);
        if (d & 0x40) lock_end(cpu);
      }
    }
  } else {
    v = get_sx(dst, size);
    if (op != BIT_BT) put_reg(dst, size, bit_value(op, v, bit));
  }
  flags_over(cpu, u32((v & bit) != 0), get_of(cpu));
}

/**
 * BSF, BSR (a zero source leaves the destination alone), POPCNT. Of a scan the manual defines ZF alone; processors of today set PF by the
 * index and clear the rest.
 */
function bit_scan(cpu: usize, op: u32, size: u32, dst: usize, v: u64): void {
  if (op == BIT_POPCNT) {
    put_reg(dst, size, popcnt(v));
    set_flags_explicit(cpu, v == 0 ? ZF : 0);
    return;
  }
  if (v == 0) {
    flags_logic(cpu, 0);
    return;
  }
  const index = op == BIT_BSF ? ctz(v) : 63 - clz(v);
  put_reg(dst, size, index);
  flags_logic(cpu, index | 0x100);
}
