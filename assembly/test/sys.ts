/** Entry of the tests of the CPU's system side: its functions as they are, called with `cpu` pointers from the test. */
export { bus_add } from '../core/bus';
export { machine_init } from '../core/machine';
export * from '../cpu/system/control';
export * from '../cpu/execute/count';
export * from '../cpu/system/cpuid';
export * from '../cpu/system/exception';
export * from '../cpu/system/far';
export * from '../cpu/system/inner-stack';
export * from '../cpu/chips/ioapic';
export * from '../cpu/system/ioport';
export * from '../cpu/chips/lapic';
export {
  copy_in, copy_out, page_r, page_w, probe_w, ptr_r_slow, ptr_w_slow, rd_slow, rd16_sys, rd32_sys, rd64_sys, wr_slow,
} from '../cpu/memory/mem';
export * from '../cpu/memory/mmu';
export * from '../cpu/system/msr';
export * from '../cpu/chips/pic';
export * from '../cpu/chips/pit';
export * from '../cpu/system/reset';
export * from '../cpu/memory/segment';
export * from '../cpu/vcpu/smp';
export * from '../cpu/chips/apic';
export * from '../cpu/chips/timer';
export * from '../cpu/chips/tsc';
export { tlb_flush_all, tlb_flush_page } from '../cpu/memory/tlb';
import { rd16, rd32, rd64, rd8, wr16, wr32, wr64, wr8 } from '../cpu/memory/mem';
import { raise } from '../cpu/vcpu/fault';
import { flags_get } from '../cpu/vcpu/flags';

// The inlined ones, with their hot path.
export function t_rd(cpu: usize, va: u64, size: u32): u64 {
  return size == 1 ? rd8(cpu, va) : size == 2 ? rd16(cpu, va) : size == 4 ? rd32(cpu, va) : rd64(cpu, va);
}

export function t_wr(cpu: usize, va: u64, v: u64, size: u32): void {
  if (size == 1) wr8(cpu, va, <u32>v);
  else if (size == 2) wr16(cpu, va, <u32>v);
  else if (size == 4) wr32(cpu, va, <u32>v);
  else wr64(cpu, va, v);
}

export function t_raise(cpu: usize, vector: u32, error: u32): void {
  raise(cpu, vector, error);
}

export function flags_word(cpu: usize): u32 {
  return flags_get(cpu);
}
