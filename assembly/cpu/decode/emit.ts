/** The decoder’s back half: micro-ops for one parsed instruction. */
import { PROFILE_V2 } from '../../contract/vcpu';
import { BIT_BSF, BIT_BSR, BIT_POPCNT } from '../execute/bits';
import { Dec, SEG_NONE } from './decode';
import { emit_sse } from './emit-sse';
import { call, indirect, jump, jump_cond, loop, pop_mem, pop_reg, push_mem, push_reg, quick_stack, stack_g } from './emit-flow';
import { alu, bits, exchange, extend, lea, mov, mov_offset, movsxd, multiply, shift, unary } from './emit-integer';
import { EMIT_CUT, EMIT_END, EMIT_ON, place, prepare, put_mem, put_op, rm_value, sys, sys_mem, TMP0, undefined_op } from './emit-uop';
import { X_CMPXCHG, X_CMPXCHG16B, X_CMPXCHG8B, X_XADD, X_XCHG } from '../execute/exchange';
import * as O from '../uop/generated/ops';
import * as K from './generated/optab';
import * as M from '../execute/misc';
import { MODE_64 } from '../vcpu/modes';
import * as T from '../execute/stackops';
import { Cpu, SEG_CS, SEG_DS } from '../vcpu/state';
import * as S from '../execute/sysops';

// ---- groups by hand -----------------------------------------------------------------------------------------------------

function group7(d: Dec): u32 {
  const ext = (d.modrm >> 3) & 7;
  if (d.mem) {
    switch (<i32>ext) {
      case 0: return sys_mem(d, S.S_SGDT, 0, 0, 6, true);
      case 1: return sys_mem(d, S.S_SIDT, 0, 0, 6, true);
      case 2: return sys_mem(d, S.S_LGDT, 0, 0, 6, false);
      case 3: return sys_mem(d, S.S_LIDT, 0, 0, 6, false);
      case 4: return sys_mem(d, S.S_SMSW_M, 0, 0, 2, true);
      case 6: {
        const r = rm_value(d, 1);
        return sys(d, S.S_LMSW, r, 0, 0, 0);
      }
      case 7: return sys_mem(d, S.S_INVLPG, 0, 0, 1, false);
      default: return undefined_op(d);
    }
  }
  if (ext == 4) return sys(d, S.S_SMSW_R, d.rm << 3, 0, 0, 0);
  if (ext == 6) return sys(d, S.S_LMSW, d.rm << 3, 0, 0, 0);
  if (d.modrm == 0xc1) return sys(d, S.S_VMCALL, 0, 0, 0, 0);
  if (d.modrm == 0xf8 && d.mode & MODE_64) return sys(d, S.S_SWAPGS, 0, 0, 0, 0);
  if (d.modrm == 0xf9) return sys(d, S.S_RDTSCP, 0, 0, 0, 0);
  return undefined_op(d);
}

function group9(d: Dec): u32 {
  const ext = (d.modrm >> 3) & 7;
  if (d.mem && ext == 1) {
    const wide = d.rex & 8;
    prepare(d, wide ? 16 : 8, true);
    put_mem(d, O.OP_XCHG_G, 0, 0, (wide ? X_CMPXCHG16B : X_CMPXCHG8B) | 0x40 | (d.lock ? 0x80 : 0));
    return EMIT_ON;
  }
  if (!d.mem && ext == 6 && d.rep == 0) return sys(d, S.S_RDRAND, d.rm << 3, 0, 0, 0);
  return undefined_op(d);
}

function string_op(d: Dec, kind: u32, size: u32): u32 {
  if (size == 3 && kind >= 5) size = 2; // INS and OUTS move at most 32 bits
  const seg = d.seg == SEG_NONE ? SEG_DS : d.seg;
  put_op(d, O.OP_STRING, kind, size, 0, d.rep | (d.adsize << 4) | (seg << 8));
  return kind >= 5 ? EMIT_CUT : EMIT_ON;
}

function no_map(d: Dec): bool {
  return d.data16 != 0 || d.rep != 0;
}

/**
 * Emits the parsed instruction. `prev`: the last micro-op of the instruction before when it may be fused, else 0;
 * `prev_flags`: ATTR_LAZY and ATTR_SUB as the flags stand.
 */
export function emit(d: Dec, prev: u32, prev_flags: u32): u32 {
  const kind = d.entry & 0xff;
  const sub = (d.entry >> 8) & 0xff;
  const form = (d.entry >> 16) & 0xff;
  const size: u32 = d.flags & K.F_BYTE ? 0 : d.opsize;
  switch (<i32>kind) {
    case K.K_ALU: return alu(d, sub, form, size);
    case K.K_MOV: return mov(d, form, size);
    case K.K_LEA: return lea(d);
    case K.K_JCC: return jump_cond(d, prev, prev_flags);
    case K.K_JMP: return jump(d);
    case K.K_CALL: return call(d);
    case K.K_RET:
      if (d.mode & MODE_64) {
        put_op(d, O.OP_RET, 0, 0, 0, <u32>d.imm);
        return EMIT_END;
      }
      return sys(d, S.S_RET, 0, 0, <i32>d.imm, 0);
    case K.K_CALLN: return indirect(d, true);
    case K.K_JMPN: return indirect(d, false);
    case K.K_LOOP: return loop(d);
    case K.K_SHIFT: return shift(d, sub, form, size);
    case K.K_UNARY: return unary(d, sub, form, size);
    case K.K_MULDIV: {
      const desc = sub | (size << 2) | (d.mem ? 0x10 : 0);
      if (d.mem) {
        prepare(d, 1 << size, false);
        put_mem(d, O.OP_MULDIV, 0, desc, 0);
      } else put_op(d, O.OP_MULDIV, place(d, d.rm, size), desc, 0, 0);
      return EMIT_ON;
    }
    case K.K_IMUL2: return multiply(d, false);
    case K.K_IMUL3: return multiply(d, true);
    case K.K_MOVZX: return extend(d, false, sub);
    case K.K_MOVSX: return extend(d, true, sub);
    case K.K_MOVSXD: return movsxd(d);
    case K.K_MOVOFFS: return mov_offset(d, sub == 1, size);
    case K.K_MOVNTI:
      if (no_map(d) || !d.mem) return undefined_op(d);
      return mov_nti(d);
    case K.K_XCHG: return exchange(d, X_XCHG, size, true);
    case K.K_XADD: return exchange(d, X_XADD, size, d.lock != 0);
    case K.K_CMPXCHG: return exchange(d, X_CMPXCHG, size, d.lock != 0);
    case K.K_XCHGACC: {
      const r = (d.opcode & 7) | ((d.rex & 1) << 3);
      if (r == 0) put_op(d, O.OP_NOP, 0, 0, 0, 0); // 90: NOP and PAUSE
      else if (d.opsize == 1) put_op(d, O.OP_XCHG_G, r << 3, 0, 0, X_XCHG | (1 << 4));
      else put_op(d, d.opsize == 3 ? O.OP_XCHG_RR64 : O.OP_XCHG_RR32, r << 3, 0, 0, 0);
      return EMIT_ON;
    }
    case K.K_PUSH:
      if (form == K.FORM_Z) return push_reg(d, (d.opcode & 7) | ((d.rex & 1) << 3));
      if (quick_stack(d)) put_op(d, O.OP_PUSH64_I, 0, 0, <i32>d.imm, 0);
      else stack_g(d, T.ST_PUSH_I, 0, <i32>d.imm);
      return EMIT_ON;
    case K.K_POP: return pop_reg(d, (d.opcode & 7) | ((d.rex & 1) << 3));
    case K.K_PUSHM: return push_mem(d);
    case K.K_POPM: return pop_mem(d);
    case K.K_PUSHA: return stack_g(d, T.ST_PUSHA, 0, 0);
    case K.K_POPA: return stack_g(d, T.ST_POPA, 0, 0);
    case K.K_ENTER: return stack_g(d, T.ST_ENTER, 0, <i32>((<u32>d.imm & 0xffff) | (d.imm2 << 16)));
    case K.K_LEAVE:
      if (quick_stack(d)) put_op(d, O.OP_LEAVE64, 0, 0, 0, 0);
      else stack_g(d, T.ST_LEAVE, 0, 0);
      return EMIT_ON;
    case K.K_PUSHF: return stack_g(d, T.ST_PUSHF, 0, 0);
    case K.K_PUSHSEG: return stack_g(d, T.ST_PUSH_SEG, sub, 0);
    case K.K_SETCC: return setcc(d, prev_flags);
    case K.K_CMOV: {
      const src = rm_value(d, d.opsize);
      const cc = d.opcode & 15;
      if (d.opsize == 1) put_op(d, O.OP_MISC, d.reg << 3, src, <i32>cc, M.M_CMOV16);
      else put_op(d, cmov_op(cc, d.opsize - 2, prev_flags), d.reg << 3, src, <i32>cc, 0);
      return EMIT_ON;
    }
    case K.K_BT: return bits(d, sub, d.opcode == 0xba);
    case K.K_BSX:
    case K.K_POPCNT: {
      if (kind == K.K_POPCNT && (d.rep != 1 || changetype<Cpu>(d.cpu).profile != PROFILE_V2)) return undefined_op(d);
      const src = rm_value(d, d.opsize);
      put_op(d, O.OP_BIT_G, d.reg << 3, src, 0, (kind == K.K_POPCNT ? BIT_POPCNT : sub ? BIT_BSR : BIT_BSF) | (d.opsize << 3));
      return EMIT_ON;
    }
    case K.K_SHXD: {
      const imm = M.M_SHXD | (d.opsize << 8) | (d.mem ? 0x400 : 0) | (sub & 1 ? 0x800 : 0) | (sub & 2 ? 0x1000 : 0) | ((<u32>d.imm & 0xff) << 16);
      if (d.mem) {
        prepare(d, 1 << d.opsize, true);
        put_mem(d, O.OP_SHXD, 0, d.reg << 3, imm);
      } else put_op(d, O.OP_SHXD, d.rm << 3, d.reg << 3, 0, imm);
      return EMIT_ON;
    }
    case K.K_BSWAP: {
      const r = ((d.opcode & 7) | ((d.rex & 1) << 3)) << 3;
      if (d.opsize == 1) put_op(d, O.OP_MOV_RI16, r, 0, 0, 0); // undefined; CPUs clear the register
      else put_op(d, d.opsize == 3 ? O.OP_BSWAP64 : O.OP_BSWAP32, r, 0, 0, 0);
      return EMIT_ON;
    }
    case K.K_STRING: return string_op(d, sub, size);
    case K.K_SSE: return emit_sse(d);
    case K.K_X87:
      if (d.mem) {
        prepare(d, 1, false);
        // bit 11: 16-bit operand size, the short environment of FLDENV and kin
        put_mem(d, O.OP_X87, 0, 0, ((d.opcode & 7) << 8) | d.modrm | (d.opsize == 1 ? 0x800 : 0));
      } else put_op(d, O.OP_X87, 0, 0, 0, ((d.opcode & 7) << 8) | d.modrm);
      return EMIT_ON;
    case K.K_NOPL:
    case K.K_PREFETCH:
      put_op(d, O.OP_NOP, 0, 0, 0, 0);
      return EMIT_ON;
    default: return emit_rare(d, kind, sub, size);
  }
}

/** The quickest CMOVcc that what is known of the flags allows; wide: 1 for 64 bits. */
function cmov_op(cc: u32, wide: u32, prev_flags: u32): u32 {
  if (prev_flags & (O.ATTR_LAZY | O.ATTR_SUB)) {
    if (cc == 4) return wide ? O.OP_CMOV_RES_Z64 : O.OP_CMOV_RES_Z32;
    if (cc == 5) return wide ? O.OP_CMOV_RES_NZ64 : O.OP_CMOV_RES_NZ32;
  }
  if (prev_flags & O.ATTR_SUB) {
    const sub: u32 = load<u16>(changetype<usize>(O.OP_CMOV_SUB) + (((wide << 4) + cc) << 1));
    if (sub) return sub;
  }
  return wide ? O.OP_CMOV_RR64 : O.OP_CMOV_RR32;
}

function mov_nti(d: Dec): u32 {
  const size: u32 = d.rex & 8 ? 3 : 2;
  prepare(d, 1 << size, true);
  put_mem(d, size == 3 ? O.OP_ST64 : O.OP_ST32, d.reg << 3, 0, 0);
  return EMIT_ON;
}

function setcc(d: Dec, prev_flags: u32): u32 {
  const cc = d.opcode & 15;
  if (d.mem) prepare(d, 1, true);
  let op = O.OP_SETCC_R;
  if (prev_flags & (O.ATTR_LAZY | O.ATTR_SUB)) {
    if (cc == 4) op = O.OP_SETCC_Z;
    else if (cc == 5) op = O.OP_SETCC_NZ;
  }
  if (prev_flags & O.ATTR_SUB && op == O.OP_SETCC_R) {
    const sub: u32 = load<u16>(changetype<usize>(O.OP_SETCC_SUB) + (cc << 1));
    if (sub) op = sub;
  }
  put_op(d, op, d.mem ? TMP0 : place(d, d.rm, 0), cc, 0, 0);
  if (d.mem) put_mem(d, O.OP_ST8, TMP0, 0, 0);
  return EMIT_ON;
}

function misc(d: Dec, what: u32): u32 {
  put_op(d, O.OP_MISC, 0, 0, <i32>d.imm, what);
  return EMIT_ON;
}

function emit_rare(d: Dec, kind: u32, sub: u32, size: u32): u32 {
  switch (<i32>kind) {
    case K.K_CBW:
      if (d.opsize == 3) put_op(d, O.OP_CDQE, 0, 0, 0, 0);
      else if (d.opsize == 2) put_op(d, O.OP_MOVSX16_32, 0, 0, 0, 0);
      else misc(d, M.M_CBW);
      return EMIT_ON;
    case K.K_CWD:
      if (d.opsize == 3) put_op(d, O.OP_CQO, 0, 0, 0, 0);
      else if (d.opsize == 2) put_op(d, O.OP_CDQ, 0, 0, 0, 0);
      else misc(d, M.M_CWD);
      return EMIT_ON;
    case K.K_SAHF: return misc(d, M.M_SAHF);
    case K.K_LAHF: return misc(d, M.M_LAHF);
    case K.K_CMC: return misc(d, M.M_CMC);
    case K.K_CLC: return misc(d, M.M_CLC);
    case K.K_STC: return misc(d, M.M_STC);
    case K.K_CLD: return misc(d, M.M_CLD);
    case K.K_STD: return misc(d, M.M_STD);
    case K.K_AAA: return misc(d, M.M_AAA);
    case K.K_AAS: return misc(d, M.M_AAS);
    case K.K_DAA: return misc(d, M.M_DAA);
    case K.K_DAS: return misc(d, M.M_DAS);
    case K.K_AAM: return misc(d, M.M_AAM);
    case K.K_AAD: return misc(d, M.M_AAD);
    case K.K_SALC: return misc(d, M.M_SALC);
    case K.K_XLAT: return misc(d, M.M_XLAT | (d.adsize << 8) | ((d.seg == SEG_NONE ? SEG_DS : d.seg) << 12));
    case K.K_BOUND:
      prepare(d, 2 << d.opsize, false);
      put_mem(d, O.OP_MISC, d.reg << 3, 0, M.M_BOUND | (d.opsize << 8));
      return EMIT_ON;
    case K.K_MOVFROMSEG:
      d.reg &= 7; // REX.R is ignored
      if (d.reg > 5) return undefined_op(d);
      if (d.mem) {
        prepare(d, 2, true);
        put_mem(d, O.OP_MISC, 0, d.reg, M.M_SEG_M);
      } else put_op(d, O.OP_MISC, d.rm << 3, d.reg, 0, M.M_SEG_R | (d.opsize << 8));
      return EMIT_ON;
    case K.K_MOVTOSEG: {
      d.reg &= 7;
      if (d.reg > 5 || d.reg == SEG_CS) return undefined_op(d);
      const r = rm_value(d, 1);
      return sys(d, S.S_MOVSEG, d.reg, r, 0, 0);
    }
    case K.K_POPSEG: return sys(d, S.S_POPSEG, sub, 0, 0, 0);
    case K.K_LSEG:
      if (d.opsize == 3 && !(d.mode & MODE_64)) return undefined_op(d);
      return sys_mem(d, S.S_LSEG, sub, d.reg << 3, (1 << d.opsize) + 2, false);
    case K.K_CALLF: return sys(d, S.S_CALLF, 0, 0, <i32>d.imm, d.imm2);
    case K.K_JMPF: return sys(d, S.S_JMPF, 0, 0, <i32>d.imm, d.imm2);
    case K.K_CALLFM: return sys_mem(d, S.S_CALLFM, 0, 0, (1 << d.opsize) + 2, false);
    case K.K_JMPFM: return sys_mem(d, S.S_JMPFM, 0, 0, (1 << d.opsize) + 2, false);
    case K.K_RETF: return sys(d, S.S_RETF, 0, 0, <i32>d.imm, 0);
    case K.K_IRET: return sys(d, S.S_IRET, 0, 0, 0, 0);
    case K.K_INT: return sys(d, S.S_INT, 0, 0, <i32>d.imm, 0);
    case K.K_INT3: return sys(d, S.S_INT3, 0, 0, 0, 0);
    case K.K_INTO: return sys(d, S.S_INTO, 0, 0, 0, 0);
    case K.K_INT1: return sys(d, S.S_INT1, 0, 0, 0, 0);
    case K.K_HLT: return sys(d, S.S_HLT, 0, 0, 0, 0);
    case K.K_CLI: return sys(d, S.S_CLI, 0, 0, 0, 0);
    case K.K_STI: return sys(d, S.S_STI, 0, 0, 0, 0);
    case K.K_POPF: return sys(d, S.S_POPF, 0, 0, 0, 0);
    case K.K_IN:
    case K.K_OUT: {
      const by_imm = d.opcode < 0xe8;
      return sys(d, kind == K.K_IN ? S.S_IN : S.S_OUT, size == 3 ? 2 : size, 0, <i32>d.imm, by_imm ? 1 : 0);
    }
    case K.K_MOVFROMCR:
    case K.K_MOVTOCR:
    case K.K_MOVFROMDR:
    case K.K_MOVTODR: {
      d.opsize = d.mode & MODE_64 ? 3 : 2;
      const what = kind == K.K_MOVFROMCR ? S.S_CR_READ : kind == K.K_MOVTOCR ? S.S_CR_WRITE : kind == K.K_MOVFROMDR ? S.S_DR_READ : S.S_DR_WRITE;
      return sys(d, what, d.rm << 3, 0, <i32>d.reg, 0);
    }
    case K.K_CLTS: return sys(d, S.S_CLTS, 0, 0, 0, 0);
    case K.K_INVD:
    case K.K_WBINVD: return sys(d, S.S_WBINVD, 0, 0, 0, 0);
    case K.K_SYSCALL: return sys(d, S.S_SYSCALL, 0, 0, 0, 0);
    case K.K_SYSRET:
    case K.K_SYSEXIT:
      d.opsize = d.rex & 8 ? 3 : 2;
      return sys(d, kind == K.K_SYSRET ? S.S_SYSRET : S.S_SYSEXIT, 0, 0, 0, 0);
    case K.K_SYSENTER: return sys(d, S.S_SYSENTER, 0, 0, 0, 0);
    case K.K_WRMSR: return sys(d, S.S_WRMSR, 0, 0, 0, 0);
    case K.K_RDMSR: return sys(d, S.S_RDMSR, 0, 0, 0, 0);
    case K.K_RDTSC: return sys(d, S.S_RDTSC, 0, 0, 0, 0);
    case K.K_RDPMC: return sys(d, S.S_RDPMC, 0, 0, 0, 0);
    case K.K_CPUID: return sys(d, S.S_CPUID, 0, 0, 0, 0);
    case K.K_GRP7: return group7(d);
    case K.K_GRP9: return group9(d);
    case K.K_GRP15: {
      if (no_map(d) || (d.mem ? (d.reg & 7) >= 4 && (d.reg & 7) != 7 : (d.reg & 7) < 5)) return undefined_op(d);
      const imm = 0xae | (d.mem ? 0x1000 : 0) | (d.rex & 8 ? 0x2000 : 0);
      if (d.mem) {
        prepare(d, 1, false);
        put_mem(d, O.OP_SSE, d.reg, 0, imm);
      } else put_op(d, O.OP_SSE, d.reg, d.rm, 0, imm);
      return EMIT_ON;
    }
    case K.K_SLDT:
    case K.K_STR:
      if (d.mem) return sys_mem(d, kind == K.K_SLDT ? S.S_SLDT_M : S.S_STR_M, 0, 0, 2, true);
      return sys(d, kind == K.K_SLDT ? S.S_SLDT_R : S.S_STR_R, d.rm << 3, 0, 0, 0);
    case K.K_LLDT:
    case K.K_LTR:
    case K.K_VERR:
    case K.K_VERW: {
      const r = rm_value(d, 1);
      return sys(d, kind == K.K_LLDT ? S.S_LLDT : kind == K.K_LTR ? S.S_LTR : kind == K.K_VERR ? S.S_VERR : S.S_VERW, r, 0, 0, 0);
    }
    case K.K_LAR:
    case K.K_LSL: {
      const r = rm_value(d, 1);
      return sys(d, kind == K.K_LAR ? S.S_LAR : S.S_LSL, d.reg << 3, r, 0, 0);
    }
    case K.K_FWAIT: return misc(d, M.M_FWAIT);
    default: return undefined_op(d);
  }
}
