/**
 * The arithmetic flags: lazy, in four locals, and conditions on them (assembly/cpu/vcpu/flags.ts has the same in memory).
 *
 * An operation does not fill these locals: it notes what they can be made of (`LazyFlags`), and they are made where somebody may look at
 * them: on the ways out of the region, at merges behind which they are still wanted, before the core's functions. Most of these places are cold.
 */
import { FLAG_OVER, FLAG_OVER_CF, FLAG_OVER_OF } from '../../assembly/contract/translator.ts';
import { type Code, MEM, OP } from './code.ts';
import { HELPER } from './helpers.ts';
import { CPU, FLAG_A, FLAG_A32, FLAG_B, FLAG_B32, FLAG_OP, FLAG_RES, FLAG_RES32, FLAG_X, FLAG_Y, T0, T1, V, V32, X, X32, Y, Y32 } from './locals.ts';
import type { Offsets } from './layout.ts';

/** FLAG_* of assembly/cpu/vcpu/flags.ts. */
export const CODES = { EXPLICIT: 0, ADD: 1, SUB: 2, LOGIC: 3, INC: 4, DEC: 5, ADC: 6, SBB: 7, SHIFT: 8 } as const;
/** CF, PF, AF, ZF, SF and OF in EFLAGS. */
const ARITHMETIC = 0x8d5;

/** `OVER`: CF and OF alone are of another operation than the rest. */
type Kind = keyof typeof CODES | 'OVER';
/** Which operation made the flags, when that is known. */
export type FlagKind = Kind | undefined;

/**
 * What the flags are made of. `sum`, `difference`: result and second operand (the first one is found from them, so that nobody has to keep
 * it); `compare`: both operands; `result`: the result alone; `shift`: operand in FLAG_X or FLAG_A32, and result; `product`: all of it
 * in FLAG_X; `factors`: its low half in FLAG_RES, both factors in FLAG_X and FLAG_Y; `wide`: the low half in FLAG_RES, and in FLAG_X 0 when that is all of it;
 * `bits`: the flags themselves in FLAG_A32; `over`: CF in FLAG_A32, the rest in the other locals (with `under`: CF and OF are not yet); `done`: FLAG_OP alone
 * is missing. Operands of 32 bits and less are in the 32-bit locals, sign-extended. What it takes to make them stays as it is when they are made.
 */
export interface LazyFlags {
  readonly of: 'sum' | 'difference' | 'compare' | 'result' | 'shift' | 'product' | 'factors' | 'wide' | 'bits' | 'over' | 'done';
  readonly kind: Kind;
  readonly bits: number;
  /** Of a shift: which, and how far. */
  readonly shift?: 'SHL' | 'SHR' | 'SAR';
  readonly by?: number;
  /** Of `over`: what made the other flags. */
  readonly under?: Exclude<Kind, 'OVER'>;
}

/** What is known of the flags at the place that is written (a part of Context). */
export interface FlagContext {
  readonly code: Code;
  readonly at: Offsets;
  /** They may differ from memory. */
  flagsDirty: boolean;
  flagKind: FlagKind;
  /** They are not in their locals yet, but can be made of these. */
  lazy: LazyFlags | undefined;
}

// ---- what lazy flags are made of -------------------------------------------------------------------------------------------

export function isWide({ lazy }: FlagContext): boolean {
  return lazy === undefined || lazy.bits === 64;
}

/** An i32 as operands narrower than that are kept. */
function narrowed({ code, lazy }: FlagContext): void {
  if (lazy?.bits === 8) code.op(OP.i32Extend8);
  else if (lazy?.bits === 16) code.op(OP.i32Extend16);
}

/** The result: i64, or i32 of a narrower operation. */
export function result(c: FlagContext): void {
  const { code, lazy } = c;
  const wide = isWide(c);
  if (lazy?.of === 'compare') {
    if (wide) code.get(FLAG_A).get(FLAG_B).op(OP.i64Sub);
    else code.get(FLAG_A32).get(FLAG_B32).op(OP.i32Sub);
    narrowed(c);
  } else if (lazy?.of === 'product') code.get(FLAG_X).op(OP.wrap);
  else code.get(wide ? FLAG_RES : FLAG_RES32);
}

/** The operands of a sum, difference or compare. */
export function first(c: FlagContext): void {
  const { code, lazy } = c;
  const wide = isWide(c);
  if (lazy === undefined || lazy.of === 'compare' || lazy.of === 'done' || lazy.of === 'over') {
    code.get(wide ? FLAG_A : FLAG_A32);
    return;
  }
  code.get(wide ? FLAG_RES : FLAG_RES32).get(wide ? FLAG_B : FLAG_B32);
  if (lazy.of === 'sum') code.op(wide ? OP.i64Sub : OP.i32Sub);
  else code.op(wide ? OP.i64Add : OP.i32Add);
  narrowed(c);
}

export function second(c: FlagContext): void {
  c.code.get(isWide(c) ? FLAG_B : FLAG_B32);
}

/** i64: CF of a shift. */
export function shiftCarry(c: FlagContext, { bits, shift, by = 0 }: LazyFlags): void {
  const { code } = c;
  const n = shift === 'SHL' ? bits - by : by - 1;
  if (bits === 64) code.get(FLAG_X).i64(n).op(shift === 'SAR' ? OP.i64ShrS : OP.i64ShrU);
  else code.get(FLAG_A32).i32(n).op(shift === 'SAR' ? OP.i32ShrS : OP.i32ShrU).op(OP.extendU);
  code.i64(1).op(OP.i64And);
}

/** i64: OF of a shift, whose CF is in FLAG_A. */
function shiftOverflow(c: FlagContext, { bits, shift }: LazyFlags): void {
  const { code } = c;
  if (shift === 'SAR') {
    code.i64(0);
    return;
  }
  if (bits === 64) code.get(shift === 'SHL' ? FLAG_RES : FLAG_X).i64(63).op(OP.i64ShrU);
  else code.get(shift === 'SHL' ? FLAG_RES32 : FLAG_A32).i32(31).op(OP.i32ShrU).op(OP.extendU);
  if (shift === 'SHL') code.get(FLAG_A).op(OP.i64Xor);
}

/** Writes what fills the locals, if they are not filled; what is known here stays. */
export function emitFlags(c: FlagContext): void {
  const { code, lazy } = c;
  if (lazy === undefined) return;
  const to = (part: (c: FlagContext) => void, local: number): void => {
    part(c);
    if (!isWide(c)) code.op(OP.extendS);
    code.set(local);
  };
  switch (lazy.of) {
    case 'sum':
    case 'difference':
    case 'compare':
      to(first, FLAG_A);
      to(second, FLAG_B);
      to(result, FLAG_RES);
      break;
    case 'result':
      to(result, FLAG_RES);
      break;
    case 'shift':
      to(result, FLAG_RES);
      shiftCarry(c, lazy);
      code.set(FLAG_A);
      shiftOverflow(c, lazy);
      code.set(FLAG_B);
      break;
    case 'product':
      code.get(FLAG_X).op(OP.i64Extend32).tee(FLAG_RES).get(FLAG_X).op(OP.i64Ne).op(OP.extendU).tee(FLAG_A).set(FLAG_B);
      break;
    case 'factors':
    case 'wide':
      if (lazy.of === 'wide') code.get(FLAG_X);
      else {
        highHalf(c, FLAG_X, FLAG_Y, true);
        code.get(FLAG_RES).i64(63).op(OP.i64ShrS).op(OP.i64Xor);
      }
      code.i64(0).op(OP.i64Ne).op(OP.extendU).tee(FLAG_A).set(FLAG_B);
      break;
    case 'bits':
      code.get(CPU).get(CPU).mem(MEM.i32Load, c.at.eflags).i32(~ARITHMETIC).op(OP.i32And).get(FLAG_A32).op(OP.i32Or).mem(MEM.i32Store, c.at.eflags);
      break;
    case 'over':
      if (lazy.under !== undefined) {
        overOther(c, lazy.under);
        code.set(FLAG_OP);
      }
      return;
    default:
  }
  if (lazy.kind !== 'OVER') code.i32(CODES[lazy.kind]).set(FLAG_OP);
}

/** i32: FLAG_OP with CF from FLAG_A32; the other locals have OF. */
function overOther(c: FlagContext, under: Exclude<Kind, 'OVER'>): void {
  const { code } = c;
  code.i32(CODES[under] | FLAG_OVER).get(FLAG_A32).i32(FLAG_OVER_CF).op(OP.i32Shl).op(OP.i32Or);
  overflow(c, under);
  code.i32(FLAG_OVER_OF).op(OP.i32Shl).op(OP.i32Or);
}

/** i32: OF of 64-bit operands and result in their locals. */
function overflow({ code, at }: FlagContext, kind: Exclude<Kind, 'OVER'>): void {
  const both = (x: readonly [number, number], y: readonly [number, number]): void => {
    code.get(x[0]).get(x[1]).op(OP.i64Xor).get(y[0]).get(y[1]).op(OP.i64Xor).op(OP.i64And).i64(0).op(OP.i64LtS);
  };
  const turned = (x: number, y: number): void => {
    code.get(x).get(y).i64(-1).op(OP.i64Xor).op(OP.i64And).i64(0).op(OP.i64LtS);
  };
  if (kind === 'LOGIC') code.i32(0);
  else if (kind === 'SHIFT') code.get(FLAG_B).op(OP.wrap);
  else if (kind === 'INC') turned(FLAG_RES, FLAG_A);
  else if (kind === 'DEC') turned(FLAG_A, FLAG_RES);
  else if (kind === 'EXPLICIT') code.get(CPU).mem(MEM.i32Load, at.eflags).i32(11).op(OP.i32ShrU).i32(1).op(OP.i32And);
  else if (kind === 'SUB' || kind === 'SBB') both([FLAG_A, FLAG_B], [FLAG_A, FLAG_RES]);
  else both([FLAG_A, FLAG_RES], [FLAG_B, FLAG_RES]);
}

/** i64: the upper half of the product of two locals. */
export function highHalf({ code }: FlagContext, x: number, y: number, signed: boolean): void {
  const low = (local: number): void => {
    code.get(local).i64(0xffff_ffff).op(OP.i64And);
  };
  const high = (local: number): void => {
    code.get(local).i64(32).op(OP.i64ShrU);
  };
  high(x);
  low(y);
  code.op(OP.i64Mul);
  low(x);
  low(y);
  code.op(OP.i64Mul).i64(32).op(OP.i64ShrU).op(OP.i64Add).set(T0);
  low(x);
  high(y);
  code.op(OP.i64Mul);
  low(T0);
  code.op(OP.i64Add).set(T1);
  high(x);
  high(y);
  code.op(OP.i64Mul);
  high(T0);
  code.op(OP.i64Add);
  high(T1);
  code.op(OP.i64Add);
  if (!signed) return;
  for (const [of, other] of [[x, y], [y, x]] as const) code.get(of).i64(63).op(OP.i64ShrS).get(other).op(OP.i64And).op(OP.i64Sub);
}

/** The locals are right from here on. */
export function canonicalFlags(c: FlagContext): void {
  emitFlags(c);
  c.lazy = undefined;
}

// ---- to and from memory ----------------------------------------------------------------------------------------------------

export function loadFlags(c: FlagContext): void {
  const { code, at } = c;
  code.get(CPU).mem(MEM.i64Load, at.flagRes).set(FLAG_RES).get(CPU).mem(MEM.i64Load, at.flagA).set(FLAG_A);
  code.get(CPU).mem(MEM.i64Load, at.flagB).set(FLAG_B).get(CPU).mem(MEM.i32Load, at.flagOp).set(FLAG_OP);
}

/** Stores the flags if they may differ from memory. */
export function storeFlags(c: FlagContext): void {
  if (!c.flagsDirty) return;
  emitFlags(c);
  const { code, at } = c;
  code.get(CPU).get(FLAG_RES).mem(MEM.i64Store, at.flagRes).get(CPU).get(FLAG_A).mem(MEM.i64Store, at.flagA);
  code.get(CPU).get(FLAG_B).mem(MEM.i64Store, at.flagB).get(CPU).get(FLAG_OP).mem(MEM.i32Store, at.flagOp);
}

/** Memory has the flags from here on. */
export function syncFlags(c: FlagContext): void {
  canonicalFlags(c);
  storeFlags(c);
  c.flagsDirty = false;
}

/** A helper may have changed them. */
export function reloadFlags(c: FlagContext): void {
  loadFlags(c);
  c.flagsDirty = false;
  c.flagKind = undefined;
  c.lazy = undefined;
}

// ---- setting them ----------------------------------------------------------------------------------------------------------

export function setLazy(c: FlagContext, lazy: LazyFlags): void {
  c.lazy = lazy;
  c.flagKind = lazy.kind;
  c.flagsDirty = true;
}

/** Flags of an operation of `bits` whose operands are in X, Y and result in V (or their 32-bit brothers); a compare has no result there. */
export function setFlags(c: FlagContext, op: string, bits: number): void {
  const { code } = c;
  const wide = bits === 64;
  const keep = (from: number, to: number): void => {
    code.get(from).set(to);
  };
  if (op === 'ADC' || op === 'SBB') {
    for (const [from32, from64, to] of [[V32, V, FLAG_RES], [X32, X, FLAG_A], [Y32, Y, FLAG_B]] as const) {
      code.get(wide ? from64 : from32);
      if (!wide) code.op(OP.extendS);
      code.set(to);
    }
    setLazy(c, { of: 'done', kind: op, bits: 64 });
    return;
  }
  if (op === 'CMP') keep(wide ? X : X32, wide ? FLAG_A : FLAG_A32);
  else keep(wide ? V : V32, wide ? FLAG_RES : FLAG_RES32);
  if (op === 'CMP' || op === 'ADD' || op === 'SUB') keep(wide ? Y : Y32, wide ? FLAG_B : FLAG_B32);
  if (op === 'CMP') setLazy(c, { of: 'compare', kind: 'SUB', bits });
  else if (op === 'ADD') setLazy(c, { of: 'sum', kind: 'ADD', bits });
  else if (op === 'SUB') setLazy(c, { of: 'difference', kind: 'SUB', bits });
  else setLazy(c, { of: 'result', kind: 'LOGIC', bits });
}

/** Rotates: CF is the i32 in X32, OF that in Y32, the rest stays. */
export function setFlagsOver(c: FlagContext): void {
  const { code } = c;
  canonicalFlags(c);
  code.get(FLAG_OP).i32(0xff).op(OP.i32And).i32(FLAG_OVER).op(OP.i32Or);
  code.get(X32).tee(FLAG_A32).i32(FLAG_OVER_CF).op(OP.i32Shl).op(OP.i32Or).get(Y32).i32(FLAG_OVER_OF).op(OP.i32Shl).op(OP.i32Or).set(FLAG_OP);
  setLazy(c, { of: 'over', kind: 'OVER', bits: 64 });
}

/** Bit tests: CF is the i32 in X32, the rest stays, OF too. */
export function setCarry(c: FlagContext): void {
  const { code, flagKind: under, lazy } = c;
  if (under !== undefined && under !== 'OVER') {
    canonicalFlags(c);
    code.get(X32).set(FLAG_A32);
    setLazy(c, { of: 'over', kind: 'OVER', bits: 64, under });
    return;
  }
  if (lazy?.under !== undefined) {
    code.get(X32).set(FLAG_A32);
    return;
  }
  syncFlags(c);
  code.get(CPU).call(HELPER.get_of as number).set(Y32);
  setFlagsOver(c);
}
