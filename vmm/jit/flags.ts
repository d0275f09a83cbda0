/**
 * The arithmetic flags: lazy, in four locals, and conditions on them (assembly/cpu/vcpu/flags.ts has the same in memory).
 *
 * An operation does not fill these locals: it notes what they can be made of (`LazyFlags`), and they are made where somebody may look at
 * them: on the ways out of the region, at merges behind which they are still wanted, before the core's functions. Most of these places are cold.
 */
import { FLAG_OVER, FLAG_OVER_CF, FLAG_OVER_OF } from '../../assembly/contract/translator.ts';
import { type Code, MEM, OP } from './code.ts';
import { HELPER } from './helpers.ts';
import { CPU, FLAG_A, FLAG_A32, FLAG_B, FLAG_B32, FLAG_OP, FLAG_RES, FLAG_RES32, FLAG_X, V, V32, X, X32, Y, Y32 } from './locals.ts';
import type { Offsets } from './layout.ts';
import { CONDITIONS } from './uop.ts';

/** FLAG_* of assembly/cpu/vcpu/flags.ts. */
const CODES = { ADD: 1, SUB: 2, LOGIC: 3, INC: 4, DEC: 5, ADC: 6, SBB: 7, SHIFT: 8 } as const;

type Kind = keyof typeof CODES;
/** Which operation made the flags, when that is known. */
export type FlagKind = Kind | undefined;

/**
 * What the flags are made of. `sum`, `difference`: result and second operand (the first one is found from them, so that nobody has to keep
 * it); `compare`: both operands; `result`: the result alone; `shift`: operand in FLAG_X or FLAG_A32, and result; `product`: all of it
 * in FLAG_X; `done`: FLAG_OP alone is missing. Operands of 32 bits and less are in the 32-bit locals, sign-extended.
 */
export interface LazyFlags {
  readonly of: 'sum' | 'difference' | 'compare' | 'result' | 'shift' | 'product' | 'done';
  readonly kind: Kind;
  readonly bits: number;
  /** Of a shift: which, and how far. */
  readonly shift?: 'SHL' | 'SHR' | 'SAR';
  readonly by?: number;
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

/** Comparisons of a compare's operands by condition. */
export const COMPARE32: Readonly<Record<string, number>> = {
  B: OP.i32LtU, NB: OP.i32GeU, Z: OP.i32Eq, NZ: OP.i32Ne, BE: OP.i32LeU, NBE: OP.i32GtU, L: OP.i32LtS, NL: OP.i32GeS, LE: OP.i32LeS, NLE: OP.i32GtS,
};
export const COMPARE64: Readonly<Record<string, number>> = {
  B: OP.i64LtU, NB: OP.i64GeU, Z: OP.i64Eq, NZ: OP.i64Ne, BE: OP.i64LeU, NBE: OP.i64GtU, L: OP.i64LtS, NL: OP.i64GeS, LE: OP.i64LeS, NLE: OP.i64GtS,
};
/** Comparisons of a result with 0. */
export const ZERO32: Readonly<Record<string, number>> = { Z: OP.i32Eq, NZ: OP.i32Ne, S: OP.i32LtS, NS: OP.i32GeS, LE: OP.i32LeS, NLE: OP.i32GtS };
export const ZERO64: Readonly<Record<string, number>> = { Z: OP.i64Eq, NZ: OP.i64Ne, S: OP.i64LtS, NS: OP.i64GeS, LE: OP.i64LeS, NLE: OP.i64GtS };

// ---- what lazy flags are made of -------------------------------------------------------------------------------------------

function isWide({ lazy }: FlagContext): boolean {
  return lazy === undefined || lazy.bits === 64;
}

/** An i32 as operands narrower than that are kept. */
function narrowed({ code, lazy }: FlagContext): void {
  if (lazy?.bits === 8) code.op(OP.i32Extend8);
  else if (lazy?.bits === 16) code.op(OP.i32Extend16);
}

/** The result: i64, or i32 of a narrower operation. */
function result(c: FlagContext): void {
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
function first(c: FlagContext): void {
  const { code, lazy } = c;
  const wide = isWide(c);
  if (lazy === undefined || lazy.of === 'compare' || lazy.of === 'done') {
    code.get(wide ? FLAG_A : FLAG_A32);
    return;
  }
  code.get(wide ? FLAG_RES : FLAG_RES32).get(wide ? FLAG_B : FLAG_B32);
  if (lazy.of === 'sum') code.op(wide ? OP.i64Sub : OP.i32Sub);
  else code.op(wide ? OP.i64Add : OP.i32Add);
  narrowed(c);
}

function second(c: FlagContext): void {
  c.code.get(isWide(c) ? FLAG_B : FLAG_B32);
}

/** i64: CF of a shift. */
function shiftCarry(c: FlagContext, { bits, shift, by = 0 }: LazyFlags): void {
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
    default:
  }
  code.i32(CODES[lazy.kind]).set(FLAG_OP);
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
  code.get(X32).i32(FLAG_OVER_CF).op(OP.i32Shl).op(OP.i32Or).get(Y32).i32(FLAG_OVER_OF).op(OP.i32Shl).op(OP.i32Or).set(FLAG_OP);
  c.flagKind = undefined;
  c.flagsDirty = true;
}

// ---- reading them ----------------------------------------------------------------------------------------------------------

/** i64: CF, 0 or 1. */
export function carry(c: FlagContext): void {
  const { code, lazy } = c;
  const below = (): void => {
    code.op(isWide(c) ? OP.i64LtU : OP.i32LtU).op(OP.extendU);
  };
  switch (c.flagKind) {
    case 'LOGIC':
      code.i64(0);
      return;
    case 'ADD': // the sum is below both operands
      result(c);
      second(c);
      below();
      return;
    case 'SUB':
      first(c);
      second(c);
      below();
      return;
    case 'ADC': // with a carry that came in, a result that equals the operand has carried
      code.get(FLAG_RES).get(FLAG_A).op(OP.i64LeU).get(FLAG_RES).get(FLAG_A).op(OP.i64LtU);
      code.get(FLAG_RES).get(FLAG_A).op(OP.i64Sub).get(FLAG_B).op(OP.i64Sub).op(OP.wrap).i32(1).op(OP.i32And);
      code.op(OP.select).op(OP.extendU);
      return;
    case 'SBB':
      code.get(FLAG_A).get(FLAG_B).op(OP.i64LeU).get(FLAG_A).get(FLAG_B).op(OP.i64LtU);
      code.get(FLAG_A).get(FLAG_B).op(OP.i64Sub).get(FLAG_RES).op(OP.i64Sub).op(OP.wrap).i32(1).op(OP.i32And);
      code.op(OP.select).op(OP.extendU);
      return;
    case 'SHIFT':
      if (lazy?.of === 'shift') {
        shiftCarry(c, lazy);
        return;
      }
      canonicalFlags(c);
      code.get(FLAG_A);
      return;
    case 'INC':
    case 'DEC':
      code.get(FLAG_B);
      return;
    default:
      syncFlags(c);
      code.get(CPU).call(HELPER.get_cf as number).op(OP.extendU);
  }
}

/** i32: the result compared with 0. */
function resultIs(c: FlagContext, cc: string): void {
  const wide = isWide(c) && c.lazy?.of !== 'product';
  result(c);
  if (wide) c.code.i64(0).op(ZERO64[cc] as number);
  else c.code.i32(0).op(ZERO32[cc] as number);
}

/** i32: the operands of a compare or a difference compared. */
function operandsAre(c: FlagContext, cc: string): void {
  first(c);
  second(c);
  c.code.op((isWide(c) ? COMPARE64 : COMPARE32)[cc] as number);
}

/** i32: condition `cc` by name, of whatever set the flags last. */
export function condition(c: FlagContext, cc: string): void {
  const { code, flagKind: kind } = c;
  if (kind === 'SUB' && COMPARE64[cc] !== undefined) operandsAre(c, cc);
  else if (kind !== undefined && ['Z', 'NZ', 'S', 'NS'].includes(cc)) resultIs(c, cc);
  else if (kind === 'LOGIC' && ZERO64[cc] !== undefined) resultIs(c, cc);
  else if (kind === 'ADD' && (cc === 'B' || cc === 'NB')) {
    result(c);
    second(c);
    code.op((isWide(c) ? COMPARE64 : COMPARE32)[cc] as number);
  } else {
    syncFlags(c);
    code.get(CPU).i32(CONDITIONS.indexOf(cc as never)).call(HELPER.cond as number);
  }
}

/** i32: a condition of which the decoder knew how to see it: `res` and `sub` as the interpreter's forms do it. */
export function knownCondition(c: FlagContext, how: string | undefined, cc: string): void {
  if (how === 'res') resultIs(c, cc);
  else if (how === 'sub') operandsAre(c, cc);
  else condition(c, cc);
}
