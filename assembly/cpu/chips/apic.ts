/**
 * What local APICs and the IOAPIC share: the registers of every vCPU's local APIC, and how a message reaches them (Intel SDM
 * Vol. 3A chapter 11).
 */
import { cpu_at, cpu_count, cpu_signal } from '../vcpu/smp';
import { Cpu, CPU_LAPIC, PEND_INIT, PEND_INTR, PEND_NMI, PEND_SIPI } from '../vcpu/state';

export const APIC_ID: u32 = 0x20;
export const APIC_VERSION: u32 = 0x30;
export const APIC_TPR: u32 = 0x80;
export const APIC_PPR: u32 = 0xa0;
export const APIC_EOI: u32 = 0xb0;
export const APIC_LDR: u32 = 0xd0;
export const APIC_DFR: u32 = 0xe0;
export const APIC_SVR: u32 = 0xf0;
export const APIC_ISR: u32 = 0x100;
export const APIC_TMR: u32 = 0x180;
export const APIC_IRR: u32 = 0x200;
export const APIC_ESR: u32 = 0x280;
export const APIC_ICR: u32 = 0x300;
export const APIC_ICR2: u32 = 0x310;
export const APIC_LVT_TIMER: u32 = 0x320;
export const APIC_LVT_THERMAL: u32 = 0x330;
export const APIC_LVT_PERF: u32 = 0x340;
export const APIC_LVT_LINT0: u32 = 0x350;
export const APIC_LVT_LINT1: u32 = 0x360;
export const APIC_LVT_ERROR: u32 = 0x370;
export const APIC_TMICT: u32 = 0x380;
export const APIC_TMCCT: u32 = 0x390;
export const APIC_TDCR: u32 = 0x3e0;

/** Errors since the last write to ESR. */
export const ERRORS: u32 = CPU_LAPIC + 0x810;
export const SVR_ENABLE: u32 = 0x100;
export const LVT_MASKED: u32 = 0x1_0000;
export const ERR_RECV_ILLEGAL: u32 = 0x40;

// Delivery modes (SDM Vol. 3A §11.5.1, 11.6.1)
export const DM_FIXED: u32 = 0;
export const DM_LOWEST: u32 = 1;
export const DM_NMI: u32 = 4;
export const DM_INIT: u32 = 5;
export const DM_SIPI: u32 = 6;
export const DM_EXTINT: u32 = 7;

const APIC_BASE_ENABLE: u64 = 0x800;

@inline
export function reg(cpu: usize, offset: u32): usize {
  return cpu + CPU_LAPIC + offset;
}

/** Globally enabled (IA32_APIC_BASE bit 11). */
@inline
export function lapic_enabled(cpu: usize): bool {
  return (changetype<Cpu>(cpu).apic_base & APIC_BASE_ENABLE) != 0;
}

/** Highest vector set in the 256-bit register at `offset`, or -1. */
export function highest(cpu: usize, offset: u32): i32 {
  for (let i: i32 = 7; i >= 0; i--) {
    const w = load<u32>(reg(cpu, offset + (<u32>i << 4)));
    if (w) return (i << 5) + 31 - <i32>clz(w);
  }
  return -1;
}

export function ppr(cpu: usize): u32 {
  const tpr = load<u32>(reg(cpu, APIC_TPR)) & 0xff;
  const isr = highest(cpu, APIC_ISR);
  const isrv: u32 = isr < 0 ? 0 : <u32>isr & 0xf0;
  return (tpr & 0xf0) >= isrv ? tpr : isrv;
}

/** Puts `vector` into the IRR of any vCPU, from any thread. */
export function lapic_set_irr(cpu: usize, vector: u32, level: bool): void {
  const word = (vector >> 5) << 4;
  const bit: u32 = 1 << (vector & 31);
  if (level) atomic.or<u32>(reg(cpu, APIC_TMR + word), bit);
  else atomic.and<u32>(reg(cpu, APIC_TMR + word), ~bit);
  atomic.or<u32>(reg(cpu, APIC_IRR + word), bit);
  cpu_signal(cpu, PEND_INTR);
}

export function lapic_error(cpu: usize, bits: u32): void {
  atomic.or<u32>(cpu + ERRORS, bits);
  const lvt = load<u32>(reg(cpu, APIC_LVT_ERROR));
  if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16) lapic_set_irr(cpu, lvt & 0xff, false);
}

/** One message arrives at one vCPU. */
export function lapic_accept(cpu: usize, mode: u32, vector: u32, level: bool): void {
  switch (mode) {
    case DM_FIXED:
    case DM_LOWEST:
      if (!lapic_enabled(cpu) || !(load<u32>(reg(cpu, APIC_SVR)) & SVR_ENABLE)) return;
      if (vector < 16) lapic_error(cpu, ERR_RECV_ILLEGAL);
      else lapic_set_irr(cpu, vector, level);
      return;
    case DM_NMI:
      cpu_signal(cpu, PEND_NMI);
      return;
    case DM_INIT:
      cpu_signal(cpu, PEND_INIT);
      return;
    case DM_SIPI:
      atomic.store<u32>(cpu + offsetof<Cpu>('sipi_vector'), vector);
      cpu_signal(cpu, PEND_SIPI);
  }
}

/** The vCPU is addressed by `dest` (8 bits), physical or logical (flat and cluster model, SDM Vol. 3A §11.6.2). */
export function lapic_matches(cpu: usize, dest: u32, logical: bool): bool {
  if (!logical) return dest == 0xff || load<u32>(reg(cpu, APIC_ID)) >> 24 == dest;
  const ldr = load<u32>(reg(cpu, APIC_LDR)) >> 24;
  if (load<u32>(reg(cpu, APIC_DFR)) >> 28 == 0xf) return (ldr & dest) != 0;
  if (dest == 0xff) return true;
  return ldr >> 4 == dest >> 4 && (ldr & dest & 15) != 0;
}

/** Sends a message to whom `dest` names; lowest priority goes to the one with the lowest PPR. False: nobody matches. */
export function apic_send(dest: u32, logical: bool, mode: u32, vector: u32, level: bool): bool {
  const n = cpu_count();
  let any = false;
  let best: usize = 0;
  let best_ppr: u32 = 256;
  for (let i: u32 = 0; i < n; i++) {
    const cpu = cpu_at(i);
    if (!lapic_matches(cpu, dest, logical)) continue;
    any = true;
    if (mode != DM_LOWEST) lapic_accept(cpu, mode, vector, level);
    else if (lapic_enabled(cpu) && load<u32>(reg(cpu, APIC_SVR)) & SVR_ENABLE) {
      const p = ppr(cpu);
      if (p < best_ppr) {
        best = cpu;
        best_ppr = p;
      }
    }
  }
  if (best) lapic_accept(best, mode, vector, level);
  return any;
}
