/** SSE and SSE2 moves and packed integers. */
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { CPU, W0, W1, X } from './locals.ts';
import { afterStore, TAG_READ, TAG_WRITE } from './memory.ts';
import { register, type SseEmit, type SseOp, withOperand } from './sse-operand.ts';
import { SHIFTS, VEC } from './sse-table.ts';

// ---- moves -----------------------------------------------------------------------------------------------------------

/** The register becomes what `load` (a vector load of `size` bytes that clears the rest) finds. */
export const loadVector = (size: number, aligned: boolean, load: number): SseEmit => (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  withOperand(s, size, aligned, TAG_READ, true, (from) => {
    c.code.get(to.local).get(from.local).simdMem(load, from.offset).simdMem(VEC.store, to.offset);
  });
};

/** 16 bytes of the register into memory or the other register. */
export const storeVector = (aligned: boolean): SseEmit => (s) => {
  const { c, op } = s;
  const from = register(c, op.a);
  withOperand(s, 16, aligned, TAG_WRITE, true, (to) => {
    c.code.get(to.local).get(from.local).simdMem(VEC.load, from.offset).simdMem(VEC.store, to.offset);
    if (op.memory) afterStore(c, 16);
  });
};

const LOAD_SCALAR: Readonly<Record<number, number>> = { 4: MEM.i64Load32U, 8: MEM.i64Load };
const STORE_SCALAR: Readonly<Record<number, number>> = { 4: MEM.i64Store32, 8: MEM.i64Store };

/** `size` bytes of the register at `offset` into memory. */
export const storeScalar = (size: number, offset = 0): SseEmit => (s) => {
  const { c, op } = s;
  const from = register(c, op.a);
  withOperand(s, size, false, TAG_WRITE, true, (to) => {
    c.code.get(to.local).get(from.local).mem(LOAD_SCALAR[size] as number, from.offset + offset).mem(STORE_SCALAR[size] as number, to.offset);
    afterStore(c, size);
  });
};

/** MOVSD and MOVSS between registers keep the rest. */
export const moveScalar = (size: number, load: boolean): SseEmit => (s) => {
  const { c, op } = s;
  if (op.memory) (load ? loadVector(size, false, size === 8 ? VEC.load64Zero : VEC.load32Zero) : storeScalar(size))(s);
  else {
    const [to, from] = load ? [register(c, op.a), register(c, op.b)] : [register(c, op.b), register(c, op.a)];
    c.code.get(CPU).get(CPU).mem(LOAD_SCALAR[size] as number, from.offset).mem(STORE_SCALAR[size] as number, to.offset);
  }
};

/** MOVQ from a register or into memory (66 0F D6). */
export const storeLow: SseEmit = (s) => {
  const { c, op } = s;
  if (op.memory) storeScalar(8)(s);
  else c.code.get(CPU).get(CPU).simdMem(VEC.load64Zero, register(c, op.a).offset).simdMem(VEC.store, register(c, op.b).offset);
};

/** MOVLPx and MOVHPx loads; of registers MOVHLPS and MOVLHPS. */
export const loadHalf = (offset: number): SseEmit => (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  withOperand(s, 8, false, TAG_READ, true, (from) => {
    c.code.get(to.local).get(from.local).mem(MEM.i64Load, from.offset + (op.memory ? 0 : 8 - offset)).mem(MEM.i64Store, to.offset + offset);
  });
};

/** MOVD and MOVQ from a general register or memory. */
export const fromGeneral: SseEmit = (s) => {
  const { c, op } = s;
  if (op.memory) {
    loadVector(op.wide ? 8 : 4, false, op.wide ? VEC.load64Zero : VEC.load32Zero)(s);
    return;
  }
  const { offset } = register(c, op.a);
  c.code.get(CPU);
  c.reg64(op.b);
  if (!op.wide) c.code.i64(0xffff_ffff).op(OP.i64And);
  c.code.mem(MEM.i64Store, offset).get(CPU).i64(0).mem(MEM.i64Store, offset + 8);
};

export const toGeneral: SseEmit = (s) => {
  const { c, op } = s;
  const size = op.wide ? 8 : 4;
  if (op.memory) {
    storeScalar(size)(s);
    return;
  }
  c.code.get(CPU).mem(LOAD_SCALAR[size] as number, register(c, op.a).offset);
  c.set64(op.b << 3);
};

// ---- packed integers --------------------------------------------------------------------------------------------------

/** Operations of 16 bytes: `calculate` has destination and source, in this order, on the stack. */
export const packed = (calculate: (c: Context, op: SseOp) => void): SseEmit => (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  withOperand(s, 16, true, TAG_READ, true, (from) => {
    c.code.get(to.local).get(to.local).simdMem(VEC.load, to.offset).get(from.local).simdMem(VEC.load, from.offset);
    calculate(c, op);
    c.code.simdMem(VEC.store, to.offset);
  });
};

/** Shuffles the bytes of the two vectors on the stack. */
export function shuffle(c: Context, bytes: readonly number[]): void {
  c.code.simd(VEC.shuffle);
  for (const byte of bytes) c.code.op(byte);
}

const ELEMENTS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;

export function unpack(size: number, high: boolean): SseEmit {
  const from = high ? 8 : 0;
  return packed((c) => shuffle(c, ELEMENTS.map((i) => {
    const element = i / size | 0;
    return from + (element >> 1) * size + (i % size) + (element & 1) * 16;
  })));
}

/** PSHUFD, PSHUFLW, PSHUFHW: `place` finds the source byte of byte i. */
export const shuffleSource = (place: (i: number, imm: number) => number): SseEmit => (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  withOperand(s, 16, true, TAG_READ, true, (from) => {
    c.code.get(to.local).get(from.local).simdMem(VEC.load, from.offset).tee(W0).get(W0);
    shuffle(c, ELEMENTS.map((i) => place(i, op.imm8)));
    c.code.simdMem(VEC.store, to.offset);
  });
};

/** The source byte of byte i where `imm` chooses among four elements of `size` bytes, the first of them at byte `first`. */
export function chosen(i: number, imm: number, size: number, first: number): number {
  const element = ((i - first) / size) | 0;
  return first + ((imm >> (element * 2)) & 3) * size + ((i - first) % size);
}

/** SHUFPS and SHUFPD: the low half from the destination, the high one from the source. */
export const shuffleBoth = (size: number): SseEmit => packed((c, op) => shuffle(c, ELEMENTS.map((i) => {
  const element = (i / size) | 0;
  const choice = size === 4 ? (op.imm8 >> (element * 2)) & 3 : (op.imm8 >> element) & 1;
  return choice * size + (i % size) + (i >= 8 ? 16 : 0);
})));

/** Groups 71, 72, 73: shifts of register b by an immediate; a is ModRM.reg. */
export const shiftImmediate: SseEmit = (s) => {
  const { c, op } = s;
  const { code } = c;
  const { offset } = register(c, op.b);
  const n = op.imm8;
  code.get(CPU);
  const shift = SHIFTS[((op.key & 0xff) << 4) | op.a];
  if (shift === undefined) {
    // PSRLDQ (3) and PSLLDQ (7): whole bytes, zeros come in
    code.get(CPU).simdMem(VEC.load, offset).i64(0).simd(VEC.i64Splat);
    shuffle(c, ELEMENTS.map((i) => (op.a === 3 ? Math.min(i + n, 16) : i >= n ? i - n : 16)));
  } else if (n >= shift.bits && !shift.arithmetic) code.i64(0).simd(VEC.i64Splat);
  else code.get(CPU).simdMem(VEC.load, offset).i32(Math.min(n, shift.bits - 1)).simd(shift.op);
  code.simdMem(VEC.store, offset);
};

/** Shifts of all elements by the low 64 bits of the source. */
export const shiftByRegister = (op: number, bits: number, arithmetic: boolean): SseEmit => packed((c) => {
  const { code } = c;
  code.simd(VEC.i64Lane).op(0).set(X);
  if (arithmetic) code.get(X).i64(bits - 1).get(X).i64(bits).op(OP.i64LtU).op(OP.select).op(OP.wrap).simd(op);
  else code.get(X).op(OP.wrap).simd(op).i64(0).simd(VEC.i64Splat).get(X).i64(bits).op(OP.i64LtU).op(OP.select);
});

/** PMULHW and PMULHUW: `low` and `high` make products of 32 bits. */
export const multiplyHigh = (low: number, high: number): SseEmit => packed((c) => {
  const { code } = c;
  code.set(W1).tee(W0).get(W1).simd(low).get(W0).get(W1).simd(high);
  shuffle(c, ELEMENTS.map((i) => (i >> 1) * 4 + 2 + (i & 1)));
});

/** PSADBW: |a - b| of bytes, summed up by eight. */
export const sumOfDifferences: SseEmit = packed((c) => {
  const { code } = c;
  code.set(W1).tee(W0).get(W1).simd(VEC.i8MaxU).get(W0).get(W1).simd(VEC.i8MinU).simd(VEC.i8Sub);
  code.simd(VEC.pairs16).simd(VEC.pairs32).tee(W0).i64(0xffff_ffff).simd(VEC.i64Splat).simd(VEC.and).get(W0).i32(32).simd(VEC.i64ShrU).simd(VEC.i64Add);
});

/** PMOVMSKB, MOVMSKPS, MOVMSKPD: general register a from register b. */
export const mask = (bitmask: number): SseEmit => ({ c, op }) => {
  c.code.get(CPU).simdMem(VEC.load, register(c, op.b).offset).simd(bitmask).op(OP.extendU);
  c.set64(op.a << 3);
};
