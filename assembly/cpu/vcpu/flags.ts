/**
 * Lazy arithmetic flags. An operation leaves its operands and result, all sign-extended from the operand size to 64
 * bits: then sign, carry and overflow formulas are the same for every size. `flag_op` says which formula.
 * FLAG_EXPLICIT: the six bits are in `eflags` itself. FLAG_OVER, or-ed to one of them: CF and OF (only) come from bits
 * 9 and 10 of `flag_op` instead, which is how rotates and bit tests leave the other four alone without computing them.
 */
import { FLAG_OVER, FLAG_OVER_CF, FLAG_OVER_OF, FLAG_SHIFT } from '../../contract/translator';
export { FLAG_OVER, FLAG_OVER_CF, FLAG_OVER_OF, FLAG_SHIFT } from '../../contract/translator';
import { Cpu } from './state';

export const CF: u32 = 0x001;
export const PF: u32 = 0x004;
export const AF: u32 = 0x010;
export const ZF: u32 = 0x040;
export const SF: u32 = 0x080;
export const TF: u32 = 0x100;
export const IF: u32 = 0x200;
export const DF: u32 = 0x400;
export const OF: u32 = 0x800;
export const IOPL: u32 = 0x3000;
export const NT: u32 = 0x4000;
export const RF: u32 = 0x1_0000;
export const VM: u32 = 0x2_0000;
export const AC: u32 = 0x4_0000;
export const VIF: u32 = 0x8_0000;
export const VIP: u32 = 0x10_0000;
export const ID: u32 = 0x20_0000;
/** The six arithmetic flags. */
export const FLAGS_ARITH: u32 = CF | PF | AF | ZF | SF | OF;

export const FLAG_EXPLICIT: u32 = 0;
export const FLAG_ADD: u32 = 1; // res = a + b
export const FLAG_SUB: u32 = 2; // res = a - b
export const FLAG_LOGIC: u32 = 3; // res only
export const FLAG_INC: u32 = 4; // res = a + 1; b = CF before
export const FLAG_DEC: u32 = 5; // res = a - 1; b = CF before
export const FLAG_ADC: u32 = 6; // res = a + b + carry
export const FLAG_SBB: u32 = 7; // res = a - b - borrow


export const FLAG_RES: usize = offsetof<Cpu>('flag_res');
export const FLAG_A: usize = offsetof<Cpu>('flag_a');
export const FLAG_B: usize = offsetof<Cpu>('flag_b');
export const FLAG_OP: usize = offsetof<Cpu>('flag_op');
export const EFLAGS: usize = offsetof<Cpu>('eflags');

@inline
export function flags_lazy(cpu: usize, op: u32, res: u64, a: u64, b: u64): void {
  store<u64>(cpu, res, FLAG_RES);
  store<u64>(cpu, a, FLAG_A);
  store<u64>(cpu, b, FLAG_B);
  store<u32>(cpu, op, FLAG_OP);
}

@inline
export function flags_logic(cpu: usize, res: u64): void {
  store<u64>(cpu, res, FLAG_RES);
  store<u32>(cpu, FLAG_LOGIC, FLAG_OP);
}

/** Rotates and bit tests: new CF and OF (0 or 1 each), the rest as it was. */
@inline
export function flags_over(cpu: usize, cf: u32, ov: u32): void {
  store<u32>(cpu, (load<u32>(cpu, FLAG_OP) & 0xff) | FLAG_OVER | (cf << FLAG_OVER_CF) | (ov << FLAG_OVER_OF), FLAG_OP);
}

/** PF of a result: set when its low byte has an even number of ones. */
@inline
export function parity(res: u64): u32 {
  return popcnt(<u32>res & 0xff) & 1 ? 0 : PF;
}

/** CF as 0 or 1. */
export function get_cf(cpu: usize): u32 {
  const c = changetype<Cpu>(cpu);
  if (c.flag_op & FLAG_OVER) return (c.flag_op >> FLAG_OVER_CF) & 1;
  switch (c.flag_op) {
    case FLAG_EXPLICIT: return c.eflags & 1;
    case FLAG_ADD: return u32(c.flag_res < c.flag_a);
    case FLAG_SUB: return u32(c.flag_a < c.flag_b);
    case FLAG_LOGIC: return 0;
    case FLAG_INC:
    case FLAG_DEC: return <u32>c.flag_b;
    case FLAG_SHIFT: return <u32>c.flag_a;
    case FLAG_ADC: return (c.flag_res - c.flag_a - c.flag_b) & 1 ? u32(c.flag_res <= c.flag_a) : u32(c.flag_res < c.flag_a);
    default: return (c.flag_a - c.flag_b - c.flag_res) & 1 ? u32(c.flag_a <= c.flag_b) : u32(c.flag_a < c.flag_b);
  }
}

/** OF as 0 or 1. */
export function get_of(cpu: usize): u32 {
  const c = changetype<Cpu>(cpu);
  if (c.flag_op & FLAG_OVER) return (c.flag_op >> FLAG_OVER_OF) & 1;
  switch (c.flag_op) {
    case FLAG_EXPLICIT: return (c.eflags >> 11) & 1;
    case FLAG_ADD:
    case FLAG_ADC: return <u32>(((c.flag_a ^ c.flag_res) & (c.flag_b ^ c.flag_res)) >> 63);
    case FLAG_LOGIC: return 0;
    case FLAG_SHIFT: return <u32>c.flag_b;
    case FLAG_INC: return <u32>((c.flag_res & ~c.flag_a) >> 63);
    case FLAG_DEC: return <u32>((c.flag_a & ~c.flag_res) >> 63);
    default: return <u32>(((c.flag_a ^ c.flag_b) & (c.flag_a ^ c.flag_res)) >> 63);
  }
}

/** The six arithmetic bits of a lazy state. */
function compute(cpu: usize): u32 {
  const c = changetype<Cpu>(cpu);
  const op = c.flag_op & 0xff;
  let f = get_cf(cpu) | (get_of(cpu) << 11);
  if (op == FLAG_EXPLICIT) return f | (c.eflags & (PF | AF | ZF | SF));
  const res = c.flag_res;
  f |= parity(res);
  if (res == 0) f |= ZF;
  if (<i64>res < 0) f |= SF;
  switch (op) {
    case FLAG_LOGIC:
    case FLAG_SHIFT: break;
    case FLAG_INC:
    case FLAG_DEC: f |= <u32>(c.flag_a ^ res ^ 1) & AF; break;
    default: f |= <u32>(c.flag_a ^ c.flag_b ^ res) & AF;
  }
  return f;
}

/** All of RFLAGS as PUSHF would show it. */
export function flags_get(cpu: usize): u32 {
  const c = changetype<Cpu>(cpu);
  if (c.flag_op == FLAG_EXPLICIT) return c.eflags;
  return (c.eflags & ~FLAGS_ARITH) | compute(cpu);
}

/** Sets all of RFLAGS; the caller has masked what may not change. */
export function flags_set(cpu: usize, v: u32): void {
  const c = changetype<Cpu>(cpu);
  c.eflags = v | 2;
  c.flag_op = FLAG_EXPLICIT;
}

/** Makes the arithmetic bits in `eflags` true and returns `eflags`. */
export function flags_materialize(cpu: usize): u32 {
  const c = changetype<Cpu>(cpu);
  if (c.flag_op != FLAG_EXPLICIT) {
    c.eflags = (c.eflags & ~FLAGS_ARITH) | compute(cpu);
    c.flag_op = FLAG_EXPLICIT;
  }
  return c.eflags;
}

/** Sets the six arithmetic flags to `bits` (COMISS, FCOMI, shifts …); the others stay. */
export function set_flags_explicit(cpu: usize, bits: u32): void {
  const c = changetype<Cpu>(cpu);
  c.eflags = (c.eflags & ~FLAGS_ARITH) | (bits & FLAGS_ARITH);
  c.flag_op = FLAG_EXPLICIT;
}

/** Condition `cc` (the low four bits of Jcc's opcode) of an explicit flag word. */
export function cond_flags(f: u32, cc: u32): bool {
  let r: bool;
  switch (cc >> 1) {
    case 0: r = (f & OF) != 0; break;
    case 1: r = (f & CF) != 0; break;
    case 2: r = (f & ZF) != 0; break;
    case 3: r = (f & (CF | ZF)) != 0; break;
    case 4: r = (f & SF) != 0; break;
    case 5: r = (f & PF) != 0; break;
    case 6: r = ((f >> 7) ^ (f >> 11)) & 1 ? true : false; break;
    default: r = (f & ZF) != 0 || (((f >> 7) ^ (f >> 11)) & 1) != 0;
  }
  return cc & 1 ? !r : r;
}

/** Condition `cc` of the current flags. */
export function cond(cpu: usize, cc: u32): bool {
  const c = changetype<Cpu>(cpu);
  const op = c.flag_op;
  if (op == FLAG_EXPLICIT) return cond_flags(c.eflags, cc);
  if ((op & 0xff) == FLAG_EXPLICIT) return cond_flags(flags_get(cpu), cc);
  let r: bool;
  const res = c.flag_res;
  switch (cc >> 1) {
    case 0: r = get_of(cpu) != 0; break;
    case 1: r = get_cf(cpu) != 0; break;
    case 2: r = res == 0; break;
    case 3: r = op == FLAG_SUB ? c.flag_a <= c.flag_b : res == 0 || get_cf(cpu) != 0; break;
    case 4: r = <i64>res < 0; break;
    case 5: r = parity(res) != 0; break;
    case 6: r = op == FLAG_SUB ? <i64>c.flag_a < <i64>c.flag_b : <u32>(res >> 63) != get_of(cpu); break;
    default: r = op == FLAG_SUB ? <i64>c.flag_a <= <i64>c.flag_b : res == 0 || <u32>(res >> 63) != get_of(cpu);
  }
  return cc & 1 ? !r : r;
}
