/** A vCPU's timers: when the next one fires, firing it, waiting for it. The local APIC's clock ticks once a nanosecond, as the TSC. */
import { lapic_timer_expiry, lapic_timer_poll, lapic_timer_shift } from './lapic';
import { pit_expiry, pit_poll, pit_shift } from './pit';
import { timer_armed, tsc_now } from './tsc';
import { Cpu, PEND_INIT, PEND_INTR, PEND_KICK, PEND_NMI, PEND_PAUSE, PEND_SIPI, PEND_TIMER } from '../vcpu/state';
import { count_stat, STAT_HALTS } from '../vcpu/stats';

/** No timer is set. */
export const NEVER: f64 = Infinity;

const WAKE: usize = offsetof<Cpu>('wake');
const PENDING: usize = offsetof<Cpu>('pending');

/** WRMSR IA32_TSC: what is due fires first; of what is not, only a deadline is moved nearer or away. */
export function tsc_write(cpu: usize, v: u64): void {
  const c = changetype<Cpu>(cpu);
  const now = tsc_now(cpu);
  lapic_timer_poll(cpu, now);
  if (c.index == 0) pit_poll(now);
  c.tsc_offset += v - now;
  c.tsc_last = v;
  lapic_timer_shift(cpu, v - now);
  if (c.index == 0) pit_shift(v - now);
  timer_armed(cpu);
}

/** TSC value of the next timer event of this vCPU, 0 for none. vCPU 0 also runs the PIT. */
function next_event(cpu: usize): u64 {
  const a = lapic_timer_expiry(cpu);
  if (changetype<Cpu>(cpu).index != 0) return a;
  const b = pit_expiry();
  return a == 0 ? b : b == 0 || a < b ? a : b;
}

/** Fires what is due. Called at a slice's start and every few thousand instructions. */
export function timer_poll(cpu: usize): void {
  const next = next_event(cpu);
  if (next == 0) return;
  const now = tsc_now(cpu);
  if (now < next) return;
  lapic_timer_poll(cpu, now);
  if (changetype<Cpu>(cpu).index == 0) pit_poll(now);
}

/** Nanoseconds from now to the vCPU's next timer event; 0 when one is due, NEVER when none is set. */
export function timer_left(cpu: usize): f64 {
  const next = next_event(cpu);
  if (next == 0) return NEVER;
  const now = tsc_now(cpu);
  return now >= next ? 0 : <f64>(next - now);
}

/** Counted time: instructions until the vCPU's next timer event, at most `most`; 0 when one is due. */
export function timer_insns(cpu: usize, most: i32): i32 {
  const next = next_event(cpu);
  if (next == 0) return most;
  const now = tsc_now(cpu);
  if (now >= next) return 0;
  const k: u64 = changetype<Cpu>(cpu).time_mode;
  const n = (next - now + k - 1) / k;
  return n < <u64>most ? <i32>n : most;
}

const WAKE_UP: u32 = PEND_INTR | PEND_NMI | PEND_INIT | PEND_SIPI | PEND_KICK | PEND_TIMER | PEND_PAUSE;

/**
 * Waits, at most `max_ns`, until a halted vCPU has something to do: a pending bit, or its timer is due (which is then
 * fired). Returns 1 when there is something, 0 when the time is over. With counted time nothing waits: the clock jumps
 * to the timer, if one is set within `max_ns`.
 */
export function cpu_wait(cpu: usize, max_ns: f64): i32 {
  const c = changetype<Cpu>(cpu);
  count_stat(cpu, STAT_HALTS);
  const wake = atomic.load<u32>(cpu + WAKE);
  if (atomic.load<u32>(cpu + PENDING) & WAKE_UP) return 1;
  let left = timer_left(cpu);
  if (c.wait_sipi) left = NEVER;
  if (c.time_mode != 0) {
    if (left == NEVER || left > max_ns) return 0;
    c.idle_ns += <u64>left;
    timer_poll(cpu);
    return 1;
  }
  if (left > 0) {
    const ns = left < max_ns ? left : max_ns;
    // -1 waits for ever; anything beyond a century is that
    const span: i64 = ns > 3e18 ? -1 : <i64>ns;
    if (span != 0) atomic.wait<u32>(cpu + WAKE, wake, span);
  }
  if (!c.wait_sipi) timer_poll(cpu);
  return atomic.load<u32>(cpu + PENDING) & WAKE_UP ? 1 : 0;
}
