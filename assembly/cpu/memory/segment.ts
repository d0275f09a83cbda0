/**
 * Segment registers and descriptors (Intel SDM Vol. 3A chapters 3 and 5): loads with all checks, descriptor-table
 * instructions, LAR/LSL/VERR/VERW. Far transfers are in far.ts.
 *
 * A segment's attr is bits 8..23 of the descriptor's high half without the limit nibble; 0 means unusable.
 */
import { SEG_ATTR, SEG_BASE, SEG_LIMIT, SEG_SELECTOR } from '../../contract/vcpu';
import { faulted, raise, raise_ud, X_GP, X_NP, X_SS } from '../vcpu/fault';
import { rd16, rd32, rd64, rd64_sys, wr16, wr32, wr64, wr8_sys, probe_w } from './mem';
import { canonical } from './mmu';
import { update_mode } from '../vcpu/modes';
import { Cpu, CPU_SEGS, FAULT_LEAVE, FAULT_NONE, SEG_CS, SEG_FS, SEG_GS, SEG_LDTR, SEG_SS, SEG_TR } from '../vcpu/state';
import { tlb_sys, tlb_user } from './tlb';

export const ATTR_TYPE: u32 = 0xf;
export const ATTR_A: u32 = 1;
export const ATTR_RW: u32 = 2; // data: writable, code: readable
export const ATTR_EC: u32 = 4; // data: expand down, code: conforming
export const ATTR_CODE: u32 = 8;
export const ATTR_S: u32 = 0x10;
export const ATTR_P: u32 = 0x80;
export const ATTR_L: u32 = 0x2000;
export const ATTR_DB: u32 = 0x4000;
export const ATTR_G: u32 = 0x8000;

// System descriptor types (SDM Vol. 3A table 3-2).
export const SYS_TSS16: u32 = 1;
export const SYS_LDT: u32 = 2;
export const SYS_TASK_GATE: u32 = 5;
export const SYS_TSS: u32 = 9;
export const SYS_CALL_GATE16: u32 = 4;
export const SYS_CALL_GATE: u32 = 12;

/** Answer of `descriptor` when the selector lies outside its table. A present flag of 0 alone is no error here. */
export const DESC_NONE: u64 = 0;

@inline
export function dpl_of(attr: u32): u32 {
  return (attr >> 5) & 3;
}

@inline
export function seg_ptr(cpu: usize, seg: u32): usize {
  return cpu + CPU_SEGS + (seg << 5);
}

@inline
export function seg_attr(cpu: usize, seg: u32): u32 {
  return load<u32>(seg_ptr(cpu, seg) + SEG_ATTR);
}

@inline
export function seg_selector(cpu: usize, seg: u32): u32 {
  return load<u16>(seg_ptr(cpu, seg) + SEG_SELECTOR);
}

/** IA-32e mode is on. */
@inline
export function long_mode(cpu: usize): bool {
  return (changetype<Cpu>(cpu).efer & 0x400) != 0;
}

/** 64-bit code is running. */
@inline
export function is64(cpu: usize): bool {
  return (changetype<Cpu>(cpu).efer & 0x400) != 0 && (seg_attr(cpu, SEG_CS) & ATTR_L) != 0;
}

@inline
export function protected_mode(cpu: usize): bool {
  return (changetype<Cpu>(cpu).cr0 & 1) != 0;
}

/** Changes the privilege level together with what follows from it. */
export function set_cpl(cpu: usize, cpl: u32): void {
  const c = changetype<Cpu>(cpu);
  c.cpl = cpl;
  c.tlb = <u32>(cpl == 3 ? tlb_user(cpu) : tlb_sys(cpu));
}

/** Sets all of a segment register. */
export function seg_set(cpu: usize, seg: u32, selector: u32, base: u64, limit: u32, attr: u32): void {
  const s = seg_ptr(cpu, seg);
  store<u64>(s + SEG_BASE, base);
  store<u32>(s + SEG_LIMIT, limit);
  store<u32>(s + SEG_ATTR, attr);
  store<u16>(s + SEG_SELECTOR, selector);
}

@inline
export function desc_attr(d: u64): u32 {
  return (<u32>(d >> 40)) & 0xf0ff;
}

@inline
export function desc_base(d: u64): u64 {
  return ((d >> 16) & 0xff_ffff) | ((d >> 32) & 0xff00_0000);
}

@inline
export function desc_limit(d: u64): u32 {
  const raw = <u32>(d & 0xffff) | ((<u32>(d >> 32)) & 0xf_0000);
  return d & 0x0080_0000_0000_0000 ? (raw << 12) | 0xfff : raw;
}

/** Linear address of the descriptor `selector` names, or 0 when outside its table. `size`: 8, or 16 for long system descriptors. */
export function desc_address(cpu: usize, selector: u32, size: u32): u64 {
  const c = changetype<Cpu>(cpu);
  const index = selector & 0xfff8;
  if (selector & 4) {
    const s = seg_ptr(cpu, SEG_LDTR);
    if (!(load<u32>(s + SEG_ATTR) & ATTR_P) || index + size - 1 > load<u32>(s + SEG_LIMIT)) return 0;
    return load<u64>(s + SEG_BASE) + index;
  }
  if (index + size - 1 > c.gdtr_limit) return 0;
  return c.gdtr_base + index;
}

/**
 * Reads the descriptor of a non-null selector. Outside the table: `vector`(selector | ext) is raised. The caller checks
 * `cpu.fault`, since a descriptor may be 0.
 */
export function descriptor(cpu: usize, selector: u32, vector: u32, ext: u32): u64 {
  const at = desc_address(cpu, selector, 8);
  if (at == 0 && !in_table(cpu, selector)) {
    raise(cpu, vector, (selector & 0xfffc) | ext);
    return 0;
  }
  return rd64_sys(cpu, at);
}

/** A table may begin at linear address 0, so its address alone does not tell. */
function in_table(cpu: usize, selector: u32): bool {
  const c = changetype<Cpu>(cpu);
  const index = selector & 0xfff8;
  if (selector & 4) {
    const s = seg_ptr(cpu, SEG_LDTR);
    return (load<u32>(s + SEG_ATTR) & ATTR_P) != 0 && index + 7 <= load<u32>(s + SEG_LIMIT);
  }
  return index + 7 <= c.gdtr_limit;
}

/** Sets the accessed bit of a code or data descriptor in memory. False: the write faulted. */
export function desc_accessed(cpu: usize, selector: u32, d: u64): bool {
  if (d & 0x0000_0100_0000_0000) return true;
  wr8_sys(cpu, desc_address(cpu, selector, 8) + 5, (<u32>(d >> 40) & 0xff) | 1);
  const f = changetype<Cpu>(cpu).fault;
  return f == FAULT_NONE || f == FAULT_LEAVE;
}

/** Loads SS with the checks for privilege `cpl`; used by MOV/POP SS and by far transfers (`vector` #GP or #TS). False: fault. */
export function load_ss(cpu: usize, selector: u32, cpl: u32, vector: u32, ext: u32): bool {
  const code = (selector & 0xfffc) | ext;
  const d = descriptor(cpu, selector, vector, ext);
  if (faulted(cpu)) return false;
  const attr = desc_attr(d);
  if ((selector & 3) != cpl || dpl_of(attr) != cpl || (attr & (ATTR_S | ATTR_CODE | ATTR_RW)) != (ATTR_S | ATTR_RW)) {
    raise(cpu, vector, code);
    return false;
  }
  if (!(attr & ATTR_P)) {
    raise(cpu, X_SS, code);
    return false;
  }
  if (!desc_accessed(cpu, selector, d)) return false;
  seg_set(cpu, SEG_SS, selector, desc_base(d), desc_limit(d), attr | ATTR_A);
  return true;
}

/** MOV/POP to ES, SS, DS, FS, GS (never CS). False: fault, register unchanged. */
export function seg_load(cpu: usize, seg: u32, selector: u32): bool {
  const c = changetype<Cpu>(cpu);
  selector &= 0xffff;
  if (!protected_mode(cpu)) {
    const s = seg_ptr(cpu, seg);
    store<u64>(s + SEG_BASE, <u64>selector << 4);
    store<u16>(s + SEG_SELECTOR, selector);
    update_mode(cpu);
    return true;
  }
  if ((selector & 0xfffc) == 0) {
    if (seg == SEG_SS && (!is64(cpu) || c.cpl == 3 || (selector & 3) != c.cpl)) {
      raise(cpu, X_GP, 0);
      return false;
    }
    seg_set(cpu, seg, selector, 0, 0, seg == SEG_SS ? c.cpl << 5 : 0);
    update_mode(cpu);
    return true;
  }
  if (seg == SEG_SS) {
    if (!load_ss(cpu, selector, c.cpl, X_GP, 0)) return false;
    update_mode(cpu);
    return true;
  }
  const code = selector & 0xfffc;
  const d = descriptor(cpu, selector, X_GP, 0);
  if (faulted(cpu)) return false;
  const attr = desc_attr(d);
  const readable = (attr & ATTR_S) != 0 && ((attr & ATTR_CODE) == 0 || (attr & ATTR_RW) != 0);
  const guarded = (attr & (ATTR_CODE | ATTR_EC)) != (ATTR_CODE | ATTR_EC); // all but conforming code
  if (!readable || (guarded && (dpl_of(attr) < (selector & 3) || dpl_of(attr) < c.cpl))) {
    raise(cpu, X_GP, code);
    return false;
  }
  if (!(attr & ATTR_P)) {
    raise(cpu, X_NP, code);
    return false;
  }
  if (!desc_accessed(cpu, selector, d)) return false;
  seg_set(cpu, seg, selector, desc_base(d), desc_limit(d), attr | ATTR_A);
  update_mode(cpu);
  return true;
}

/** True when `size` bytes at `offset` lie within a segment of `limit` and `attr` (expand-down included). */
export function limit_ok(attr: u32, limit: u32, offset: u64, size: u32): bool {
  const last = offset + (size - 1);
  if ((attr & (ATTR_S | ATTR_CODE | ATTR_EC)) == (ATTR_S | ATTR_EC)) {
    return offset > limit && last <= <u64>(attr & ATTR_DB ? 0xffff_ffff : 0xffff);
  }
  return last <= limit;
}

// ---- descriptor-table registers -------------------------------------------------------------------------------------

function deny_user(cpu: usize): bool {
  if (changetype<Cpu>(cpu).cpl == 0) return false;
  raise(cpu, X_GP, 0);
  return true;
}

function table_load(cpu: usize, va: u64, opsize: u32, idt: bool): bool {
  const c = changetype<Cpu>(cpu);
  if (deny_user(cpu)) return false;
  const limit = rd16(cpu, va);
  if (faulted(cpu)) return false;
  let base: u64;
  if (is64(cpu)) base = rd64(cpu, va + 2);
  else {
    base = rd32(cpu, va + 2);
    if (opsize == 2) base &= 0xff_ffff;
  }
  if (faulted(cpu)) return false;
  if (!canonical(base)) {
    raise(cpu, X_GP, 0);
    return false;
  }
  if (idt) {
    c.idtr_base = base;
    c.idtr_limit = limit;
  } else {
    c.gdtr_base = base;
    c.gdtr_limit = limit;
  }
  return true;
}

function table_store(cpu: usize, va: u64, base: u64, limit: u32): bool {
  const long = is64(cpu);
  if (!probe_w(cpu, va, long ? 10 : 6)) return false;
  wr16(cpu, va, limit);
  if (long) wr64(cpu, va + 2, base);
  else wr32(cpu, va + 2, <u32>base);
  return !faulted(cpu);
}

/** LGDT of the operand at linear address `va`; `opsize` 2, 4 or 8. False: fault. */
export function lgdt(cpu: usize, va: u64, opsize: u32): bool {
  return table_load(cpu, va, opsize, false);
}

export function lidt(cpu: usize, va: u64, opsize: u32): bool {
  return table_load(cpu, va, opsize, true);
}

export function sgdt(cpu: usize, va: u64): bool {
  const c = changetype<Cpu>(cpu);
  return table_store(cpu, va, c.gdtr_base, c.gdtr_limit);
}

export function sidt(cpu: usize, va: u64): bool {
  const c = changetype<Cpu>(cpu);
  return table_store(cpu, va, c.idtr_base, c.idtr_limit);
}

/** SLDT and STR return the selector; in real mode they are undefined opcodes (check `cpu.fault`). */
export function sldt(cpu: usize): u32 {
  if (!protected_mode(cpu)) return raise_ud(cpu);
  return seg_selector(cpu, SEG_LDTR);
}

export function str(cpu: usize): u32 {
  if (!protected_mode(cpu)) return raise_ud(cpu);
  return seg_selector(cpu, SEG_TR);
}

/** Upper half of the base in a 16-byte system descriptor, or 0 outside long mode. */
function base_high(cpu: usize, selector: u32): u64 {
  return rd64_sys(cpu, desc_address(cpu, selector, 8) + 8);
}

function system_load(cpu: usize, selector: u32, seg: u32): bool {
  const code = selector & 0xfffc;
  const long = long_mode(cpu);
  const d = descriptor(cpu, selector, X_GP, 0);
  if (faulted(cpu)) return false;
  const attr = desc_attr(d);
  const type = attr & (ATTR_TYPE | ATTR_S);
  const fits = !long || in_table_16(cpu, selector);
  const right = seg == SEG_LDTR ? type == SYS_LDT : type == SYS_TSS || (type == SYS_TSS16 && !long);
  if (selector & 4 || !right || !fits) {
    raise(cpu, X_GP, code);
    return false;
  }
  if (!(attr & ATTR_P)) {
    raise(cpu, X_NP, code);
    return false;
  }
  let base = desc_base(d);
  if (long) {
    const high = base_high(cpu, selector);
    if (faulted(cpu)) return false;
    base |= high << 32;
    if (!canonical(base) || (high >> 40) & 0x1f) {
      raise(cpu, X_GP, code);
      return false;
    }
  }
  let now = attr;
  if (seg == SEG_TR) {
    now |= 2; // busy
    wr8_sys(cpu, desc_address(cpu, selector, 8) + 5, now & 0xff);
    if (faulted(cpu)) return false;
  }
  seg_set(cpu, seg, selector, base, desc_limit(d), now);
  return true;
}

function in_table_16(cpu: usize, selector: u32): bool {
  return (selector & 0xfff8) + 15 <= changetype<Cpu>(cpu).gdtr_limit;
}

export function lldt(cpu: usize, selector: u32): bool {
  selector &= 0xffff;
  if (!protected_mode(cpu)) {
    raise_ud(cpu);
    return false;
  }
  if (deny_user(cpu)) return false;
  if ((selector & 0xfffc) == 0) {
    seg_set(cpu, SEG_LDTR, selector, 0, 0, 0);
    return true;
  }
  return system_load(cpu, selector, SEG_LDTR);
}

export function ltr(cpu: usize, selector: u32): bool {
  selector &= 0xffff;
  if (!protected_mode(cpu)) {
    raise_ud(cpu);
    return false;
  }
  if (deny_user(cpu)) return false;
  if ((selector & 0xfffc) == 0) {
    raise(cpu, X_GP, 0);
    return false;
  }
  return system_load(cpu, selector, SEG_TR);
}

// ---- LAR, LSL, VERR, VERW: they fail by ZF, and fault only on memory --------------------------------------------------

/** Descriptor for a probe, or 0 (nothing readable there; a present descriptor is never 0). */
function probe_desc(cpu: usize, selector: u32): u64 {
  if ((selector & 0xfffc) == 0 || !in_table(cpu, selector)) return 0;
  return rd64_sys(cpu, desc_address(cpu, selector, 8));
}

function visible(cpu: usize, selector: u32, attr: u32): bool {
  if ((attr & (ATTR_S | ATTR_CODE | ATTR_EC)) == (ATTR_S | ATTR_CODE | ATTR_EC)) return true;
  return dpl_of(attr) >= changetype<Cpu>(cpu).cpl && dpl_of(attr) >= (selector & 3);
}

/** LAR: access rights for the destination in bits 0..31, bit 32 = ZF. Real mode: #UD. */
export function lar(cpu: usize, selector: u32): u64 {
  if (!protected_mode(cpu)) return raise_ud(cpu);
  const d = probe_desc(cpu, selector & 0xffff);
  const attr = desc_attr(d);
  if (d == 0 || faulted(cpu) || !visible(cpu, selector, attr)) return 0;
  if (!(attr & ATTR_S)) {
    // valid types: SDM Vol. 2A table 3-53
    const mask: u32 = long_mode(cpu) ? 0x1a04 : 0x1a3e;
    if (!((mask >> (attr & 15)) & 1)) return 0;
  }
  return (<u64>1 << 32) | ((d >> 32) & 0x00f0_ff00);
}

/** LSL: limit in bytes in bits 0..31, bit 32 = ZF. */
export function lsl(cpu: usize, selector: u32): u64 {
  if (!protected_mode(cpu)) return raise_ud(cpu);
  const d = probe_desc(cpu, selector & 0xffff);
  const attr = desc_attr(d);
  if (d == 0 || faulted(cpu) || !visible(cpu, selector, attr)) return 0;
  if (!(attr & ATTR_S)) {
    const mask: u32 = long_mode(cpu) ? 0x0a04 : 0x0a0e;
    if (!((mask >> (attr & 15)) & 1)) return 0;
  }
  return (<u64>1 << 32) | desc_limit(d);
}

/** VERR: 1 (ZF) when the segment may be read. */
export function verr(cpu: usize, selector: u32): u32 {
  if (!protected_mode(cpu)) return raise_ud(cpu);
  const d = probe_desc(cpu, selector & 0xffff);
  const attr = desc_attr(d);
  if (d == 0 || !(attr & ATTR_S) || (attr & (ATTR_CODE | ATTR_RW)) == ATTR_CODE) return 0;
  return visible(cpu, selector, attr) ? 1 : 0;
}

/** VERW: 1 (ZF) when the segment may be written. */
export function verw(cpu: usize, selector: u32): u32 {
  if (!protected_mode(cpu)) return raise_ud(cpu);
  const d = probe_desc(cpu, selector & 0xffff);
  const attr = desc_attr(d);
  if (d == 0 || (attr & (ATTR_S | ATTR_CODE | ATTR_RW)) != (ATTR_S | ATTR_RW)) return 0;
  return visible(cpu, selector, attr) ? 1 : 0;
}

/** SWAPGS: 64-bit mode and CPL 0 only. */
export function swapgs(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (!is64(cpu)) {
    raise_ud(cpu);
    return false;
  }
  if (deny_user(cpu)) return false;
  const s = seg_ptr(cpu, SEG_GS);
  const base = load<u64>(s + SEG_BASE);
  store<u64>(s + SEG_BASE, c.kernel_gs_base);
  c.kernel_gs_base = base;
  return true;
}

/** Return to an outer level clears data segments that level may not use (SDM Vol. 2A, RET). */
export function drop_inner_segments(cpu: usize, cpl: u32): void {
  for (let seg: u32 = 0; seg <= SEG_GS; seg++) {
    if (seg == SEG_CS || seg == SEG_SS) continue;
    const attr = seg_attr(cpu, seg);
    if (!(attr & ATTR_P)) {
      // A null selector stays; FS and GS keep their base, which 64-bit code sets by MSR
      if (seg < SEG_FS) seg_set(cpu, seg, seg_selector(cpu, seg) & 0xfffc ? 0 : seg_selector(cpu, seg), 0, 0, 0);
      continue;
    }
    if (dpl_of(attr) < cpl && (attr & (ATTR_CODE | ATTR_EC)) != (ATTR_CODE | ATTR_EC)) {
      const s = seg_ptr(cpu, seg);
      store<u16>(s + SEG_SELECTOR, 0);
      store<u32>(s + SEG_ATTR, 0);
    }
  }
}
