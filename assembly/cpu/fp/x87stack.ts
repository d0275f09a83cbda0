/**
 * The x87 register stack, status word and the ways an instruction ends. Intel SDM Vol. 1, 8.1 and 8.5.
 *
 * The tag word holds 3 for an empty register and 0 for any other; FNSTENV and FNSAVE compute the rest (x87env.ts).
 */
import { CPU_FPR, Cpu } from '../vcpu/state';
import { CPU_FPTMP } from './env';
import * as sf from './softfloat';
import { A, B, C_INF, C_QNAN, C_SNAN, C_UNSUPPORTED, C_ZERO, DE, IE, R, SF_UP, T_FLAGS, TOP64, UE, OE, ZE } from './softfloat';

export const FSW_SF: u32 = 0x40;
export const FSW_ES: u32 = 0x80;
export const FSW_C0: u32 = 0x100;
export const FSW_C1: u32 = 0x200;
export const FSW_C2: u32 = 0x400;
export const FSW_C3: u32 = 0x4000;
export const FSW_B: u32 = 0x8000;
export const FSW_CC: u32 = 0x4700;

export const NAN_SIG: u64 = 0xc000_0000_0000_0000;
export const NAN_SE: u32 = 0xffff;

/** The work area of softfloat.ts. */
@inline
export function work(cpu: usize): usize {
  return cpu + CPU_FPTMP;
}

@inline
export function top(cpu: usize): u32 {
  return (changetype<Cpu>(cpu).fsw >> 11) & 7;
}

@inline
export function set_top(cpu: usize, t: u32): void {
  const c = changetype<Cpu>(cpu);
  c.fsw = (c.fsw & ~0x3800) | ((t & 7) << 11);
}

/** Address of ST(i). */
@inline
export function st(cpu: usize, i: u32): usize {
  return cpu + CPU_FPR + <usize>(((top(cpu) + i) & 7) << 4);
}

@inline
export function is_empty(cpu: usize, i: u32): bool {
  return ((changetype<Cpu>(cpu).ftw >> (((top(cpu) + i) & 7) << 1)) & 3) == 3;
}

@inline
export function set_tag(cpu: usize, i: u32, tag: u32): void {
  const c = changetype<Cpu>(cpu);
  const s = ((top(cpu) + i) & 7) << 1;
  c.ftw = (c.ftw & ~(3 << s)) | (tag << s);
}

@inline
export function sig(p: usize): u64 {
  return load<u64>(p);
}
@inline
export function se(p: usize): u32 {
  return <u32>load<u16>(p, 8);
}

/** Writes ST(i) and marks it in use. */
@inline
export function set_st(cpu: usize, i: u32, s: u32, m: u64): void {
  const p = st(cpu, i);
  store<u64>(p, m);
  store<u16>(p, <u16>s, 8);
  set_tag(cpu, i, 0);
}

/** ST(0) leaves the stack. */
@inline
export function pop(cpu: usize): void {
  set_tag(cpu, 0, 3);
  set_top(cpu, top(cpu) + 1);
}

@inline
export function clear_c1(cpu: usize): void {
  changetype<Cpu>(cpu).fsw &= ~FSW_C1;
}

/** Adds exception flags (and SF) to the status word. True: an unmasked one is among them; ES and B are set. */
export function signal(cpu: usize, f: u32): bool {
  const c = changetype<Cpu>(cpu);
  c.fsw |= f & 0x7f;
  if (!(f & ~c.fcw & 0x3f)) return false;
  c.fsw |= FSW_ES | FSW_B;
  return true;
}

/** Stack underflow: IE and SF, C1 clear. True: unmasked, the instruction must change nothing else. */
export function underflow(cpu: usize): bool {
  clear_c1(cpu);
  return signal(cpu, IE | FSW_SF);
}

/** Stack overflow: IE and SF, C1 set. */
export function overflow(cpu: usize): bool {
  changetype<Cpu>(cpu).fsw |= FSW_C1;
  return signal(cpu, IE | FSW_SF);
}

/** Begins an arithmetic instruction: no flags, C1 clear. */
@inline
export function start(cpu: usize): void {
  store<u32>(work(cpu), 0, T_FLAGS);
  clear_c1(cpu);
}

/**
 * Hands the collected flags to the status word, C1 included. True: the result may be written (unmasked OE, UE and PE
 * still write, with the exponent wrapped); false: an unmasked IE, DE or ZE left everything as it was.
 */
export function conclude(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  const f = load<u32>(work(cpu), T_FLAGS);
  const pre = f & ~c.fcw & (IE | DE | ZE);
  if (pre) {
    signal(cpu, f & (IE | DE | ZE));
    return false;
  }
  if (f & SF_UP) c.fsw |= FSW_C1;
  if (f & 0x3f) signal(cpu, f);
  return true;
}

/** Pushes a value. False: stack overflow was unmasked. With it masked the default NaN goes on the stack instead. */
export function push(cpu: usize, s: u32, m: u64): bool {
  if (!is_empty(cpu, 7)) {
    if (overflow(cpu)) return false;
    s = NAN_SE;
    m = NAN_SIG;
  } else clear_c1(cpu);
  set_top(cpu, top(cpu) + 7);
  set_st(cpu, 0, s, m);
  return true;
}

// ---- results in R ------------------------------------------------------------------------------------------------

export function result_nan(t: usize): void {
  sf.put(t + R, C_QNAN, 1, 0x7fff, NAN_SIG, 0);
}
export function result_inf(t: usize, sign: u32): void {
  sf.put(t + R, C_INF, sign, 0x7fff, TOP64, 0);
}
export function result_zero(t: usize, sign: u32): void {
  sf.put(t + R, C_ZERO, sign, 0, 0, 0);
}
export function result_from(t: usize, p: usize): void {
  memory.copy(t + R, t + p, 32);
}

/** Invalid operation: IE and the default NaN. */
export function invalid(t: usize): void {
  sf.add_flags(t, IE);
  result_nan(t);
}

/**
 * Operands that are NaN or unsupported (SDM Vol. 1, table 4-7): R becomes the NaN to return. False: neither is.
 * `two` is false when only A counts.
 */
export function nans(t: usize, two: bool): bool {
  const ca = sf.class_of(t, A);
  const cb = two ? sf.class_of(t, B) : C_ZERO;
  if (ca < C_QNAN && cb < C_QNAN) return false;
  if (ca == C_UNSUPPORTED || cb == C_UNSUPPORTED) {
    invalid(t);
    return true;
  }
  if (ca == C_SNAN || cb == C_SNAN) sf.add_flags(t, IE);
  let p = A;
  if (ca < C_QNAN) p = B;
  else if (cb >= C_QNAN) {
    if (ca == C_SNAN && cb == C_QNAN) p = B;
    else if (ca == cb) {
      const a = sf.hi_of(t, A);
      const b = sf.hi_of(t, B);
      if (b > a || (a == b && sf.sign_of(t, A) > sf.sign_of(t, B))) p = B;
    }
  }
  sf.put(t + R, C_QNAN, sf.sign_of(t, p), 0x7fff, sf.hi_of(t, p) | 0x4000_0000_0000_0000, 0);
  return true;
}

/** DE when A, or B with `two`, is a denormal. */
@inline
export function note_denormals(t: usize, two: bool): void {
  if (sf.class_of(t, A) == sf.C_DENORMAL || (two && sf.class_of(t, B) == sf.C_DENORMAL)) sf.add_flags(t, DE);
}

@inline
export function rounding(cpu: usize): u32 {
  return (changetype<Cpu>(cpu).fcw >> 10) & 3;
}

/** Significand bits of the precision control. */
@inline
export function precision(cpu: usize): u32 {
  const pc = (changetype<Cpu>(cpu).fcw >> 8) & 3;
  return pc == 0 ? 24 : pc == 2 ? 53 : 64;
}

/** Rounds R (finite or special) for a register with `p` significand bits. */
export function round_ext(cpu: usize, p: u32): void {
  const t = work(cpu);
  const cr = sf.class_of(t, R);
  if (cr == C_ZERO || cr >= C_INF) return;
  sf.sf_round(t, p, -16382, 16383, rounding(cpu), ~changetype<Cpu>(cpu).fcw & (OE | UE), false);
  if (sf.class_of(t, R) == C_INF) store<u64>(t + R, TOP64);
}

/** R to ST(i). */
@inline
export function write_result(cpu: usize, i: u32): void {
  const t = work(cpu);
  set_st(cpu, i, sf.pack_ext_se(t), sf.hi_of(t, R));
}

@inline
export function unpack_st(cpu: usize, p: usize, i: u32): void {
  const r = st(cpu, i);
  sf.unpack_ext(work(cpu) + p, se(r), sig(r));
}
