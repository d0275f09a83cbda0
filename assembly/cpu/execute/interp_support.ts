/** What the dispatcher (generated/interp.ts) calls or inlines beside the operations themselves. */
import { LINK_ALWAYS } from '../../contract/translator';
export { LINK_ALWAYS } from '../../contract/translator';
import { SEG_ATTR, SEG_BASE, SEG_LIMIT } from '../../contract/vcpu';
import { CODE_MARK_BASE, JUMP_ENTRIES, RAM_BASE } from '../../core/layout';
import { B_GEN, B_GEN2, B_INSNS, B_PA2, B_UOPS, block_vars, B_MODE, JUMP_BLOCK, JUMP_CACHE, JUMP_GEN } from '../uop/blocks';
import { gen_at } from '../../core/code';
import { raise, raise_gp, X_GP, X_SS } from '../vcpu/fault';
import { cond } from '../vcpu/flags';
import { canonical, mmu_fetch, PA_FAULT } from '../memory/mmu';
import { MODE_32, MODE_64, MODE_FLAT } from '../vcpu/modes';
import { OP_CALL, OP_CALL_M, OP_CALL_R, OP_LEAVE64, OP_POP64, OP_PUSH64, OP_PUSH64_I, OP_RET, OP_SYS } from '../uop/generated/ops';
import { limit_ok } from '../memory/segment';
import { Cpu, CPU_SEGS, FAULT_EXCEPTION, SEG_CS, SEG_SS } from '../vcpu/state';
import { ea, INDEX_ADDR32, U_A, U_B, U_BASE, U_DISP, U_IMM, U_INDEX, U_IP, U_OP, UOP_SIZE } from '../uop/uop';

export const RSP: usize = offsetof<Cpu>('r4');
export const RBP: usize = offsetof<Cpu>('r5');
export const BLOCK: usize = offsetof<Cpu>('block');
export const FAULT: usize = offsetof<Cpu>('fault');
export const PENDING: usize = offsetof<Cpu>('pending');
export const TLB: usize = offsetof<Cpu>('tlb');
const TLB_GEN: usize = offsetof<Cpu>('tlb_gen');
/** Generation of the mappings of the half of the address space that `va` is in (vcpu/state.ts). */
@inline
export function mapping_gen(cpu: usize, va: u64): u32 {
  return load<u32>(cpu + (<usize>(va >> 63) << 2), TLB_GEN);
}
export const MODE: usize = offsetof<Cpu>('mode');
export const EFLAGS_AT: usize = offsetof<Cpu>('eflags');
export const IF_MASK: u32 = 0x200;
/** Code mark of the page of linear-memory offset p: load<u8>(p >> 12, MARK). */
export const MARK: usize = CODE_MARK_BASE - (RAM_BASE >> 12);
export const JUMP_MASK: u32 = JUMP_ENTRIES - 1;


@inline
function wrap(cpu: usize, rip: u64): u64 {
  const mode = load<u32>(cpu, MODE);
  return mode & MODE_64 ? rip : mode & MODE_32 ? rip & 0xffff_ffff : rip & 0xffff;
}

export function next_rip(cpu: usize, u: usize): u64 {
  return wrap(cpu, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
}

/** rip of the instruction that micro-op `u` belongs to. */
export function start_rip(cpu: usize, blk: usize, u: usize): u64 {
  const ip = load<u16>(u, U_IP);
  let start: u32 = 0;
  for (let q = blk + B_UOPS; q < u; q += UOP_SIZE) {
    const at = load<u16>(q, U_IP);
    if (at == ip) break;
    start = at;
  }
  return wrap(cpu, load<u64>(cpu, BLOCK) + start);
}

/** Instructions of the block from the one of `u` to the end. */
export function insns_from(blk: usize, u: usize): i32 {
  let done: i32 = 0;
  let last: u32 = 0;
  const ip: u32 = load<u16>(u, U_IP);
  for (let q = blk + B_UOPS; q < u; q += UOP_SIZE) {
    const at: u32 = load<u16>(q, U_IP);
    if (at == ip) break;
    if (at != last) done++;
    last = at;
  }
  return <i32>load<u16>(blk, B_INSNS) - done;
}

/**
 * The block ends at `u` by cpu.fault: sets rip (the instruction itself for an exception, else the next one) and returns
 * how many counted instructions did not retire.
 */
export function leave_at(cpu: usize, blk: usize, u: usize): i32 {
  const c = changetype<Cpu>(cpu);
  const rest = insns_from(blk, u);
  block_vars(cpu).jit_rest = c.fault == FAULT_EXCEPTION ? rest : rest - 1;
  if (c.fault == FAULT_EXCEPTION) {
    if (c.fault_vector == X_GP && c.fault_error == 0) stack_fault(c, cpu, u);
    c.rip = start_rip(cpu, blk, u);
    return rest;
  }
  if (load<u16>(u, U_OP) != OP_SYS) c.rip = next_rip(cpu, u);
  return rest - 1;
}

/** A non-canonical address is #SS when the operand lies on the stack: PUSH and the like, or RSP or RBP as base. */
function stack_fault(c: Cpu, cpu: usize, u: usize): void {
  switch (<i32>load<u16>(u, U_OP)) {
    case OP_PUSH64:
    case OP_PUSH64_I:
    case OP_CALL:
    case OP_CALL_R:
    case OP_CALL_M:
      if (!canonical(load<u64>(cpu, RSP) - 8)) c.fault_vector = X_SS;
      return;
    case OP_POP64:
    case OP_RET:
      if (!canonical(load<u64>(cpu, RSP))) c.fault_vector = X_SS;
      return;
    case OP_LEAVE64:
      c.fault_vector = X_SS;
      return;
    default: {
      const base: u32 = load<u8>(u, U_BASE);
      if ((base == 4 << 3 || base == 5 << 3) && !canonical(ea(cpu, u))) c.fault_vector = X_SS;
    }
  }
}

/** Before a system instruction: makes `icount` true. */
export function sys_count(cpu: usize, blk: usize, u: usize, left: i32): void {
  changetype<Cpu>(cpu).icount = block_vars(cpu).icount_end - <u64>left - <u64>insns_from(blk, u);
}

// ---- addresses ----------------------------------------------------------------------------------------------------

/** base + index × scale + disp, nothing to wrap or add. */
@inline
export function ea_bis(cpu: usize, u: usize): u64 {
  const index: u32 = load<u8>(u, U_INDEX);
  return load<u64>(cpu + load<u8>(u, U_BASE)) + (load<u64>(cpu + (index & 0xf8)) << (index & 3)) + <i64>load<i32>(u, U_DISP);
}

/** LEA: the offset alone; imm = 2: a 16-bit address. */
export function ea_offset(cpu: usize, u: usize): u64 {
  const base: u32 = load<u8>(u, U_BASE);
  const index: u32 = load<u8>(u, U_INDEX);
  const off = load<u64>(cpu + (base & 0xf8)) + (load<u64>(cpu + (index & 0xf8)) << (index & 3)) + <i64>load<i32>(u, U_DISP);
  if (load<u32>(u, U_IMM) == 2) return off & 0xffff;
  return index & INDEX_ADDR32 ? off & 0xffff_ffff : off;
}

export const ES_WRITE: u32 = 0x100;
export const ES_ADDR16: u32 = 0x200;

/**
 * Address of a memory operand outside 64-bit mode when segments matter: checks limit and access rights of the segment
 * (index `a`), leaves the linear address in the register at `b`. imm = size | ES_*.
 */
export function ea_segmented(cpu: usize, u: usize): void {
  const base: u32 = load<u8>(u, U_BASE);
  const index: u32 = load<u8>(u, U_INDEX);
  const how = load<u32>(u, U_IMM);
  const off = load<u64>(cpu + (base & 0xf8)) + (load<u64>(cpu + (index & 0xf8)) << (index & 3)) + <i64>load<i32>(u, U_DISP);
  const seg: u32 = load<u8>(u, U_A);
  store<u64>(cpu + load<u8>(u, U_B), seg_linear(cpu, seg, off & (how & ES_ADDR16 ? 0xffff : 0xffff_ffff), how & 0xff, (how & ES_WRITE) != 0));
}

/** Linear address of seg:off outside 64-bit mode after the checks; 0 with the fault set. */
export function seg_linear(cpu: usize, seg: u32, off: u64, size: u32, write: bool): u64 {
  const s = cpu + CPU_SEGS + (seg << 5);
  const attr = load<u32>(s, SEG_ATTR);
  let ok = limit_ok(attr, load<u32>(s, SEG_LIMIT), off, size);
  if (changetype<Cpu>(cpu).cr0 & 1) {
    if (!(attr & 0x80)) ok = false;
    else if (write) ok = ok && (attr & 0xa) == 2;
    else if ((attr & 0xa) == 8) ok = false; // execute-only code
  }
  if (!ok) {
    raise(cpu, seg == SEG_SS ? X_SS : X_GP, 0);
    return 0;
  }
  return (load<u64>(s, SEG_BASE) + off) & 0xffff_ffff;
}

// ---- control flow -----------------------------------------------------------------------------------------------------

/** Jump outside 64-bit mode: disp is relative to the block, imm the operand size in bytes. */
export function jump_slow(cpu: usize, u: usize, taken: bool): void {
  const c = changetype<Cpu>(cpu);
  if (!taken) {
    c.rip = next_rip(cpu, u);
    return;
  }
  let to = load<u64>(cpu, BLOCK) + <i64>load<i32>(u, U_DISP);
  to &= load<u32>(u, U_IMM) == 2 ? 0xffff : 0xffff_ffff;
  if (!(c.mode & MODE_FLAT) && to > load<u32>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_LIMIT)) {
    raise_gp(cpu);
    return;
  }
  c.rip = to;
}

/** LOOPNE, LOOPE, LOOP, JrCXZ (a = 0 … 3) with a counter of b bytes: counts down, true when it jumps. */
export function loop_taken(cpu: usize, u: usize): bool {
  const c = changetype<Cpu>(cpu);
  const kind: u32 = load<u8>(u, U_A);
  const size: u32 = load<u8>(u, U_B);
  const mask: u64 = size == 8 ? 0xffff_ffff_ffff_ffff : size == 4 ? 0xffff_ffff : 0xffff;
  if (kind == 3) return (c.r1 & mask) == 0;
  const n = (c.r1 - 1) & mask;
  c.r1 = size == 2 ? (c.r1 & ~mask) | n : n;
  if (n == 0) return false;
  return kind == 2 || cond(cpu, kind == 1 ? 4 : 5);
}

/** Target of a direct link that is not made yet: by the jump cache, else 0 and cpu_run will make it. */
export function jump_cached(cpu: usize, target: u64, link: usize): usize {
  const e: usize = cpu + JUMP_CACHE + (((<u32>target ^ <u32>(target >> 12)) & JUMP_MASK) << 4);
  const b: usize = load<u32>(e, JUMP_BLOCK);
  if (load<u64>(e) == target && b != 0 && load<u32>(e, JUMP_GEN) == mapping_gen(cpu, target) && load<u32>(b, B_MODE) == load<u32>(cpu, MODE)) {
    link_patch(cpu, link, load<u64>(cpu, BLOCK), target, b);
    return b;
  }
  link_wanted(cpu, link, target);
  return 0;
}

/** Asks cpu_run to make the link at `link` once it has the block at `target`. */
export function link_wanted(cpu: usize, link: usize, target: u64): void {
  const v = block_vars(cpu);
  v.link = <u32>link;
  v.link_from = load<u64>(cpu, BLOCK);
  v.link_to = target;
}

/** Points the link record at `link` of the block that runs at `from` to block `b` at `to`. */
export function link_patch(cpu: usize, link: usize, from: u64, to: u64, b: usize): void {
  store<u32>(link, <u32>b);
  store<u32>(link, from >> 12 == to >> 12 ? LINK_ALWAYS : mapping_gen(cpu, to), 4);
  store<u64>(link, from, 8);
}

/** The second page of an instruction that crosses pages is still what was decoded: 1; fault: 0; else 2, decode again. */
export function check_page2(cpu: usize, blk: usize): u32 {
  const linear = wrap(cpu, load<u64>(cpu, BLOCK)) + (changetype<Cpu>(cpu).mode & MODE_64 ? 0 : load<u64>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_BASE));
  const pa = mmu_fetch(cpu, (linear | 0xfff) + 1);
  if (pa == PA_FAULT) return 0;
  if (<u32>pa == load<u32>(blk, B_PA2) && load<u32>(gen_at(<u32>pa)) == load<u32>(blk, B_GEN2)) return 1;
  store<u32>(blk, load<u32>(blk, B_GEN) - 1, B_GEN);
  return 2;
}
