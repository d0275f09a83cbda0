/** cpu_run: what happens between blocks. */
import { RUN_BUDGET, RUN_DEBUG, RUN_EXIT, RUN_SHUTDOWN, SEG_BASE, SEG_LIMIT } from '../contract/vcpu';
import { DR6_BS } from '../contract/x86';
import { block_build } from './decode/build-block';
import {
  B_INSNS, block_find, block_vars, BlockVars, blocks_init, DEBUG_BREAK, DEBUG_GUEST_CODE, DEBUG_TAKES_BACK, JUMP_BLOCK, JUMP_CACHE,
  JUMP_GEN, translated,
} from './uop/blocks';
import { debug_at } from './debug/debug';
import { watch_taken_back, X_WATCH } from './memory/watch';
import { raise_debug, sys_deliver, sys_pending } from './system/exception';
import { guest_breaks, stop_low } from './debug/guest';
import { raise, raise_gp, raise_ud, X_DB } from './vcpu/fault';
import { IF, RF, TF } from './vcpu/flags';
import { interp } from './execute/generated/interp';
import { check_begin, check_compare, check_fault, check_rewind } from './jit/check';
import { PAUSE_INSNS } from './execute/string';
import { jit_sample } from './jit/translation';
import { JIT_CHECK, jit_enter, jit_on } from './uop/enter';
import { JUMP_MASK, link_patch, mapping_gen } from './execute/interp_support';
import { mmu_fetch, PA_FAULT } from './memory/mmu';
import { tlb_learnt } from './memory/tlb';
import { MODE_64, MODE_FLAT, MODE_STEP } from './vcpu/modes';
import { run_enter, run_leave } from './vcpu/smp';
import { timer_insns, timer_poll } from './chips/timer';
import {
  Cpu, CPU_SEGS, FAULT_EXCEPTION, FAULT_EXIT, FAULT_HALT, FAULT_LEAVE, FAULT_NONE, FAULT_SHUTDOWN, FAULT_TRAP, PEND_INTR, PEND_NMI, SEG_CS,
  SHADOW_SS, SHADOW_STI,
} from './vcpu/state';

/** The dispatcher is left this often, else V8 never swaps in its optimized code. */
const SLICE: i32 = 50_000;
/** Timers are looked at this often: reading the host's clock costs as much as some ten instructions. */
const TIMER_INSNS: u32 = 10_000;
/** Pending events that STI's and MOV SS's shadow holds back. */
const SHADOWED: u32 = PEND_INTR | PEND_NMI;

/** Fields of BlockVars that the host may set. */
export function cpu_set_exact(cpu: usize, on: u32): void {
  block_vars(cpu).exact = on;
}

/** Debugger: cpu_run returns RUN_DEBUG after one instruction. */
export function cpu_set_step(cpu: usize, on: u32): void {
  block_vars(cpu).step = on;
}

/**
 * Runs at most `budget` instructions (to the block's end beyond it, unless cpu_set_exact). Returns RUN_*. `cpu.budget` is
 * what is left, `cpu.icount` what has retired.
 */
export function cpu_run(cpu: usize, budget: i32): i32 {
  const v = block_vars(cpu);
  if (!v.ready) blocks_init(cpu);
  run_enter();
  timer_poll(cpu);
  const reason = run(cpu, budget);
  run_leave();
  changetype<Cpu>(cpu).exit_reason = reason;
  return reason;
}

function run(cpu: usize, budget: i32): i32 {
  const c = changetype<Cpu>(cpu);
  const v = block_vars(cpu);
  c.budget = budget;
  while (true) {
    if (v.watch_hit) return RUN_DEBUG;
    if (v.step && !c.intr_shadow) c.intr_shadow = SHADOW_STI; // a debugger's step is the next instruction, not the interrupt that waits
    const most = until_timer(cpu, c);
    const p = atomic.load<u32>(cpu + offsetof<Cpu>('pending'));
    if (c.halted | c.wait_sipi || (p != 0 && (p != PEND_INTR || c.eflags & IF))) {
      const r = sys_pending(cpu);
      if (c.fault == FAULT_SHUTDOWN) return RUN_SHUTDOWN;
      if (r) return r;
      if (c.fault == FAULT_LEAVE) c.fault = FAULT_NONE;
    }
    if (c.budget <= 0) return RUN_BUDGET; // a shadow stays for the next call
    if (v.debug & DEBUG_BREAK && debug_at(cpu)) return RUN_DEBUG;
    const shadow = c.intr_shadow;
    c.intr_shadow = 0;
    const rf = v.debug & DEBUG_GUEST_CODE ? c.eflags & RF : 0;
    v.trap = c.eflags & TF;
    const step = (shadow | v.trap | rf | v.step | v.watch_redo) != 0;
    const blk = v.debug & DEBUG_GUEST_CODE && guest_break(cpu, c, rf, shadow) ? <usize>0 : locate(cpu, c, step);
    if (blk == 0) {
      if (c.fault == FAULT_EXCEPTION) sys_deliver(cpu);
      if (c.fault == FAULT_SHUTDOWN) return RUN_SHUTDOWN;
      c.fault = FAULT_NONE;
      c.budget--; // a handler that itself faults at its first byte must not go on for ever
      v.link = 0;
      if (v.step) return RUN_DEBUG;
      continue;
    }
    if (v.sample && !step) jit_sample(cpu, blk);
    const insns: i32 = load<u16>(blk, B_INSNS);
    let grant = c.budget < most ? c.budget : most;
    if (step) grant = 1;
    else if (grant < insns) {
      if (v.exact) {
        step_once(cpu, c);
        if (v.dr_hit) debug_traps(cpu, c, v, shadow);
        const r = after(cpu, c);
        if (r >= 0) return r;
        continue;
      }
      grant = insns;
    }
    if (v.jit && !step && grant > v.sample_left) grant = v.sample_left > insns ? v.sample_left : insns;
    if (!dispatch(cpu, c, v, blk, grant, step, shadow)) continue;
    v.watch_redo = 0;
    if (c.fault == FAULT_EXCEPTION) v.watch_hit = 0; // the instruction did not happen
    if (v.trap | v.dr_hit) debug_traps(cpu, c, v, shadow);
    const r = after(cpu, c);
    if (r >= 0) return r;
    if (v.step) return RUN_DEBUG;
  }
}

/** How many instructions may run before timers are looked at. Counted time: one fires before the first instruction that is not earlier than it. */
@inline
function until_timer(cpu: usize, c: Cpu): i32 {
  if (c.time_mode == 0) return SLICE;
  const most = timer_insns(cpu, SLICE);
  if (most != 0) return most;
  timer_poll(cpu);
  return timer_insns(cpu, SLICE);
}

/**
 * The guest's instruction breakpoints before the next instruction: true when #DB is set. EFLAGS.RF lets one instruction go on,
 * MOV SS's shadow too. What is left of RF after that is the instruction's own doing.
 */
function guest_break(cpu: usize, c: Cpu, rf: u32, shadow: u32): bool {
  if (rf) {
    c.eflags &= ~RF;
    return false;
  }
  const hit = shadow == SHADOW_SS ? 0 : guest_breaks(cpu);
  if (!hit) return false;
  c.dr6 |= hit;
  raise(cpu, X_DB, 0);
  return true;
}

/** Runs from `blk`. False: nothing happened yet, or an instruction was taken back: look again. */
@inline
function dispatch(cpu: usize, c: Cpu, v: BlockVars, blk: usize, grant: i32, step: bool, shadow: u32): bool {
  // The dispatcher starts no block while an interrupt is pending: what the shadow holds back is put aside meanwhile.
  const held = shadow ? atomic.and<u32>(cpu + offsetof<Cpu>('pending'), ~SHADOWED) & SHADOWED : 0;
  const start = c.icount;
  const count = c.r1;
  if ((v.debug & DEBUG_TAKES_BACK || c.time_mode) && !step) {
    v.watch_raise = 1;
    go(cpu, c, blk, grant);
    if (watch_taken_back(c, v)) return false;
  } else go(cpu, c, blk, grant);
  if (held) atomic.or<u32>(cpu + offsetof<Cpu>('pending'), held);
  if (!step || c.icount != start || c.fault == FAULT_EXCEPTION) return true;
  // A REP that goes on later is still the instruction that its breakpoint let go on
  if (v.debug & DEBUG_GUEST_CODE && c.fault == FAULT_NONE) c.eflags |= RF;
  if (c.r1 != count || c.fault != FAULT_NONE) return true;
  // Something else came up before the instruction began: it is still to be done (an element of a REP counts RCX down)
  if (shadow) c.intr_shadow = shadow;
  v.link = 0;
  return false;
}

/** #DB behind the instruction that ran alone: EFLAGS.TF, data and I/O breakpoints. MOV to SS holds them back by one instruction. */
function debug_traps(cpu: usize, c: Cpu, v: BlockVars, shadow: u32): void {
  const done = c.fault != FAULT_EXCEPTION;
  if (done && c.intr_shadow == SHADOW_SS && shadow != SHADOW_SS) return;
  const bits: u64 = <u64>v.dr_hit | (v.trap ? DR6_BS : 0);
  v.dr_hit = 0;
  if (done && c.fault != FAULT_SHUTDOWN) raise_debug(cpu, bits);
}

/** Runs from `blk` with `grant` instructions. */
function go(cpu: usize, c: Cpu, blk: usize, grant: i32): void {
  const v = block_vars(cpu);
  v.icount_end = c.icount + grant;
  const left = v.jit == JIT_CHECK && translated(blk) && jit_on(cpu, c.trace) ? checked(cpu, c, blk, grant) : interp(cpu, blk, c.rip, grant);
  c.icount = v.icount_end - <u64>left;
  c.budget -= grant - left;
  if (v.jit) {
    v.sample_left -= grant - left;
    if (v.sample_left <= 0 && c.fault == FAULT_NONE) {
      v.sample_left = SLICE;
      v.sample = 1;
    }
  }
  if (c.time_mode) charge_counted(c, v);
  else if (left == grant) {
    // Nothing retired: a fault, or a long REP that paused. Both cost budget, or they might go on for ever; a REP has taken
    // milliseconds, so timers are due for a look
    c.budget -= c.fault != FAULT_NONE || v.exact ? 1 : PAUSE_INSNS;
    if (c.fault == FAULT_NONE) c.poll_at -= TIMER_INSNS;
  }
  const now = <u32>c.icount;
  if (now - c.poll_at >= TIMER_INSNS) {
    c.poll_at = now;
    timer_poll(cpu);
  }
}

/**
 * Counted time: what faults, or pauses as a REP, where the last one did has retired nothing since, and costs budget too. Where slices begin
 * makes no difference: it depends on how they are run, and turns must not.
 */
function charge_counted(c: Cpu, v: BlockVars): void {
  const paused = v.paused;
  v.paused = 0;
  if (!paused && (c.fault != FAULT_EXCEPTION || c.fault_vector == X_WATCH)) return;
  if (c.icount == c.stuck_at) c.budget -= paused ? paused : 1;
  c.stuck_at = c.icount;
}

/** Lockstep: runs the translation of `blk`, then the interpreter, and compares (jit/check.ts). */
function checked(cpu: usize, c: Cpu, blk: usize, grant: i32): i32 {
  const v = block_vars(cpu);
  const rip = c.rip;
  check_begin(cpu);
  const left = jit_enter(cpu, blk, rip, grant);
  const insns: i32 = load<u16>(blk, B_INSNS);
  v.jit = 0;
  if (left == grant && v.jit_cold) {
    v.jit_checking = 0;
    const after = grant - insns + interp(cpu, blk, rip, insns); // not entered: one block without it
    v.jit = JIT_CHECK;
    return after;
  }
  if (check_rewind(cpu)) {
    // as many instructions as began in the translation; the last may have faulted
    const unfinished: i32 = load<u32>(check_fault()) != 0 ? v.jit_rest : 0;
    check_compare(cpu, blk, rip, reference(cpu, c, grant - left + unfinished) == unfinished);
  }
  v.jit = JIT_CHECK;
  return left;
}

/** The interpreter runs from rip to a fault or until none of `left` instructions are left. */
function reference(cpu: usize, c: Cpu, left: i32): i32 {
  let held: u32 = 0;
  while (left > 0 && c.fault == FAULT_NONE) {
    held |= atomic.xchg<u32>(cpu + offsetof<Cpu>('pending'), 0); // the translation did not look either
    const blk = locate(cpu, c, false);
    if (blk == 0) break;
    const rest = interp(cpu, blk, c.rip, left);
    if (rest == left && atomic.load<u32>(cpu + offsetof<Cpu>('pending')) == 0) break;
    left = rest;
  }
  if (held) atomic.or<u32>(cpu + offsetof<Cpu>('pending'), held);
  return left;
}

/** One instruction of an exact budget's tail. */
function step_once(cpu: usize, c: Cpu): void {
  const blk = locate(cpu, c, true);
  if (blk) go(cpu, c, blk, 1);
}

/**
 * For tests: runs without delivering anything until an exception comes up or `limit` blocks have run; `step`: one
 * instruction a block. Returns cpu.fault, which the caller clears.
 */
export function cpu_run_raw(cpu: usize, step: bool, limit: u32): u32 {
  const c = changetype<Cpu>(cpu);
  if (!block_vars(cpu).ready) blocks_init(cpu);
  for (let i: u32 = 0; i < limit; i++) {
    const blk = locate(cpu, c, step);
    if (blk && block_vars(cpu).sample && !step) jit_sample(cpu, blk);
    if (blk) go(cpu, c, blk, step ? 1 : 64);
    if (c.fault == FAULT_EXCEPTION || c.fault == FAULT_TRAP) return c.fault;
    c.fault = FAULT_NONE;
  }
  return FAULT_NONE;
}

/** What the dispatcher came back for: delivers exceptions. -1: go on, else a RUN_* reason. */
function after(cpu: usize, c: Cpu): i32 {
  const f = c.fault;
  if (f == FAULT_NONE) return -1;
  block_vars(cpu).link = 0;
  if (f == FAULT_EXCEPTION || f == FAULT_TRAP) {
    sys_deliver(cpu);
    if (c.fault == FAULT_SHUTDOWN) return RUN_SHUTDOWN;
    c.fault = FAULT_NONE;
    return -1;
  }
  if (f == FAULT_SHUTDOWN) return RUN_SHUTDOWN;
  c.fault = FAULT_NONE;
  if (f == FAULT_HALT) return -1; // c.halted: sys_pending decides
  if (f == FAULT_EXIT) return RUN_EXIT;
  return -1;
}

/** The block at rip, decoded if need be; makes the link and the jump cache entry that led here. 0: fault. */
function locate(cpu: usize, c: Cpu, step: bool): usize {
  const v = block_vars(cpu);
  const mode = step ? c.mode | MODE_STEP : c.mode;
  if (!(mode & (MODE_64 | MODE_FLAT)) && c.rip > load<u32>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_LIMIT)) {
    raise_gp(cpu);
    return 0;
  }
  const va = mode & MODE_64 ? c.rip : (c.rip + load<u64>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_BASE)) & 0xffff_ffff;
  const pa = mmu_fetch(cpu, va);
  if (pa == PA_FAULT) return 0;
  if (pa >= c.ram_size) {
    raise_ud(cpu); // no code in MMIO
    return 0;
  }
  let blk = block_find(cpu, <u32>pa, mode);
  if (blk == 0) {
    blk = block_build(cpu, <u32>pa, va, mode);
    if (c.fault == FAULT_LEAVE) c.fault = FAULT_NONE;
    if (blk == 0) return 0;
  }
  if (!step && mode & MODE_FLAT && !(v.debug && stop_low(cpu, <u32>va))) {
    tlb_learnt(cpu, va);
    if (v.link != 0 && v.link_to == c.rip && mode & MODE_64) link_patch(cpu, v.link, v.link_from, v.link_to, blk);
    const e: usize = cpu + JUMP_CACHE + (((<u32>c.rip ^ <u32>(c.rip >> 12)) & JUMP_MASK) << 4);
    store<u64>(e, c.rip);
    store<u32>(e, <u32>blk, JUMP_BLOCK);
    store<u32>(e, mapping_gen(cpu, c.rip), JUMP_GEN);
  }
  v.link = 0;
  return blk;
}
