/** The arithmetic flags: lazy, in four locals, and conditions on them (assembly/cpu/flags.ts has the same in memory). */
import { FLAG_OVER, FLAG_OVER_CF, FLAG_OVER_OF } from '../../assembly/contract/translator.ts';
import { MEM, OP } from './code.ts';
import { CPU, type Context, FLAG_A, FLAG_B, FLAG_OP, FLAG_RES, type FlagKind, V, V32, X, X32, Y, Y32 } from './context.ts';
import { HELPER } from './helpers.ts';
import { CONDITIONS } from './uop.ts';

/** FLAG_* of assembly/cpu/flags.ts. */
const CODES: Readonly<Record<Exclude<FlagKind, undefined>, number>> = { ADD: 1, SUB: 2, LOGIC: 3, INC: 4, DEC: 5, ADC: 6, SBB: 7, SHIFT: 8 };

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

export function loadFlags(c: Context): void {
  const { code, at } = c;
  code.get(CPU).mem(MEM.i64Load, at.flagRes).set(FLAG_RES).get(CPU).mem(MEM.i64Load, at.flagA).set(FLAG_A);
  code.get(CPU).mem(MEM.i64Load, at.flagB).set(FLAG_B).get(CPU).mem(MEM.i32Load, at.flagOp).set(FLAG_OP);
}

/** Stores the flags if they may differ from memory. */
export function storeFlags(c: Context): void {
  if (!c.flagsDirty) return;
  const { code, at } = c;
  code.get(CPU).get(FLAG_RES).mem(MEM.i64Store, at.flagRes).get(CPU).get(FLAG_A).mem(MEM.i64Store, at.flagA);
  code.get(CPU).get(FLAG_B).mem(MEM.i64Store, at.flagB).get(CPU).get(FLAG_OP).mem(MEM.i32Store, at.flagOp);
}

/** Memory has the flags from here on. */
export function syncFlags(c: Context): void {
  storeFlags(c);
  c.flagsDirty = false;
}

/** A helper may have changed them. */
export function reloadFlags(c: Context): void {
  loadFlags(c);
  c.flagsDirty = false;
  c.flagKind = undefined;
}

export function setFlagOp(c: Context, kind: Exclude<FlagKind, undefined>): void {
  c.code.i32(CODES[kind]).set(FLAG_OP);
  c.flagKind = kind;
  c.flagsDirty = true;
}

/** Flags of an operation of `bits` whose operands are in X, Y and result in V (or their 32-bit brothers). */
export function setFlags(c: Context, kind: Exclude<FlagKind, undefined>, bits: number): void {
  const { code } = c;
  const keep = (from32: number, from64: number, to: number): void => {
    if (bits === 64) code.get(from64).set(to);
    else code.get(from32).op(OP.extendS).set(to);
  };
  keep(V32, V, FLAG_RES);
  if (kind !== 'LOGIC') {
    keep(X32, X, FLAG_A);
    keep(Y32, Y, FLAG_B);
  }
  setFlagOp(c, kind);
}

/** Rotates: CF is the i32 in X32, OF that in Y32, the rest stays. */
export function setFlagsOver(c: Context): void {
  const { code } = c;
  code.get(FLAG_OP).i32(0xff).op(OP.i32And).i32(FLAG_OVER).op(OP.i32Or);
  code.get(X32).i32(FLAG_OVER_CF).op(OP.i32Shl).op(OP.i32Or).get(Y32).i32(FLAG_OVER_OF).op(OP.i32Shl).op(OP.i32Or).set(FLAG_OP);
  c.flagKind = undefined;
  c.flagsDirty = true;
}

/** i64: CF, 0 or 1. */
export function carry(c: Context): void {
  const { code } = c;
  switch (c.flagKind) {
    case 'LOGIC':
      code.i64(0);
      return;
    case 'ADD':
      code.get(FLAG_RES).get(FLAG_A).op(OP.i64LtU).op(OP.extendU);
      return;
    case 'SUB':
      code.get(FLAG_A).get(FLAG_B).op(OP.i64LtU).op(OP.extendU);
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

/** i32: condition `cc` by name, of whatever set the flags last. */
export function condition(c: Context, cc: string): void {
  const { code, flagKind: kind } = c;
  if (kind === 'SUB' && COMPARE64[cc] !== undefined) code.get(FLAG_A).get(FLAG_B).op(COMPARE64[cc]);
  else if (kind !== undefined && ['Z', 'NZ', 'S', 'NS'].includes(cc)) code.get(FLAG_RES).i64(0).op(ZERO64[cc] as number);
  else if (kind === 'LOGIC' && ZERO64[cc] !== undefined) code.get(FLAG_RES).i64(0).op(ZERO64[cc]);
  else if (kind === 'ADD' && cc === 'B') code.get(FLAG_RES).get(FLAG_A).op(OP.i64LtU);
  else if (kind === 'ADD' && cc === 'NB') code.get(FLAG_RES).get(FLAG_A).op(OP.i64GeU);
  else {
    syncFlags(c);
    code.get(CPU).i32(CONDITIONS.indexOf(cc as never)).call(HELPER.cond as number);
  }
}

/** i32: a condition of which the decoder knew how to see it: `res` and `sub` as the interpreter's forms do it. */
export function knownCondition(c: Context, how: string | undefined, cc: string): void {
  if (how === 'res') c.code.get(FLAG_RES).i64(0).op(ZERO64[cc] as number);
  else if (how === 'sub') c.code.get(FLAG_A).get(FLAG_B).op(COMPARE64[cc] as number);
  else condition(c, cc);
}
