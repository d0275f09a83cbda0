/**
 * The clock of a vCPU: its TSC, one tick a nanosecond.
 *
 * `time_mode` 0: TSC = host's monotonic clock + tsc_offset. Else TSC = (retired instructions) × time_mode + the time in
 * which this vCPU did not run, so that equal runs have equal clocks (cpu/execute/count.ts). Neither ever runs backward.
 */
import { host_now } from '../../core/host';
import { leave_block } from '../vcpu/fault';
import { cpu_at } from '../vcpu/smp';
import { Cpu } from '../vcpu/state';

/** The TSC now. */
export function tsc_now(cpu: usize): u64 {
  const c = changetype<Cpu>(cpu);
  let t: u64;
  if (c.time_mode != 0) t = c.icount * c.time_mode + c.idle_ns;
  else t = <u64>(<i64>host_now());
  t += c.tsc_offset;
  // Backward by less than ten seconds is a clock's jitter; more is a written TSC
  if (t < c.tsc_last && c.tsc_last - t < 10_000_000_000) return c.tsc_last;
  c.tsc_last = t;
  return t;
}

/** The PIT's time, which is vCPU 0's TSC, on the thread of `cpu`, whose own TSC may have been written. */
export function pit_now(cpu: usize): u64 {
  return tsc_now(cpu) + (changetype<Cpu>(cpu_at(0)).tsc_offset - changetype<Cpu>(cpu).tsc_offset);
}

/** A timer was set: with counted time cpu_run looks at it before the next instruction, so that it fires at its very time. */
export function timer_armed(cpu: usize): void {
  if (changetype<Cpu>(cpu).time_mode != 0) leave_block(cpu);
}
