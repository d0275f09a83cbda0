/**
 * The decoder's front half: prefixes, opcode, modrm, displacement and immediate of one instruction, by the tables of
 * the opcode map. decode-emit.ts turns the result into micro-ops. Intel SDM Vol. 2A chapter 2.
 */
import {
  F_D64, F_F64, F_I64, F_LOCK, F_MEM, F_MODRM, F_O64, GROUPS, IMM_AP, IMM_IB, IMM_IV, IMM_IW, IMM_IWIB, IMM_IZ, IMM_MOFFS,
  IMM_NONE, IMM_UB, K_GROUP, K_MOVFROMCR, K_MOVFROMDR, K_MOVTOCR, K_MOVTODR, K_NONE, K_SSE, MAP_ONE, MAP_TWO,
} from './generated/optab';
import { MODE_32, MODE_64, MODE_FLAT } from '../vcpu/modes';
import { PRIVATE_VARS } from '../uop/blocks';
import { REG_BLOCK, REG_ZERO, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from '../vcpu/state';
import { INDEX_ADDR32 } from '../uop/uop';

export const SEG_NONE: u32 = 7;
export const PLACE_ZERO: u32 = REG_ZERO << 3;

/** Most bytes of an instruction. */
export const INSN_MAX: u32 = 15;

@unmanaged
export class Dec {
  cpu: u32;
  p: u32; // linear offset of the instruction's bytes
  pos: u32; // bytes consumed
  avail: u32; // bytes readable
  short: u32; // ran into the end of the page
  long: u32; // more than 15 bytes
  out: u32; // next micro-op
  off: u32; // offset of the instruction in the block
  mode: u32;
  first: u32; // the block has no instruction yet

  opsize: u32; // log2 of operand bytes: 1, 2, 3
  adsize: u32; // address bytes: 2, 4, 8
  seg: u32; // override or SEG_NONE
  rep: u32; // 0, 1: F3, 2: F2
  data16: u32; // 66
  lock: u32;
  rex: u32; // 0 or 0x40 … 0x4f

  map: u32; // 1, 2, 0x38, 0x3a
  opcode: u32;
  entry: u32; // kind | sub << 8 | form << 16 | imm << 24
  flags: u32; // F_*

  modrm: u32;
  mod: u32;
  reg: u32; // with REX.R
  rm: u32; // with REX.B
  mem: u32;
  base: u32; // as in the micro-op, segment not yet chosen
  index: u32;
  disp: i32;
  rip_relative: u32;
  stack_base: u32; // default segment SS
  pad: u32;
  imm: u64;
  imm2: u32;
  last: u32; // last micro-op emitted
  how: u32; // what emit said: EMIT_*
  how_pad: u32;
}

@inline
export function dec_of(cpu: usize): Dec {
  return changetype<Dec>(cpu + PRIVATE_VARS + 0x100);
}

/** Work buffer for an instruction that crosses pages. */
@inline
export function dec_buffer(cpu: usize): usize {
  return cpu + PRIVATE_VARS + 0x300;
}

/** Copy of a block's bytes, 1 KiB. */
@inline
export function code_copy(cpu: usize): usize {
  return cpu + PRIVATE_VARS + 0x4000;
}

function next8(d: Dec): u32 {
  if (d.pos >= INSN_MAX) {
    d.long = 1;
    return 0;
  }
  if (d.pos >= d.avail) {
    d.short = 1;
    return 0;
  }
  return load<u8>(<usize>d.p + d.pos++);
}

function next16(d: Dec): u32 {
  const lo = next8(d);
  return lo | (next8(d) << 8);
}

function next32(d: Dec): u32 {
  const lo = next16(d);
  return lo | (next16(d) << 16);
}

function next64(d: Dec): u64 {
  const lo = next32(d);
  return <u64>lo | (<u64>next32(d) << 32);
}

/** Prefixes up to the first opcode byte, which is returned. */
function prefixes(d: Dec): u32 {
  const wide = d.mode & MODE_64;
  let address = false;
  let b: u32 = 0;
  d.seg = SEG_NONE;
  d.rep = 0;
  d.data16 = 0;
  d.lock = 0;
  d.rex = 0;
  while (true) {
    b = next8(d);
    if (d.short | d.long) return 0;
    if (wide && (b & 0xf0) == 0x40) {
      d.rex = b;
      continue;
    }
    switch (<i32>b) {
      case 0x26: if (!wide) d.seg = SEG_ES; break;
      case 0x2e: if (!wide) d.seg = SEG_CS; break;
      case 0x36: if (!wide) d.seg = SEG_SS; break;
      case 0x3e: if (!wide) d.seg = SEG_DS; break;
      case 0x64: d.seg = SEG_FS; break;
      case 0x65: d.seg = SEG_GS; break;
      case 0x66: d.data16 = 1; break;
      case 0x67: address = true; break;
      case 0xf0: d.lock = 1; break;
      case 0xf2: d.rep = 2; break;
      case 0xf3: d.rep = 1; break;
      default:
        if (wide) d.adsize = address ? 4 : 8;
        else d.adsize = (d.mode & MODE_32) != 0 != address ? 4 : 2;
        return b;
    }
    d.rex = 0; // REX counts only directly before the opcode
  }
}

function set_opsize(d: Dec): void {
  if (d.mode & MODE_64) {
    if (d.flags & F_F64) d.opsize = 3;
    else if (d.rex & 8) d.opsize = 3;
    else if (d.data16) d.opsize = 1;
    else d.opsize = d.flags & F_D64 ? 3 : 2;
  } else d.opsize = (d.mode & MODE_32) != 0 != (d.data16 != 0) ? 2 : 1;
}

/** modrm, SIB and displacement. */
function parse_modrm(d: Dec): void {
  d.modrm = next8(d);
  d.mod = d.modrm >> 6;
  d.reg = ((d.modrm >> 3) & 7) | ((d.rex & 4) << 1);
  const rm = d.modrm & 7;
  d.rm = rm | ((d.rex & 1) << 3);
  d.mem = u32(d.mod != 3);
}

function parse_memory(d: Dec): void {
  const rm = d.modrm & 7;
  d.base = PLACE_ZERO;
  d.index = PLACE_ZERO;
  d.disp = 0;
  d.rip_relative = 0;
  d.stack_base = 0;
  if (d.adsize == 2) {
    parse_memory16(d, rm);
    return;
  }
  let base = d.rm;
  let has_base = true;
  if (rm == 4) {
    const sib = next8(d);
    const index = ((sib >> 3) & 7) | ((d.rex & 2) << 2);
    if (index != 4) d.index = (index << 3) | (sib >> 6);
    base = (sib & 7) | ((d.rex & 1) << 3);
    if ((sib & 7) == 5 && d.mod == 0) has_base = false;
  } else if (rm == 5 && d.mod == 0) {
    has_base = false;
    if (d.mode & MODE_64) d.rip_relative = 1;
  }
  if (has_base) {
    d.base = base << 3;
    d.stack_base = u32(base == 4 || base == 5);
  }
  if (d.mod == 1) d.disp = <i32><i8>next8(d);
  else if (d.mod == 2 || !has_base) d.disp = <i32>next32(d);
  if (d.rip_relative) d.base = REG_BLOCK << 3;
  if (d.adsize == 4) d.index |= INDEX_ADDR32;
}

/** 16-bit addressing (SDM Vol. 2A, table 2-1). */
function parse_memory16(d: Dec, rm: u32): void {
  const BX: u32 = 3 << 3;
  const BP: u32 = 5 << 3;
  const SI: u32 = 6 << 3;
  const DI: u32 = 7 << 3;
  let plain = false;
  switch (<i32>rm) {
    case 0: d.base = BX; d.index = SI; break;
    case 1: d.base = BX; d.index = DI; break;
    case 2: d.base = BP; d.index = SI; d.stack_base = 1; break;
    case 3: d.base = BP; d.index = DI; d.stack_base = 1; break;
    case 4: d.base = SI; break;
    case 5: d.base = DI; break;
    case 6:
      if (d.mod == 0) plain = true;
      else {
        d.base = BP;
        d.stack_base = 1;
      }
      break;
    default: d.base = BX;
  }
  if (d.mod == 1) d.disp = <i32><i8>next8(d);
  else if (d.mod == 2 || plain) d.disp = <i32><i16>next16(d);
}

function parse_immediate(d: Dec): void {
  const wide = d.mode & MODE_64;
  switch (d.entry >> 24) {
    case IMM_NONE: break;
    case IMM_IB: d.imm = <u64><i64><i8>next8(d); break;
    case IMM_UB: d.imm = next8(d); break;
    case IMM_IW: d.imm = next16(d); break;
    case IMM_IZ:
      // near branches ignore 66 in 64-bit mode
      if (d.opsize == 1 && !(wide && d.flags & F_F64)) d.imm = <u64><i64><i16>next16(d);
      else d.imm = <u64><i64><i32>next32(d);
      break;
    case IMM_IV:
      if (d.flags & 2) d.imm = next8(d);
      else if (d.opsize == 1) d.imm = next16(d);
      else if (d.opsize == 2) d.imm = next32(d);
      else d.imm = next64(d);
      break;
    case IMM_AP:
      d.imm = d.opsize == 1 ? next16(d) : next32(d);
      d.imm2 = next16(d);
      break;
    case IMM_MOFFS:
      d.imm = d.adsize == 8 ? next64(d) : d.adsize == 4 ? <u64>next32(d) : <u64>next16(d);
      break;
    case IMM_IWIB:
      d.imm = next16(d);
      d.imm2 = next8(d);
      break;
  }
}

@inline
function lookup(d: Dec, at: usize): void {
  d.entry = load<u32>(at);
  d.flags = load<u32>(at, 4);
}

/**
 * Reads one instruction at d.p. Afterwards d.short or d.long may be set; else all fields are valid and `entry` is K_NONE
 * for an undefined opcode. SSE rows are resolved by decode-sse.ts, which only needs modrm and the immediate.
 */
export function parse(d: Dec): void {
  d.pos = 0;
  d.short = 0;
  d.long = 0;
  d.imm = 0;
  d.imm2 = 0;
  d.mem = 0;
  d.mod = 3;
  d.rip_relative = 0;
  let op = prefixes(d);
  if (d.short | d.long) return;
  d.map = 1;
  if (op == 0x0f) {
    d.map = 2;
    op = next8(d);
    if (op == 0x38 || op == 0x3a) {
      d.map = op;
      op = next8(d);
    }
    if (d.short | d.long) return;
  }
  d.opcode = op;
  if (d.map > 2) {
    d.entry = K_SSE;
    d.flags = F_MODRM;
  } else if (d.map == 2) lookup(d, changetype<usize>(MAP_TWO) + (op << 3));
  else lookup(d, changetype<usize>(MAP_ONE) + (op << 3));
  const wide = (d.mode & MODE_64) != 0;
  // C4, C5 (VEX) and 62 (EVEX) with a register form or in 64-bit mode are undefined here
  if (d.flags & F_I64 && wide) {
    d.entry = K_NONE;
    return;
  }
  if (d.flags & F_MODRM) {
    parse_modrm(d);
    if (d.short | d.long) return;
    if ((d.entry & 0xff) == K_GROUP) {
      lookup(d, changetype<usize>(GROUPS) + ((d.entry >> 8) & 0xff) * 64 + (((d.modrm >> 3) & 7) << 3));
      d.flags |= F_MODRM;
      if (d.flags & F_I64 && wide) {
        d.entry = K_NONE;
        return;
      }
    }
    const k = d.entry & 0xff;
    if (k == K_MOVFROMCR || k == K_MOVTOCR || k == K_MOVFROMDR || k == K_MOVTODR) {
      d.mem = 0; // mod is ignored
      d.mod = 3;
    }
    if (d.mem) {
      parse_memory(d);
      if (d.short | d.long) return;
    } else if (d.flags & F_MEM) d.entry = K_NONE;
  }
  set_opsize(d);
  if (d.flags & F_O64 && !wide) d.entry = K_NONE;
  if (d.entry >> 24) parse_immediate(d);
  if (d.lock && (!(d.flags & F_LOCK) || !d.mem)) d.entry = K_NONE;
}

/** One more immediate byte, for SSE rows. */
export function parse_imm8(d: Dec): u32 {
  return next8(d);
}

/** True when memory operands need the segmented address path. */
export function segmented(d: Dec): bool {
  if (d.mode & MODE_64) return false;
  return !(d.mode & MODE_FLAT) || d.adsize == 2 || d.seg >= SEG_FS && d.seg <= SEG_GS;
}
