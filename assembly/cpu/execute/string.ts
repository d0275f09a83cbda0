/**
 * String instructions. With REP, whole stretches inside one page of each operand go by memory.copy and memory.fill;
 * registers are true after each stretch, so a fault or an interrupt between two leaves a restartable state.
 *
 * OP_STRING: a = kind, b = log2 of the element, imm = repeat (1: F3, 2: F2) | address bytes << 4 | source segment << 8.
 */
import { SEG_BASE } from '../../contract/vcpu';
import { get_sx, put, put_reg, sx } from '../memory/operand';
import { faulted } from '../vcpu/fault';
import { DF, FLAG_SUB, flags_lazy, TF } from '../vcpu/flags';
import { seg_linear } from './interp_support';
import { io_allowed, io_in, io_out } from '../system/ioport';
import { page_r, page_w, page_w_done, probe_w, rd16, rd32, rd64, rd8, wr16, wr32, wr64, wr8 } from '../memory/mem';
import { MODE_64, MODE_FLAT } from '../vcpu/modes';
import { Cpu, CPU_SEGS, FAULT_EXCEPTION, PEND_INTR, SEG_ES, SEG_FS } from '../vcpu/state';
import { block_vars } from '../uop/blocks';
import { U_A, U_B, U_IMM } from '../uop/uop';

const S_MOVS: u32 = 0;
const S_CMPS: u32 = 1;
const S_STOS: u32 = 2;
const S_LODS: u32 = 3;
const S_SCAS: u32 = 4;
const S_INS: u32 = 5;
const S_OUTS: u32 = 6;

export const STRING_DONE: u32 = 0; // finished, or cpu.fault says otherwise
export const STRING_AGAIN: u32 = 1; // interrupted between two elements: the instruction starts again

/** Elements done between looks at the pending word when they go one by one. */
const PATIENCE: u32 = 4096;
/** What so many of them, 64 times, count for in a budget. */
export const PAUSE_INSNS: i32 = 10_000;

function rd(cpu: usize, va: u64, size: u32): u64 {
  switch (size) {
    case 0: return rd8(cpu, va);
    case 1: return rd16(cpu, va);
    case 2: return rd32(cpu, va);
    default: return rd64(cpu, va);
  }
}

function wr(cpu: usize, va: u64, v: u64, size: u32): void {
  switch (size) {
    case 0: wr8(cpu, va, <u8>v); break;
    case 1: wr16(cpu, va, <u16>v); break;
    case 2: wr32(cpu, va, <u32>v); break;
    default: wr64(cpu, va, v);
  }
}

@inline
function mask_of(bytes: u32): u64 {
  return bytes == 8 ? 0xffff_ffff_ffff_ffff : bytes == 4 ? 0xffff_ffff : 0xffff;
}

/** Writes a pointer or counter register of `bytes` bytes. */
@inline
function set_reg(at: usize, bytes: u32, v: u64): void {
  if (bytes == 2) store<u16>(at, <u16>v);
  else store<u64>(at, bytes == 4 ? v & 0xffff_ffff : v);
}

@inline
function interrupted(c: Cpu, cpu: usize): bool {
  const p = atomic.load<u32>(cpu + offsetof<Cpu>('pending'));
  return p != 0 && (p != PEND_INTR || (c.eflags & 0x200) != 0);
}

/** Linear address of an element; with checks where segments matter. */
export function linear(cpu: usize, seg: u32, off: u64, size: u32, write: bool): u64 {
  const mode = changetype<Cpu>(cpu).mode;
  if (mode & MODE_64) return seg >= SEG_FS ? off + load<u64>(cpu + CPU_SEGS + (seg << 5), SEG_BASE) : off;
  if (mode & MODE_FLAT && seg < SEG_FS) return off;
  return seg_linear(cpu, seg, off, 1 << size, write);
}

export function string_op(cpu: usize, u: usize): u32 {
  const c = changetype<Cpu>(cpu);
  const kind: u32 = load<u8>(u, U_A);
  const size: u32 = load<u8>(u, U_B);
  const imm = load<u32>(u, U_IMM);
  const rep = imm & 3;
  const bytes = (imm >> 4) & 15;
  const seg = (imm >> 8) & 7;
  const mask = mask_of(bytes);
  if (!rep) {
    element(cpu, c, kind, size, bytes, mask, seg);
    return STRING_DONE;
  }
  const stepping = (c.eflags & TF) != 0; // a debug trap follows each element
  const quick = !(c.eflags & (DF | TF)) && (c.mode & MODE_64 || (c.mode & MODE_FLAT && seg < SEG_FS && bytes == 4)) ? true : false;
  let patience: u32 = 0;
  let first = true;
  if (!(c.r1 & mask)) narrow(cpu, kind, bytes);
  const compares = kind == S_CMPS || kind == S_SCAS;
  const res = c.flag_res;
  const a = c.flag_a;
  const b = c.flag_b;
  const op = c.flag_op;
  while (c.r1 & mask) {
    let n: u64 = 0;
    if (quick) n = stretch(cpu, c, kind, size, bytes, mask, seg, rep);
    if (n == 0) {
      if (!element(cpu, c, kind, size, bytes, mask, seg)) {
        narrow(cpu, kind, bytes);
        // A fault gives the flags of before the instruction back (SDM 2B, REP).
        if (compares) flags_lazy(cpu, op, res, a, b);
        return STRING_DONE;
      }
      n = 1;
    }
    const left = (c.r1 & mask) - n;
    set_reg(cpu + 8, bytes, left);
    c.rep_count += first ? n - 1 : n;
    first = false;
    if (compares) {
      // F3 goes on while equal, F2 while different
      if ((c.flag_res == 0) != (rep == 1)) return STRING_DONE;
    }
    if (left == 0) return STRING_DONE;
    if (c.fault) {
      // not an exception: the block has to be left, and the rest of this instruction comes with the next look
      if (faulted(cpu)) return STRING_DONE;
      block_vars(cpu).paused = 1;
      return STRING_AGAIN;
    }
    patience += n > 64 ? 256 : kind >= S_INS ? 64 : <u32>n; // a port takes as long as many elements
    const v = block_vars(cpu);
    if (stepping || v.dr_hit || interrupted(c, cpu) || patience > 64 * PATIENCE) {
      v.paused = patience > 64 * PATIENCE ? PAUSE_INSNS : 1;
      return STRING_AGAIN;
    }
  }
  return STRING_DONE;
}

/**
 * 32-bit addresses under REP: when the instruction ends or faults, the registers' upper halves are gone on Intel's processors,
 * even when no element was done; CMPS, SCAS and LODS keep those of their pointers until one is.
 */
function narrow(cpu: usize, kind: u32, bytes: u32): void {
  if (bytes != 4) return;
  set_reg(cpu + 8, bytes, load<u64>(cpu + 8));
  if (kind == S_CMPS || kind == S_SCAS || kind == S_LODS) return;
  if (kind != S_STOS && kind != S_INS) set_reg(cpu + 48, bytes, load<u64>(cpu + 48));
  if (kind != S_OUTS) set_reg(cpu + 56, bytes, load<u64>(cpu + 56));
}

/** One element. False: fault, nothing changed. */
function element(cpu: usize, c: Cpu, kind: u32, size: u32, bytes: u32, mask: u64, seg: u32): bool {
  const step: u64 = c.eflags & DF ? <u64>-(1 << size) : <u64>(1 << size);
  const si = c.r6 & mask;
  const di = c.r7 & mask;
  let v: u64;
  switch (kind) {
    case S_MOVS: {
      v = rd(cpu, linear(cpu, seg, si, size, false), size);
      if (c.fault == FAULT_EXCEPTION) return false;
      const to = linear(cpu, SEG_ES, di, size, true);
      if (c.fault == FAULT_EXCEPTION) return false;
      wr(cpu, to, v, size);
      break;
    }
    case S_CMPS: {
      // Intel's processors take ES:DI first, AMD's the other one: of two faults the first is told.
      const b = sx(rd(cpu, linear(cpu, SEG_ES, di, size, false), size), size);
      if (c.fault == FAULT_EXCEPTION) return false;
      v = sx(rd(cpu, linear(cpu, seg, si, size, false), size), size);
      if (c.fault == FAULT_EXCEPTION) return false;
      flags_lazy(cpu, FLAG_SUB, sx(v - b, size), v, b);
      break;
    }
    case S_STOS: {
      const to = linear(cpu, SEG_ES, di, size, true);
      if (c.fault == FAULT_EXCEPTION) return false;
      wr(cpu, to, c.r0, size);
      break;
    }
    case S_LODS:
      v = rd(cpu, linear(cpu, seg, si, size, false), size);
      if (c.fault == FAULT_EXCEPTION) return false;
      put_reg(cpu, size, v);
      break;
    case S_SCAS: {
      const b = sx(rd(cpu, linear(cpu, SEG_ES, di, size, false), size), size);
      if (c.fault == FAULT_EXCEPTION) return false;
      const a = get_sx(cpu, size);
      flags_lazy(cpu, FLAG_SUB, sx(a - b, size), a, b);
      break;
    }
    case S_INS:
      if (!element_in(cpu, c, size, di)) return false;
      break;
    default:
      if (!io_allowed(cpu, <u32>c.r2 & 0xffff, 1 << size)) return false;
      v = rd(cpu, linear(cpu, seg, si, size, false), size);
      if (c.fault == FAULT_EXCEPTION) return false;
      io_out(cpu, <u32>c.r2 & 0xffff, 1 << size, <u32>v);
  }
  if (c.fault == FAULT_EXCEPTION) return false;
  if (kind != S_STOS && kind != S_SCAS && kind != S_INS) set_reg(cpu + 48, bytes, c.r6 + step);
  if (kind != S_LODS && kind != S_OUTS) set_reg(cpu + 56, bytes, c.r7 + step);
  return true;
}

/** INS: the place is known to be writable before the port is read. */
function element_in(cpu: usize, c: Cpu, size: u32, di: u64): bool {
  const port = <u32>c.r2 & 0xffff;
  if (!io_allowed(cpu, port, 1 << size)) return false;
  const to = linear(cpu, SEG_ES, di, size, true);
  if (c.fault == FAULT_EXCEPTION || !probe_w(cpu, to, 1 << size)) return false;
  const v = io_in(cpu, port, 1 << size);
  if (c.fault == FAULT_EXCEPTION) return false;
  wr(cpu, to, v, size);
  return true;
}

/** Elements of `bytes`-aligned runs inside the page of `va`, at most `n`. */
@inline
function in_page(va: u64, size: u32, n: u64): u64 {
  const room: u64 = (4096 - (va & 0xfff)) >> size;
  return n < room ? n : room;
}

/** As many elements as lie in one page of each operand, without fault checks in between. 0: go one by one. */
function stretch(cpu: usize, c: Cpu, kind: u32, size: u32, bytes: u32, mask: u64, seg: u32, rep: u32): u64 {
  if (kind == S_INS || kind == S_OUTS || kind == S_LODS) return 0;
  let n = c.r1 & mask;
  const di = c.r7 & mask;
  n = in_page(di, size, n);
  if (n == 0) return 0;
  if (kind == S_STOS) {
    const p = page_w(cpu, di);
    if (p == 0) return abandon(c);
    fill(p, size, <u32>n, c.r0);
    page_w_done(cpu, p, <u32>n << size);
    set_reg(cpu + 56, bytes, di + (n << size));
    return n;
  }
  if (kind == S_SCAS) return stretch_scas(cpu, c, size, bytes, di, <u32>n, rep);
  const si = c.r6 & mask;
  const from = linear(cpu, seg, si, size, false);
  n = in_page(from, size, n);
  if (n == 0) return 0;
  const p = page_r(cpu, from);
  if (p == 0) return abandon(c);
  if (kind == S_CMPS) {
    const q = page_r(cpu, di);
    if (q == 0) return abandon(c);
    let i: u32 = 0;
    let a: u64 = 0;
    let b: u64 = 0;
    do {
      a = get_sx(p + (i << size), size);
      b = get_sx(q + (i << size), size);
      i++;
    } while (i < <u32>n && (a == b) == (rep == 1));
    flags_lazy(cpu, FLAG_SUB, sx(a - b, size), a, b);
    set_reg(cpu + 48, bytes, si + (<u64>i << size));
    set_reg(cpu + 56, bytes, di + (<u64>i << size));
    return i;
  }
  const q = page_w(cpu, di);
  if (q == 0) return abandon(c);
  const len = <u32>n << size;
  if (q > p && q < p + len) {
    // the source is overwritten on the way: element by element, as the CPU does
    for (let i: u32 = 0; i < len; i += 1 << size) put(q + i, size, get_sx(p + i, size));
  } else memory.copy(q, p, len);
  page_w_done(cpu, q, len);
  set_reg(cpu + 48, bytes, si + len);
  set_reg(cpu + 56, bytes, di + len);
  return n;
}

function stretch_scas(cpu: usize, c: Cpu, size: u32, bytes: u32, di: u64, n: u32, rep: u32): u64 {
  const p = page_r(cpu, di);
  if (p == 0) return abandon(c);
  const a = get_sx(cpu, size);
  let i: u32 = 0;
  let b: u64 = 0;
  do {
    b = get_sx(p + (i << size), size);
    i++;
  } while (i < n && (a == b) == (rep == 1));
  flags_lazy(cpu, FLAG_SUB, sx(a - b, size), a, b);
  set_reg(cpu + 56, bytes, di + (<u64>i << size));
  return i;
}

/** Not RAM, or a fault that the path for single elements will find again in the right order. */
function abandon(c: Cpu): u64 {
  if (c.fault == FAULT_EXCEPTION) c.fault = 0;
  return 0;
}

function fill(p: usize, size: u32, n: u32, v: u64): void {
  const b = v & 0xff;
  if (size == 0 || sx(v, size) == sx(b * 0x0101_0101_0101_0101, size)) {
    memory.fill(p, <u8>b, n << size);
    return;
  }
  const end = p + (n << size);
  for (; p < end; p += 1 << size) put(p, size, v);
}
