/**
 * Counters of one vCPU at CPU_STATS: u64 each for the first 64, then a table of the MSRs that were refused, for the
 * crash report: { u32 number, u32 count } × MSR_SLOTS at +0x400. Slots below 32 belong to the system side, the rest to
 * the interpreter.
 */
import { CPU_STATS } from './state';

export const STAT_INTERRUPTS: u32 = 0; // delivered external interrupts
export const STAT_TASK_GATES: u32 = 1; // refused task gates and task switches
export const STAT_UNKNOWN_MSR: u32 = 2;
export const STAT_IPIS: u32 = 3;
export const STAT_HYPERCALLS: u32 = 4;
export const STAT_HALTS: u32 = 5;
export const STAT_TIMERS: u32 = 6; // local APIC timer interrupts
export const STAT_IO: u32 = 7; // port accesses
export const STAT_VM86: u32 = 8; // refused returns to virtual-8086 mode
export const STAT_TLB_FLUSHES: u32 = 9;
export const STAT_PAUSES: u32 = 10; // times the other vCPUs were stopped for a misaligned locked access

export const STATS_MSR: u32 = CPU_STATS + 0x400;
export const MSR_SLOTS: u32 = 32;

@inline
export function count_stat(cpu: usize, stat: u32): void {
  const p = cpu + CPU_STATS + (stat << 3);
  store<u64>(p, load<u64>(p) + 1);
}

/** Counts a refused MSR by number; the 33rd different one and later share the last slot, whose number becomes ~0. */
export function count_msr(cpu: usize, msr: u32): void {
  count_stat(cpu, STAT_UNKNOWN_MSR);
  for (let i: u32 = 0; i < MSR_SLOTS; i++) {
    const p = cpu + STATS_MSR + (i << 3);
    const n = load<u32>(p, 4);
    if (n == 0) store<u32>(p, msr);
    else if (load<u32>(p) != msr) {
      if (i < MSR_SLOTS - 1) continue;
      store<u32>(p, 0xffff_ffff);
    }
    store<u32>(p, n + 1, 4);
    return;
  }
}
