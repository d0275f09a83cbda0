
import { RUN_HALT, RUN_KICK, RUN_SHUTDOWN, SEG_ATTR, SEG_BASE, SEG_LIMIT } from '../../contract/vcpu';
import { excepted, raise, X_BP, X_DB, X_DF, X_GP, X_NMI, X_NP, X_OF, X_PF, } from '../vcpu/fault';
import { AC, flags_get } from '../vcpu/flags';
import { block_vars, DEBUG_GUEST_CODE } from '../uop/blocks';
import { align_update } from '../memory/watch';
import { int_ack, int_pending } from '../chips/lapic';
import { rd32_sys, rd64_sys } from '../memory/mem';
import { canonical } from '../memory/mmu';
import { update_mode } from '../vcpu/modes';
import { init_cpu, start_cpu } from './reset';
import {
  ATTR_CODE, ATTR_DB, ATTR_EC, ATTR_L, ATTR_P, ATTR_S, desc_accessed, desc_attr, desc_base, desc_limit, descriptor,
  dpl_of, long_mode, protected_mode, seg_ptr, seg_selector, seg_set, set_cpl,
} from '../memory/segment';
import { pause_wait } from '../vcpu/smp';
import { new_stack, new_stack_push, new_stack_write, NewStack, set_sp, stack_mask, stack_write } from '../memory/stack';
import { inner_stack, ist_offset, tss_pointer } from './inner-stack';
import {
  Cpu, FAULT_EXCEPTION, FAULT_LEAVE, FAULT_NONE, FAULT_SHUTDOWN, FAULT_TRAP, PEND_INIT, PEND_INTR, PEND_KICK, PEND_NMI, PEND_PAUSE,
  PEND_SIPI, PEND_TIMER, PEND_TLB, SEG_CS, SEG_SS,
} from '../vcpu/state';
import { count_stat, STAT_INTERRUPTS, STAT_TASK_GATES } from '../vcpu/stats';
import { timer_poll } from '../chips/timer';
import { tlb_flush_all, tlb_sys, tlb_user } from '../memory/tlb';

export const EFLAGS_TF: u32 = 0x100;
export const EFLAGS_IF: u32 = 0x200;
export const EFLAGS_NT: u32 = 0x4000;
export const EFLAGS_RF: u32 = 0x1_0000;
export const EFLAGS_VM: u32 = 0x2_0000;

// What cpu_run returns (run.ts); 0 means go on here.
const RUN_GO_ON: i32 = 0;

const DR7_GD: u64 = 0x2000;

/** Vectors that push an error code. */
@inline
function pushes_error(vector: u32): bool {
  return vector < 32 && ((<u32>0x0022_7d00 >> vector) & 1) != 0; // 8, 10..14, 17, 21
}

/** Table 6-4: 0 benign, 1 contributory, 2 page fault, 3 double fault. */
function class_of(vector: u32): u32 {
  if (vector == X_PF) return 2;
  if (vector == X_DF) return 3;
  return vector == 0 || (vector >= 10 && vector <= 13) ? 1 : 0;
}

/** After a change of CPL, CS or SS by a control transfer. */
function settle(cpu: usize, cpl: u32): void {
  set_cpl(cpu, cpl);
  update_mode(cpu);
}

/**
 * Delivers one event; `soft`: INT n, INT3, INTO (the gate's DPL counts, EXT is 0). `rip`: address to return to. False:
 * a fault came up on the way, it is in `cpu.fault`, and no register has changed.
 */
function deliver(cpu: usize, vector: u32, error: u32, has_error: bool, soft: bool, rip: u64, rf: bool): bool {
  if (!protected_mode(cpu)) return deliver_real(cpu, vector, rip);
  return long_mode(cpu)
    ? deliver_long(cpu, vector, error, has_error, soft, rip, rf)
    : deliver_protected(cpu, vector, error, has_error, soft, rip, rf);
}

/** Real mode: four bytes a vector (SDM Vol. 3B §21.1.4). */
function deliver_real(cpu: usize, vector: u32, rip: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (vector * 4 + 3 > c.idtr_limit) {
    raise(cpu, X_GP, vector * 8 + 2);
    return false;
  }
  const target = rd32_sys(cpu, c.idtr_base + vector * 4);
  const sp = c.r4;
  const mask = stack_mask(cpu);
  if (!stack_write(cpu, (sp - 2) & mask, flags_get(cpu) & 0xffff, 2)) return false;
  if (!stack_write(cpu, (sp - 4) & mask, seg_selector(cpu, SEG_CS), 2)) return false;
  if (!stack_write(cpu, (sp - 6) & mask, rip & 0xffff, 2)) return false;
  set_sp(cpu, sp - 6, mask);
  const s = seg_ptr(cpu, SEG_CS);
  store<u16>(s + 16, target >> 16);
  store<u64>(s + SEG_BASE, <u64>(target >> 16) << 4);
  c.eflags &= ~(EFLAGS_IF | EFLAGS_TF | EFLAGS_RF | AC);
  align_update(cpu);
  c.rip = target & 0xffff;
  settle(cpu, 0);
  return true;
}

/** The handler's code segment: its descriptor after all checks, 0 with the fault set otherwise. */
function handler_segment(cpu: usize, selector: u32, ext: u32): u64 {
  const c = changetype<Cpu>(cpu);
  if ((selector & 0xfffc) == 0) {
    raise(cpu, X_GP, ext);
    return 0;
  }
  const d = descriptor(cpu, selector, X_GP, ext);
  if (excepted(cpu)) return 0;
  const attr = desc_attr(d);
  if ((attr & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE) || dpl_of(attr) > c.cpl) {
    raise(cpu, X_GP, (selector & 0xfffc) | ext);
    return 0;
  }
  if (!(attr & ATTR_P)) {
    raise(cpu, X_NP, (selector & 0xfffc) | ext);
    return 0;
  }
  if (long_mode(cpu) && (attr & (ATTR_L | ATTR_DB)) != ATTR_L) {
    raise(cpu, X_GP, (selector & 0xfffc) | ext);
    return 0;
  }
  return d;
}

/** `known`: the gate is of a type that delivers. It has to be within reach of INT n, and present. False: the fault is set. */
function gate_ok(cpu: usize, gate: u64, known: bool, soft: bool, code: u32): bool {
  if (!known && (<u32>(gate >> 40) & 0x1f) == 5) count_stat(cpu, STAT_TASK_GATES);
  if (!known || (soft && (<u32>(gate >> 45) & 3) < changetype<Cpu>(cpu).cpl)) raise(cpu, X_GP, code);
  else if (!((gate >> 47) & 1)) raise(cpu, X_NP, code);
  else return true;
  return false;
}

function deliver_long(cpu: usize, vector: u32, error: u32, has_error: bool, soft: bool, rip: u64, rf: bool): bool {
  const c = changetype<Cpu>(cpu);
  const ext: u32 = soft ? 0 : 1;
  const code = vector * 8 + 2 + ext;
  if (vector * 16 + 15 > c.idtr_limit) {
    raise(cpu, X_GP, code);
    return false;
  }
  const at = c.idtr_base + vector * 16;
  const low = rd64_sys(cpu, at);
  const high = rd64_sys(cpu, at + 8);
  if (excepted(cpu)) return false;
  const type = <u32>(low >> 40) & 0x1f;
  if (!gate_ok(cpu, low, type == 0xe || type == 0xf, soft, code)) return false;
  const selector = <u32>(low >> 16) & 0xffff;
  const d = handler_segment(cpu, selector, ext);
  if (excepted(cpu)) return false;
  const attr = desc_attr(d);
  const inner = !(attr & ATTR_EC) && dpl_of(attr) < c.cpl;
  const cpl = attr & ATTR_EC ? c.cpl : dpl_of(attr);
  const ist = <u32>(low >> 32) & 7;
  let sp = c.r4;
  if (ist != 0 || inner) {
    sp = tss_pointer(cpu, ist != 0 ? ist_offset(ist) : 4 + cpl * 8, ext);
    if (excepted(cpu)) return false;
  }
  const target = (low & 0xffff) | ((low >> 32) & 0xffff_0000) | (high << 32);
  if (!canonical(target)) {
    raise(cpu, X_GP, ext);
    return false;
  }
  const table = cpl == 3 ? tlb_user(cpu) : tlb_sys(cpu);
  const flags = <u64>(flags_get(cpu) & ~EFLAGS_RF) | (rf ? EFLAGS_RF : 0);
  sp &= ~15;
  if (!new_stack_write(cpu, table, true, 0, 0, 0, sp - 8, seg_selector(cpu, SEG_SS), 8, ext)) return false;
  if (!new_stack_write(cpu, table, true, 0, 0, 0, sp - 16, c.r4, 8, ext)) return false;
  if (!new_stack_write(cpu, table, true, 0, 0, 0, sp - 24, flags, 8, ext)) return false;
  if (!new_stack_write(cpu, table, true, 0, 0, 0, sp - 32, seg_selector(cpu, SEG_CS), 8, ext)) return false;
  if (!new_stack_write(cpu, table, true, 0, 0, 0, sp - 40, rip, 8, ext)) return false;
  sp -= 40;
  if (has_error) {
    sp -= 8;
    if (!new_stack_write(cpu, table, true, 0, 0, 0, sp, error, 8, ext)) return false;
  }
  if (!desc_accessed(cpu, selector, d)) return false;
  c.r4 = sp;
  if (inner) seg_set(cpu, SEG_SS, cpl, 0, 0, cpl << 5);
  seg_set(cpu, SEG_CS, (selector & 0xfffc) | cpl, desc_base(d), desc_limit(d), attr | 1);
  c.rip = target;
  c.eflags &= ~(EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM | (type == 0xe ? EFLAGS_IF : 0));
  settle(cpu, cpl);
  return true;
}

/** Outside IA-32e mode: `s` becomes the stack in use. */
function same_stack(cpu: usize, s: NewStack, ext: u32): void {
  const c = changetype<Cpu>(cpu);
  const ss = seg_ptr(cpu, SEG_SS);
  s.base = load<u64>(ss + SEG_BASE);
  s.limit = load<u32>(ss + SEG_LIMIT);
  s.attr = load<u32>(ss + SEG_ATTR);
  s.sp = c.r4;
  s.mask = s.attr & ATTR_DB ? 0xffff_ffff : 0xffff;
  s.table = c.tlb;
  s.error = ext;
}

/** 32-bit and 16-bit gates outside IA-32e mode. Task gates are refused. */
function deliver_protected(cpu: usize, vector: u32, error: u32, has_error: bool, soft: bool, rip: u64, rf: bool): bool {
  const c = changetype<Cpu>(cpu);
  const ext: u32 = soft ? 0 : 1;
  const code = vector * 8 + 2 + ext;
  if (vector * 8 + 7 > c.idtr_limit) {
    raise(cpu, X_GP, code);
    return false;
  }
  const gate = rd64_sys(cpu, c.idtr_base + vector * 8);
  if (excepted(cpu)) return false;
  const type = <u32>(gate >> 40) & 0x1f;
  if (!gate_ok(cpu, gate, type == 0xe || type == 0xf || type == 6 || type == 7, soft, code)) return false;
  const selector = <u32>(gate >> 16) & 0xffff;
  const d = handler_segment(cpu, selector, ext);
  if (excepted(cpu)) return false;
  const attr = desc_attr(d);
  const inner = !(attr & ATTR_EC) && dpl_of(attr) < c.cpl;
  const cpl = attr & ATTR_EC ? c.cpl : dpl_of(attr);
  const size: u32 = type & 8 ? 4 : 2;
  const target = type & 8 ? (gate & 0xffff) | ((gate >> 32) & 0xffff_0000) : gate & 0xffff;

  const s = new_stack(cpu);
  if (inner) {
    if (!inner_stack(cpu, cpl, ext)) return false;
  } else same_stack(cpu, s, ext);
  if (target > desc_limit(d)) {
    raise(cpu, X_GP, ext);
    return false;
  }
  const sp = s.sp;
  const flags = <u64>(flags_get(cpu) & ~EFLAGS_RF) | (rf ? EFLAGS_RF : 0);
  if (inner && (!new_stack_push(cpu, s, seg_selector(cpu, SEG_SS), size) || !new_stack_push(cpu, s, c.r4, size))) return false;
  if (!new_stack_push(cpu, s, flags, size) || !new_stack_push(cpu, s, seg_selector(cpu, SEG_CS), size)) return false;
  if (!new_stack_push(cpu, s, rip, size) || (has_error && !new_stack_push(cpu, s, error, size))) return false;
  if (!desc_accessed(cpu, selector, d)) return false;
  if (inner) {
    c.r4 = sp;
    seg_set(cpu, SEG_SS, s.selector, s.base, s.limit, s.attr | 1);
  }
  set_sp(cpu, s.sp, s.mask);
  seg_set(cpu, SEG_CS, (selector & 0xfffc) | cpl, desc_base(d), desc_limit(d), attr | 1);
  c.rip = target;
  c.eflags &= ~(EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM | ((type & 1) == 0 ? EFLAGS_IF : 0));
  settle(cpu, cpl);
  return true;
}

// Kinds of events that deliver_all takes.
const EVENT_FAULT: u32 = 0;
const EVENT_TRAP: u32 = 1;
const EVENT_SOFT: u32 = 2; // INT3, INTO
const EVENT_EXTERNAL: u32 = 3; // interrupt, NMI

/** Delivers an event and whatever faults its delivery meets. False: triple fault, `cpu.fault` is FAULT_SHUTDOWN. */
function deliver_all(cpu: usize, vector: u32, error: u32, kind: u32): bool {
  const c = changetype<Cpu>(cpu);
  let first = vector;
  let event = kind <= EVENT_TRAP; // counts for the double-fault rules
  let soft = kind == EVENT_SOFT;
  let rip = c.rip;
  // RF set in the flags means that the instruction is one that an instruction breakpoint has already let go on
  let rf = (kind == EVENT_FAULT && vector != X_DB && vector != X_DF) || (block_vars(cpu).debug & DEBUG_GUEST_CODE && c.eflags & EFLAGS_RF) != 0;
  c.halted = 0;
  c.intr_shadow = 0;
  while (true) {
    c.fault = FAULT_NONE;
    if (deliver(cpu, first, error, pushes_error(first) && event, soft, rip, rf)) {
      if (c.fault != FAULT_SHUTDOWN) c.fault = FAULT_NONE;
      return true;
    }
    if (soft) {
      // INT3 and INTO that fault do so before they commit: one byte back
      rip = rip - 1;
      c.rip = rip;
      soft = false;
    }
    const second = c.fault_vector;
    const a = event ? class_of(first) : 0;
    const b = class_of(second);
    if (a == 3 && b != 0) {
      c.fault = FAULT_SHUTDOWN;
      return false;
    }
    if ((a == 1 && b == 1) || (a == 2 && (b == 1 || b == 2))) {
      first = X_DF;
      error = 0;
      rf = false;
    } else {
      first = second;
      error = c.fault_error;
      rf = second != X_DB;
    }
    event = true;
  }
}

/**
 * Consumes `cpu.fault` (FAULT_EXCEPTION or FAULT_TRAP) with `cpu.rip` at the faulting, or behind the trapping,
 * instruction. Afterwards `cpu.fault` is FAULT_NONE, or FAULT_SHUTDOWN after a triple fault.
 */
export function sys_deliver(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const trap = c.fault == FAULT_TRAP;
  if (!trap && c.fault != FAULT_EXCEPTION) return;
  const vector = c.fault_vector;
  // #DB clears DR7.GD; the handler may use the debug registers
  if (vector == X_DB) c.dr7 &= ~DR7_GD;
  deliver_all(cpu, vector, c.fault_error, !trap ? EVENT_FAULT : vector == X_BP || vector == X_OF ? EVENT_SOFT : EVENT_TRAP);
}

/** A debug trap behind the instruction that just committed; `bits`: what DR6 says, DR6_BS or B0-B3. */
export function raise_debug(cpu: usize, bits: u64): void {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_EXCEPTION) return;
  c.dr6 |= bits;
  c.fault = FAULT_TRAP;
  c.fault_vector = X_DB;
  c.fault_error = 0;
}

/** INT n, INT3, INTO: `next` is pushed. True: `cpu.rip` is the handler. False: fault, at the instruction. */
export function int_n(cpu: usize, n: u32, next: u64): bool {
  const c = changetype<Cpu>(cpu);
  const ok = deliver(cpu, n & 255, 0, false, true, next, false);
  if (ok && c.fault == FAULT_LEAVE) c.fault = FAULT_NONE;
  if (ok) block_vars(cpu).trap = 0;
  return ok;
}

/** INT1: as if the event came from outside, so the gate's DPL does not count and error codes have EXT (SDM Vol. 2A, INT n). */
export function int_1(cpu: usize, next: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (!deliver(cpu, X_DB, 0, false, false, next, false)) return false;
  if (c.fault == FAULT_LEAVE) c.fault = FAULT_NONE;
  c.dr7 &= ~DR7_GD;
  block_vars(cpu).trap = 0;
  return true;
}

/** INTR may have become deliverable: IF rose, TPR fell, an EOI came. */
export function irq_recheck(cpu: usize): void {
  if (int_pending(cpu)) atomic.or<u32>(cpu + offsetof<Cpu>('pending'), PEND_INTR);
}

@inline
function clear_pending(cpu: usize, bits: u32): void {
  atomic.and<u32>(cpu + offsetof<Cpu>('pending'), ~bits);
}

/**
 * Between blocks, when `pending`, `halted` or `wait_sipi` is not 0: handles what is due. 0: run on at `cpu.rip`; else a
 * RUN_* reason. An interrupt shadow is left alone: cpu_run ends it with the instruction it covers.
 */
export function sys_pending(cpu: usize): i32 {
  const c = changetype<Cpu>(cpu);
  let p = atomic.load<u32>(cpu + offsetof<Cpu>('pending'));
  if (p & PEND_PAUSE) pause_wait(cpu);
  if (p & PEND_KICK) {
    clear_pending(cpu, PEND_KICK);
    return RUN_KICK;
  }
  if (p & (PEND_INIT | PEND_SIPI | PEND_TLB | PEND_TIMER)) {
    if (p & PEND_INIT) {
      clear_pending(cpu, PEND_INIT);
      init_cpu(cpu);
    }
    if (p & PEND_SIPI) {
      clear_pending(cpu, PEND_SIPI);
      if (c.wait_sipi) start_cpu(cpu, atomic.load<u32>(cpu + offsetof<Cpu>('sipi_vector')));
    }
    if (p & PEND_TLB) {
      clear_pending(cpu, PEND_TLB);
      tlb_flush_all(cpu, false);
    }
    if (p & PEND_TIMER) {
      clear_pending(cpu, PEND_TIMER);
      timer_poll(cpu);
    }
    p = atomic.load<u32>(cpu + offsetof<Cpu>('pending'));
  }
  if (c.wait_sipi) return RUN_HALT;
  // A paravirtual kick ends HLT without an interrupt; one that comes first ends the next HLT
  if (c.halted && atomic.xchg<u32>(cpu + offsetof<Cpu>('pv_unhalt'), 0)) c.halted = 0;
  if (c.intr_shadow) {
    if (!c.halted) return RUN_GO_ON;
    c.intr_shadow = 0;
  }
  if (p & PEND_NMI) {
    clear_pending(cpu, PEND_NMI);
    if (c.nmi_blocked) c.nmi_blocked = 2; // held until IRET
    else {
      c.nmi_blocked = 1;
      if (!deliver_all(cpu, X_NMI, 0, EVENT_EXTERNAL)) return RUN_SHUTDOWN;
      return RUN_GO_ON;
    }
  }
  if (p & PEND_INTR) {
    // Cleared first: what comes later sets it again. Not deliverable now: irq_recheck sets it when IF or TPR change.
    clear_pending(cpu, PEND_INTR);
    if (c.eflags & EFLAGS_IF) {
      const vector = int_ack(cpu);
      if (vector >= 0) {
        count_stat(cpu, STAT_INTERRUPTS);
        if (!deliver_all(cpu, <u32>vector, 0, EVENT_EXTERNAL)) return RUN_SHUTDOWN;
        irq_recheck(cpu);
        return RUN_GO_ON;
      }
    }
  }
  return c.halted ? RUN_HALT : RUN_GO_ON;
}
