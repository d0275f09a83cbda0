/**
 * x87: `x87_exec` runs one OP_X87 micro-op (imm2 = opcode bits 2:0 << 8 | modrm, bit 11 16-bit operand size).
 * Intel SDM Vol. 2, opcodes D8 … DF; undocumented aliases as real CPUs have them.
 */
import { Cpu } from '../state';
import { CR0_EM, CR0_MP, CR0_TS, VEC_MF, VEC_NM, VEC_UD, ea, flags_get, ip_start, ptr_r, ptr_w, ptr_w_done, raise, set_flags_explicit, u_imm2 } from './env';
import * as sf from './softfloat';
import { A, B, C_DENORMAL, C_INF, C_QNAN, C_SNAN, C_UNSUPPORTED, C_ZERO, DE, IE, OE, R, RC_ZERO, T_FLAGS, TOP64, UE } from './softfloat';
import {
  FSW_B, FSW_C1, FSW_ES, NAN_SE, NAN_SIG, clear_c1, conclude, is_empty, pop, push, rounding, se, set_st, set_tag, set_top, sig, signal, st, start,
  top, underflow, unpack_st, work, nans, note_denormals,
} from './x87stack';
import { X_ADD, binary, compare, compare_status, fprem, frndint, fscale, fsqrt, fxam, fxtract, integer_of } from './x87arith';
import { fbld, fbstp } from './x87bcd';
import { f2xm1, fpatan, fptan, fsincos, fyl2x } from './x87trans';
import { fldcw, fldenv, fninit, fnsave, fnstenv, frstor } from './x87env';

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

/** FIP, FOP of a non-control instruction. */
function record(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  c.fip = ip_start(cpu, u);
  c.fop = u_imm2(u) & 0x7ff;
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

// ---- memory forms --------------------------------------------------------------------------------------------------

function memory_form(cpu: usize, u: usize, group: u32, op: u32): void {
  const c = changetype<Cpu>(cpu);
  // FNSTENV, FNSTCW, FNSAVE, FNSTSW do not wait
  if (group == 1 && op >= 6) {
    if (op == 6) fnstenv(cpu, u);
    else store_word(cpu, u, c.fcw);
    return;
  }
  if (group == 5 && op >= 6) {
    if (op == 6) fnsave(cpu, u);
    else store_word(cpu, u, c.fsw);
    return;
  }
  if ((group == 1 && op == 1) || (group == 3 && (op == 4 || op == 6)) || (group == 5 && op == 5)) {
    raise(cpu, VEC_UD);
    return;
  }
  if (c.fsw & FSW_ES) {
    raise(cpu, VEC_MF);
    return;
  }
  if (group == 1 && op == 4) {
    fldenv(cpu, u);
    return;
  }
  if (group == 1 && op == 5) {
    fldcw(cpu, u);
    return;
  }
  if (group == 5 && op == 4) {
    frstor(cpu, u);
    return;
  }
  const va = ea(cpu, u);
  if (!(group & 1)) {
    memory_arith(cpu, u, va, group, op);
    return;
  }
  // loads: /0 everywhere, /5 of DB (m80), /4 (BCD) and /5 (m64int) of DF
  if (op == 0 || (op == 5 && group != 5) || (group == 7 && op == 4)) {
    const p = ptr_r(cpu, va, operand_size(group, op));
    if (!p) return;
    note_memory(cpu, u, va);
    load_form(cpu, group, op, p);
    return;
  }
  const size = operand_size(group, op);
  const p = ptr_w(cpu, va, size);
  if (!p) return;
  note_memory(cpu, u, va);
  if (store_form(cpu, group, op, p)) ptr_w_done(cpu, p, va, size);
}

function note_memory(cpu: usize, u: usize, va: u64): void {
  record(cpu, u);
  changetype<Cpu>(cpu).fdp = va;
}

/** Bytes of the operand of D9, DB, DD, DF /op. */
function operand_size(group: u32, op: u32): u32 {
  switch (group) {
    case 1: return 4;
    case 3: return op < 4 ? 4 : 10;
    case 5: return 8;
    default: return op < 4 ? 2 : op & 1 ? 8 : 10;
  }
}

function store_word(cpu: usize, u: usize, v: u32): void {
  const va = ea(cpu, u);
  const p = ptr_w(cpu, va, 2);
  if (!p) return;
  store<u16>(p, <u16>v);
  ptr_w_done(cpu, p, va, 2);
}

/** D8 m32, DA m32int, DC m64, DE m16int. */
function memory_arith(cpu: usize, u: usize, va: u64, group: u32, op: u32): void {
  const p = ptr_r(cpu, va, group == 4 ? 8 : group == 6 ? 2 : 4);
  if (!p) return;
  note_memory(cpu, u, va);
  const b = work(cpu) + B;
  switch (group) {
    case 0: sf.unpack_f32(b, load<u32>(p)); break;
    case 2: sf.unpack_i64(b, <i64>load<i32>(p)); break;
    case 4: sf.unpack_f64(b, load<u64>(p)); break;
    default: sf.unpack_i64(b, <i64>load<i16>(p));
  }
  unpack_st(cpu, A, 0);
  const empty = is_empty(cpu, 0);
  if (op == 2 || op == 3) compare_status(cpu, false, empty, op - 2);
  else binary(cpu, op, 0, empty, 0);
}

function load_form(cpu: usize, group: u32, op: u32, p: usize): void {
  const t = work(cpu);
  if (op == 0 && (group == 1 || group == 5)) {
    start(cpu);
    if (group == 1) sf.unpack_f32(t + A, load<u32>(p));
    else sf.unpack_f64(t + A, load<u64>(p));
    fld_float(cpu);
    return;
  }
  if (group == 3 && op == 5) {
    push(cpu, <u32>load<u16>(p, 8), load<u64>(p));
    return;
  }
  if (group == 7 && op == 4) {
    fbld(cpu, p);
    return;
  }
  sf.unpack_i64(t + R, group == 3 ? <i64>load<i32>(p) : op == 0 ? <i64>load<i16>(p) : load<i64>(p));
  push(cpu, sf.pack_ext_se(t), sf.hi_of(t, R));
}

/** FLD m32, m64 with the operand in A: SNaN is IE, a denormal DE (which loads even when unmasked). */
function fld_float(cpu: usize): void {
  const t = work(cpu);
  if (!is_empty(cpu, 7)) {
    push(cpu, NAN_SE, NAN_SIG);
    return;
  }
  if (!nans(t, false)) {
    if (sf.class_of(t, A) == C_DENORMAL) signal(cpu, DE);
    memory.copy(t + R, t + A, 32);
  }
  if (conclude(cpu)) {
    set_top(cpu, top(cpu) + 7);
    set_st(cpu, 0, sf.pack_ext_se(t), sf.hi_of(t, R));
  }
}

/** FST(P), FIST(P), FISTTP, FBSTP into `p`. True: bytes were written. */
function store_form(cpu: usize, group: u32, op: u32, p: usize): bool {
  if (group == 3 && op == 7) {
    // FSTP m80: no conversion, no exception but the stack's
    clear_c1(cpu);
    let s = NAN_SE;
    let m = NAN_SIG;
    if (is_empty(cpu, 0)) {
      if (underflow(cpu)) return false;
    } else {
      s = se(st(cpu, 0));
      m = sig(st(cpu, 0));
    }
    store<u64>(p, m);
    store<u16>(p, <u16>s, 8);
    pop(cpu);
    return true;
  }
  if (group == 7 && op == 6) return fbstp(cpu, p);
  if ((group == 1 || group == 5) && op != 1) return fst_float(cpu, group == 5, p, op == 3);
  const bits: u32 = group == 3 ? 32 : group == 5 || op == 7 ? 64 : 16;
  return fist(cpu, bits, op == 1 ? RC_ZERO : rounding(cpu), p, op != 2);
}

function fst_float(cpu: usize, wide: bool, p: usize, pops: bool): bool {
  const t = work(cpu);
  start(cpu);
  let v: u64;
  if (is_empty(cpu, 0)) {
    if (underflow(cpu)) return false;
    v = wide ? 0xfff8_0000_0000_0000 : 0xffc0_0000;
  } else {
    unpack_st(cpu, A, 0);
    const unmasked = ~changetype<Cpu>(cpu).fcw;
    if (nans(t, false)) {
      const s = <u64>sf.sign_of(t, R);
      v = wide ? (s << 63) | 0x7ff0_0000_0000_0000 | ((sf.hi_of(t, R) >> 11) & 0x000f_ffff_ffff_ffff) : (s << 31) | 0x7f80_0000 | ((sf.hi_of(t, R) >> 40) & 0x007f_ffff);
    } else {
      memory.copy(t + R, t + A, 32);
      const cr = sf.class_of(t, R);
      if (cr != C_ZERO && cr != C_INF) {
        if (wide) sf.sf_round(t, 53, -1022, 1023, rounding(cpu), unmasked & (OE | UE), false);
        else sf.sf_round(t, 24, -126, 127, rounding(cpu), unmasked & (OE | UE), false);
      }
      v = wide ? sf.pack_f64(t) : <u64>sf.pack_f32(t);
    }
    const f = load<u32>(t, T_FLAGS);
    // an unmasked overflow or underflow leaves memory and stack alone, and comes without PE and C1
    if (f & unmasked & (OE | UE)) {
      signal(cpu, f & (OE | UE));
      return false;
    }
    if (!conclude(cpu)) return false;
  }
  if (wide) store<u64>(p, v);
  else store<u32>(p, <u32>v);
  if (pops) pop(cpu);
  return true;
}

function fist(cpu: usize, bits: u32, rc: u32, p: usize, pops: bool): bool {
  const t = work(cpu);
  const least = <u64>1 << (bits - 1);
  start(cpu);
  let v = least;
  if (is_empty(cpu, 0)) {
    if (underflow(cpu)) return false;
  } else {
    unpack_st(cpu, A, 0);
    const ca = sf.class_of(t, A);
    let ok = ca < C_INF && (ca == C_ZERO || sf.exp_of(t, A) < 64);
    if (ok) {
      const m = integer_of(t, rc);
      const neg = sf.sign_of(t, A) != 0;
      ok = neg ? m <= least : m < least;
      v = neg ? <u64>0 - m : m;
    }
    if (!ok) {
      store<u32>(t, IE, T_FLAGS);
      v = least;
    }
    if (!conclude(cpu)) return false;
  }
  if (bits == 16) store<u16>(p, <u16>v);
  else if (bits == 32) store<u32>(p, <u32>v);
  else store<u64>(p, v);
  if (pops) pop(cpu);
  return true;
}
