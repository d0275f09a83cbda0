/** Arithmetic, logic, shifts and compares. 32-bit operations work on i32, so that the upper half of a result is clear by itself. */
import { MEM, OP } from './code.ts';
import type { Context, Emit } from './context.ts';
import { carry } from './conditions.ts';
import { setFlags, setFlagsOver, setLazy } from './flags.ts';
import { FLAG_A, FLAG_A32, FLAG_B, FLAG_RES, FLAG_RES32, FLAG_X, P, V, V32, VA, X, X32, Y, Y32 } from './locals.ts';
import { address, beginUpdate, endUpdate, read, readOperand } from './memory.ts';
import type { Uop } from './uop.ts';

/** Opcodes of one width, with its locals for operands and result. */
export interface Width {
  readonly bits: number;
  readonly x: number;
  readonly y: number;
  readonly v: number;
  readonly ops: Readonly<Record<string, number>>;
}

const W32: Width = {
  bits: 32, x: X32, y: Y32, v: V32,
  ops: {
    ADD: OP.i32Add, SUB: OP.i32Sub, CMP: OP.i32Sub, AND: OP.i32And, TEST: OP.i32And, OR: OP.i32Or, XOR: OP.i32Xor, MUL: OP.i32Mul,
    SHL: OP.i32Shl, SHR: OP.i32ShrU, SAR: OP.i32ShrS, ROL: OP.i32Rotl, ROR: OP.i32Rotr,
  },
};
const W64: Width = {
  bits: 64, x: X, y: Y, v: V,
  ops: {
    ADD: OP.i64Add, SUB: OP.i64Sub, CMP: OP.i64Sub, AND: OP.i64And, TEST: OP.i64And, OR: OP.i64Or, XOR: OP.i64Xor, MUL: OP.i64Mul,
    SHL: OP.i64Shl, SHR: OP.i64ShrU, SAR: OP.i64ShrS, ROL: OP.i64Rotl, ROR: OP.i64Rotr,
  },
};

export function widthOf(bits: number | undefined): Width {
  return bits === 64 ? W64 : W32;
}

function constant(c: Context, w: Width, value: number): void {
  if (w.bits === 64) c.code.i64(value | 0);
  else c.code.i32(value);
}

export function isCompare(uop: Uop): boolean {
  return uop.op === 'CMP' || uop.op === 'TEST';
}

/** Operands of the forms RR and RI into X and Y. */
export function registerOperands(c: Context, uop: Uop, w: Width, immediate: number): void {
  const { code, words, u } = c;
  c.value(w.bits, words.a(u));
  code.set(w.x);
  if (uop.form === 'RR') c.value(w.bits, words.b(u));
  else constant(c, w, immediate);
  code.set(w.y);
}

/** The operation on X and Y: result in V (a compare has none), flags if the micro-op has them. */
export function calculate(c: Context, uop: Uop, w: Width): void {
  const { code } = c;
  const op = uop.op as string;
  if (op === 'ADC' || op === 'SBB') {
    const sub = op === 'SBB';
    code.get(w.x).get(w.y).op(sub ? OP_SUB(w) : OP_ADD(w));
    carry(c);
    if (w.bits === 32) code.op(OP.wrap);
    code.op(sub ? OP_SUB(w) : OP_ADD(w)).set(w.v);
    setFlags(c, op, w.bits);
    return;
  }
  if (op !== 'CMP') code.get(w.x).get(w.y).op(w.ops[op] as number).set(w.v);
  if (uop.flags === true) setFlags(c, op, w.bits);
}

function OP_ADD(w: Width): number {
  return w.ops.ADD as number;
}

function OP_SUB(w: Width): number {
  return w.ops.SUB as number;
}

/** Result into the register at `a`. */
function keepResult(c: Context, w: Width): void {
  c.code.get(w.v);
  c.setValue(w.bits, c.words.a(c.u));
}

export const alu: Emit = (c, uop) => {
  const { code, words, u } = c;
  const w = widthOf(uop.bits);
  const silent = isCompare(uop) && uop.flags !== true;
  if (uop.form === 'RM') {
    address(c);
    readOperand(c, w.bits);
    code.set(w.y);
    if (silent) return;
    c.value(w.bits, words.a(u));
    code.set(w.x);
  } else {
    if (silent) return;
    registerOperands(c, uop, w, words.disp(u));
  }
  calculate(c, uop, w);
  if (!isCompare(uop)) keepResult(c, w);
};

/** Memory is the destination, or the first operand of a compare. */
export const aluMemory: Emit = (c, uop) => {
  const { code, words, u } = c;
  const w = widthOf(uop.bits);
  const second = (): void => {
    if (uop.form === 'MR') c.value(w.bits, words.a(u));
    else constant(c, w, words.imm(u) | 0);
    code.set(w.y);
  };
  address(c);
  if (isCompare(uop)) {
    readOperand(c, w.bits);
    code.set(w.x);
    second();
    calculate(c, uop, w);
    return;
  }
  code.set(VA);
  beginUpdate(c, w.bits / 8);
  code.get(P).mem(w.bits === 64 ? MEM.i64Load : MEM.i32Load).set(w.x);
  second();
  calculate(c, uop, w);
  code.get(P).get(w.v).mem(w.bits === 64 ? MEM.i64Store : MEM.i32Store);
  endUpdate(c, w.bits / 8);
};

/** CMP and TEST of bytes: sign-extended, in 32 bits. */
export const compare8: Emit = (c, uop) => {
  const { code, words, u } = c;
  const memory = (to: number): void => {
    address(c);
    read(c, 1, true);
    code.op(OP.wrap).set(to);
  };
  switch (uop.form) {
    case 'RM':
      memory(Y32);
      c.byte(words.a(u), true);
      code.set(X32);
      break;
    case 'MR':
      memory(X32);
      c.byte(words.a(u), true);
      code.set(Y32);
      break;
    case 'MI':
      memory(X32);
      code.i32((words.imm(u) << 24) >> 24).set(Y32);
      break;
    default:
      c.byte(words.a(u), true);
      code.set(X32);
      if (uop.form === 'RR') c.byte(words.b(u), true);
      else code.i32((words.disp(u) << 24) >> 24);
      code.set(Y32);
  }
  if (uop.op !== 'CMP') code.get(X32).get(Y32).op(OP.i32And).set(V32); // of extended bytes: it is one as well
  setFlags(c, uop.op as string, 8);
};

/** INC and DEC: CF stays, so it is worked out first. */
export const incDec: Emit = (c, uop) => {
  const { code, words, u } = c;
  const w = widthOf(uop.bits);
  carry(c);
  code.set(FLAG_B);
  c.value(w.bits, words.a(u));
  code.tee(w.x);
  constant(c, w, 1);
  code.op(uop.op === 'INC' ? OP_ADD(w) : OP_SUB(w)).set(w.v);
  if (w.bits === 64) code.get(X).set(FLAG_A).get(V).set(FLAG_RES);
  else code.get(X32).op(OP.extendS).set(FLAG_A).get(V32).op(OP.extendS).set(FLAG_RES);
  setLazy(c, { of: 'done', kind: uop.op as 'INC' | 'DEC', bits: 64 });
  keepResult(c, w);
};

export const negate: Emit = (c, uop) => {
  const w = widthOf(uop.bits);
  constant(c, w, 0);
  c.code.set(w.x);
  c.value(w.bits, c.words.a(c.u));
  c.code.set(w.y);
  calculate(c, { ...uop, op: 'SUB' }, w);
  keepResult(c, w);
};

export const invert: Emit = (c, uop) => {
  const w = widthOf(uop.bits);
  c.value(w.bits, c.words.a(c.u));
  constant(c, w, -1);
  c.code.op(w.ops.XOR as number);
  c.setValue(w.bits, c.words.a(c.u));
};

/** Shifts by a count of 1 … bits − 1. */
export const shift: Emit = (c, uop) => {
  const { code, words, u } = c;
  const w = widthOf(uop.bits);
  const n = words.disp(u);
  const op = uop.op as string;
  c.value(w.bits, words.a(u));
  code.tee(w.x);
  constant(c, w, n);
  code.op(w.ops[op] as number).set(w.v);
  if (uop.flags === true) {
    code.get(w.v).set(w.bits === 64 ? FLAG_RES : FLAG_RES32).get(w.x).set(w.bits === 64 ? FLAG_X : FLAG_A32);
    setLazy(c, { of: 'shift', kind: 'SHIFT', bits: w.bits, shift: op as 'SHL' | 'SHR' | 'SAR', by: n });
  }
  keepResult(c, w);
};

export const rotate: Emit = (c, uop) => {
  const { code, words, u } = c;
  const w = widthOf(uop.bits);
  c.value(w.bits, words.a(u));
  constant(c, w, words.disp(u));
  code.op(w.ops[uop.op as string] as number).set(w.v);
  if (uop.flags === true) rotateFlags(c, w, uop.op as 'ROL' | 'ROR');
  keepResult(c, w);
};

/** CF and OF of a rotation whose result is in V. */
export function rotateFlags(c: Context, w: Width, op: 'ROL' | 'ROR'): void {
  const { code } = c;
  const top = (k: number): void => {
    code.get(w.v);
    constant(c, w, w.bits - k);
    code.op(w.ops.SHR as number);
    if (w.bits === 64) code.op(OP.wrap);
  };
  if (op === 'ROL') {
    code.get(w.v);
    if (w.bits === 64) code.op(OP.wrap);
    code.i32(1).op(OP.i32And).set(X32);
    top(1);
  } else {
    top(1);
    code.set(X32);
    top(2);
    code.i32(1).op(OP.i32And);
  }
  code.get(X32).op(OP.i32Xor).set(Y32);
  setFlagsOver(c);
}

/** Signed multiplication of two or three operands; with flags only 32 bits, whose product fits an i64. */
export const multiply: Emit = (c, uop) => {
  const { code, words, u } = c;
  const w = widthOf(uop.bits);
  const factor = (place: number): void => {
    c.value(w.bits, place);
    if (uop.flags === true) code.op(OP.extendS);
  };
  factor(words.b(u));
  if (uop.form === 'RR') factor(words.a(u));
  else if (uop.flags === true) code.i64(words.disp(u));
  else constant(c, w, words.disp(u));
  if (uop.flags !== true) {
    code.op(w.ops.MUL as number);
    c.setValue(w.bits, words.a(u));
    return;
  }
  code.op(OP.i64Mul).tee(FLAG_X).op(OP.wrap);
  setLazy(c, { of: 'product', kind: 'SHIFT', bits: 32 });
  c.setValue(32, words.a(u));
};

