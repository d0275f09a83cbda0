/** SSSE3, SSE4.1 and SSE4.2 (maps 0F 38 and 0F 3A with 66), as assembly/cpu/fp/ssev2.ts does them. The decoder has seen to it that the CPU model has them. */
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { setLazy } from './flags.ts';
import { guarded } from './guarded.ts';
import { CPU, FLAG_A32, P, VA, W0, W1, W2 } from './locals.ts';
import { address, afterStore, pointer, probe, TAG_READ, TAG_WRITE } from './memory.ts';
import { packed, shuffle } from './sse-integer.ts';
import { type Place, register, type SseContext, type SseEmit, type SseOp, withOperand } from './sse-operand.ts';
import { VEC } from './sse-table.ts';

const LANES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;

/** Destination and source, from the stack, in W0 and W1. */
function both(c: Context): void {
  c.code.set(W1).set(W0);
}

/** Elements of `size` bytes of both vectors, every second one from `first` on. */
function everySecond(c: Context, size: number, first: number): void {
  c.code.get(W0).get(W1);
  shuffle(c, LANES.map((i) => ((i / size) | 0) * size * 2 + first * size + (i % size)));
}

/** PHADDx and PHSUBx. */
function pairs(size: number, op: number): SseEmit {
  return packed((c) => {
    both(c);
    everySecond(c, size, 0);
    everySecond(c, size, 1);
    c.code.simd(op);
  });
}

const byteShuffle: SseEmit = packed((c) => {
  c.code.i32(0x8f).simd(VEC.i8Splat).simd(VEC.and).simd(VEC.swizzle);
});

/** PMADDUBSW: unsigned bytes of the destination by signed ones of the source. */
const multiplyAddBytes: SseEmit = packed((c) => {
  const { code } = c;
  both(c);
  code.get(W0).i32(0xff).simd(VEC.i16Splat).simd(VEC.and).get(W1).i32(8).simd(VEC.i16Shl).i32(8).simd(VEC.i16ShrS).simd(VEC.i16Mul);
  code.get(W0).i32(8).simd(VEC.i16ShrU).get(W1).i32(8).simd(VEC.i16ShrS).simd(VEC.i16Mul).simd(VEC.i16AddSatS);
});

/** PMULHRSW: the one product that WebAssembly saturates wraps. */
const multiplyRounded: SseEmit = packed((c) => {
  const { code } = c;
  both(c);
  code.get(W0).get(W1).simd(VEC.i16Q15).get(W0).i32(-0x8000).simd(VEC.i16Splat).tee(W2).simd(VEC.i16Eq).get(W1).get(W2).simd(VEC.i16Eq);
  code.simd(VEC.and).simd(VEC.xor);
});

interface Lanes {
  readonly shrS: number;
  readonly sub: number;
  readonly eq: number;
  readonly bits: number;
}
const I8: Lanes = { shrS: 0x6c, sub: 0x71, eq: 0x23, bits: 8 };
const I16: Lanes = { shrS: 0x8c, sub: 0x91, eq: 0x2d, bits: 16 };
const I32: Lanes = { shrS: 0xac, sub: 0xb1, eq: 0x37, bits: 32 };

/** PSIGNx: the destination's elements by the signs of the source's. */
function withSigns(lanes: Lanes): SseEmit {
  return packed((c) => {
    const { code } = c;
    both(c);
    code.get(W0).get(W1).i32(lanes.bits - 1).simd(lanes.shrS).tee(W2).simd(VEC.xor).get(W2).simd(lanes.sub);
    code.get(W1).i64(0).simd(VEC.i64Splat).simd(lanes.eq).simd(VEC.andnot);
  });
}

/** Operations of the source alone. */
function ofSource(op: number): SseEmit {
  return packed((c) => {
    c.code.set(W1).op(OP.drop).get(W1).simd(op);
  });
}

/** PBLENDVB, BLENDVPS, BLENDVPD: XMM0's signs choose the source. */
function blendVariable(shift: number, bits: number): SseEmit {
  return packed((c) => {
    both(c);
    c.code.get(W1).get(W0).get(CPU).simdMem(VEC.load, register(c, 0).offset).i32(bits - 1).simd(shift).simd(VEC.bitselect);
  });
}

/** Blends by an immediate of elements of `size` bytes. */
function blend(size: number): SseEmit {
  return packed((c, op) => shuffle(c, LANES.map((i) => i + (((op.imm8 >> ((i / size) | 0)) & 1) << 4))));
}

/** PMOVSX and PMOVZX: `steps` widen the low elements of the source, of which `size` bytes count. */
function widen(size: number, steps: readonly number[]): SseEmit {
  return (s) => {
    const { c, op } = s;
    const to = register(c, op.a);
    withOperand(s, size, false, TAG_READ, true, (from) => {
      const { code } = c;
      code.get(to.local).get(from.local);
      if (!op.memory) code.simdMem(VEC.load, from.offset);
      else if (size === 2) code.mem(MEM.i32Load16U, from.offset).simd(VEC.i32Splat);
      else code.simdMem(size === 8 ? VEC.load64Zero : VEC.load32Zero, from.offset);
      for (const step of steps) code.simd(step);
      code.simdMem(VEC.store, to.offset);
    });
  };
}

/** PALIGNR. */
const alignRight: SseEmit = packed((c, op) => {
  const { code } = c;
  const n = op.imm8;
  both(c);
  if (n <= 16) code.get(W1).get(W0);
  else code.get(W0).i64(0).simd(VEC.i64Splat);
  const first = n <= 16 ? n : n - 16;
  shuffle(c, LANES.map((i) => Math.min(i + first, 31)));
});

/** PMULDQ and PMULUDQ: products of the even elements. */
export function multiplyEven(op: number): SseEmit {
  return packed((c) => {
    const { code } = c;
    both(c);
    for (const local of [W0, W1]) {
      code.get(local).get(local);
      shuffle(c, LANES.map((i) => (i < 4 ? i : i < 8 ? i + 4 : i)));
    }
    code.simd(op);
  });
}

/** PTEST: ZF, nothing in common; CF, nothing of the source outside the destination. */
export const test: SseEmit = (s) => {
  const { c, op } = s;
  const to = register(c, op.a);
  guarded(c, s.byCore, {
    lazy: { of: 'bits', kind: 'EXPLICIT', bits: 64 },
    slow: () => {
      c.code.get(CPU).mem(MEM.i32Load, c.at.eflags).i32(0x41).op(OP.i32And).set(FLAG_A32);
    },
  }, (out) => {
    const { code } = c;
    const from = source(s, 16, true, out);
    code.get(to.local).simdMem(VEC.load, to.offset).set(W0).get(from.local).simdMem(VEC.load, from.offset).set(W1);
    code.get(W0).get(W1).simd(VEC.and).simd(VEC.anyTrue).op(OP.i32Eqz).i32(6).op(OP.i32Shl);
    code.get(W1).get(W0).simd(VEC.andnot).simd(VEC.anyTrue).op(OP.i32Eqz).op(OP.i32Or).set(FLAG_A32);
    setLazy(c, { of: 'bits', kind: 'EXPLICIT', bits: 64 });
  });
};

/** Where the second operand lies; to `out` when the core must look for it. */
export function source({ c, op }: SseContext, size: number, aligned: boolean, out: number): Place {
  const { code } = c;
  if (!op.memory) return register(c, op.b);
  address(c);
  code.set(VA);
  if (aligned) code.get(VA).op(OP.wrap).i32(size - 1).op(OP.i32And).rarely().brIf(out);
  probe(c, size, TAG_READ);
  code.op(OP.i32Eqz).rarely().brIf(out);
  pointer(c);
  code.set(P);
  return { local: P, offset: 0 };
}

const LOAD: Readonly<Record<number, number>> = { 1: MEM.i64Load8U, 2: MEM.i64Load16U, 4: MEM.i64Load32U, 8: MEM.i64Load };
const STORE: Readonly<Record<number, number>> = { 1: MEM.i64Store8, 2: MEM.i64Store16, 4: MEM.i64Store32, 8: MEM.i64Store };

function elementOf(op: SseOp, size: number): number {
  return (op.imm8 & (16 / size - 1)) * size;
}

/** PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS: into general register b or memory; `size` 0: 4 or with REX.W 8. */
export const extract = (bytes: number): SseEmit => (s) => {
  const { c, op } = s;
  const size = bytes !== 0 ? bytes : op.wide ? 8 : 4;
  const at = register(c, op.a).offset + elementOf(op, size);
  if (!op.memory) {
    c.code.get(CPU).mem(LOAD[size] as number, at);
    c.set64(op.b << 3);
    return;
  }
  withOperand(s, size, false, TAG_WRITE, true, (to) => {
    c.code.get(to.local).get(CPU).mem(LOAD[size] as number, at).mem(STORE[size] as number, to.offset);
    afterStore(c, size);
  });
};

/** PEXTRW of the 0F map: into general register a from register b. */
export const extractWord: SseEmit = ({ c, op }) => {
  c.code.get(CPU).mem(MEM.i64Load16U, register(c, op.b).offset + elementOf(op, 2));
  c.set64(op.a << 3);
};

/** PINSRB, PINSRW, PINSRD, PINSRQ: from general register b or memory; `size` as above. */
export const insert = (bytes: number): SseEmit => (s) => {
  const { c, op } = s;
  const size = bytes !== 0 ? bytes : op.wide ? 8 : 4;
  const to = register(c, op.a).offset + elementOf(op, size);
  if (!op.memory) {
    c.code.get(CPU);
    c.reg64(op.b);
    c.code.mem(STORE[size] as number, to);
    return;
  }
  withOperand(s, size, false, TAG_READ, true, (from) => {
    c.code.get(CPU).get(from.local).mem(LOAD[size] as number, from.offset).mem(STORE[size] as number, to);
  });
};

const simple = (op: number): SseEmit => packed((c) => {
  c.code.simd(op);
});

/** By key: prefix 66, map 1 or 2, opcode. */
export const V2: Readonly<Record<number, SseEmit>> = {
  0x500: byteShuffle, 0x501: pairs(2, 0x8e), 0x502: pairs(4, 0xae), 0x503: pairs(2, 0x8f), 0x504: multiplyAddBytes, 0x505: pairs(2, 0x91), 0x506: pairs(4, 0xb1),
  0x507: pairs(2, 0x92), 0x508: withSigns(I8), 0x509: withSigns(I16), 0x50a: withSigns(I32), 0x50b: multiplyRounded, 0x51c: ofSource(0x60), 0x51d: ofSource(0x80), 0x51e: ofSource(0xa0),
  0x510: blendVariable(0x6c, 8), 0x514: blendVariable(0xac, 32), 0x515: blendVariable(0xcc, 64),
  0x520: widen(8, [0x87]), 0x521: widen(4, [0x87, 0xa7]), 0x522: widen(2, [0x87, 0xa7, 0xc7]), 0x523: widen(8, [0xa7]), 0x524: widen(4, [0xa7, 0xc7]), 0x525: widen(8, [0xc7]),
  0x530: widen(8, [0x89]), 0x531: widen(4, [0x89, 0xa9]), 0x532: widen(2, [0x89, 0xa9, 0xc9]), 0x533: widen(8, [0xa9]), 0x534: widen(4, [0xa9, 0xc9]), 0x535: widen(8, [0xc9]),
  0x528: multiplyEven(0xdc), 0x529: simple(0xd6), 0x52b: simple(0x86), 0x537: simple(0xd9),
  0x538: simple(0x76), 0x539: simple(0xb6), 0x53a: simple(0x97), 0x53b: simple(0xb7), 0x53c: simple(0x78), 0x53d: simple(0xb8), 0x53e: simple(0x99), 0x53f: simple(0xb9), 0x540: simple(0xb5),
  0x90c: blend(4), 0x90d: blend(8), 0x90e: blend(2), 0x90f: alignRight,
};
