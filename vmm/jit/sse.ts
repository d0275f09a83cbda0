/**
 * Which SSE instructions are inline: moves, integer.packed integers (sse-integer.ts), arithmetic (sse-float.ts). Registers stay in memory. A region
 * with any of it begins only while SSE may be used (flow.ts), so nothing is asked here. What is not simple, the core does with
 * the whole instruction: a TLB miss, an operand that is not aligned, numbers that are not normal.
 */
import { W1 } from './locals.ts';
import { compareFlags, compareMask } from './sse-compare.ts';
import * as convert from './sse-convert.ts';
import { arithmetic, F32S, F64S } from './sse-float.ts';
import * as integer from './sse-integer.ts';
import { readSse, type SseEmit } from './sse-operand.ts';
import { AND_NOT, ARITHMETIC, P66, PACKED, PF2, PF3, SHIFTS_BY_REGISTER, UNPACK, VEC } from './sse-table.ts';
import * as v2 from './sse-v2.ts';
import type { Words } from './uop.ts';

/** General registers beside the ones of an address. */
type General = 'reads b' | 'writes a' | 'writes b' | undefined;

interface Form {
  readonly emit: SseEmit;
  /** Absent: both kinds of operands. */
  readonly only?: 'memory' | 'register';
  /** With a register operand; also with memory where the result is a general register. */
  readonly general?: General;
  /** It sets the arithmetic flags. */
  readonly flags?: true;
}

function makeForms(): Map<number, Form> {
  const forms = new Map<number, Form>();
  const add = (keys: readonly number[], form: Form): void => {
    for (const key of keys) forms.set(key, form);
  };
  add([0x10, P66 | 0x10, PF3 | 0x6f], { emit: integer.loadVector(16, false, VEC.load) });
  add([0x28, P66 | 0x28, P66 | 0x6f], { emit: integer.loadVector(16, true, VEC.load) });
  add([0x11, P66 | 0x11, PF3 | 0x7f], { emit: integer.storeVector(false) });
  add([0x29, P66 | 0x29, P66 | 0x7f], { emit: integer.storeVector(true) });
  add([PF2 | 0x10], { emit: integer.moveScalar(8, true) });
  add([PF3 | 0x10], { emit: integer.moveScalar(4, true) });
  add([PF2 | 0x11], { emit: integer.moveScalar(8, false) });
  add([PF3 | 0x11], { emit: integer.moveScalar(4, false) });
  add([PF3 | 0x7e], { emit: integer.loadVector(8, false, VEC.load64Zero) });
  add([P66 | 0xd6], { emit: integer.storeLow });
  add([0x12], { emit: integer.loadHalf(0) });
  add([0x16], { emit: integer.loadHalf(8) });
  add([P66 | 0x12], { emit: integer.loadHalf(0), only: 'memory' });
  add([P66 | 0x16], { emit: integer.loadHalf(8), only: 'memory' });
  add([0x13, P66 | 0x13], { emit: integer.storeScalar(8), only: 'memory' });
  add([0x17, P66 | 0x17], { emit: integer.storeScalar(8, 8), only: 'memory' });
  add([P66 | 0x6e], { emit: integer.fromGeneral, general: 'reads b' });
  add([P66 | 0x7e], { emit: integer.toGeneral, general: 'writes b' });
  for (const [key, vector] of Object.entries(PACKED)) add([Number(key)], { emit: integer.packed((c) => c.code.simd(vector)) });
  add([...AND_NOT], { emit: integer.packed((c) => c.code.set(W1).simd(VEC.not).get(W1).simd(VEC.and)) });
  for (const [key, { size, high }] of Object.entries(UNPACK)) add([Number(key)], { emit: integer.unpack(size, high) });
  add([P66 | 0x70], { emit: integer.shuffleSource((i, imm) => integer.chosen(i, imm, 4, 0)) });
  add([PF2 | 0x70], { emit: integer.shuffleSource((i, imm) => (i < 8 ? integer.chosen(i, imm, 2, 0) : i)) });
  add([PF3 | 0x70], { emit: integer.shuffleSource((i, imm) => (i < 8 ? i : integer.chosen(i, imm, 2, 8))) });
  add([0xc6], { emit: integer.shuffleBoth(4) });
  add([P66 | 0xc6], { emit: integer.shuffleBoth(8) });
  add([P66 | 0x71, P66 | 0x72, P66 | 0x73], { emit: integer.shiftImmediate, only: 'register' });
  add([P66 | 0xf4], { emit: v2.multiplyEven(0xde) });
  add([P66 | 0xd7], { emit: integer.mask(VEC.bitmask8), only: 'register', general: 'writes a' });
  add([0x50], { emit: integer.mask(VEC.bitmask32), only: 'register', general: 'writes a' });
  add([P66 | 0x50], { emit: integer.mask(VEC.bitmask64), only: 'register', general: 'writes a' });
  for (const key of Object.keys(ARITHMETIC)) for (const prefix of [0, P66, PF3, PF2]) add([prefix | Number(key)], { emit: arithmetic });
  addConversions(add);
  addV2(add);
  return forms;
}

type Add = (keys: readonly number[], form: Form) => void;

function addConversions(add: Add): void {
  add([PF2 | 0x2a, PF3 | 0x2a], { emit: convert.convertFromInteger, general: 'reads b' });
  add([PF2 | 0x2c, PF3 | 0x2c], { emit: convert.convertToInteger(false), general: 'writes a' });
  add([PF2 | 0x2d, PF3 | 0x2d], { emit: convert.convertToInteger(true), general: 'writes a' });
  add([PF3 | 0x5a], { emit: convert.widen });
  add([PF2 | 0x5a], { emit: convert.narrow });
  add([PF3 | 0xe6], { emit: convert.convertVector(8, 0xfe) });
  add([0x5b], { emit: convert.convertVector(16, 0xfa) });
  add([0x2e, 0x2f, P66 | 0x2e, P66 | 0x2f], { emit: compareFlags, flags: true });
  add([0xc2, P66 | 0xc2, PF2 | 0xc2, PF3 | 0xc2], { emit: compareMask });
}

/** What SSE3 and later have, and the few of SSE2 that are of their kind. */
function addV2(add: Add): void {
  add([0x2b, P66 | 0x2b, P66 | 0xe7], { emit: integer.storeVector(true), only: 'memory' });
  add([PF2 | 0xf0], { emit: integer.loadVector(16, false, VEC.load), only: 'memory' });
  add([PF2 | 0x12], { emit: integer.loadVector(8, false, VEC.load64Splat) });
  add([PF3 | 0x12], { emit: integer.shuffleSource((i) => integer.chosen(i, 0xa0, 4, 0)) });
  add([PF3 | 0x16], { emit: integer.shuffleSource((i) => integer.chosen(i, 0xf5, 4, 0)) });
  for (const [key, { op, bits, arithmetic: signed }] of Object.entries(SHIFTS_BY_REGISTER)) add([P66 | Number(key)], { emit: integer.shiftByRegister(op, bits, signed) });
  add([P66 | 0xe4], { emit: integer.multiplyHigh(0xbe, 0xbf) });
  add([P66 | 0xe5], { emit: integer.multiplyHigh(0xbc, 0xbd) });
  add([P66 | 0xf6], { emit: integer.sumOfDifferences });
  add([P66 | 0xc4], { emit: v2.insert(2), general: 'reads b' });
  add([P66 | 0xc5], { emit: v2.extractWord, only: 'register', general: 'writes a' });
  for (const [key, emit] of Object.entries(v2.V2)) add([Number(key)], { emit });
  add([0x517], { emit: v2.test, flags: true });
  add([0x52a], { emit: integer.loadVector(16, true, VEC.load), only: 'memory' });
  add([0x914], { emit: v2.extract(1), general: 'writes b' });
  add([0x915], { emit: v2.extract(2), general: 'writes b' });
  add([0x916], { emit: v2.extract(0), general: 'writes b' });
  add([0x917], { emit: v2.extract(4), general: 'writes b' });
  add([0x920], { emit: v2.insert(1), general: 'reads b' });
  add([0x922], { emit: v2.insert(0), general: 'reads b' });
  add([0x90a], { emit: convert.round(F32S) });
  add([0x90b], { emit: convert.round(F64S) });
}

const FORMS = makeForms();

/** How the OP_SSE at `u` is written; undefined: the core does it. */
export function sseForm(words: Words, u: number): SseEmit | undefined {
  const op = readSse(words, u);
  const form = FORMS.get(op.key);
  if (form === undefined || (form.only !== undefined && op.memory !== (form.only === 'memory'))) return undefined;
  return form.emit;
}

/** General registers, as bits, that an inline OP_SSE reads or writes beside those of its address. */
export function sseGeneral(words: Words, u: number, written: boolean): number {
  const op = readSse(words, u);
  const general = FORMS.get(op.key)?.general;
  if (general === 'writes a') return written ? 1 << op.a : 0;
  if (op.memory || general === undefined) return 0;
  return written === (general === 'writes b') ? 1 << op.b : 0;
}

/** An inline OP_SSE that sets the arithmetic flags. */
export function sseFlags(words: Words, u: number): boolean {
  return sseForm(words, u) !== undefined && FORMS.get(readSse(words, u).key)?.flags === true;
}
