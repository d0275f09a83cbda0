/**
 * x87: `x87_exec` runs one OP_X87 micro-op (imm2 = opcode bits 2:0 << 8 | modrm, bit 11 16-bit operand size).
 * Intel SDM Vol. 2, opcodes D8 … DF; undocumented aliases as real CPUs have them.
 */
import { Cpu } from '../vcpu/state';
import { CR0_EM, CR0_MP, CR0_TS, VEC_MF, VEC_NM, VEC_UD, flags_get, raise, set_flags_explicit, u_imm2 } from './env';
import * as sf from './softfloat';
import { A, B, C_ZERO, T_FLAGS, TOP64 } from './softfloat';
import { binary, compare, compare_status, fprem, frndint, fscale, fsqrt, fxam, fxtract } from './x87arith';
import { fpatan } from './x87atan';
import { f2xm1, fyl2x } from './x87log';
import { memory_form, record } from './x87mem';
import { fptan, fsincos } from './x87trig';
import { fninit } from './x87env';
import {
  FSW_ES, NAN_SE, NAN_SIG, clear_c1, conclude, is_empty, pop, push, rounding, se, set_st, set_tag, set_top, sig, st, top, underflow,
  unpack_st, work,
} from './x87stack';

/** FWAIT (9B): #NM with CR0.MP and TS, #MF for a waiting exception. */
export function x87_fwait(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  if ((c.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) raise(cpu, VEC_NM);
  else if (c.fsw & FSW_ES) raise(cpu, VEC_MF);
}

/** Executes the OP_X87 micro-op at `u`. Outcome: cpu.fault (0: committed). */
export function x87_exec(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  if (c.cr0 & (CR0_EM | CR0_TS)) {
    raise(cpu, VEC_NM);
    return;
  }
  const i = u_imm2(u);
  const group = (i >> 8) & 7;
  const modrm = i & 0xff;
  const op = (modrm >> 3) & 7;
  if (modrm < 0xc0) {
    memory_form(cpu, u, group, op);
    return;
  }
  const r = modrm & 7;
  // the instructions that do not wait: FNENI … FNSETPM and FNSTSW AX
  if (group == 3 && op == 4) {
    control(cpu, r);
    return;
  }
  if (group == 7 && modrm == 0xe0) {
    store<u16>(cpu, <u16>c.fsw);
    return;
  }
  if (c.fsw & FSW_ES) {
    if (known(group, op, r)) raise(cpu, VEC_MF);
    else raise(cpu, VEC_UD);
    return;
  }
  if (!known(group, op, r)) {
    raise(cpu, VEC_UD);
    return;
  }
  record(cpu, u);
  switch (group) {
    case 0: register_arith(cpu, op, r, 0); return;
    case 1: group_d9(cpu, op, r); return;
    case 2:
      if (op == 5) compare_registers(cpu, 1, true, 2);
      else fcmov(cpu, op, r);
      return;
    case 3:
      if (op < 4) fcmov(cpu, op | 4, r);
      else compare_flags(cpu, r, op == 5, 0);
      return;
    case 4:
      if (op == 2 || op == 3) compare_registers(cpu, r, false, op - 2);
      else reverse_arith(cpu, op, r, 0);
      return;
    case 5:
      switch (op) {
        case 0:
          clear_c1(cpu);
          set_tag(cpu, r, 3);
          return;
        case 1: fxch(cpu, r); return;
        case 2:
        case 3: fst_register(cpu, r, op - 2); return;
        default: compare_registers(cpu, r, true, op - 4);
      }
      return;
    case 6:
      if (op == 2) compare_registers(cpu, r, false, 1);
      else if (op == 3) compare_registers(cpu, 1, false, 2);
      else reverse_arith(cpu, op, r, 1);
      return;
    default:
      switch (op) {
        case 0:
          clear_c1(cpu);
          set_tag(cpu, r, 3);
          pop(cpu);
          return;
        case 1: fxch(cpu, r); return;
        case 2:
        case 3: fst_register(cpu, r, 1); return;
        default: compare_flags(cpu, r, op == 5, 1);
      }
  }
}

/** The defined register forms. */
function known(group: u32, op: u32, r: u32): bool {
  switch (group) {
    case 1: return op == 2 ? r == 0 : op == 4 ? (r & 2) == 0 : op == 5 ? r != 7 : true;
    case 2: return op < 4 || (op == 5 && r == 1);
    case 3: return op < 4 || op == 5 || op == 6;
    case 5: return op < 6;
    case 6: return op != 3 || r == 1;
    case 7: return op < 4 || op == 5 || op == 6;
    default: return true;
  }
}

/** DB E0 … E7. */
function control(cpu: usize, r: u32): void {
  switch (r) {
    case 2: changetype<Cpu>(cpu).fsw &= 0x7f00; return; // FNCLEX
    case 3: fninit(cpu); return;
    case 0:
    case 1:
    case 4: return; // FNENI, FNDISI, FNSETPM of the 8087 and 80287
    default: raise(cpu, VEC_UD);
  }
}

// ---- register forms ------------------------------------------------------------------------------------------------

/** D8: ST(0) op ST(r). */
function register_arith(cpu: usize, op: u32, r: u32, pops: u32): void {
  if (op == 2 || op == 3) {
    compare_registers(cpu, r, false, op - 2);
    return;
  }
  unpack_st(cpu, A, 0);
  unpack_st(cpu, B, r);
  binary(cpu, op, 0, is_empty(cpu, 0) || is_empty(cpu, r), pops);
}

/** DC, DE: the result goes to ST(r); SUB and DIV keep the operand order of D8's same number. */
function reverse_arith(cpu: usize, op: u32, r: u32, pops: u32): void {
  unpack_st(cpu, A, 0);
  unpack_st(cpu, B, r);
  binary(cpu, op, r, is_empty(cpu, 0) || is_empty(cpu, r), pops);
}

function compare_registers(cpu: usize, r: u32, quiet: bool, pops: u32): void {
  unpack_st(cpu, A, 0);
  unpack_st(cpu, B, r);
  compare_status(cpu, quiet, is_empty(cpu, 0) || is_empty(cpu, r), pops);
}

/** F(U)COMI(P): ZF PF CF. C1 changes only by a stack fault; an unmasked exception stops the pop, not the flags. */
function compare_flags(cpu: usize, r: u32, quiet: bool, pops: u32): void {
  let f: u32 = 0x45;
  let ok: bool;
  if (is_empty(cpu, 0) || is_empty(cpu, r)) ok = !underflow(cpu);
  else {
    store<u32>(work(cpu), 0, T_FLAGS);
    unpack_st(cpu, A, 0);
    unpack_st(cpu, B, r);
    f = compare(work(cpu), quiet);
    ok = conclude(cpu);
  }
  set_flags_explicit(cpu, f);
  if (ok && pops) pop(cpu);
}

function fcmov(cpu: usize, op: u32, r: u32): void {
  if (is_empty(cpu, 0) || is_empty(cpu, r)) {
    if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const f = flags_get(cpu);
  let cond: bool;
  switch (op & 3) {
    case 0: cond = (f & 1) != 0; break;
    case 1: cond = (f & 0x40) != 0; break;
    case 2: cond = (f & 0x41) != 0; break;
    default: cond = (f & 4) != 0;
  }
  if (cond != (op >= 4)) {
    const p = st(cpu, r);
    set_st(cpu, 0, se(p), sig(p));
  }
}

function fxch(cpu: usize, r: u32): void {
  const e0 = is_empty(cpu, 0);
  const er = is_empty(cpu, r);
  clear_c1(cpu);
  if (e0 || er) {
    if (underflow(cpu)) return;
    if (e0) set_st(cpu, 0, NAN_SE, NAN_SIG);
    if (er) set_st(cpu, r, NAN_SE, NAN_SIG);
  }
  const p = st(cpu, 0);
  const q = st(cpu, r);
  const m = sig(p);
  const s = se(p);
  store<u64>(p, sig(q));
  store<u16>(p, <u16>se(q), 8);
  store<u64>(q, m);
  store<u16>(q, <u16>s, 8);
}

/** FST(P) ST(r). */
function fst_register(cpu: usize, r: u32, pops: u32): void {
  clear_c1(cpu);
  if (is_empty(cpu, 0)) {
    if (underflow(cpu)) return;
    set_st(cpu, r, NAN_SE, NAN_SIG);
  } else {
    const p = st(cpu, 0);
    set_st(cpu, r, se(p), sig(p));
  }
  if (pops) pop(cpu);
}

/** D9 D8+r: FSTP without the check for an empty register. */
function fstp_unchecked(cpu: usize, r: u32): void {
  const p = st(cpu, 0);
  clear_c1(cpu);
  if (!is_empty(cpu, 0)) set_st(cpu, r, se(p), sig(p));
  pop(cpu);
}

/** FLD ST(r). */
function fld_register(cpu: usize, r: u32): void {
  if (is_empty(cpu, r)) {
    if (underflow(cpu)) return;
    set_top(cpu, top(cpu) + 7);
    set_st(cpu, 0, NAN_SE, NAN_SIG);
    return;
  }
  const p = st(cpu, r);
  push(cpu, se(p), sig(p));
}

/** FLD1 … FLDZ (D9 E8 … EE), rounded by RC. The last bit's direction is known from the constants' further digits. */
function fld_constant(cpu: usize, r: u32): void {
  const rc = rounding(cpu);
  const chop: u64 = rc == 1 || rc == 3 ? 1 : 0;
  switch (r) {
    case 0: push(cpu, 0x3fff, TOP64); return;
    case 1: push(cpu, 0x4000, 0xd49a_784b_cd1b_8afe + (rc == 2 ? 1 : 0)); return; // log2(10) = …8AFE|492B
    case 2: push(cpu, 0x3fff, 0xb8aa_3b29_5c17_f0bc - chop); return; // log2(e) = …F0BB|BE87
    case 3: push(cpu, 0x4000, 0xc90f_daa2_2168_c235 - chop); return; // pi = …C234|C4C6
    case 4: push(cpu, 0x3ffd, 0x9a20_9a84_fbcf_f799 - chop); return; // log10(2) = …F798|8F89
    case 5: push(cpu, 0x3ffe, 0xb172_17f7_d1cf_79ac - chop); return; // ln(2) = …79AB|C9E3
    default: push(cpu, 0, 0);
  }
}

function group_d9(cpu: usize, op: u32, r: u32): void {
  switch (op) {
    case 0: fld_register(cpu, r); return;
    case 1: fxch(cpu, r); return;
    case 2: return; // FNOP
    case 3: fstp_unchecked(cpu, r); return;
    case 4: {
      if (r == 5) {
        fxam(cpu);
        return;
      }
      if (r == 4) {
        sf.put(work(cpu) + B, C_ZERO, 0, 0, 0, 0);
        unpack_st(cpu, A, 0);
        compare_status(cpu, false, is_empty(cpu, 0), 0);
        return;
      }
      // FCHS, FABS
      clear_c1(cpu);
      if (is_empty(cpu, 0)) {
        if (!underflow(cpu)) set_st(cpu, 0, NAN_SE, NAN_SIG);
        return;
      }
      const p = st(cpu, 0);
      store<u16>(p, <u16>(r == 0 ? se(p) ^ 0x8000 : se(p) & 0x7fff), 8);
      return;
    }
    case 5: fld_constant(cpu, r); return;
    case 6:
      switch (r) {
        case 0: f2xm1(cpu); return;
        case 1: fyl2x(cpu, false); return;
        case 2: fptan(cpu); return;
        case 3: fpatan(cpu); return;
        case 4: fxtract(cpu); return;
        case 5: fprem(cpu, true); return;
        case 6:
          clear_c1(cpu);
          set_top(cpu, top(cpu) + 7);
          return;
        default:
          clear_c1(cpu);
          set_top(cpu, top(cpu) + 1);
      }
      return;
    default:
      switch (r) {
        case 0: fprem(cpu, false); return;
        case 1: fyl2x(cpu, true); return;
        case 2: fsqrt(cpu); return;
        case 3: fsincos(cpu, 3); return;
        case 4: frndint(cpu); return;
        case 5: fscale(cpu); return;
        case 6: fsincos(cpu, 1); return;
        default: fsincos(cpu, 2);
      }
  }
}
