/**
 * The common forms of micro-ops whose operation is in their fields (ALU_G, UNARY_G, SHIFT_G; assembly/cpu/execute/alu.ts and shift.ts have the
 * rest): 8- and 16-bit arithmetic, memory operands, shifts by CL. Locked ones stay the core's. Operands of 8 and 16 bits are sign-extended, in the 32-bit locals.
 */
import { FLAG_SHIFT, G_LOCK, G_MI } from '../../assembly/contract/translator.ts';
import { MEM, OP } from './code.ts';
import type { Context, Emit } from './context.ts';
import { canonicalFlags, carry, setFlags, setLazy } from './flags.ts';
import { rotateFlags, type Width, widthOf } from './integer.ts';
import { FLAG_A, FLAG_B, FLAG_OP, FLAG_RES, P, VA } from './locals.ts';
import { address, beginUpdate, endUpdate, read } from './memory.ts';
import type { Uop, Words } from './uop.ts';

const OPERATIONS = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP', 'TEST'] as const;
const FORMS = ['RR', 'RI', 'RM', 'MR'] as const;
/** Locked, of ALU_G with memory and an immediate. */
const G_MI_LOCK = 0x40;
/** Of UNARY_G and SHIFT_G. */
const UNARY_MEMORY = 0x10;
const UNARY_LOCK = 0x20;
const SHIFT_MEMORY = 0x20;
const SHIFT_CL = 0x40;
const SHIFTS: Readonly<Record<number, 'ROL' | 'ROR' | 'SHL' | 'SHR' | 'SAR'>> = { 0: 'ROL', 1: 'ROR', 4: 'SHL', 5: 'SHR', 6: 'SHL', 7: 'SAR' };

interface Size {
  readonly bits: number;
  readonly bytes: number;
  readonly w: Width;
  readonly load: number;
  readonly store: number;
}

const SIZES: readonly Size[] = [
  { bits: 8, bytes: 1, w: widthOf(32), load: MEM.i32Load8S, store: MEM.i32Store8 },
  { bits: 16, bytes: 2, w: widthOf(32), load: MEM.i32Load16S, store: MEM.i32Store16 },
  { bits: 32, bytes: 4, w: widthOf(32), load: MEM.i32Load, store: MEM.i32Store },
  { bits: 64, bytes: 8, w: widthOf(64), load: MEM.i64Load, store: MEM.i64Store },
];

function extend(c: Context, s: Size): void {
  if (s.bits === 8) c.code.op(OP.i32Extend8);
  else if (s.bits === 16) c.code.op(OP.i32Extend16);
}

/** The register at `place`. */
function register(c: Context, s: Size, place: number): void {
  if (s.bits === 8) c.byte(place, true);
  else {
    c.value(s.w.bits, place);
    extend(c, s);
  }
}

function constant(c: Context, s: Size, value: number): void {
  if (s.bits === 64) c.code.i64(value | 0);
  else c.code.i32((value << (32 - s.bits)) >> (32 - s.bits));
}

/** What is in V becomes the register at `place`. */
function keep(c: Context, s: Size, place: number): void {
  c.code.get(s.w.v);
  if (s.bits >= 32) {
    c.setValue(s.bits, place);
    return;
  }
  c.code.i32((1 << s.bits) - 1).op(OP.i32And).op(OP.extendU);
  c.setPart(place, s.bits);
}

/** Operand of memory at the address on the stack. */
function load(c: Context, s: Size): void {
  read(c, s.bytes, s.bits < 32);
  if (s.bits < 64) c.code.op(OP.wrap);
}

/** V = X op Y, and the flags; a compare has no result. */
function calculate(c: Context, s: Size, op: (typeof OPERATIONS)[number]): void {
  const { code } = c;
  const { w } = s;
  if (op !== 'CMP') {
    const carried = op === 'ADC' || op === 'SBB';
    const opcode = w.ops[op === 'ADC' ? 'ADD' : op === 'SBB' ? 'SUB' : op] as number;
    code.get(w.x).get(w.y).op(opcode);
    if (carried) {
      carry(c);
      if (s.bits < 64) code.op(OP.wrap);
      code.op(opcode);
    }
    extend(c, s);
    code.set(w.v);
  }
  setFlags(c, op, s.bits);
}

/** Memory becomes what `change` makes of X in V. */
function update(c: Context, s: Size, change: () => void): void {
  const { code } = c;
  address(c);
  code.set(VA);
  beginUpdate(c, s.bytes);
  code.get(P).mem(s.load).set(s.w.x);
  change();
  code.get(P).get(s.w.v).mem(s.store);
  endUpdate(c, s.bytes);
}

function aluForm(words: Words, u: number): Emit | undefined {
  const [a, b, d] = [words.a(u), words.b(u), words.imm(u)];
  const immediate = b === G_MI;
  if (immediate ? (a & G_MI_LOCK) !== 0 : (d & G_LOCK) !== 0) return undefined;
  const op = OPERATIONS[(immediate ? a : d) & 15];
  const s = SIZES[((immediate ? a : d) >>> 4) & 3] as Size;
  const form = immediate ? 'MI' : FORMS[(d >>> 6) & 7];
  if (op === undefined || form === undefined) return undefined;
  const test = op === 'CMP' || op === 'TEST';
  return (c) => {
    const { code } = c;
    const second = (): void => {
      if (form === 'MI') constant(c, s, d);
      else if (form === 'RI') constant(c, s, words.disp(u));
      else register(c, s, form === 'RR' ? b : a);
      code.set(s.w.y);
    };
    if (form === 'MI' || form === 'MR') {
      if (!test) {
        update(c, s, () => {
          second();
          calculate(c, s, op);
        });
        return;
      }
      address(c);
      load(c, s);
      code.set(s.w.x);
      second();
      calculate(c, s, op);
      return;
    }
    if (form === 'RM') {
      address(c);
      load(c, s);
      code.set(s.w.y);
    } else second();
    register(c, s, a);
    code.set(s.w.x);
    calculate(c, s, op);
    if (!test) keep(c, s, a);
  };
}

/** INC and DEC of X; CF stays. */
function step(c: Context, s: Size, op: 'INC' | 'DEC'): void {
  const { code } = c;
  const { w } = s;
  carry(c);
  code.set(FLAG_B).get(w.x);
  constant(c, s, 1);
  code.op(w.ops[op === 'INC' ? 'ADD' : 'SUB'] as number);
  extend(c, s);
  code.set(w.v);
  for (const [from, to] of [[w.x, FLAG_A], [w.v, FLAG_RES]] as const) {
    code.get(from);
    if (s.bits < 64) code.op(OP.extendS);
    code.set(to);
  }
  setLazy(c, { of: 'done', kind: op, bits: 64 });
}

function unaryForm(words: Words, u: number): Emit | undefined {
  const d = words.b(u);
  if ((d & UNARY_LOCK) !== 0) return undefined;
  const s = SIZES[(d >>> 2) & 3] as Size;
  const { w } = s;
  const op = d & 3;
  const change = (c: Context): void => {
    if (op === 0) step(c, s, 'INC');
    else if (op === 1) step(c, s, 'DEC');
    else if (op === 2) {
      c.code.get(w.x);
      constant(c, s, -1);
      c.code.op(w.ops.XOR as number).set(w.v);
    } else {
      c.code.get(w.x).set(w.y);
      constant(c, s, 0);
      c.code.set(w.x);
      calculate(c, s, 'SUB');
    }
  };
  if ((d & UNARY_MEMORY) !== 0) return (c) => update(c, s, () => change(c));
  return (c) => {
    register(c, s, words.a(u));
    c.code.set(w.x);
    change(c);
    keep(c, s, words.a(u));
  };
}

/** 32 and 64 bits by CL: a count of 0 leaves the flags. */
function shiftForm(words: Words, u: number): Emit | undefined {
  const d = words.b(u);
  const op = SHIFTS[d & 7];
  const s = SIZES[(d >>> 3) & 3] as Size;
  if (op === undefined || (d & SHIFT_MEMORY) !== 0 || (d & SHIFT_CL) === 0 || s.bits < 32) return undefined;
  const { w } = s;
  return (c) => {
    const { code } = c;
    register(c, s, words.a(u));
    code.set(w.x);
    register(c, s, 1 << 3);
    constant(c, s, s.bits - 1);
    code.op(w.ops.AND as number).set(w.y).get(w.x).get(w.y).op(w.ops[op] as number).set(w.v);
    canonicalFlags(c);
    code.get(w.y);
    if (s.bits === 64) code.op(OP.wrap);
    code.if();
    if (op === 'ROL' || op === 'ROR') rotateFlags(c, w, op);
    else shiftFlags(c, s, op);
    code.end();
    Object.assign(c, { flagKind: undefined, lazy: undefined, flagsDirty: true });
    keep(c, s, words.a(u));
  };
}

/** Flags of X shifted by Y, which is not 0, into V. */
function shiftFlags(c: Context, s: Size, op: 'SHL' | 'SHR' | 'SAR'): void {
  const { code } = c;
  const { w } = s;
  const widen = (): void => {
    if (s.bits === 32) code.op(OP.extendU);
  };
  code.get(w.v);
  if (s.bits === 32) code.op(OP.extendS);
  code.set(FLAG_RES).get(w.x);
  if (op === 'SHL') constant(c, s, s.bits);
  code.get(w.y);
  if (op !== 'SHL') constant(c, s, 1);
  code.op(w.ops.SUB as number).op(w.ops[op === 'SAR' ? 'SAR' : 'SHR'] as number);
  constant(c, s, 1);
  code.op(w.ops.AND as number);
  widen();
  code.set(FLAG_A);
  if (op === 'SAR') code.i64(0);
  else {
    code.get(op === 'SHL' ? w.v : w.x);
    constant(c, s, s.bits - 1);
    code.op(w.ops.SHR as number);
    widen();
    if (op === 'SHL') code.get(FLAG_A).op(OP.i64Xor);
  }
  code.set(FLAG_B).i32(FLAG_SHIFT).set(FLAG_OP);
}

/** How the micro-op at `u` is written; undefined: the core does it. All of them may set the flags. */
export function genericForm(uop: Uop, words: Words, u: number): Emit | undefined {
  switch (uop.call) {
    case 'alu_generic':
      return aluForm(words, u);
    case 'unary_generic':
      return unaryForm(words, u);
    case 'shift_generic':
      return shiftForm(words, u);
    default:
      return undefined;
  }
}
