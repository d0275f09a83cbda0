/** Reading the arithmetic flags: conditions, CF. What made them is known more often than not, else FLAG_OP is asked, and at last the core. */
import { I32, OP } from './code.ts';
import { canonicalFlags, CODES, type FlagContext, first, isWide, result, second, shiftCarry, storeFlags, syncFlags } from './flags.ts';
import { HELPER } from './helpers.ts';
import { CPU, FLAG_A, FLAG_A32, FLAG_B, FLAG_OP, FLAG_RES } from './locals.ts';
import { CONDITIONS } from './uop.ts';

/** Comparisons of a compare's operands by condition. */
const COMPARE32: Readonly<Record<string, number>> = {
  B: OP.i32LtU, NB: OP.i32GeU, Z: OP.i32Eq, NZ: OP.i32Ne, BE: OP.i32LeU, NBE: OP.i32GtU, L: OP.i32LtS, NL: OP.i32GeS, LE: OP.i32LeS, NLE: OP.i32GtS,
};
const COMPARE64: Readonly<Record<string, number>> = {
  B: OP.i64LtU, NB: OP.i64GeU, Z: OP.i64Eq, NZ: OP.i64Ne, BE: OP.i64LeU, NBE: OP.i64GtU, L: OP.i64LtS, NL: OP.i64GeS, LE: OP.i64LeS, NLE: OP.i64GtS,
};
/** Comparisons of a result with 0. */
const ZERO32: Readonly<Record<string, number>> = { Z: OP.i32Eq, NZ: OP.i32Ne, S: OP.i32LtS, NS: OP.i32GeS, LE: OP.i32LeS, NLE: OP.i32GtS };
const ZERO64: Readonly<Record<string, number>> = { Z: OP.i64Eq, NZ: OP.i64Ne, S: OP.i64LtS, NS: OP.i64GeS, LE: OP.i64LeS, NLE: OP.i64GtS };
/** What a condition is where CF and OF are 0; of those that are missing the answer is constant. */
const LOGIC: Readonly<Record<string, string>> = { Z: 'Z', NZ: 'NZ', S: 'S', NS: 'NS', LE: 'LE', NLE: 'NLE', BE: 'Z', NBE: 'NZ', L: 'S', NL: 'NS' };
/** Bits of EFLAGS that a condition asks for where SF, OF and AF are 0. */
const BITS: Readonly<Record<string, number>> = { O: 0, B: 1, Z: 0x40, BE: 0x41, S: 0, P: 4, L: 0, LE: 0x40 };

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
    case 'OVER':
      code.get(FLAG_A32).op(OP.extendU);
      return;
    case 'EXPLICIT':
      code.get(FLAG_A32).i32(1).op(OP.i32And).op(OP.extendU);
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

/** i32: PF is set, or (odd) is not. */
function parity(c: FlagContext, odd: boolean): void {
  const { code } = c;
  result(c);
  if (isWide(c) && c.lazy?.of !== 'product') code.op(OP.wrap);
  code.i32(0xff).op(OP.i32And).op(OP.i32Popcnt).i32(1).op(OP.i32And);
  if (!odd) code.op(OP.i32Eqz);
}

/** i32: OF. Only the sign of what is combined here counts. */
function overflow(c: FlagContext): void {
  const { code, flagKind: kind } = c;
  if (kind === 'SHIFT') {
    canonicalFlags(c);
    code.get(FLAG_B).op(OP.wrap);
    return;
  }
  const wide = isWide(c);
  const xor = wide ? OP.i64Xor : OP.i32Xor;
  const without = (x: number, y: number): void => {
    code.get(x).get(y).i64(-1).op(OP.i64Xor);
  };
  if (kind === 'INC') without(FLAG_RES, FLAG_A);
  else if (kind === 'DEC') without(FLAG_A, FLAG_RES);
  else {
    const difference = kind === 'SUB' || kind === 'SBB';
    first(c);
    if (difference) second(c);
    else result(c);
    code.op(xor);
    if (difference) first(c);
    else second(c);
    result(c);
    code.op(xor);
  }
  if (wide) code.op(OP.i64And).i64(0).op(OP.i64LtS);
  else code.op(OP.i32And).i32(0).op(OP.i32LtS);
}

/** i32: the condition, where what made the flags is known; false: it is not written. */
function knownKind(c: FlagContext, cc: string): boolean {
  const { code, flagKind: kind } = c;
  const negated = cc.startsWith('N');
  const plain = negated ? cc.slice(1) : cc;
  const turn = (): boolean => {
    if (negated) code.op(OP.i32Eqz);
    return true;
  };
  if (kind === undefined) return false;
  if (kind === 'OVER') {
    if (plain !== 'B') return false;
    code.get(FLAG_A32);
    return turn();
  }
  if (kind === 'EXPLICIT') {
    code.get(FLAG_A32).i32(BITS[plain] as number).op(OP.i32And);
    if (!negated) code.i32(0).op(OP.i32Ne);
    return turn();
  }
  if (kind === 'SUB' && COMPARE64[cc] !== undefined) operandsAre(c, cc);
  else if (plain === 'Z' || plain === 'S') resultIs(c, cc);
  else if (plain === 'P') parity(c, negated);
  else if (kind === 'LOGIC') {
    const as = LOGIC[cc];
    if (as === undefined) code.i32(negated ? 1 : 0);
    else resultIs(c, as);
  } else if (plain === 'B') {
    carry(c);
    code.op(OP.wrap);
    return turn();
  } else if (plain === 'BE') {
    carry(c);
    code.op(OP.wrap);
    resultIs(c, 'Z');
    code.op(OP.i32Or);
    return turn();
  } else if (plain === 'O') {
    overflow(c);
    return turn();
  } else {
    // L and LE: SF is not OF
    overflow(c);
    resultIs(c, 'S');
    code.op(OP.i32Ne);
    if (plain === 'LE') {
      resultIs(c, 'Z');
      code.op(OP.i32Or);
    }
    return turn();
  }
  return true;
}

/** i32: condition `cc` by name, of whatever set the flags last. */
export function condition(c: FlagContext, cc: string): void {
  if (knownKind(c, cc)) return;
  const { code } = c;
  const ask = (): void => {
    code.get(CPU).i32(CONDITIONS.indexOf(cc as never)).call(HELPER.cond as number);
  };
  const zero = cc === 'Z' || cc === 'NZ' || cc === 'S' || cc === 'NS';
  if (c.flagKind !== undefined || (!zero && COMPARE64[cc] === undefined)) {
    syncFlags(c);
    ask();
    return;
  }
  // Behind a merge: mostly a compare or a result after all
  if (zero) code.get(FLAG_OP).i32(0xff).op(OP.i32And);
  else code.get(FLAG_OP).i32(CODES.SUB).op(OP.i32Eq);
  code.mostly().if(I32);
  if (zero) code.get(FLAG_RES).i64(0).op(ZERO64[cc] as number);
  else code.get(FLAG_A).get(FLAG_B).op(COMPARE64[cc] as number);
  code.else();
  storeFlags(c);
  ask();
  code.end();
}

/** i32: a condition of which the decoder knew how to see it: `res` and `sub` as the interpreter's forms do it. */
export function knownCondition(c: FlagContext, how: string | undefined, cc: string): void {
  if (how === 'res') resultIs(c, cc);
  else if (how === 'sub') operandsAre(c, cc);
  else condition(c, cc);
}
