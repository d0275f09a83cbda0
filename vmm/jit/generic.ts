/**
 * Micro-ops whose operation is in their fields. Here: ALU_G and UNARY_G (assembly/cpu/execute/alu.ts has the rest), 8- and 16-bit arithmetic
 * and memory operands. Operands of 8 and 16 bits are sign-extended, in the 32-bit locals.
 */
import { G_LOCK, G_MI } from '../../assembly/contract/translator.ts';
import { bitForm } from './bits.ts';
import { OP } from './code.ts';
import { carry } from './conditions.ts';
import type { Context } from './context.ts';
import { setFlags, setLazy } from './flags.ts';
import { type GenericEmit, settled } from './guarded.ts';
import { FLAG_A, FLAG_B, FLAG_RES } from './locals.ts';
import { exchangeForm, updateLocked } from './locked.ts';
import { address } from './memory.ts';
import { muldivForm } from './muldiv.ts';
import { doubleForm, shiftForm } from './shifts.ts';
import { constant, extend, keep, load, register, SIZES, type Size, update } from './sized.ts';
import type { Uop, Words } from './uop.ts';

const OPERATIONS = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP', 'TEST'] as const;
const FORMS = ['RR', 'RI', 'RM', 'MR'] as const;
/** Locked, of ALU_G with memory and an immediate. */
const G_MI_LOCK = 0x40;
/** Of UNARY_G. */
const UNARY_MEMORY = 0x10;
const UNARY_LOCK = 0x20;

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

/** Locked, with the second operand in Y. */
function lockedAlu(c: Context, s: Size, op: 'ADD' | 'SUB' | 'AND' | 'OR' | 'XOR', byCore: () => void): void {
  const kind = op === 'ADD' || op === 'SUB' ? op : 'LOGIC';
  updateLocked(c, s, byCore, settled(kind), op, () => {
    c.code.get(s.w.y);
  }, () => calculate(c, s, op));
}

function aluForm(words: Words, u: number): GenericEmit | undefined {
  const [a, b, d] = [words.a(u), words.b(u), words.imm(u)];
  const immediate = b === G_MI;
  const locked = immediate ? (a & G_MI_LOCK) !== 0 : (d & G_LOCK) !== 0;
  const op = OPERATIONS[(immediate ? a : d) & 15];
  const s = SIZES[((immediate ? a : d) >>> 4) & 3] as Size;
  const form = immediate ? 'MI' : FORMS[(d >>> 6) & 7];
  if (op === undefined || form === undefined || (locked && (op === 'ADC' || op === 'SBB'))) return undefined;
  const test = op === 'CMP' || op === 'TEST';
  const second = (c: Context): void => {
    if (form === 'MI') constant(c, s, d);
    else if (form === 'RI') constant(c, s, words.disp(u));
    else register(c, s, form === 'RR' ? b : a);
    c.code.set(s.w.y);
  };
  if (locked) {
    return (c, _uop, byCore) => {
      second(c);
      lockedAlu(c, s, op as 'ADD', byCore);
    };
  }
  return (c) => {
    const { code } = c;
    if (form === 'MI' || form === 'MR') {
      if (!test) {
        update(c, s, () => {
          second(c);
          calculate(c, s, op);
        });
        return;
      }
      address(c);
      load(c, s);
      code.set(s.w.x);
      second(c);
      calculate(c, s, op);
      return;
    }
    if (form === 'RM') {
      address(c);
      load(c, s);
      code.set(s.w.y);
    } else second(c);
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

/** Locked INC, DEC and NOT; NEG is the core's. */
function lockedUnary(c: Context, s: Size, op: number, byCore: () => void): void {
  const operand = (value: number) => (): void => constant(c, s, value);
  if (op === 2) updateLocked(c, s, byCore, undefined, 'XOR', operand(-1), () => {});
  else updateLocked(c, s, byCore, settled(op === 0 ? 'INC' : 'DEC'), op === 0 ? 'ADD' : 'SUB', operand(1), () => step(c, s, op === 0 ? 'INC' : 'DEC'));
}

function unaryForm(words: Words, u: number): GenericEmit | undefined {
  const d = words.b(u);
  const s = SIZES[(d >>> 2) & 3] as Size;
  const { w } = s;
  const op = d & 3;
  if ((d & UNARY_LOCK) !== 0) return op === 3 ? undefined : (c, _uop, byCore) => lockedUnary(c, s, op, byCore);
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

const FORM_OF: Readonly<Record<string, (words: Words, u: number) => GenericEmit | undefined>> = {
  ALU_G: aluForm, UNARY_G: unaryForm, SHIFT_G: shiftForm, SHXD: doubleForm, MULDIV: muldivForm, BIT_G: bitForm, XCHG_G: exchangeForm,
};

/** How the micro-op at `u` is written; undefined: the core does it. All of them may set the flags. */
export function genericForm(uop: Uop, words: Words, u: number): GenericEmit | undefined {
  return FORM_OF[uop.name]?.(words, u);
}
