/** MUL, IMUL, DIV and IDIV (MULDIV and IMUL_*64; assembly/cpu/execute/muldiv.ts has the rest: 8 and 16 bits, dividends of 128 bits, #DE). */
import { MEM, OP } from './code.ts';
import type { Context, Emit } from './context.ts';
import { highHalf, setLazy } from './flags.ts';
import { type GenericEmit, guarded, place } from './guarded.ts';
import { FLAG_RES, FLAG_X, FLAG_Y, P, REG0, V, X, Y } from './locals.ts';
import { address, read, TAG_READ } from './memory.ts';
import type { Words } from './uop.ts';

const RAX = 0;
const RDX = 2;
const LOW = 0xffff_ffff;

// Fields of b.
const MEMORY = 0x10;

/** Y (i64) is the operand of `bits`, extended. Without `out` of memory too, wherever it lies. */
function operand(c: Context, words: Words, u: number, bits: number, signed: boolean, out?: number): void {
  const { code } = c;
  const wide = bits === 64;
  if ((words.b(u) & MEMORY) === 0) {
    c.reg64(words.a(u) >>> 3);
    if (!wide && signed) code.op(OP.i64Extend32);
    else if (!wide) code.i64(LOW).op(OP.i64And);
  } else if (out === undefined) {
    address(c);
    read(c, bits / 8, signed);
  } else {
    place(c, bits / 8, TAG_READ, out);
    code.get(P).mem(wide ? MEM.i64Load : signed ? MEM.i64Load32S : MEM.i64Load32U);
  }
  code.set(Y);
}

function multiplyWide(c: Context, signed: boolean): void {
  const { code } = c;
  code.get(REG0 + RAX).set(X);
  highHalf(c, X, Y, signed);
  code.set(V).get(X).get(Y).op(OP.i64Mul).set(FLAG_RES).get(V);
  if (signed) code.get(FLAG_RES).i64(63).op(OP.i64ShrS).op(OP.i64Xor);
  code.set(FLAG_X);
  setLazy(c, { of: 'wide', kind: 'SHIFT', bits: 64 });
  code.get(FLAG_RES);
  c.set64(RAX << 3);
  code.get(V);
  c.set64(RDX << 3);
}

/** Of 32 bits: all of the product fits. */
function multiplyNarrow(c: Context, signed: boolean): void {
  const { code } = c;
  code.get(REG0 + RAX);
  if (signed) code.op(OP.i64Extend32);
  else code.i64(LOW).op(OP.i64And);
  code.get(Y).op(OP.i64Mul);
  if (signed) {
    code.tee(FLAG_X).set(V);
    setLazy(c, { of: 'product', kind: 'SHIFT', bits: 32 });
  } else {
    code.tee(V).op(OP.i64Extend32).set(FLAG_RES).get(V).i64(32).op(OP.i64ShrU).set(FLAG_X);
    setLazy(c, { of: 'wide', kind: 'SHIFT', bits: 64 });
  }
  code.get(V).i64(LOW).op(OP.i64And);
  c.set64(RAX << 3);
  code.get(V).i64(32).op(OP.i64ShrU);
  c.set64(RDX << 3);
}

/** i64: the dividend of 32-bit divisions. */
function pair(c: Context): void {
  c.code.get(REG0 + RDX).i64(32).op(OP.i64Shl).get(REG0 + RAX).i64(LOW).op(OP.i64And).op(OP.i64Or);
}

/** To `out` unless the quotient of X and Y fits; X is the dividend. */
function guardUnsigned(c: Context, wide: boolean, out: number): void {
  const { code } = c;
  if (wide) {
    code.get(REG0 + RDX).i64(0).op(OP.i64Ne).rarely().brIf(out).get(Y).op(OP.i64Eqz).rarely().brIf(out).get(REG0 + RAX).set(X);
    return;
  }
  // a divisor of 0 is not above either
  code.get(REG0 + RDX).i64(LOW).op(OP.i64And).get(Y).op(OP.i64GeU).rarely().brIf(out);
  pair(c);
  code.set(X);
}

function guardSigned(c: Context, wide: boolean, out: number): void {
  const { code } = c;
  // neither 0 nor -1, which WebAssembly's division may trap on
  code.get(Y).i64(1).op(OP.i64Add).i64(1).op(OP.i64LeU).rarely().brIf(out);
  if (wide) code.get(REG0 + RAX).tee(X).i64(63).op(OP.i64ShrS).get(REG0 + RDX).op(OP.i64Ne).rarely().brIf(out);
  else {
    pair(c);
    code.set(X);
  }
}

function divide(words: Words, u: number, wide: boolean, signed: boolean): GenericEmit {
  return (c, _uop, byCore) => guarded(c, byCore, undefined, (out) => {
    const { code } = c;
    operand(c, words, u, wide ? 64 : 32, signed, out);
    (signed ? guardSigned : guardUnsigned)(c, wide, out);
    code.get(X).get(Y).op(signed ? OP.i64DivS : OP.i64DivU).set(V);
    if (signed && !wide) code.get(V).op(OP.i64Extend32).get(V).op(OP.i64Ne).rarely().brIf(out);
    const keep = (n: number): void => {
      if (!wide) code.i64(LOW).op(OP.i64And);
      c.set64(n << 3);
    };
    code.get(V);
    keep(RAX);
    code.get(X).get(V).get(Y).op(OP.i64Mul).op(OP.i64Sub);
    keep(RDX);
  });
}

export function muldivForm(words: Words, u: number): GenericEmit | undefined {
  const d = words.b(u);
  const size = (d >>> 2) & 3;
  if (size < 2) return undefined;
  const wide = size === 3;
  const signed = (d & 1) !== 0;
  if ((d & 2) !== 0) return divide(words, u, wide, signed);
  return (c) => {
    operand(c, words, u, wide ? 64 : 32, signed);
    if (wide) multiplyWide(c, signed);
    else multiplyNarrow(c, signed);
  };
}

/** IMUL of two or three operands and 64 bits with flags: the high half is made only when somebody looks at them. */
export const multiply64: Emit = (c, uop) => {
  const { code, words, u } = c;
  c.reg64(words.b(u) >>> 3);
  if (uop.form === 'RR') c.reg64(words.a(u) >>> 3);
  else code.i64(words.disp(u));
  code.set(Y).tee(FLAG_X).get(Y).tee(FLAG_Y).op(OP.i64Mul).set(FLAG_RES);
  setLazy(c, { of: 'factors', kind: 'SHIFT', bits: 64 });
  code.get(FLAG_RES);
  c.set64(words.a(u));
};
