/** Bit scans and counts, and bit tests of registers and memory (BIT_G; assembly/cpu/execute/bits.ts has the rest). */
import { FLAG_OVER_CF, INDEX_ADDR32 } from '../../assembly/contract/translator.ts';
import { OP } from './code.ts';
import type { Context } from './context.ts';
import { setCarry, setLazy } from './flags.ts';
import type { GenericEmit, Settled } from './guarded.ts';
import { FLAG_A32, FLAG_OP, FLAG_RES, VA, X, X32, Y } from './locals.ts';
import { updateLockedAt } from './locked.ts';
import { address } from './memory.ts';
import { keep, load, register, SIZES, type Size, updateAt } from './sized.ts';
import type { Words } from './uop.ts';

// Fields of imm.
const OPERATION = 7;
const MEMORY = 0x20;
const LOCK = 0x40;
const IMMEDIATE = 0x80;
const MOVED = 0x1_0000;
const SCANS: Readonly<Record<number, 'BSF' | 'BSR' | 'POPCNT'>> = { 4: 'BSF', 5: 'BSR', 6: 'POPCNT' };
/** A scan's flags are those of a number with the index in its low byte, that is not 0. */
const SCANNED = 0x100;

/** i64: the register at `place`, zero-extended. */
function source(c: Context, s: Size, place: number): void {
  c.reg64(place >>> 3);
  if (s.bits < 64) c.code.i64(s.bits === 32 ? 0xffff_ffff : 0xffff).op(OP.i64And);
}

/** The i64 in `local` becomes the register at `place`. */
function result(c: Context, s: Size, place: number, local: number): void {
  c.code.get(local);
  if (s.bits === 16) c.setPart(place, 16);
  else c.set64(place);
}

function scan(s: Size, a: number, b: number, op: 'BSF' | 'BSR' | 'POPCNT'): GenericEmit {
  return (c) => {
    const { code } = c;
    source(c, s, b);
    code.tee(X);
    if (op === 'POPCNT') {
      code.op(OP.i64Popcnt).set(Y).get(X).op(OP.i64Eqz).i32(6).op(OP.i32Shl).set(FLAG_A32);
      setLazy(c, { of: 'bits', kind: 'EXPLICIT', bits: 64 });
      result(c, s, a, Y);
      return;
    }
    if (op === 'BSF') code.op(OP.i64Ctz).set(Y);
    else code.op(OP.i64Clz).i64(63).op(OP.i64Xor).set(Y);
    code.get(Y).i64(SCANNED).op(OP.i64Or).i64(0).get(X).i64(0).op(OP.i64Ne).op(OP.select).set(FLAG_RES);
    setLazy(c, { of: 'result', kind: 'LOGIC', bits: 64 });
    // a source of 0 leaves the register as it is, upper half and all
    code.get(Y);
    c.reg64(a >>> 3);
    if (s.bits === 16) code.i64(0xffff).op(OP.i64And);
    code.get(X).i64(0).op(OP.i64Ne).op(OP.select).set(Y);
    result(c, s, a, Y);
  };
}

/** Y (of the width) is the bit that is meant, by its number modulo the operand's bits. */
function theBit(c: Context, s: Size, number: number | undefined, b: number): void {
  const { code } = c;
  const { w } = s;
  if (number !== undefined) {
    if (w.bits === 64) code.i64Halves(number > 31 ? 1 << (number - 32) : 0, number > 31 ? 0 : 1 << number);
    else code.i32(1 << number);
    code.set(w.y);
    return;
  }
  if (w.bits === 64) code.i64(1);
  else code.i32(1);
  c.value(w.bits, b);
  if (s.bits === 16) code.i32(15).op(OP.i32And);
  code.op(w.ops.SHL as number).set(w.y);
}

/** V = X with the bit in Y set, reset or turned. */
function change(c: Context, s: Size, op: number): void {
  const { code } = c;
  const { w } = s;
  code.get(w.x).get(w.y);
  if (op === 2) {
    if (w.bits === 64) code.i64(-1);
    else code.i32(-1);
    code.op(w.ops.XOR as number);
  }
  code.op((op === 1 ? w.ops.OR : op === 2 ? w.ops.AND : w.ops.XOR) as number).set(w.v);
}

/** CF is the bit of X that is set in Y. */
function flags(c: Context, s: Size): void {
  const { code } = c;
  code.get(s.w.x).get(s.w.y).op(s.w.ops.AND as number);
  if (s.w.bits === 64) code.i64(0).op(OP.i64Ne);
  else code.i32(0).op(OP.i32Ne);
  code.set(X32);
  setCarry(c);
}

/** CF from the core, which made all of FLAG_OP. */
function carried(c: Context): Settled {
  return {
    lazy: { of: 'over', kind: 'OVER', bits: 64 },
    slow: () => {
      c.code.get(FLAG_OP).i32(FLAG_OVER_CF).op(OP.i32ShrU).i32(1).op(OP.i32And).set(FLAG_A32);
    },
  };
}

/** VA of the memory operand; a number in a register reaches beyond it. */
function bitAddress(c: Context, s: Size, number: number | undefined, b: number): void {
  const { code } = c;
  address(c);
  if (number === undefined) {
    const log = Math.log2(s.bytes);
    c.reg64(b >>> 3);
    if (s.bits === 16) code.op(OP.i64Extend16);
    else if (s.bits === 32) code.op(OP.i64Extend32);
    code.i64(3 + log).op(OP.i64ShrS).i64(log).op(OP.i64Shl).op(OP.i64Add);
  }
  code.set(VA);
}

export function bitForm(words: Words, u: number): GenericEmit | undefined {
  const d = words.imm(u);
  const op = d & OPERATION;
  const s = SIZES[(d >>> 3) & 3] as Size;
  const [a, b] = [words.a(u), words.b(u)];
  const scanned = SCANS[op];
  if (scanned !== undefined) return scan(s, a, b, scanned);
  const number = (d & IMMEDIATE) !== 0 ? (d >>> 8) & (s.bits - 1) : undefined;
  if ((d & MEMORY) === 0) {
    return (c) => {
      register(c, s, a);
      c.code.set(s.w.x);
      theBit(c, s, number, b);
      if (op !== 0) change(c, s, op);
      flags(c, s);
      if (op !== 0) keep(c, s, a);
    };
  }
  if ((d & MOVED) !== 0 || (number === undefined && (words.index(u) & INDEX_ADDR32) !== 0)) return undefined;
  return (c, _uop, byCore) => {
    theBit(c, s, number, b);
    bitAddress(c, s, number, b);
    if (op === 0) {
      c.code.get(VA);
      load(c, s);
      c.code.set(s.w.x);
      flags(c, s);
    } else if ((d & LOCK) === 0) {
      updateAt(c, s, () => {
        change(c, s, op);
        flags(c, s);
      });
    } else updateLockedAt(c, s, byCore, carried(c), op === 1 ? 'OR' : op === 2 ? 'AND' : 'XOR', () => {
      c.code.get(s.w.y);
      if (op !== 2) return;
      if (s.w.bits === 64) c.code.i64(-1);
      else c.code.i32(-1);
      c.code.op(s.w.ops.XOR as number);
    }, () => flags(c, s));
  };
}
