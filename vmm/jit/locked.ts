/** Locked operations and XCHG with memory: WebAssembly's atomics, which are of x86's order and stronger. What no atomic covers is the core's. */
import { OP } from './code.ts';
import type { Context } from './context.ts';
import { setFlags } from './flags.ts';
import { type GenericEmit, guarded, placeAt, type Settled, settled } from './guarded.ts';
import { P, REG0, VA } from './locals.ts';
import { address, afterStore, TAG_WRITE } from './memory.ts';
import { extend, keep, register, SIZES, type Size } from './sized.ts';
import type { Words } from './uop.ts';

/** Opcodes behind 0xFE of 32 bits (threads proposal); those of 64, 8 and 16 bits follow. */
const ATOMIC = { ADD: 0x1e, SUB: 0x25, AND: 0x2c, OR: 0x33, XOR: 0x3a, XCHG: 0x41, CMPXCHG: 0x48 } as const;
type Atomic = keyof typeof ATOMIC;
const FURTHER: Readonly<Record<number, number>> = { 8: 2, 16: 3, 32: 0, 64: 1 };

/** What memory held: operands are on the stack, the address below them. */
function atomic(c: Context, s: Size, op: Atomic): void {
  c.code.op(0xfe).op2(ATOMIC[op] + (FURTHER[s.bits] as number), Math.log2(s.bytes)).u(0);
  extend(c, s);
}

/** Memory at VA becomes itself `op` what `operand` pushes; X is what it was, and `after` does the rest of the micro-op. */
export function updateLockedAt(c: Context, s: Size, byCore: () => void, flags: Settled | undefined, op: Atomic, operand: () => void, after: () => void): void {
  guarded(c, byCore, flags, (out) => {
    const { code } = c;
    placeAt(c, s.bytes, TAG_WRITE, out, true);
    code.get(P);
    operand();
    atomic(c, s, op);
    code.set(s.w.x);
    after();
    afterStore(c, s.bytes);
  });
}

/** As `updateLockedAt`, of the memory operand. */
export function updateLocked(c: Context, ...how: Parameters<typeof updateLockedAt> extends [Context, ...infer Rest] ? Rest : never): void {
  address(c);
  c.code.set(VA);
  updateLockedAt(c, ...how);
}

/** The i32 or i64 of the register at `place`, without what lies above its bits. */
function bare(c: Context, s: Size, place: number): void {
  register(c, s, place);
  if (s.bits < 32) c.code.i32((1 << s.bits) - 1).op(OP.i32And);
}

/** CMPXCHG: flags of the accumulator compared with what was there. */
function compareExchange(c: Context, s: Size, b: number, byCore: () => void): void {
  const { w } = s;
  updateLocked(c, s, byCore, settled('SUB'), 'CMPXCHG', () => {
    bare(c, s, 0);
    bare(c, s, b);
  }, () => {
    const { code } = c;
    code.get(w.x).set(w.y);
    register(c, s, 0);
    code.set(w.x);
    setFlags(c, 'CMP', s.bits);
    if (s.bits === 32) {
      // the upper half is cleared only when the value is loaded
      code.get(REG0).get(w.y).op(OP.extendU).get(w.x).get(w.y).op(OP.i32Eq).op(OP.select);
      c.set64(0);
    } else keep(c, s, 0, w.y);
  });
}

// Fields of XCHG_G's imm.
const OPERATION = 15;
const MEMORY = 0x40;
const LOCK = 0x80;

export function exchangeForm(words: Words, u: number): GenericEmit | undefined {
  const d = words.imm(u);
  if ((d & MEMORY) === 0 || (d & LOCK) === 0) return undefined;
  const s = SIZES[(d >>> 4) & 3] as Size;
  const { w } = s;
  const b = words.b(u);
  switch (d & OPERATION) {
    case 0: // XCHG
      return (c, _uop, byCore) => updateLocked(c, s, byCore, undefined, 'XCHG', () => register(c, s, b), () => keep(c, s, b, w.x));
    case 1: // XADD
      return (c, _uop, byCore) => updateLocked(c, s, byCore, settled('ADD'), 'ADD', () => register(c, s, b), () => {
        register(c, s, b);
        c.code.set(w.y).get(w.x).get(w.y).op(w.ops.ADD as number);
        extend(c, s);
        c.code.set(w.v);
        setFlags(c, 'ADD', s.bits);
        keep(c, s, b, w.x);
      });
    case 2:
      return (c, _uop, byCore) => compareExchange(c, s, b, byCore);
    default:
      return undefined;
  }
}
