/** Decodes a block: instruction after instruction from one page, then the backward pass over the flags. */
import { RAM_BASE } from '../../core/layout';
import {
  B_BYTES, B_GEN, B_GEN2, B_GEN_AT, B_INSNS, B_MODE, B_PA, B_PA2, B_UOPS, BLOCK_INSNS, BLOCK_ROOM, block_insert, block_vars, blocks_flush,
  NO_PAGE,
} from '../uop/blocks';
import { code_mark, gen_at } from '../../core/code';
import { stop_low } from '../debug/guest';
import { kept_block } from '../uop/kept';
import { code_copy, Dec, dec_buffer, dec_of, INSN_MAX, parse } from './decode';
import { emit } from './emit';
import { EMIT_END, EMIT_ON, put_link, put_op } from './emit-uop';
import {
  ATTR_FAULTS, ATTR_LAZY, ATTR_READS, ATTR_SUB, ATTR_UNKNOWN, ATTR_WRITES, OP_ATTR, OP_CHECK_PAGE2, OP_END, OP_END_SLOW, OP_NF, OP_SYS,
} from '../uop/generated/ops';
import { F_START } from './generated/optab';
import { mmu_fetch, PA_FAULT } from '../memory/mmu';
import { MODE_64, MODE_STEP } from '../vcpu/modes';
import { Cpu } from '../vcpu/state';
import { S_GP } from '../execute/sysops';
import { U_IP, U_OP, UOP_SIZE } from '../uop/uop';

const IS_OK: u32 = 0;
const IS_SHORT: u32 = 1;

/** Parses and emits one instruction whose bytes are at d.p. IS_SHORT: it needs bytes beyond d.avail; nothing was emitted. */
function one(d: Dec, prev: u32, prev_flags: u32): u32 {
  const out = d.out;
  parse(d);
  if (d.short) return IS_SHORT;
  let how = EMIT_END;
  if (!d.long) {
    how = emit(d, prev, prev_flags);
    if (d.short) {
      d.out = out;
      return IS_SHORT;
    }
  }
  if (d.long) {
    d.out = out;
    d.pos = INSN_MAX;
    put_op(d, OP_SYS, 0, 0, 0, S_GP);
  }
  d.how = how;
  return IS_OK;
}

/** Writes the instruction's end into its micro-ops from `u` on. */
function seal(d: Dec, u: usize, end: u32): void {
  for (; u < <usize>d.out; u += UOP_SIZE) store<u16>(u, <u16>end, U_IP);
}

/**
 * Decodes the block at guest physical address `pa`, linear address `va`. 0: a fault on the second page of an instruction
 * that crosses pages (cpu.fault). `pa` lies in RAM.
 *
 * With several vCPUs the bytes are copied, decoded from the copy and compared afterwards: a store of another vCPU that was
 * still on its way to memory when its CODE_MARK was looked at shows up by then.
 */
export function block_build(cpu: usize, pa: u32, va: u64, mode: u32): usize {
  const kept = kept_block(cpu, pa, mode);
  if (kept) return kept;
  if (changetype<Cpu>(cpu).cpus <= 1) return build(cpu, pa, va, mode, 0);
  const copy = code_copy(cpu);
  let blk: usize = 0;
  for (let tries = 0; tries < 8; tries++) {
    blk = build(cpu, pa, va, mode, copy);
    if (blk == 0 || load<u32>(blk, B_PA2) != NO_PAGE || memory.compare(copy, RAM_BASE + pa, load<u16>(blk, B_BYTES)) == 0) break;
    store<u32>(blk, load<u32>(blk, B_GEN) - 1, B_GEN); // dead at once
  }
  return blk;
}

/** `copy`: where to put the bytes before they are decoded, 0: decode in place. */
function build(cpu: usize, pa: u32, va: u64, mode: u32, copy: usize): usize {
  const v = block_vars(cpu);
  if (v.next + BLOCK_ROOM > v.end) blocks_flush(cpu);
  const d = dec_of(cpu);
  const blk: usize = v.next;
  const max: u32 = mode & MODE_STEP ? 1 : BLOCK_INSNS;
  d.cpu = <u32>cpu;
  d.mode = mode;
  d.out = <u32>blk + B_UOPS;
  d.off = 0;
  store<u32>(blk, pa, B_PA);
  store<u32>(blk, mode, B_MODE);
  store<u32>(blk, <u32>gen_at(pa), B_GEN_AT);
  store<u32>(blk, atomic.load<u32>(gen_at(pa)), B_GEN);
  store<u32>(blk, NO_PAGE, B_PA2);
  store<u32>(blk, 0, B_GEN2);
  const room: u32 = 4096 - (pa & 0xfff);
  let insns: u32 = 0;
  let prev: u32 = 0;
  let flags: u32 = 0;
  let end: usize = 0; // behind the last real micro-op
  let ended = false;
  while (insns < max) {
    const left = room - d.off;
    if (left == 0 || (v.debug && insns && stop_low(cpu, pa + d.off))) break;
    d.avail = left < INSN_MAX ? left : INSN_MAX;
    d.p = RAM_BASE + pa + d.off;
    code_mark(pa + d.off, d.avail);
    if (copy) {
      memory.copy(copy + d.off, d.p, d.avail);
      d.p = <u32>copy + d.off;
    }
    const start: usize = d.out;
    if (one(d, prev, flags) == IS_SHORT) {
      if (insns) break;
      if (!crossing(cpu, d, blk, pa, va, left)) return 0;
    } else if (insns && d.flags & F_START) {
      d.out = <u32>start;
      break;
    }
    insns++;
    const fused = d.how == EMIT_END && prev != 0 && d.last == prev;
    d.off += d.pos;
    seal(d, fused ? <usize>prev : start, d.off);
    if (d.how != EMIT_ON) {
      end = <usize>d.last + UOP_SIZE;
      if (d.how == EMIT_END) {
        ended = true;
        break;
      }
      break;
    }
    end = d.out;
    prev = d.last;
    flags = flags_after(start, end, flags);
    if (load<u32>(blk, B_PA2) != NO_PAGE) break;
  }
  if (!ended) {
    put_op(d, mode & MODE_64 ? OP_END : OP_END_SLOW, 0, 0, 0, 0);
    store<u16>(d.last, <u16>d.off, U_IP);
    if (mode & MODE_64) put_link(d);
  }
  drop_dead_flags(blk + B_UOPS, end);
  store<u16>(blk, <u16>insns, B_INSNS);
  store<u16>(blk, <u16>d.off, B_BYTES);
  v.next = (d.out + 15) & ~15;
  v.decoded++;
  block_insert(cpu, blk);
  return blk;
}

/** The block's first instruction runs over the end of its page: decodes it from a copy of both parts. False: fault. */
function crossing(cpu: usize, d: Dec, blk: usize, pa: u32, va: u64, left: u32): bool {
  const pa2 = mmu_fetch(cpu, (va | 0xfff) + 1);
  if (pa2 == PA_FAULT) return false;
  const buffer = dec_buffer(cpu);
  const p2 = <u32>pa2;
  store<u32>(blk, p2, B_PA2);
  store<u32>(blk, atomic.load<u32>(gen_at(p2)), B_GEN2);
  memory.copy(buffer, RAM_BASE + pa, left);
  if (pa2 < changetype<Cpu>(cpu).ram_size) {
    code_mark(p2, INSN_MAX - left);
    memory.copy(buffer + left, RAM_BASE + p2, INSN_MAX - left);
  } else memory.fill(buffer + left, 0xff, INSN_MAX - left);
  d.out = <u32>blk + B_UOPS;
  put_op(d, OP_CHECK_PAGE2, 0, 0, 0, 0);
  d.p = <u32>buffer;
  d.avail = INSN_MAX;
  one(d, 0, 0);
  return true;
}

/** ATTR_LAZY and ATTR_SUB after the micro-ops [u, end). */
function flags_after(u: usize, end: usize, flags: u32): u32 {
  for (; u < end; u += UOP_SIZE) {
    const attr: u32 = load<u8>(changetype<usize>(OP_ATTR) + load<u16>(u, U_OP));
    if (attr & (ATTR_LAZY | ATTR_SUB)) flags = attr & (ATTR_LAZY | ATTR_SUB);
    else if (attr & (ATTR_WRITES | ATTR_UNKNOWN)) flags = 0;
  }
  return flags;
}

/** Backwards: a result nobody reads before it is overwritten needs no flags. Whatever may fault shows them. */
function drop_dead_flags(first: usize, end: usize): void {
  let live = true;
  for (let u = end; u > first; ) {
    u -= UOP_SIZE;
    const op: u32 = load<u16>(u, U_OP);
    let attr: u32 = load<u8>(changetype<usize>(OP_ATTR) + op);
    const nf: u32 = load<u16>(changetype<usize>(OP_NF) + (op << 1));
    if (!live && nf) {
      store<u16>(u, <u16>nf, U_OP);
      attr = load<u8>(changetype<usize>(OP_ATTR) + nf);
    }
    if (attr & ATTR_WRITES) live = false;
    if (attr & (ATTR_READS | ATTR_FAULTS)) live = true;
  }
}
