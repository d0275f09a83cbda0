/** The memory forms of x87: loads, stores, arithmetic with a memory operand. Intel SDM Vol. 2, opcodes D8 … DF. */
import { Cpu } from '../vcpu/state';
import { VEC_MF, VEC_UD, ea, ip_start, ptr_r, ptr_w, ptr_w_done, raise, u_imm2 } from './env';
import * as sf from './softfloat';
import { A, B, C_DENORMAL, C_INF, C_ZERO, DE, IE, OE, R, RC_ZERO, T_FLAGS, UE } from './softfloat';
import { binary, compare_status, integer_of } from './x87arith';
import { fbld, fbstp } from './x87bcd';
import { fldcw, fldenv, fnsave, fnstenv, frstor } from './x87env';
import {
  FSW_ES, NAN_SE, NAN_SIG, clear_c1, conclude, is_empty, pop, push, rounding, se, set_st, set_top, sig, signal, st, start, top, underflow,
  unpack_st, work, nans,
} from './x87stack';

/** FIP, FOP of a non-control instruction. */
export function record(cpu: usize, u: usize): void {
  const c = changetype<Cpu>(cpu);
  c.fip = ip_start(cpu, u);
  c.fop = u_imm2(u) & 0x7ff;
}

// ---- memory forms --------------------------------------------------------------------------------------------------

export function memory_form(cpu: usize, u: usize, group: u32, op: u32): void {
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
      v = wide
        ? (s << 63) | 0x7ff0_0000_0000_0000 | ((sf.hi_of(t, R) >> 11) & 0x000f_ffff_ffff_ffff)
        : (s << 31) | 0x7f80_0000 | ((sf.hi_of(t, R) >> 40) & 0x007f_ffff);
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
