/** Moves, loads and stores, the stack's quick forms, SETcc and CMOVcc. */
import { OP } from './code.ts';
import type { Context, Emit } from './context.ts';
import { knownCondition } from './conditions.ts';
import { REG0, V, VA, X, X32 } from './locals.ts';
import { address, read, write } from './memory.ts';
import { CONDITIONS, type Uop } from './uop.ts';

const RAX = 0;
const RDX = 2;
export const RSP = 4;
const RBP = 5;

export const moveRegister: Emit = (c, uop) => {
  const { code, words, u } = c;
  const bits = uop.bits as number;
  if (bits >= 32) {
    c.value(bits, words.b(u));
    c.setValue(bits, words.a(u));
    return;
  }
  if (bits === 8) c.byte(words.b(u), false);
  else {
    c.value(32, words.b(u));
    code.i32(0xffff).op(OP.i32And);
  }
  code.op(OP.extendU);
  c.setPart(words.a(u), bits);
};

/** `signed`: a 32-bit immediate extended to 64; 64 bits else: all of them. */
export const moveImmediate: Emit = (c, uop) => {
  const { code, words, u } = c;
  const bits = uop.bits as number;
  const value = words.disp(u);
  if (bits === 64 && uop.signed !== true) code.i64Halves(words.imm(u), value);
  else if (bits === 64) code.i64(value);
  else if (bits === 32) code.i64(value >>> 0);
  else code.i64(bits === 8 ? value & 0xff : value & 0xffff);
  if (bits < 32) c.setPart(words.a(u), bits);
  else c.set64(words.a(u));
};

export const load: Emit = (c, uop) => {
  const { code, words, u } = c;
  const bits = uop.bits as number;
  address(c);
  read(c, uop.size as number, uop.signed === true);
  if (bits < 32) c.setPart(words.a(u), bits);
  else if (bits === 32 && uop.signed === true) {
    code.op(OP.wrap);
    c.setValue(32, words.a(u));
  } else c.set64(words.a(u));
};

export const store: Emit = (c, uop) => {
  const { code, words, u } = c;
  const place = words.a(u);
  c.reg64(place >>> 3);
  if (uop.size === 1 && (place & 7) !== 0) code.i64(8).op(OP.i64ShrU);
  code.set(V);
  address(c);
  code.set(VA);
  write(c, uop.size as number);
};

export const storeImmediate: Emit = (c, uop) => {
  c.code.i64(c.words.imm(c.u) | 0).set(V);
  address(c);
  c.code.set(VA);
  write(c, uop.size as number);
};

/** MOVZX, MOVSX, MOVSXD between registers. */
export const extend: Emit = (c, uop) => {
  const { code, words, u } = c;
  const { size, signed } = uop;
  const from = words.b(u);
  if (size === 1) c.byte(from, signed === true);
  else {
    c.value(32, from);
    if (size === 2 && signed === true) code.op(OP.i32Extend16);
    else if (size === 2) code.i32(0xffff).op(OP.i32And);
  }
  code.op(signed === true && uop.bits === 64 ? OP.extendS : OP.extendU);
  c.set64(words.a(u));
};

/** LEA of 32 and 64 bits; imm 2: a 16-bit address, which 64-bit mode does not have. */
export const lea: Emit = (c, uop) => {
  address(c, false);
  if (uop.bits === 32) {
    c.code.op(OP.wrap);
    c.setValue(32, c.words.a(c.u));
  } else if (uop.bits === 16) {
    c.code.i64(0xffff).op(OP.i64And);
    c.setPart(c.words.a(c.u), 16);
  } else c.set64(c.words.a(c.u));
};

/** Pushes the i64 in V. */
export function push(c: Context): void {
  const { code } = c;
  code.get(REG0 + RSP).i64(8).op(OP.i64Sub).set(VA);
  const commit = (): void => {
    code.get(VA);
    c.set64(RSP << 3);
  };
  write(c, 8, commit);
  commit();
}

export const pushRegister: Emit = (c) => {
  c.reg64(c.words.a(c.u) >>> 3);
  c.code.set(V);
  push(c);
};

export const pushImmediate: Emit = (c) => {
  c.code.i64(c.words.disp(c.u)).set(V);
  push(c);
};

/** Reads 8 bytes at register `n` into V, which becomes 8 more, in RSP. */
function popFrom(c: Context, n: number, more: number): void {
  const { code } = c;
  code.get(REG0 + n);
  read(c, 8, false);
  code.set(V).get(REG0 + n).i64(8 + more).op(OP.i64Add);
  c.set64(RSP << 3);
}

/** Pops into V. */
export function pop(c: Context, more = 0): void {
  popFrom(c, RSP, more);
}

export const popRegister: Emit = (c) => {
  pop(c);
  c.code.get(V);
  c.set64(c.words.a(c.u));
};

export const leave: Emit = (c) => {
  popFrom(c, RBP, 0);
  c.code.get(V);
  c.set64(RBP << 3);
};

export const exchange: Emit = (c, uop) => {
  const { words, u } = c;
  const bits = uop.bits as number;
  c.value(bits, words.a(u));
  c.value(bits, words.b(u));
  c.setValue(bits, words.a(u));
  c.setValue(bits, words.b(u));
};

export const byteSwap: Emit = (c, uop) => {
  const { code, words, u } = c;
  const place = words.a(u);
  const half = (): void => {
    code.tee(X32).i32(8).op(OP.i32Rotl).i32(0x00ff_00ff).op(OP.i32And);
    code.get(X32).i32(8).op(OP.i32Rotr).i32(0xff00_ff00 | 0).op(OP.i32And).op(OP.i32Or).op(OP.extendU);
  };
  c.reg64(place >>> 3);
  if (uop.bits === 32) {
    code.op(OP.wrap);
    half();
  } else {
    code.tee(X).op(OP.wrap);
    half();
    code.i64(32).op(OP.i64Shl).get(X).i64(32).op(OP.i64ShrU).op(OP.wrap);
    half();
    code.op(OP.i64Or);
  }
  c.set64(place);
};

/** CDQE, CDQ, CQO. */
export const signExtendAccumulator: Emit = (c, uop) => {
  const { code } = c;
  code.get(REG0 + RAX);
  if (uop.op === 'CDQE') {
    code.op(OP.i64Extend32);
    c.set64(RAX << 3);
  } else if (uop.op === 'CDQ') {
    code.op(OP.wrap).i32(31).op(OP.i32ShrS);
    c.setValue(32, RDX << 3);
  } else {
    code.i64(63).op(OP.i64ShrS);
    c.set64(RDX << 3);
  }
};

/** i32: the micro-op's condition; `code`: where the general form has it. */
function test(c: Context, uop: Uop, code: number): void {
  knownCondition(c, uop.cond, uop.cc ?? (CONDITIONS[code & 15] as string));
}

export const setCondition: Emit = (c, uop) => {
  test(c, uop, c.words.b(c.u));
  c.code.op(OP.extendU);
  c.setPart(c.words.a(c.u), 8);
};

/** 32 bits clear the upper half even when nothing moves. */
export const moveCondition: Emit = (c, uop) => {
  const { code, words, u } = c;
  const value = (place: number): void => {
    c.reg64(place >>> 3);
    if (uop.bits === 32) code.i64(0xffff_ffff).op(OP.i64And);
  };
  value(words.b(u));
  value(words.a(u));
  test(c, uop, words.disp(u));
  code.op(OP.select);
  c.set64(words.a(u));
};
