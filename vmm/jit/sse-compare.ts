/** Compares of floats inline where no operand is denormal or not a number, else by the core: COMISD and its like, CMPSD and its like. */
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { setLazy } from './flags.ts';
import { guarded } from './guarded.ts';
import { CPU, FLAG_A32, S, W0, W1 } from './locals.ts';
import { TAG_READ } from './memory.ts';
import { F32P, F32S, F64P, F64S, loadOperands, number, type Packed, plain, plainLanes, type Scalar } from './sse-float.ts';
import { register, type SseEmit, withOperand } from './sse-operand.ts';
import { P66, PF2, VEC } from './sse-table.ts';
import { source } from './sse-v2.ts';

/** CF and ZF, with PF what COMISD may set. */
const COMPARED = 0x45;

/** To `out` unless X and Y can be compared as they are. */
function comparable(c: Context, f: Scalar, out: number): void {
  for (const local of [f.x, f.y]) {
    plain(c, f, local);
    number(c, f, local);
    c.code.op(OP.i32And).op(OP.i32Eqz).rarely().brIf(out);
  }
}

function floats(c: Context, f: Scalar): void {
  c.code.get(f.x).op(f.toFloat).get(f.y).op(f.toFloat);
}

/** COMISx and UCOMISx: ZF, PF, CF. */
export const compareFlags: SseEmit = (s) => {
  const { c, op } = s;
  const f = (op.key & P66) === 0 ? F32S : F64S;
  guarded(c, s.byCore, {
    lazy: { of: 'bits', kind: 'EXPLICIT', bits: 64 },
    slow: () => {
      c.code.get(CPU).mem(MEM.i32Load, c.at.eflags).i32(COMPARED).op(OP.i32And).set(FLAG_A32);
    },
  }, (out) => {
    const from = source(s, f.bytes, false, out);
    loadOperands(c, f, 'add', register(c, op.a), from);
    comparable(c, f, out);
    floats(c, f);
    c.code.op(f.lt);
    floats(c, f);
    c.code.op(f.lt - 2).i32(6).op(OP.i32Shl).op(OP.i32Or).set(FLAG_A32);
    setLazy(c, { of: 'bits', kind: 'EXPLICIT', bits: 64 });
  });
};

/** Predicates of CMPxx on numbers: which comparison (0: none holds), turned for 4 … 7. */
const PREDICATES = ['eq', 'lt', 'le', undefined] as const;
/** Opcodes are so far from that for "equal". */
const SCALAR = { eq: 0, lt: 2, le: 4 } as const;
const VECTOR = { eq: 0, lt: 2, le: 4 } as const;

/** CMPSS, CMPSD: all ones or zeros. */
function compareScalar(f: Scalar): SseEmit {
  return (s) => {
    const { c, op } = s;
    const { code } = c;
    const to = register(c, op.a);
    const predicate = PREDICATES[op.imm8 & 3];
    withOperand(s, f.bytes, false, TAG_READ, false, (from, out) => {
      loadOperands(c, f, 'add', to, from);
      comparable(c, f, out);
      if (predicate === undefined) code.i32(0);
      else {
        floats(c, f);
        code.op(f.lt - 2 + SCALAR[predicate]);
      }
      if ((op.imm8 & 4) !== 0) code.op(OP.i32Eqz);
      code.set(S).get(to.local).i32(0).get(S).op(OP.i32Sub);
      if (f.bytes === 8) code.op(OP.extendS);
      code.mem(f.store, to.offset);
    });
  };
}

/** CMPPS, CMPPD. */
function comparePacked(f: Packed): SseEmit {
  return (s) => {
    const { c, op } = s;
    const { code } = c;
    const to = register(c, op.a);
    const predicate = PREDICATES[op.imm8 & 3];
    withOperand(s, 16, true, TAG_READ, false, (from, out) => {
      code.get(from.local).simdMem(VEC.load, from.offset).set(W1).get(to.local).simdMem(VEC.load, to.offset).set(W0);
      plainLanes(c, f, W0);
      plainLanes(c, f, W1);
      code.simd(VEC.and);
      for (const local of [W0, W1]) code.get(local).get(local).simd(f.eq).simd(VEC.and);
      code.simd(f.allTrue).op(OP.i32Eqz).rarely().brIf(out).get(to.local);
      if (predicate === undefined) code.i64(0).simd(VEC.i64Splat);
      else code.get(W0).get(W1).simd(f.eq + VECTOR[predicate]);
      if ((op.imm8 & 4) !== 0) code.simd(VEC.not);
      code.simdMem(VEC.store, to.offset);
    });
  };
}

/** C2 with any prefix. */
export const compareMask: SseEmit = (s) => {
  const prefix = s.op.key & ~0xff;
  if (prefix === 0) comparePacked(F32P)(s);
  else if (prefix === P66) comparePacked(F64P)(s);
  else compareScalar(prefix === PF2 ? F64S : F32S)(s);
};
