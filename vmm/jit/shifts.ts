/** Shifts and rotates by CL, of 8 and 16 bits and of memory, and double shifts (SHIFT_G, SHXD; assembly/cpu/execute/shift.ts has RCL and RCR). */
import { FLAG_SHIFT } from '../../assembly/contract/translator.ts';
import { OP } from './code.ts';
import type { Context } from './context.ts';
import { canonicalFlags, setFlagsOver, setLazy } from './flags.ts';
import type { GenericEmit } from './guarded.ts';
import { rotateFlags } from './integer.ts';
import { FLAG_A, FLAG_B, FLAG_OP, FLAG_RES, V, X, X32, Y32 } from './locals.ts';
import { constant, extend, keep, register, SIZES, type Size, update } from './sized.ts';
import type { Words } from './uop.ts';

const MEMORY = 0x20;
const BY_CL = 0x40;
const OPERATIONS: Readonly<Record<number, Operation>> = { 0: 'ROL', 1: 'ROR', 4: 'SHL', 5: 'SHR', 6: 'SHL', 7: 'SAR' };
type Operation = 'ROL' | 'ROR' | 'SHL' | 'SHR' | 'SAR';
const RCX = 1;

/** Y is the count, masked; undefined `count`: it is in CL. */
function theCount(c: Context, s: Size, count: number | undefined): void {
  const { code } = c;
  if (count === undefined) {
    c.value(s.w.bits, RCX << 3);
    if (s.w.bits === 64) code.i64(63);
    else code.i32(31);
    code.op(s.w.ops.AND as number);
  } else if (s.w.bits === 64) code.i64(count);
  else code.i32(count);
  code.set(s.w.y);
}

function masked(s: Size, count: number): number {
  return count & (s.bits === 64 ? 63 : 31);
}

/** What a change of the flags writes happens only when the count is not 0. */
function flagsUnlessZero(c: Context, s: Size, count: number | undefined, make: () => void): void {
  const { code } = c;
  if (count !== undefined) {
    if (count !== 0) make();
    return;
  }
  canonicalFlags(c);
  code.get(s.w.y);
  if (s.w.bits === 64) code.op(OP.wrap);
  code.if();
  make();
  canonicalFlags(c);
  code.end();
  Object.assign(c, { flagKind: undefined, lazy: undefined, flagsDirty: true });
}

function shiftDone(c: Context): void {
  c.code.i32(FLAG_SHIFT).set(FLAG_OP);
  setLazy(c, { of: 'done', kind: 'SHIFT', bits: 64 });
}

/** Flags of X, 32 or 64 bits, shifted by Y into V. */
function shiftFlags(c: Context, s: Size, op: 'SHL' | 'SHR' | 'SAR'): void {
  const { code } = c;
  const { w } = s;
  const widen = (): void => {
    if (s.bits === 32) code.op(OP.extendU);
  };
  code.get(w.v);
  if (s.bits === 32) code.op(OP.extendS);
  code.set(FLAG_RES).get(w.x);
  if (op === 'SHL') constant(c, s, s.bits);
  code.get(w.y);
  if (op !== 'SHL') constant(c, s, 1);
  code.op(w.ops.SUB as number).op(w.ops[op === 'SAR' ? 'SAR' : 'SHR'] as number);
  constant(c, s, 1);
  code.op(w.ops.AND as number);
  widen();
  code.set(FLAG_A);
  if (op === 'SAR') code.i64(0);
  else {
    code.get(op === 'SHL' ? w.v : w.x);
    constant(c, s, s.bits - 1);
    code.op(w.ops.SHR as number);
    widen();
    if (op === 'SHL') code.get(FLAG_A).op(OP.i64Xor);
  }
  code.set(FLAG_B);
  shiftDone(c);
}

/** V = X of 8 or 16 bits shifted by Y, by way of 64 bits; the flags of it, unless Y is 0. */
function narrowShift(c: Context, s: Size, op: 'SHL' | 'SHR' | 'SAR', count: number | undefined): void {
  const { code } = c;
  const { w } = s;
  // The 64-bit X: signed for SAR, else what there is of bits
  code.get(w.x).op(OP.extendS);
  if (op !== 'SAR') code.i64((1 << s.bits) - 1).op(OP.i64And);
  code.set(X);
  code.get(X).get(w.y).op(OP.extendU).op(op === 'SHL' ? OP.i64Shl : op === 'SHR' ? OP.i64ShrU : OP.i64ShrS).tee(V).op(OP.wrap);
  extend(c, s);
  code.set(w.v);
  flagsUnlessZero(c, s, count, () => {
    code.get(w.v).op(OP.extendS).set(FLAG_RES);
    if (op === 'SHL') code.get(V).i64(s.bits);
    else code.get(X).get(w.y).op(OP.extendU).i64(1).op(OP.i64Sub);
    code.op(op === 'SAR' ? OP.i64ShrS : OP.i64ShrU).i64(1).op(OP.i64And).set(FLAG_A);
    if (op === 'SAR') code.i64(0);
    else if (op === 'SHR') code.get(X).i64(s.bits - 1).op(OP.i64ShrU);
    else code.get(FLAG_RES).i64(63).op(OP.i64ShrU).get(FLAG_A).op(OP.i64Xor);
    code.set(FLAG_B);
    shiftDone(c);
  });
}

/** V = X of 8 or 16 bits rotated by Y; CF and OF, unless Y is 0. */
function narrowRotate(c: Context, s: Size, op: 'ROL' | 'ROR', count: number | undefined): void {
  const { code } = c;
  const { w } = s;
  const mask = (1 << s.bits) - 1;
  const by = (): void => {
    code.get(w.y).i32(s.bits - 1).op(OP.i32And);
  };
  const bits = (): void => {
    code.get(w.x).i32(mask).op(OP.i32And);
  };
  bits();
  by();
  code.op(op === 'ROL' ? OP.i32Shl : OP.i32ShrU);
  bits();
  code.i32(s.bits);
  by();
  code.op(OP.i32Sub).op(op === 'ROL' ? OP.i32ShrU : OP.i32Shl).op(OP.i32Or);
  extend(c, s);
  code.set(w.v);
  flagsUnlessZero(c, s, count, () => {
    const bit = (n: number): void => {
      code.get(w.v).i32(n).op(OP.i32ShrU).i32(1).op(OP.i32And);
    };
    bit(op === 'ROL' ? 0 : s.bits - 1);
    code.set(X32);
    bit(op === 'ROL' ? s.bits - 1 : s.bits - 2);
    code.get(X32).op(OP.i32Xor).set(Y32);
    setFlagsOver(c);
  });
}

/** V = X by Y, flags and all; Y is set. */
function calculate(c: Context, s: Size, op: Operation, count: number | undefined): void {
  const { code } = c;
  const { w } = s;
  const rotates = op === 'ROL' || op === 'ROR';
  if (s.bits < 32) {
    if (rotates) narrowRotate(c, s, op, count);
    else narrowShift(c, s, op, count);
    return;
  }
  code.get(w.x).get(w.y).op(w.ops[op] as number).set(w.v);
  flagsUnlessZero(c, s, count, () => {
    if (rotates) rotateFlags(c, w, op);
    else shiftFlags(c, s, op);
  });
}

export function shiftForm(words: Words, u: number): GenericEmit | undefined {
  const d = words.b(u);
  const op = OPERATIONS[d & 7];
  const s = SIZES[(d >>> 3) & 3] as Size;
  if (op === undefined) return undefined;
  const count = (d & BY_CL) !== 0 ? undefined : masked(s, words.imm(u) & 0xff);
  if ((d & MEMORY) !== 0) {
    return (c) => update(c, s, () => {
      theCount(c, s, count);
      calculate(c, s, op, count);
    });
  }
  return (c) => {
    register(c, s, words.a(u));
    c.code.set(s.w.x);
    theCount(c, s, count);
    calculate(c, s, op, count);
    keep(c, s, words.a(u));
  };
}

// ---- SHLD, SHRD: size << 8 | memory << 10 | right << 11 | by CL << 12 | count << 16 ----------------------------------------

const DOUBLE_MEMORY = 0x400;
const DOUBLE_RIGHT = 0x800;
const DOUBLE_CL = 0x1000;

/** V = X, whose room is filled from the register at `b`, by Y; 32 and 64 bits. */
function doubleShift(c: Context, s: Size, right: boolean, b: number, count: number | undefined): void {
  const { code } = c;
  const { w } = s;
  const rest = (): void => {
    constant(c, s, s.bits);
    code.get(w.y).op(w.ops.SUB as number);
  };
  // a count of 0 would shift the other operand by all of its bits, which WebAssembly takes for none
  code.get(w.x).get(w.y).op((right ? w.ops.SHR : w.ops.SHL) as number);
  c.value(w.bits, b);
  rest();
  code.op((right ? w.ops.SHL : w.ops.SHR) as number).op(w.ops.OR as number);
  if (count === undefined) {
    code.get(w.x).get(w.y);
    if (w.bits === 64) code.i64(0).op(OP.i64Eq).op(OP.i32Eqz);
    code.op(OP.select);
  }
  code.set(w.v);
  flagsUnlessZero(c, s, count, () => {
    const widen = (): void => {
      if (w.bits === 32) code.op(OP.extendS);
    };
    code.get(w.v);
    widen();
    code.set(FLAG_RES).get(w.x);
    if (right) {
      code.get(w.y);
      constant(c, s, 1);
      code.op(w.ops.SUB as number);
    } else rest();
    code.op(w.ops.SHR as number);
    widen();
    code.i64(1).op(OP.i64And).set(FLAG_A).get(w.v).get(w.x).op(w.ops.XOR as number);
    widen();
    code.i64(63).op(OP.i64ShrU).set(FLAG_B);
    shiftDone(c);
  });
}

export function doubleForm(words: Words, u: number): GenericEmit | undefined {
  const d = words.imm(u);
  const s = SIZES[(d >>> 8) & 3] as Size;
  if (s.bits < 32) return undefined;
  const count = (d & DOUBLE_CL) !== 0 ? undefined : masked(s, d >>> 16);
  if (count === 0) return undefined;
  const right = (d & DOUBLE_RIGHT) !== 0;
  const b = words.b(u);
  if ((d & DOUBLE_MEMORY) !== 0) {
    return (c) => update(c, s, () => {
      theCount(c, s, count);
      doubleShift(c, s, right, b, count);
    });
  }
  return (c) => {
    register(c, s, words.a(u));
    c.code.set(s.w.x);
    theCount(c, s, count);
    doubleShift(c, s, right, b, count);
    keep(c, s, words.a(u));
  };
}
