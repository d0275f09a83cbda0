/** Stack accesses of far transfers and event delivery: width by SS.B, limits outside 64-bit mode, #SS instead of #GP. */
import { SEG_ATTR, SEG_BASE, SEG_LIMIT } from '../../contract/vcpu';
import { raise, X_GP, X_SS } from '../vcpu/fault';
import { rd_slow, wr_slow } from './mem';
import { is64, limit_ok, seg_ptr } from './segment';
import { Cpu, CPU_SCRATCH, FAULT_EXCEPTION, SEG_SS } from '../vcpu/state';

const STACK_ATTR_DB: u32 = 0x4000;

/** Bits of RSP that count: 64-bit code, or by SS.B. */
export function stack_mask(cpu: usize): u64 {
  if (is64(cpu)) return 0xffff_ffff_ffff_ffff;
  return load<u32>(seg_ptr(cpu, SEG_SS) + SEG_ATTR) & STACK_ATTR_DB ? 0xffff_ffff : 0xffff;
}

/** Puts `sp` into RSP, leaving the bits outside `mask` alone when it is 16 bits wide. */
export function set_sp(cpu: usize, sp: u64, mask: u64): void {
  const c = changetype<Cpu>(cpu);
  c.r4 = mask == 0xffff ? (c.r4 & ~mask) | (sp & mask) : sp & mask;
}

/** A #GP by a stack address (non-canonical) is an #SS with the given error code. */
export function as_stack_fault(cpu: usize, error: u32): void {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_EXCEPTION && c.fault_vector == X_GP) {
    c.fault_vector = X_SS;
    c.fault_error = error;
  }
}

/** Reads `size` bytes at stack offset `sp` with the current privilege. Check `cpu.fault`. */
export function stack_read(cpu: usize, sp: u64, size: u32): u64 {
  const c = changetype<Cpu>(cpu);
  let va = sp;
  if (!is64(cpu)) {
    const s = seg_ptr(cpu, SEG_SS);
    if (!limit_ok(load<u32>(s + SEG_ATTR), load<u32>(s + SEG_LIMIT), sp, size)) {
      raise(cpu, X_SS, 0);
      return 0;
    }
    va = (load<u64>(s + SEG_BASE) + sp) & 0xffff_ffff;
  }
  const v = rd_slow(cpu, c.tlb, va, size);
  as_stack_fault(cpu, 0);
  return v;
}

/** Writes `size` bytes at stack offset `sp` of the current stack with the current privilege. False: fault. */
export function stack_write(cpu: usize, sp: u64, v: u64, size: u32): bool {
  const c = changetype<Cpu>(cpu);
  let va = sp;
  if (!is64(cpu)) {
    const s = seg_ptr(cpu, SEG_SS);
    if (!limit_ok(load<u32>(s + SEG_ATTR), load<u32>(s + SEG_LIMIT), sp, size)) {
      raise(cpu, X_SS, 0);
      return false;
    }
    va = (load<u64>(s + SEG_BASE) + sp) & 0xffff_ffff;
  }
  wr_slow(cpu, c.tlb, va, v, size);
  as_stack_fault(cpu, 0);
  return c.fault != FAULT_EXCEPTION;
}

/**
 * Writes to a stack that is not loaded yet: `base`, `limit`, `attr` describe it (`long`: flat 64-bit), `table` is the TLB
 * of the privilege it belongs to, `error` what an #SS carries. False: fault.
 */
export function new_stack_write(
  cpu: usize, table: usize, long: bool, base: u64, limit: u32, attr: u32, sp: u64, v: u64, size: u32, error: u32,
): bool {
  const c = changetype<Cpu>(cpu);
  let va = sp;
  if (!long) {
    if (!limit_ok(attr, limit, sp, size)) {
      raise(cpu, X_SS, error);
      return false;
    }
    va = (base + sp) & 0xffff_ffff;
  }
  wr_slow(cpu, table, va, v, size);
  as_stack_fault(cpu, error);
  return c.fault != FAULT_EXCEPTION;
}

/** A stack that is not loaded yet, with what `new_stack_write` wants to know of it; one a vCPU, in its scratch area. */
@unmanaged
export class NewStack {
  base: u64;
  sp: u64;
  mask: u64; // of the stack pointer's width
  table: u32;
  limit: u32;
  attr: u32;
  selector: u32;
  error: u32; // what an #SS carries
}

@inline
export function new_stack(cpu: usize): NewStack {
  return changetype<NewStack>(cpu + CPU_SCRATCH);
}

/** Pushes `v` of `size` bytes. False: fault, SP has moved. */
export function new_stack_push(cpu: usize, s: NewStack, v: u64, size: u32): bool {
  s.sp -= size;
  return new_stack_write(cpu, s.table, s.mask == 0xffff_ffff_ffff_ffff, s.base, s.limit, s.attr, s.sp & s.mask, v, size, s.error);
}
