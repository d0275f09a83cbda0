/**
 * Counted runs: virtual time comes from retired instructions (Cpu.time_mode), one thread runs all vCPUs in turns, and two
 * runs with the same inputs are the same, instruction for instruction. The host's half is vmm/accel/counted.ts.
 *
 * The machine has one virtual clock, which only the vCPU whose turn it is moves on. The trace hash covers the vCPU's registers and
 * counters at the end of each turn, so it is the same however the turn was run: translated, interpreted, with a debugger. At COUNT_BASE:
 *
 *   +0 u64 trace hash of the machine   +8 u32 entries in the log of executed blocks   +12 u32 entries that did not fit
 *
 * The log at EXEC_LOG_BASE is emptied by the host after each slice; an entry: u64 rip, u32 low bits of the vCPU's
 * instruction count before it, u16 instructions, u16 vCPU.
 */
import { COUNT_BASE, COUNT_SIZE, EXEC_LOG_BASE, EXEC_LOG_ENTRY, EXEC_LOG_MAX } from '../../core/layout';
import { block_vars } from '../uop/blocks';
import { flags_get } from '../vcpu/flags';
import { Cpu } from '../vcpu/state';
import { timer_left } from '../chips/timer';

/** Offset of `trace` from the vCPU's state. */
export const TRACE_AT: usize = offsetof<Cpu>('trace');

const LOG_USED: usize = COUNT_BASE + 8;
const LOG_LOST: usize = COUNT_BASE + 12;
/** 2^64 divided by the golden ratio, odd: Knuth's multiplicative hashing. */
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

@inline
function mix(hash: u64, value: u64): u64 {
  return rotl<u64>((hash ^ value) * GOLDEN, 31);
}

/** A counted run begins: forgets hash and log. */
export function count_clear(): void {
  memory.fill(COUNT_BASE, 0, COUNT_SIZE);
}

/** `flags`: TRACE_* of what shall be done at each block's entry. */
export function count_trace(cpu: usize, flags: u32): void {
  changetype<Cpu>(cpu).trace = flags;
}

/** The vCPU's virtual time in nanoseconds. */
export function count_clock(cpu: usize): u64 {
  const c = changetype<Cpu>(cpu);
  return c.icount * c.time_mode + c.idle_ns;
}

/** The vCPU's turn begins at virtual time `ns`, which is never before its own. */
export function count_set_clock(cpu: usize, ns: u64): void {
  const c = changetype<Cpu>(cpu);
  c.idle_ns = ns - c.icount * c.time_mode;
}

/** Virtual nanoseconds to the vCPU's next timer event, Infinity when none is set or it waits for its start-up IPI. */
export function count_timer(cpu: usize): f64 {
  return changetype<Cpu>(cpu).wait_sipi ? Infinity : timer_left(cpu);
}

/** Instructions of the last cpu_run's budget that were not used; below 0 when it was exceeded. */
export function count_left(cpu: usize): i32 {
  return changetype<Cpu>(cpu).budget;
}

/** With TRACE_LOG: the interpreter enters a block at `rip`; `left`: what the slice's budget is without the block. */
export function count_block(cpu: usize, rip: u64, insns: i32, left: i32): void {
  const c = changetype<Cpu>(cpu);
  const n = load<u32>(LOG_USED);
  if (n >= EXEC_LOG_MAX) {
    store<u32>(LOG_LOST, load<u32>(LOG_LOST) + 1);
    return;
  }
  const e: usize = EXEC_LOG_BASE + n * EXEC_LOG_ENTRY;
  store<u64>(e, rip);
  store<u32>(e, <u32>block_vars(cpu).icount_end - <u32>left - <u32>insns, 8);
  store<u16>(e, <u16>insns, 12);
  store<u16>(e, <u16>c.index, 14);
  store<u32>(LOG_USED, n + 1);
}

/** The vCPU's turn ends: its counters and registers go into the machine's hash. Returns that. */
export function count_fold(cpu: usize): u64 {
  const c = changetype<Cpu>(cpu);
  let h = mix(load<u64>(COUNT_BASE), c.index);
  h = mix(mix(h, c.icount), c.rep_count);
  h = mix(mix(h, c.rip), flags_get(cpu));
  for (let r: usize = 0; r < 16; r++) h = mix(h, load<u64>(cpu + (r << 3)));
  store<u64>(COUNT_BASE, h);
  return h;
}
