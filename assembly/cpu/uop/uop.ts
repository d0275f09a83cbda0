/**
 * The micro-op, 16 bytes. One instruction is one or more of them; all of one instruction carry the same `ip_off`.
 *
 *   +0  u16 op      OP_* (generated/ops.ts)
 *   +2  u16 ip_off  offset of the instruction's END from the block's first byte
 *   +4  u8  a       register operand   (integer micro-ops: byte offset into the register file; OP_SSE: register number)
 *   +5  u8  b       register operand
 *   +6  u8  base    bits 3..7 register of the address, bits 0..2 segment base to add: 0 none, else SEG_* + 1
 *   +7  u8  index   bits 3..7 register, bit 2 wrap the offset to 32 bits, bits 0..1 scale
 *   +8  i32 disp    displacement, or immediate of a form without memory operand (64 bits: up to +15)
 *   +12 u32 imm     immediate, or the sub-operation
 */
import { INDEX_ADDR32 } from '../../contract/translator';
export { INDEX_ADDR32, UOP_SIZE } from '../../contract/translator';
import { CPU_SEGS } from '../vcpu/state';

export const U_OP: usize = 0;
export const U_IP: usize = 2;
export const U_A: usize = 4;
export const U_B: usize = 5;
export const U_BASE: usize = 6;
export const U_INDEX: usize = 7;
export const U_DISP: usize = 8;
export const U_IMM: usize = 12;


/** Linear address of the micro-op's memory operand: segment base added, offset wrapped to the address size. */
@inline
export function ea(cpu: usize, u: usize): u64 {
  const base: u32 = load<u8>(u, U_BASE);
  const index: u32 = load<u8>(u, U_INDEX);
  const off = load<u64>(cpu + (base & 0xf8)) + (load<u64>(cpu + (index & 0xf8)) << (index & 3)) + <i64>load<i32>(u, U_DISP);
  if ((base & 7) | (index & 4)) return ea_special(cpu, base, index, off);
  return off;
}

/** `ea` of an operand known to have no index and no segment base. */
@inline
export function ea_bd(cpu: usize, u: usize): u64 {
  return load<u64>(cpu + load<u8>(u, U_BASE)) + <i64>load<i32>(u, U_DISP);
}

export function ea_special(cpu: usize, base: u32, index: u32, off: u64): u64 {
  if (index & INDEX_ADDR32) off &= 0xffff_ffff;
  base &= 7;
  if (base) off += load<u64>(cpu + CPU_SEGS + ((base - 1) << 5));
  return off;
}
