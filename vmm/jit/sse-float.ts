/**
 * SSE arithmetic inline, where the core's own fast paths would do the same (assembly/cpu/fp/ssefloat.ts, ssepacked.ts): rounding to nearest,
 * PE masked and already set, operands zero or normal, and a result that neither overflowed nor underflowed. Else the core does it.
 */
import { MX_FAST, MX_FAST_MASK } from '../../assembly/contract/translator.ts';
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { CPU, V, V32, W0, W1, W2, X, X32, Y, Y32 } from './locals.ts';
import { type Place, register, type SseContext, type SseEmit, withOperand } from './sse-operand.ts';
import { ARITHMETIC, PF2, PF3, P66, VEC } from './sse-table.ts';
import { TAG_READ } from './memory.ts';

type Operation = 'add' | 'mul' | 'sub' | 'min' | 'div' | 'max' | 'sqrt';

/** To `out` unless MXCSR lets results be the host's. */
export function needFast(c: Context, out: number): void {
  c.code.get(CPU).mem(MEM.i32Load, c.at.mxcsr).i32(MX_FAST_MASK).op(OP.i32And).i32(MX_FAST).op(OP.i32Ne).rarely().brIf(out);
}

// ---- scalars: tested as integers, without their sign (shifted out at the top) ----------------------------------------------

export interface Scalar {
  readonly bytes: number;
  readonly x: number;
  readonly y: number;
  readonly v: number;
  readonly load: number;
  readonly store: number;
  readonly toFloat: number;
  readonly toBits: number;
  readonly ops: Readonly<Record<Operation, number>>;
  readonly int: { readonly shl: number; readonly add: number; readonly geU: number; readonly ltU: number; readonly leU: number; readonly eqz: number };
  /** The float comparisons below and above. */
  readonly lt: number;
  readonly gt: number;
  /** Pushes a constant by its upper 32 bits; of doubles the lower ones are `low`. */
  readonly constant: (c: Context, high: number, low?: number) => void;
  /** Twice the bits of the least normal number, of twice that, and of infinity. */
  readonly least: number;
  readonly sound: number;
  readonly infinity: number;
}

export const F64S: Scalar = {
  bytes: 8, x: X, y: Y, v: V, load: MEM.i64Load, store: MEM.i64Store, toFloat: OP.bitsF64, toBits: OP.f64Bits,
  ops: { add: 0xa0, sub: 0xa1, mul: 0xa2, div: 0xa3, min: 0, max: 0, sqrt: 0x9f },
  int: { shl: OP.i64Shl, add: OP.i64Add, geU: OP.i64GeU, ltU: OP.i64LtU, leU: OP.i64LeU, eqz: OP.i64Eqz },
  lt: 0x63, gt: 0x64,
  constant: (c, high, low = 0) => {
    c.code.i64Halves(high, low);
  },
  least: 0x0020_0000, sound: 0x0040_0000, infinity: 0xffe0_0000,
};
export const F32S: Scalar = {
  bytes: 4, x: X32, y: Y32, v: V32, load: MEM.i32Load, store: MEM.i32Store, toFloat: 0xbe, toBits: 0xbc,
  ops: { add: 0x92, sub: 0x93, mul: 0x94, div: 0x95, min: 0, max: 0, sqrt: 0x91 },
  int: { shl: OP.i32Shl, add: OP.i32Add, geU: OP.i32GeU, ltU: OP.i32LtU, leU: OP.i32LeU, eqz: OP.i32Eqz },
  lt: 0x5d, gt: 0x5e,
  constant: (c, high) => {
    c.code.i32(high | 0);
  },
  least: 0x0100_0000, sound: 0x0200_0000, infinity: 0xff00_0000,
};

/** The bits of a local shifted left by one: the sign is gone. */
export function unsigned(c: Context, f: Scalar, local: number): void {
  c.code.get(local);
  if (f.bytes === 8) c.code.i64(1);
  else c.code.i32(1);
  c.code.op(f.int.shl);
}

/** i32: zero, normal, infinite or NaN. */
export function plain(c: Context, f: Scalar, local: number): void {
  unsigned(c, f, local);
  f.constant(c, -1, -1);
  c.code.op(f.int.add);
  if (f.bytes === 8) f.constant(c, f.least - 1, -1);
  else f.constant(c, f.least - 1);
  c.code.op(f.int.geU);
}

/** i32: finite and at least twice the least normal number. */
export function sound(c: Context, f: Scalar, local: number): void {
  unsigned(c, f, local);
  f.constant(c, -f.sound);
  c.code.op(f.int.add);
  f.constant(c, f.infinity - f.sound);
  c.code.op(f.int.ltU);
}

/** i32: not a NaN. */
export function number(c: Context, f: Scalar, local: number): void {
  unsigned(c, f, local);
  f.constant(c, f.infinity);
  c.code.op(f.int.leU);
}

export function zero(c: Context, f: Scalar, local: number): void {
  unsigned(c, f, local);
  c.code.op(f.int.eqz);
}

/** Operands into X and Y (SQRT has the second alone). */
export function loadOperands(c: Context, f: Scalar, operation: Operation, to: Place, from: Place): void {
  const { code } = c;
  code.get(from.local).mem(f.load, from.offset).set(f.y);
  if (operation !== 'sqrt') code.get(to.local).mem(f.load, to.offset).set(f.x);
}

/** i32: the result in V is the right one of the operands in X and Y. */
function allowed(c: Context, f: Scalar, operation: Operation): void {
  const { code } = c;
  plain(c, f, f.y);
  if (operation !== 'sqrt') {
    plain(c, f, f.x);
    code.op(OP.i32And);
  }
  sound(c, f, f.v);
  zero(c, f, f.v);
  if (operation === 'mul' || operation === 'div') {
    zero(c, f, f.x);
    zero(c, f, f.y);
    code.op(OP.i32Or).op(OP.i32And);
  } else if (operation === 'sqrt') {
    zero(c, f, f.y);
    code.op(OP.i32And);
  }
  code.op(OP.i32Or).op(OP.i32And);
}

function scalar(s: SseContext, f: Scalar, operation: Operation): void {
  const { c, op } = s;
  const { code } = c;
  const to = register(c, op.a);
  withOperand(s, f.bytes, false, TAG_READ, false, (from, out) => {
    const ordered = operation === 'min' || operation === 'max';
    if (!ordered) needFast(c, out);
    loadOperands(c, f, operation, to, from);
    if (ordered) {
      for (const local of [f.x, f.y]) {
        plain(c, f, local);
        number(c, f, local);
        code.op(OP.i32And).op(OP.i32Eqz).rarely().brIf(out);
      }
      // the second operand when neither is beyond the other
      code.get(f.x).get(f.y).get(f.x).op(f.toFloat).get(f.y).op(f.toFloat).op(operation === 'min' ? f.lt : f.gt).op(OP.select).set(f.v);
    } else {
      if (operation !== 'sqrt') code.get(f.x).op(f.toFloat);
      code.get(f.y).op(f.toFloat).op(f.ops[operation]).op(f.toBits).set(f.v);
      allowed(c, f, operation);
      code.op(OP.i32Eqz).rarely().brIf(out);
    }
    code.get(to.local).get(f.v).mem(f.store, to.offset);
  });
}

// ---- packed: tested as floats, all lanes at once ----------------------------------------------------------------------------

export interface Packed {
  readonly abs: number;
  readonly eq: number;
  readonly ge: number;
  readonly le: number;
  readonly allTrue: number;
  readonly ops: Readonly<Record<Operation, number>>;
  /** One lane's bits, by halves; singles have the upper one in both. */
  readonly lane: (bits: number) => readonly [high: number, low: number];
  readonly least: number;
  readonly sound: number;
  readonly most: readonly [high: number, low: number];
}

export const F64P: Packed = {
  abs: VEC.f64Abs, eq: VEC.f64Eq, ge: VEC.f64Ge, le: VEC.f64Le, allTrue: VEC.allTrue64,
  ops: { add: 0xf0, sub: 0xf1, mul: 0xf2, div: 0xf3, sqrt: 0xef, min: 0xf6, max: 0xf7 },
  lane: (bits) => [bits, 0], least: 0x0010_0000, sound: 0x0020_0000, most: [0x7fef_ffff, -1],
};
export const F32P: Packed = {
  abs: VEC.f32Abs, eq: VEC.f32Eq, ge: VEC.f32Ge, le: VEC.f32Le, allTrue: VEC.allTrue32,
  ops: { add: 0xe4, sub: 0xe5, mul: 0xe6, div: 0xe7, sqrt: 0xe3, min: 0xea, max: 0xeb },
  lane: (bits) => [bits, bits], least: 0x0080_0000, sound: 0x0100_0000, most: [0x7f7f_ffff, 0x7f7f_ffff],
};

function splat(c: Context, [high, low]: readonly [number, number]): void {
  c.code.i64Halves(high, low).simd(VEC.i64Splat);
}

function zeroLanes(c: Context, f: Packed, local: number): void {
  c.code.get(local);
  splat(c, [0, 0]);
  c.code.simd(f.eq);
}

/** Lanes that are zero, normal or infinite. */
export function plainLanes(c: Context, f: Packed, local: number): void {
  c.code.get(local).simd(f.abs);
  splat(c, f.lane(f.least));
  c.code.simd(f.ge);
  zeroLanes(c, f, local);
  c.code.simd(VEC.or);
}

function soundLanes(c: Context, f: Packed, local: number): void {
  c.code.get(local).simd(f.abs);
  splat(c, f.lane(f.sound));
  c.code.simd(f.ge).get(local).simd(f.abs);
  splat(c, f.most);
  c.code.simd(f.le).simd(VEC.and);
}

function packed(s: SseContext, f: Packed, operation: Operation): void {
  const { c, op } = s;
  const { code } = c;
  const to = register(c, op.a);
  withOperand(s, 16, true, TAG_READ, false, (from, out) => {
    needFast(c, out);
    code.get(from.local).simdMem(VEC.load, from.offset).set(W1);
    if (operation !== 'sqrt') code.get(to.local).simdMem(VEC.load, to.offset).set(W0);
    plainLanes(c, f, W1);
    if (operation !== 'sqrt') {
      plainLanes(c, f, W0);
      code.simd(VEC.and);
    }
    const ordered = operation === 'min' || operation === 'max';
    if (ordered) code.get(W1).get(W0);
    else if (operation === 'sqrt') code.get(W1);
    else code.get(W0).get(W1);
    code.simd(f.ops[operation]).set(W2);
    if (!ordered) {
      soundLanes(c, f, W2);
      zeroLanes(c, f, W2);
      if (operation !== 'add' && operation !== 'sub') {
        zeroLanes(c, f, W1);
        if (operation !== 'sqrt') {
          zeroLanes(c, f, W0);
          code.simd(VEC.or);
        }
        code.simd(VEC.and);
      }
      code.simd(VEC.or).simd(VEC.and);
    }
    code.simd(f.allTrue).op(OP.i32Eqz).rarely().brIf(out);
    code.get(to.local).get(W2).simdMem(VEC.store, to.offset);
  });
}

/** 51, 58, 59, 5C … 5F with any prefix. */
export const arithmetic: SseEmit = (s) => {
  const { key } = s.op;
  const operation = ARITHMETIC[key & 0xff] as Operation;
  switch (key & ~0xff) {
    case PF2:
      scalar(s, F64S, operation);
      break;
    case PF3:
      scalar(s, F32S, operation);
      break;
    case P66:
      packed(s, F64P, operation);
      break;
    default:
      packed(s, F32P, operation);
  }
};
