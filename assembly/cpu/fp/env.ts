/**
 * The border between the floating-point part and its neighbours: micro-op fields, guest memory, faults.
 * Everything under fp/ reaches decoder, memory and exceptions through this file only.
 */
import { block_vars, B_UOPS } from '../uop/blocks';
import { raise as raise_error } from '../vcpu/fault';
import { ptr_r } from '../memory/mem';
import { CPU_FPR, CPU_XMM, Cpu } from '../vcpu/state';
import { ea, U_A, U_B, U_IMM, U_IP, UOP_SIZE } from '../uop/uop';

export { faulted } from '../vcpu/fault';
export { flags_get, set_flags_explicit } from '../vcpu/flags';
export { copy_in, copy_out, probe_w, ptr_r, ptr_w, ptr_w_done } from '../memory/mem';
export { ea } from '../uop/uop';

/** Linear address of the first byte of the instruction that micro-op `u` belongs to. */
export function ip_start(cpu: usize, u: usize): u64 {
  const c = changetype<Cpu>(cpu);
  const first = <usize>block_vars(cpu).current + B_UOPS;
  const end = load<u16>(u, U_IP);
  let p = u;
  while (p > first && load<u16>(p, U_IP) == end) p -= UOP_SIZE;
  const off = load<u16>(p, U_IP);
  return off == end ? c.block : c.block + off;
}

/** Scratch of the floating-point part, 1 KiB behind CPU_SCRATCH: unpacked operands and collected flags (softfloat.ts). */
export const CPU_FPTMP: usize = 0x0c00;

export const CR0_MP: u64 = 2;
export const CR0_EM: u64 = 4;
export const CR0_TS: u64 = 8;
export { CR4_OSFXSR } from '../../contract/translator';
export const CR4_OSXMMEXCPT: u64 = 0x400;

export const VEC_UD: u32 = 6;
export const VEC_NM: u32 = 7;
export const VEC_GP: u32 = 13;
export const VEC_MF: u32 = 16;
export const VEC_XM: u32 = 19;

// Micro-op fields (assembly/cpu/uop/uop.ts)
@inline
export function u_a(u: usize): usize {
  return <usize>load<u8>(u, U_A);
}
@inline
export function u_b(u: usize): usize {
  return <usize>load<u8>(u, U_B);
}
@inline
export function u_imm2(u: usize): u32 {
  return load<u32>(u, U_IMM);
}

/** Bits of an OP_SSE micro-op's imm2. */
export const SSE_MEM: u32 = 1 << 12;
export const SSE_W: u32 = 1 << 13;
/** Bit 11 of an OP_X87 micro-op's imm2: 16-bit operand size (FLDENV, FSTENV, FSAVE, FRSTOR). */
export const X87_O16: u32 = 1 << 11;

@inline
export function xmm(cpu: usize, r: usize): usize { return cpu + CPU_XMM + (r << 4); }
@inline
export function mm(cpu: usize, r: usize): usize { return cpu + CPU_FPR + ((r & 7) << 4); }
@inline
export function gpr(cpu: usize, r: usize): usize { return cpu + (r << 3); }

/** Raises exception `vector`, error code 0. */
export function raise(cpu: usize, vector: u32): void {
  raise_error(cpu, vector, 0);
}

/** The 16-byte aligned memory operand, or the register b. 0: a fault is set (#GP when misaligned). */
export function src16(cpu: usize, u: usize): usize {
  if (!(u_imm2(u) & SSE_MEM)) return xmm(cpu, u_b(u));
  const va = ea(cpu, u);
  if (va & 15) {
    raise(cpu, VEC_GP);
    return 0;
  }
  return ptr_r(cpu, va, 16);
}

/** A memory operand of `size` bytes without alignment demand, or the register b. 0: a fault is set. */
export function src_u(cpu: usize, u: usize, size: u32): usize {
  if (!(u_imm2(u) & SSE_MEM)) return xmm(cpu, u_b(u));
  return ptr_r(cpu, ea(cpu, u), size);
}

/** An MMX register b or `size` bytes of memory. 0: a fault is set. */
export function src_mm(cpu: usize, u: usize, size: u32): usize {
  if (!(u_imm2(u) & SSE_MEM)) return mm(cpu, u_b(u));
  return ptr_r(cpu, ea(cpu, u), size);
}
