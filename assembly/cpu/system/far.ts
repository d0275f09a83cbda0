/**
 * Far control transfers: JMP, CALL and RET to another code segment, call gates, IRET (Intel SDM Vol. 2A, Vol. 3A §5.8).
 * All return true with `cpu.rip` at the target, or false with a fault set and nothing changed. `opsize` is 2, 4 or 8.
 * No task switches: counted and refused with #GP.
 */
import { SEG_BASE, } from '../../contract/vcpu';
import { excepted, raise, X_GP, X_NP, } from '../vcpu/fault';
import { EFLAGS_IF, EFLAGS_NT, EFLAGS_VM, irq_recheck } from './exception';
import { inner_stack, tss_pointer } from './inner-stack';
import { block_vars, DEBUG_GUEST_CODE } from '../uop/blocks';
import { align_update } from '../memory/watch';
import { RF, flags_get, flags_set } from '../vcpu/flags';
import { rd64_sys } from '../memory/mem';
import { canonical } from '../memory/mmu';
import { update_mode } from '../vcpu/modes';
import {
  ATTR_CODE, ATTR_DB, ATTR_EC, ATTR_L, ATTR_P, ATTR_S, desc_accessed, desc_address, desc_attr, desc_base, desc_limit,
  descriptor, dpl_of, drop_inner_segments, is64, load_ss, long_mode, protected_mode, seg_attr, seg_ptr, seg_selector, seg_set,
  set_cpl, SYS_CALL_GATE, SYS_CALL_GATE16, SYS_TASK_GATE, SYS_TSS,
} from '../memory/segment';
import { new_stack, new_stack_push, set_sp, stack_mask, stack_read, stack_write } from '../memory/stack';
import { Cpu, FAULT_LEAVE, FAULT_NONE, PEND_NMI, SEG_CS, SEG_SS, } from '../vcpu/state';
import { count_stat, STAT_TASK_GATES, STAT_VM86 } from '../vcpu/stats';
import { tlb_sys } from '../memory/tlb';

/** A control transfer ends its block by itself: FAULT_LEAVE from one of its stores is done with. */
function done(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (c.fault == FAULT_LEAVE) c.fault = FAULT_NONE;
  return true;
}

function gp(cpu: usize, error: u32): bool {
  raise(cpu, X_GP, error);
  return false;
}

@inline
function truncate(v: u64, opsize: u32): u64 {
  return opsize == 2 ? v & 0xffff : opsize == 4 ? v & 0xffff_ffff : v;
}

function set_cs(cpu: usize, selector: u32, d: u64, rip: u64, cpl: u32): void {
  seg_set(cpu, SEG_CS, (selector & 0xfffc) | cpl, desc_base(d), desc_limit(d), desc_attr(d) | 1);
  set_cpl(cpu, cpl);
  changetype<Cpu>(cpu).rip = rip;
  update_mode(cpu);
}

function set_cs_real(cpu: usize, selector: u32, rip: u64): void {
  const s = seg_ptr(cpu, SEG_CS);
  store<u16>(s + 16, selector);
  store<u64>(s + SEG_BASE, <u64>(selector & 0xffff) << 4);
  changetype<Cpu>(cpu).rip = rip;
  update_mode(cpu);
}

/** The target lies in the segment, or is canonical in 64-bit code; else #GP(0). */
function target_ok(cpu: usize, d: u64, rip: u64): bool {
  if (long_mode(cpu) && desc_attr(d) & ATTR_L) return canonical(rip) || gp(cpu, 0);
  return rip <= desc_limit(d) || gp(cpu, 0);
}

/** Type, presence and L/D of a code segment; privilege is the caller's. */
function code_ok(cpu: usize, selector: u32, d: u64): bool {
  const attr = desc_attr(d);
  if ((attr & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE)) return gp(cpu, selector & 0xfffc);
  if (long_mode(cpu) && (attr & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB)) return gp(cpu, selector & 0xfffc);
  return true;
}

function present(cpu: usize, selector: u32, attr: u32): bool {
  if (attr & ATTR_P) return true;
  raise(cpu, X_NP, selector & 0xfffc);
  return false;
}

/** Privilege rule of a direct JMP or CALL. */
function direct_ok(cpu: usize, selector: u32, attr: u32): bool {
  const cpl = changetype<Cpu>(cpu).cpl;
  if (attr & ATTR_EC) return dpl_of(attr) <= cpl || gp(cpu, selector & 0xfffc);
  return ((selector & 3) <= cpl && dpl_of(attr) == cpl) || gp(cpu, selector & 0xfffc);
}

export function far_jmp(cpu: usize, selector: u32, offset: u64, opsize: u32): bool {
  const c = changetype<Cpu>(cpu);
  selector &= 0xffff;
  offset = truncate(offset, opsize);
  if (!protected_mode(cpu)) {
    set_cs_real(cpu, selector, offset);
    return true;
  }
  if ((selector & 0xfffc) == 0) return gp(cpu, 0);
  const d = descriptor(cpu, selector, X_GP, 0);
  if (excepted(cpu)) return false;
  const attr = desc_attr(d);
  if (!(attr & ATTR_S)) return through_gate(cpu, selector, d, false, 0);
  if (!code_ok(cpu, selector, d) || !direct_ok(cpu, selector, attr) || !present(cpu, selector, attr)) return false;
  if (!target_ok(cpu, d, offset) || !desc_accessed(cpu, selector, d)) return false;
  set_cs(cpu, selector, d, offset, c.cpl);
  return done(cpu);
}

/** `next`: return address, the offset behind the CALL. */
export function far_call(cpu: usize, selector: u32, offset: u64, opsize: u32, next: u64): bool {
  const c = changetype<Cpu>(cpu);
  selector &= 0xffff;
  offset = truncate(offset, opsize);
  const mask = stack_mask(cpu);
  const sp = c.r4;
  if (!protected_mode(cpu)) {
    if (!stack_write(cpu, (sp - opsize) & mask, seg_selector(cpu, SEG_CS), opsize)) return false;
    if (!stack_write(cpu, (sp - 2 * opsize) & mask, next, opsize)) return false;
    set_sp(cpu, sp - 2 * opsize, mask);
    set_cs_real(cpu, selector, offset);
    return done(cpu);
  }
  if ((selector & 0xfffc) == 0) return gp(cpu, 0);
  const d = descriptor(cpu, selector, X_GP, 0);
  if (excepted(cpu)) return false;
  const attr = desc_attr(d);
  if (!(attr & ATTR_S)) return through_gate(cpu, selector, d, true, next);
  if (!code_ok(cpu, selector, d) || !direct_ok(cpu, selector, attr) || !present(cpu, selector, attr)) return false;
  if (!target_ok(cpu, d, offset)) return false;
  if (!stack_write(cpu, (sp - opsize) & mask, seg_selector(cpu, SEG_CS), opsize)) return false;
  if (!stack_write(cpu, (sp - 2 * opsize) & mask, next, opsize)) return false;
  if (!desc_accessed(cpu, selector, d)) return false;
  set_sp(cpu, sp - 2 * opsize, mask);
  set_cs(cpu, selector, d, offset, c.cpl);
  return done(cpu);
}

/** JMP or CALL through the system descriptor `gate`. */
function through_gate(cpu: usize, gate_selector: u32, gate: u64, call: bool, next: u64): bool {
  const c = changetype<Cpu>(cpu);
  const long = long_mode(cpu);
  const gate_attr = desc_attr(gate);
  const code = gate_selector & 0xfffc;
  const type = gate_attr & 15;
  if (type != SYS_CALL_GATE && (long || type != SYS_CALL_GATE16)) {
    if (type == SYS_TASK_GATE || (type & ~2) == SYS_TSS || (type & ~2) == 1) count_stat(cpu, STAT_TASK_GATES);
    return gp(cpu, code);
  }
  if (dpl_of(gate_attr) < c.cpl || dpl_of(gate_attr) < (gate_selector & 3)) return gp(cpu, code);
  if (!present(cpu, gate_selector, gate_attr)) return false;
  let target = (gate & 0xffff) | (type == SYS_CALL_GATE ? (gate >> 32) & 0xffff_0000 : 0);
  if (long) {
    const high = rd64_sys(cpu, desc_address(cpu, gate_selector, 8) + 8);
    if (excepted(cpu)) return false;
    if ((high >> 40) & 0x1f) return gp(cpu, code);
    target |= high << 32;
  }
  const selector = <u32>(gate >> 16) & 0xffff;
  if ((selector & 0xfffc) == 0) return gp(cpu, 0);
  const d = descriptor(cpu, selector, X_GP, 0);
  if (excepted(cpu)) return false;
  const attr = desc_attr(d);
  if (!code_ok(cpu, selector, d)) return false;
  if (long && (attr & (ATTR_L | ATTR_DB)) != ATTR_L) return gp(cpu, selector & 0xfffc);
  if (dpl_of(attr) > c.cpl || (!call && !(attr & ATTR_EC) && dpl_of(attr) != c.cpl)) return gp(cpu, selector & 0xfffc);
  if (!present(cpu, selector, attr) || !target_ok(cpu, d, target)) return false;
  if (!call) {
    if (!desc_accessed(cpu, selector, d)) return false;
    set_cs(cpu, selector, d, target, c.cpl);
    return done(cpu);
  }
  const size: u32 = long ? 8 : type == SYS_CALL_GATE ? 4 : 2;
  if (attr & ATTR_EC || dpl_of(attr) == c.cpl) {
    const mask = long ? 0xffff_ffff_ffff_ffff : stack_mask(cpu);
    const sp = c.r4;
    if (!stack_write(cpu, (sp - size) & mask, seg_selector(cpu, SEG_CS), size)) return false;
    if (!stack_write(cpu, (sp - 2 * size) & mask, next, size)) return false;
    if (!desc_accessed(cpu, selector, d)) return false;
    set_sp(cpu, sp - 2 * size, mask);
    set_cs(cpu, selector, d, target, c.cpl);
    return done(cpu);
  }
  return inner_call(cpu, selector, d, target, size, <u32>(gate >> 32) & 31, next);
}

/** CALL through a gate to an inner level: the stack of the TSS, parameters copied outside long mode. */
function inner_call(cpu: usize, selector: u32, d: u64, target: u64, size: u32, params: u32, next: u64): bool {
  const c = changetype<Cpu>(cpu);
  const cpl = dpl_of(desc_attr(d));
  const long = long_mode(cpu);
  const old_sp = c.r4;
  const s = new_stack(cpu);
  if (long) {
    s.sp = tss_pointer(cpu, 4 + cpl * 8, 0);
    if (excepted(cpu)) return false;
    s.base = 0;
    s.limit = 0;
    s.attr = cpl << 5;
    s.mask = 0xffff_ffff_ffff_ffff;
    s.table = <u32>tlb_sys(cpu);
    s.selector = cpl;
    s.error = 0;
  } else if (!inner_stack(cpu, cpl, 0)) return false;
  const sp = s.sp;
  if (!new_stack_push(cpu, s, seg_selector(cpu, SEG_SS), size) || !new_stack_push(cpu, s, old_sp, size)) return false;
  const from_mask = stack_mask(cpu);
  for (let i = long ? 0 : params; i > 0; i--) {
    const v = stack_read(cpu, (old_sp + (i - 1) * size) & from_mask, size);
    if (excepted(cpu) || !new_stack_push(cpu, s, v, size)) return false;
  }
  if (!new_stack_push(cpu, s, seg_selector(cpu, SEG_CS), size) || !new_stack_push(cpu, s, next, size)) return false;
  if (!desc_accessed(cpu, selector, d)) return false;
  seg_set(cpu, SEG_SS, s.selector, s.base, s.limit, long ? s.attr : s.attr | 1);
  c.r4 = sp;
  set_sp(cpu, s.sp, s.mask);
  set_cs(cpu, selector, d, target, cpl);
  return done(cpu);
}

/** The code segment that RET or IRET returns to, all checks of CS; 0 with the fault set. */
function return_segment(cpu: usize, selector: u32): u64 {
  const c = changetype<Cpu>(cpu);
  const rpl = selector & 3;
  if ((selector & 0xfffc) == 0) {
    gp(cpu, 0);
    return 0;
  }
  if (rpl < c.cpl) {
    gp(cpu, selector & 0xfffc);
    return 0;
  }
  const d = descriptor(cpu, selector, X_GP, 0);
  if (excepted(cpu) || !code_ok(cpu, selector, d)) return 0;
  const attr = desc_attr(d);
  if (attr & ATTR_EC ? dpl_of(attr) > rpl : dpl_of(attr) != rpl) {
    gp(cpu, selector & 0xfffc);
    return 0;
  }
  return present(cpu, selector, attr) ? d : 0;
}

/** SS of an outer (or, by IRETQ, the same) level: null is good for 64-bit code below CPL 3. */
function return_stack(cpu: usize, selector: u32, rpl: u32, to64: bool): bool {
  if ((selector & 0xfffc) == 0) {
    if (!to64 || rpl == 3 || (selector & 3) != rpl) return gp(cpu, 0);
    seg_set(cpu, SEG_SS, selector, 0, 0, rpl << 5);
    return true;
  }
  return load_ss(cpu, selector, rpl, X_GP, 0);
}

/** RET far; `imm`: bytes to drop from the stack. */
export function far_ret(cpu: usize, opsize: u32, imm: u32): bool {
  const c = changetype<Cpu>(cpu);
  const mask = stack_mask(cpu);
  let sp = c.r4;
  const rip = stack_read(cpu, sp & mask, opsize);
  if (excepted(cpu)) return false;
  const selector = <u32>stack_read(cpu, (sp + opsize) & mask, opsize) & 0xffff;
  if (excepted(cpu)) return false;
  sp += 2 * opsize + imm;
  if (!protected_mode(cpu)) {
    set_sp(cpu, sp, mask);
    set_cs_real(cpu, selector, rip);
    return true;
  }
  const d = return_segment(cpu, selector);
  if (excepted(cpu) || !target_ok(cpu, d, rip)) return false;
  const rpl = selector & 3;
  if (rpl == c.cpl) {
    if (!desc_accessed(cpu, selector, d)) return false;
    set_sp(cpu, sp, mask);
    set_cs(cpu, selector, d, rip, rpl);
    return done(cpu);
  }
  const new_sp = stack_read(cpu, sp & mask, opsize);
  if (excepted(cpu)) return false;
  const ss = <u32>stack_read(cpu, (sp + opsize) & mask, opsize) & 0xffff;
  if (excepted(cpu)) return false;
  const to64 = long_mode(cpu) && (desc_attr(d) & ATTR_L) != 0;
  if (!desc_accessed(cpu, selector, d) || !return_stack(cpu, ss, rpl, to64)) return false;
  const out: u64 = to64 ? 0xffff_ffff_ffff_ffff : seg_attr(cpu, SEG_SS) & ATTR_DB ? 0xffff_ffff : 0xffff;
  set_sp(cpu, new_sp + imm, out);
  drop_inner_segments(cpu, rpl);
  set_cs(cpu, selector, d, rip, rpl);
  return done(cpu);
}

/** Bits of EFLAGS that IRET of `opsize` bytes loads at this privilege. */
function iret_loads(cpu: usize, opsize: u32, old: u32): u32 {
  const c = changetype<Cpu>(cpu);
  // CF PF AF ZF SF TF DF OF NT, and with 32 bits AC ID; RF only where there are instruction breakpoints
  let may: u32 = 0x4dd5 | (opsize == 2 ? 0 : 0x24_0000);
  if (!protected_mode(cpu)) return may | 0x3200;
  if (c.cpl == 0) may |= 0x3000;
  if (c.cpl <= ((old >> 12) & 3)) may |= EFLAGS_IF;
  if (block_vars(cpu).debug & DEBUG_GUEST_CODE && opsize != 2) may |= RF;
  return may;
}

/** IRET, IRETD, IRETQ. Ends NMI blocking even when it faults (SDM Vol. 3A §6.7.1). */
export function iret(cpu: usize, opsize: u32): bool {
  const c = changetype<Cpu>(cpu);
  if (c.nmi_blocked == 2) atomic.or<u32>(cpu + offsetof<Cpu>('pending'), PEND_NMI);
  c.nmi_blocked = 0;
  const mask = stack_mask(cpu);
  let sp = c.r4;
  const old = flags_get(cpu);
  if (protected_mode(cpu) && old & EFLAGS_NT) {
    if (!long_mode(cpu)) count_stat(cpu, STAT_TASK_GATES);
    return gp(cpu, 0);
  }
  const rip = stack_read(cpu, sp & mask, opsize);
  if (excepted(cpu)) return false;
  const selector = <u32>stack_read(cpu, (sp + opsize) & mask, opsize) & 0xffff;
  if (excepted(cpu)) return false;
  const flags = <u32>stack_read(cpu, (sp + 2 * opsize) & mask, opsize);
  if (excepted(cpu)) return false;
  sp += 3 * opsize;

  const may = iret_loads(cpu, opsize, old);
  if (!protected_mode(cpu)) {
    set_sp(cpu, sp, mask);
    flags_set(cpu, (old & ~may) | (flags & may));
    set_cs_real(cpu, selector, rip);
    irq_recheck(cpu);
    return true;
  }
  if (!long_mode(cpu) && opsize == 4 && flags & EFLAGS_VM && c.cpl == 0) {
    count_stat(cpu, STAT_VM86);
    return gp(cpu, 0);
  }
  const d = return_segment(cpu, selector);
  if (excepted(cpu) || !target_ok(cpu, d, rip)) return false;
  const rpl = selector & 3;
  const from64 = is64(cpu);
  const outer = rpl != c.cpl;
  if (outer || from64) {
    const new_sp = stack_read(cpu, sp & mask, opsize);
    if (excepted(cpu)) return false;
    const ss = <u32>stack_read(cpu, (sp + opsize) & mask, opsize) & 0xffff;
    if (excepted(cpu)) return false;
    const to64 = long_mode(cpu) && (desc_attr(d) & ATTR_L) != 0;
    if (!desc_accessed(cpu, selector, d) || !return_stack(cpu, ss, rpl, to64)) return false;
    const out: u64 = to64 ? 0xffff_ffff_ffff_ffff : seg_attr(cpu, SEG_SS) & ATTR_DB ? 0xffff_ffff : 0xffff;
    set_sp(cpu, new_sp, out);
    if (outer) drop_inner_segments(cpu, rpl);
  } else {
    if (!desc_accessed(cpu, selector, d)) return false;
    set_sp(cpu, sp, mask);
  }
  flags_set(cpu, (old & ~may) | (flags & may));
  align_update(cpu);
  set_cs(cpu, selector, d, rip, rpl);
  if (c.eflags & EFLAGS_IF) irq_recheck(cpu);
  return done(cpu);
}
