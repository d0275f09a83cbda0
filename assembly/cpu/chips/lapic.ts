/**
 * The local APIC, xAPIC mode (Intel SDM Vol. 3A chapter 11). Registers live in the vCPU's CPU_LAPIC page at their
 * architectural offsets; the vCPU's own thread writes them, except IRR and TMR, which anyone sets with atomics.
 *
 *   +0x800 u64 TSC value at which the timer fires, 0 = stopped   +0x808 u64 its period in ns, 0 = once
 *   +0x810 u32 errors since the last write to ESR
 */
import {
  APIC_DFR, APIC_EOI, APIC_ESR, APIC_ICR, APIC_ICR2, APIC_ID, APIC_IRR, APIC_ISR, APIC_LDR, APIC_LVT_ERROR, APIC_LVT_LINT0, APIC_LVT_LINT1,
  APIC_LVT_PERF, APIC_LVT_THERMAL, APIC_LVT_TIMER, APIC_PPR, APIC_SVR, APIC_TDCR, APIC_TMCCT, APIC_TMICT, APIC_TMR, APIC_TPR, APIC_VERSION,
  DM_EXTINT, DM_FIXED, DM_INIT, DM_LOWEST, ERRORS, ERR_RECV_ILLEGAL, LVT_MASKED, SVR_ENABLE, apic_send, highest, lapic_accept, lapic_enabled,
  lapic_error, lapic_set_irr, ppr, reg,
} from './apic';
import { ioapic_eoi } from './ioapic';
import { pic_ack, pic_intr } from './pic';
import { cpu_at, cpu_count, } from '../vcpu/smp';
import { Cpu, CPU_LAPIC, PEND_INTR, } from '../vcpu/state';
import { count_stat, STAT_IPIS, STAT_TIMERS } from '../vcpu/stats';
import { timer_armed, tsc_now } from './tsc';

const TIMER_EXPIRY: u32 = CPU_LAPIC + 0x800;
const TIMER_PERIOD: u32 = CPU_LAPIC + 0x808;

/** Six LVT entries, version 0x14. */
const VERSION: u32 = 0x0005_0014;
const TIMER_MODE: u32 = 0x6_0000;
const TIMER_PERIODIC: u32 = 0x2_0000;
const TIMER_DEADLINE: u32 = 0x4_0000;
const ERR_SEND_ILLEGAL: u32 = 0x20;
const ERR_REGISTER: u32 = 0x80;

/** Power-up or INIT state. The id stays the vCPU's index. */
export function lapic_reset(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  memory.fill(cpu + CPU_LAPIC, 0, 0x1000);
  store<u32>(reg(cpu, APIC_ID), c.index << 24);
  store<u32>(reg(cpu, APIC_VERSION), VERSION);
  store<u32>(reg(cpu, APIC_DFR), 0xffff_ffff);
  store<u32>(reg(cpu, APIC_SVR), 0xff);
  for (let r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 0x10) store<u32>(reg(cpu, r), LVT_MASKED);
  // Virtual wire: the first processor takes the PIC's interrupts until told otherwise (MP specification §3.6.2.2)
  if (c.index == 0) store<u32>(reg(cpu, APIC_LVT_LINT0), DM_EXTINT << 8);
  c.tsc_deadline = 0;
}

/** The PIC's output reaches this vCPU. */
function takes_pic(cpu: usize): bool {
  if (changetype<Cpu>(cpu).index != 0) return false;
  if (!lapic_enabled(cpu)) return true;
  return (load<u32>(reg(cpu, APIC_LVT_LINT0)) & (LVT_MASKED | 0x700)) == DM_EXTINT << 8;
}

function lapic_next(cpu: usize): i32 {
  if (!lapic_enabled(cpu) || !(load<u32>(reg(cpu, APIC_SVR)) & SVR_ENABLE)) return -1;
  const irr = highest(cpu, APIC_IRR);
  return irr >= 0 && (<u32>irr & 0xf0) > (ppr(cpu) & 0xf0) ? irr : -1;
}

/** An interrupt would be delivered if IF were set. */
export function int_pending(cpu: usize): bool {
  return lapic_next(cpu) >= 0 || (takes_pic(cpu) && pic_intr());
}

/** Interrupt acknowledge: the vector to deliver, now in service; -1 when there is none after all. */
export function int_ack(cpu: usize): i32 {
  if (takes_pic(cpu)) {
    const v = pic_ack();
    if (v >= 0) return v;
  }
  const v = lapic_next(cpu);
  if (v < 0) return -1;
  const word = (<u32>v >> 5) << 4;
  const bit: u32 = 1 << (v & 31);
  atomic.and<u32>(reg(cpu, APIC_IRR + word), ~bit);
  const isr = reg(cpu, APIC_ISR + word);
  store<u32>(isr, load<u32>(isr) | bit);
  return v;
}

function send_ipi(cpu: usize, icr: u32, dest: u32): void {
  count_stat(cpu, STAT_IPIS);
  const vector = icr & 0xff;
  const mode = (icr >> 8) & 7;
  const shorthand = (icr >> 18) & 3;
  if (mode == DM_INIT && (icr & 0xc000) == 0x8000) return; // level de-assert: nothing on this processor family
  if (mode <= DM_LOWEST && vector < 16) {
    lapic_error(cpu, ERR_SEND_ILLEGAL);
    return;
  }
  if (mode == 2 || mode == 3 || mode == DM_EXTINT) return;
  if (shorthand == 0) {
    apic_send(dest, (icr & 0x800) != 0, mode, vector, false);
    return;
  }
  if (shorthand == 1) {
    if (mode <= DM_LOWEST) lapic_accept(cpu, DM_FIXED, vector, false);
    return;
  }
  const n = cpu_count();
  for (let i: u32 = 0; i < n; i++) {
    const target = cpu_at(i);
    if (shorthand == 2 || target != cpu) lapic_accept(target, mode, vector, false);
  }
}

function lapic_eoi(cpu: usize): void {
  const v = highest(cpu, APIC_ISR);
  if (v < 0) return;
  const word = (<u32>v >> 5) << 4;
  const bit: u32 = 1 << (v & 31);
  const isr = reg(cpu, APIC_ISR + word);
  store<u32>(isr, load<u32>(isr) & ~bit);
  if (atomic.load<u32>(reg(cpu, APIC_TMR + word)) & bit) ioapic_eoi(<u32>v);
  recheck(cpu);
}

function recheck(cpu: usize): void {
  if (int_pending(cpu)) atomic.or<u32>(cpu + offsetof<Cpu>('pending'), PEND_INTR);
}

// ---- timer ---------------------------------------------------------------------------------------------------------

function divisor(cpu: usize): u64 {
  const d = load<u32>(reg(cpu, APIC_TDCR));
  const code = (d & 3) | ((d >> 1) & 4);
  return code == 7 ? 1 : <u64>2 << code;
}

function timer_mode(cpu: usize): u32 {
  return load<u32>(reg(cpu, APIC_LVT_TIMER)) & TIMER_MODE;
}

function timer_start(cpu: usize, count: u32): void {
  const span = <u64>count * divisor(cpu); // the APIC's clock is 1 GHz, as the TSC
  store<u64>(cpu + TIMER_EXPIRY, count ? tsc_now(cpu) + span : 0);
  store<u64>(cpu + TIMER_PERIOD, timer_mode(cpu) == TIMER_PERIODIC ? span : 0);
  timer_armed(cpu);
}

function timer_left(cpu: usize): u32 {
  const at = load<u64>(cpu + TIMER_EXPIRY);
  if (at == 0 || timer_mode(cpu) == TIMER_DEADLINE) return 0;
  const now = tsc_now(cpu);
  return now >= at ? 0 : <u32>((at - now) / divisor(cpu));
}

/** WRMSR IA32_TSC_DEADLINE: ignored outside deadline mode (SDM Vol. 3A §11.5.4.1). */
export function lapic_deadline(cpu: usize, value: u64): void {
  if (timer_mode(cpu) != TIMER_DEADLINE) return;
  changetype<Cpu>(cpu).tsc_deadline = value;
  store<u64>(cpu + TIMER_EXPIRY, value);
  store<u64>(cpu + TIMER_PERIOD, 0);
  if (value != 0) lapic_timer_poll(cpu, tsc_now(cpu));
  timer_armed(cpu);
}

/** TSC value at which this vCPU's APIC timer fires, 0 when it is stopped. */
@inline
export function lapic_timer_expiry(cpu: usize): u64 {
  return load<u64>(cpu + TIMER_EXPIRY);
}

/** The TSC was moved by `delta`: a one-shot or periodic count goes on as if it had not; a deadline is a TSC value. */
export function lapic_timer_shift(cpu: usize, delta: u64): void {
  const at = load<u64>(cpu + TIMER_EXPIRY);
  if (at != 0 && timer_mode(cpu) != TIMER_DEADLINE) store<u64>(cpu + TIMER_EXPIRY, at + delta);
}

/** Fires the timer if it is due at TSC value `now`. A periodic one that is late by several periods fires once. */
export function lapic_timer_poll(cpu: usize, now: u64): void {
  const at = load<u64>(cpu + TIMER_EXPIRY);
  if (at == 0 || now < at) return;
  const period = load<u64>(cpu + TIMER_PERIOD);
  store<u64>(cpu + TIMER_EXPIRY, period ? at + ((now - at) / period + 1) * period : 0);
  changetype<Cpu>(cpu).tsc_deadline = 0;
  const lvt = load<u32>(reg(cpu, APIC_LVT_TIMER));
  if (lvt & LVT_MASKED) return;
  count_stat(cpu, STAT_TIMERS);
  if ((lvt & 0xff) < 16) lapic_error(cpu, ERR_RECV_ILLEGAL);
  else lapic_set_irr(cpu, lvt & 0xff, false);
}

// ---- registers -------------------------------------------------------------------------------------------------------

/** Reads the register at `offset` (a multiple of 16 below 0x1000). Reserved ones read 0 and set ESR's register bit. */
export function lapic_read(cpu: usize, offset: u32): u32 {
  switch (offset) {
    case APIC_PPR: return ppr(cpu);
    case APIC_TMCCT: return timer_left(cpu);
    case APIC_EOI: return 0;
  }
  if (offset >= 0x400 || offset < APIC_ID || (offset > APIC_VERSION && offset < APIC_TPR)) {
    lapic_error(cpu, ERR_REGISTER);
    return 0;
  }
  return load<u32>(reg(cpu, offset));
}

export function lapic_write(cpu: usize, offset: u32, v: u32): void {
  switch (offset) {
    case APIC_ID: // fixed: the MP table and the IOAPIC's routes rely on it
    case APIC_VERSION:
    case APIC_PPR:
    case APIC_TMCCT:
    case 0x90: // APR
    case 0xc0: // RRD
      return;
    case APIC_TPR:
      store<u32>(reg(cpu, offset), v & 0xff);
      recheck(cpu);
      return;
    case APIC_EOI:
      lapic_eoi(cpu);
      return;
    case APIC_LDR:
      store<u32>(reg(cpu, offset), v & 0xff00_0000);
      return;
    case APIC_DFR:
      store<u32>(reg(cpu, offset), v | 0x0fff_ffff);
      return;
    case APIC_SVR:
      store<u32>(reg(cpu, offset), v & 0x1ff);
      if (!(v & SVR_ENABLE)) {
        for (let r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 0x10) store<u32>(reg(cpu, r), load<u32>(reg(cpu, r)) | LVT_MASKED);
      }
      recheck(cpu);
      return;
    case APIC_ESR:
      store<u32>(reg(cpu, offset), atomic.xchg<u32>(cpu + ERRORS, 0));
      return;
    case APIC_ICR:
      store<u32>(reg(cpu, offset), v & 0x000c_cfff);
      send_ipi(cpu, v, load<u32>(reg(cpu, APIC_ICR2)) >> 24);
      return;
    case APIC_ICR2:
      store<u32>(reg(cpu, offset), v & 0xff00_0000);
      return;
    case APIC_LVT_TIMER: {
      const before = timer_mode(cpu);
      store<u32>(reg(cpu, offset), lvt_value(cpu, v & 0x7_00ff));
      const mode = timer_mode(cpu);
      if (before != mode && (before == TIMER_DEADLINE || mode == TIMER_DEADLINE)) {
        store<u64>(cpu + TIMER_EXPIRY, 0);
        changetype<Cpu>(cpu).tsc_deadline = 0;
      } else if (before != mode) {
        store<u64>(cpu + TIMER_PERIOD, mode == TIMER_PERIODIC ? <u64>load<u32>(reg(cpu, APIC_TMICT)) * divisor(cpu) : 0);
      }
      return;
    }
    case APIC_LVT_THERMAL:
    case APIC_LVT_PERF:
      store<u32>(reg(cpu, offset), lvt_value(cpu, v & 0x1_07ff));
      return;
    case APIC_LVT_LINT0:
    case APIC_LVT_LINT1:
      store<u32>(reg(cpu, offset), lvt_value(cpu, v & 0x1_a7ff));
      recheck(cpu);
      return;
    case APIC_LVT_ERROR:
      store<u32>(reg(cpu, offset), lvt_value(cpu, v & 0x1_00ff));
      return;
    case APIC_TMICT:
      if (timer_mode(cpu) == TIMER_DEADLINE) return;
      store<u32>(reg(cpu, offset), v);
      timer_start(cpu, v);
      return;
    case APIC_TDCR: {
      // The count goes on from where it is, with the new clock
      const left = timer_left(cpu);
      store<u32>(reg(cpu, offset), v & 0xb);
      if (left) timer_start(cpu, left);
      return;
    }
    default:
      lapic_error(cpu, ERR_REGISTER);
  }
}

/** While the APIC is disabled by SVR, mask bits cannot be cleared. */
function lvt_value(cpu: usize, v: u32): u32 {
  return load<u32>(reg(cpu, APIC_SVR)) & SVR_ENABLE ? v : v | LVT_MASKED;
}
