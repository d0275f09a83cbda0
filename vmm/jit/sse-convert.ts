/** Conversions between floats and integers, and rounding, inline under the conditions of sse-float.ts. */
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { V32, X, X32 } from './locals.ts';
import { TAG_READ } from './memory.ts';
import { F32S, F64S, needFast, number, plain, type Scalar, sound, unsigned, zero } from './sse-float.ts';
import { register, type SseEmit, withOperand } from './sse-operand.ts';
import { PF2, VEC } from './sse-table.ts';

/** Opcodes that WebAssembly has and nobody else here uses. */
const PROMOTE = 0xbb;
const DEMOTE = 0xb6;
const CONVERT: Readonly<Record<string, number>> = { 'f64 i32': 0xb7, 'f64 i64': 0xb9, 'f32 i32': 0xb2, 'f32 i64': 0xb4 };
/** To the nearest, down, up, towards 0. */
const ROUND64 = [0x9e, 0x9c, 0x9b, 0x9d] as const;
const ROUND32 = [0x90, 0x8e, 0x8d, 0x8f] as const;

function scalarOf(key: number): Scalar {
  return (key & 0x300) === PF2 ? F64S : F32S;
}

/** CVTSI2SD, CVTSI2SS; 32 bits always fit a double. */
export const convertFromInteger: SseEmit = (s) => {
  const { c, op } = s;
  const { code } = c;
  const f = scalarOf(op.key);
  const to = register(c, op.a);
  const exact = f === F64S && !op.wide;
  withOperand(s, op.wide ? 8 : 4, false, TAG_READ, exact, (from, out) => {
    if (!exact) needFast(c, out);
    code.get(to.local);
    if (op.memory) code.get(from.local).mem(op.wide ? MEM.i64Load : MEM.i32Load, from.offset);
    else {
      c.reg64(op.b);
      if (!op.wide) code.op(OP.wrap);
    }
    code.op(CONVERT[`${f === F64S ? 'f64' : 'f32'} ${op.wide ? 'i64' : 'i32'}`] as number).op(f.toBits).mem(f.store, to.offset);
  });
};

/** Bits, shifted left by one, of 2^31, 2^63 and their halves. */
const BOUNDS: Readonly<Record<string, readonly [whole: number, half: number]>> = {
  'f64 i32': [0x83c0_0000, 0x83a0_0000], 'f64 i64': [0x87c0_0000, 0x87a0_0000], 'f32 i32': [0x9e00_0000, 0x9d00_0000], 'f32 i64': [0xbe00_0000, 0xbd00_0000],
};

/** CVTTSD2SI, CVTTSS2SI, and rounded CVTSD2SI, CVTSS2SI, of numbers that surely fit. */
export const convertToInteger = (rounded: boolean): SseEmit => (s) => {
  const { c, op } = s;
  const { code } = c;
  const f = scalarOf(op.key);
  const bounds = BOUNDS[`${f === F64S ? 'f64' : 'f32'} ${op.wide ? 'i64' : 'i32'}`] as readonly [number, number];
  withOperand(s, f.bytes, false, TAG_READ, false, (from, out) => {
    needFast(c, out);
    code.get(from.local).mem(f.load, from.offset).set(f.x);
    plain(c, f, f.x);
    unsigned(c, f, f.x);
    f.constant(c, bounds[rounded ? 1 : 0]);
    code.op(f.int.ltU).op(OP.i32And).op(OP.i32Eqz).rarely().brIf(out);
    code.get(f.x).op(f.toFloat);
    if (rounded) code.op((f === F64S ? ROUND64 : ROUND32)[0]);
    code.op(0xfc).u((f === F64S ? 2 : 0) + (op.wide ? 4 : 0));
    if (!op.wide) code.op(OP.extendU);
    c.set64(op.a << 3);
  });
};

/** To `out` unless the number in `local` is neither denormal nor a NaN. */
function ordinary(c: Context, f: Scalar, local: number, out: number): void {
  plain(c, f, local);
  number(c, f, local);
  c.code.op(OP.i32And).op(OP.i32Eqz).rarely().brIf(out);
}

/** CVTSS2SD. */
export const widen: SseEmit = (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  withOperand(s, 4, false, TAG_READ, false, (from, out) => {
    c.code.get(from.local).mem(MEM.i32Load, from.offset).set(X32);
    ordinary(c, F32S, X32, out);
    c.code.get(to.local).get(X32).op(F32S.toFloat).op(PROMOTE).op(OP.f64Bits).mem(MEM.i64Store, to.offset);
  });
};

/** CVTSD2SS. */
export const narrow: SseEmit = (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  withOperand(s, 8, false, TAG_READ, false, (from, out) => {
    const { code } = c;
    needFast(c, out);
    code.get(from.local).mem(MEM.i64Load, from.offset).set(X);
    ordinary(c, F64S, X, out);
    code.get(X).op(F64S.toFloat).op(DEMOTE).op(F32S.toBits).set(V32);
    sound(c, F32S, V32);
    zero(c, F64S, X);
    code.op(OP.i32Or).op(OP.i32Eqz).rarely().brIf(out).get(to.local).get(V32).mem(MEM.i32Store, to.offset);
  });
};

/** CVTDQ2PD, which is exact, and CVTDQ2PS. */
export const convertVector = (size: number, op: number): SseEmit => (s) => {
  const { c } = s;
  const to = register(c, s.op.a);
  withOperand(s, size, size === 16, TAG_READ, size === 8, (from, out) => {
    if (size === 16) needFast(c, out);
    c.code.get(to.local).get(from.local).simdMem(size === 16 ? VEC.load : VEC.load64Zero, from.offset).simd(op).simdMem(VEC.store, to.offset);
  });
};

/** ROUNDSD, ROUNDSS: bits 0 and 1 of the immediate are the mode, 2 takes MXCSR's, 3 leaves PE alone. */
export const round = (f: Scalar): SseEmit => (s) => {
  const { c, op } = s;
  const { code } = c;
  const to = register(c, op.a);
  const mode = (op.imm8 & 4) !== 0 ? 0 : op.imm8 & 3;
  withOperand(s, f.bytes, false, TAG_READ, false, (from, out) => {
    if ((op.imm8 & 12) !== 8) needFast(c, out);
    code.get(from.local).mem(f.load, from.offset).set(f.x);
    ordinary(c, f, f.x, out);
    code.get(to.local).get(f.x).op(f.toFloat).op((f === F64S ? ROUND64 : ROUND32)[mode] as number).op(f.toBits).mem(f.store, to.offset);
  });
};
