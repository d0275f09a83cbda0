/** The core's functions that translated code calls (assembly/cpu/jit/helpers.ts), with their types. */
import { I32, I64 } from './code.ts';

export type FunctionType = readonly [parameters: readonly number[], results: readonly number[]];

/** Types of a module of translations; the first one is the regions': (cpu, block, rip, instructions left) → left, or its complement when nothing ran. */
export const TYPES: readonly FunctionType[] = [
  [[I32, I32, I64, I32], [I32]],
  [[I32, I32, I64, I32], [I64]],
  [[I32, I32, I64, I64, I32], []],
  [[I32, I32, I32], []],
  [[I32, I32, I32], [I32]],
  [[I32, I32], [I32]],
  [[I32, I64, I32], [I32]],
  [[I32, I32, I64, I32], []],
  [[I32, I32, I32, I32], []],
  [[I32, I32], []],
  [[I32], [I32]],
];

const NAMES: readonly (readonly [name: string, type: number])[] = [
  ['rd_slow', 1],
  ['wr_slow', 2],
  ['code_write', 3],
  ['leave_at', 4],
  ['cond', 5],
  ['jit_rw_slow', 6],
  ['jit_w_done', 7],
  ['jit_sys', 8],
  ['jit_string', 4],
  ['raise_gp', 10],
  ['alu_generic', 9],
  ['unary_generic', 9],
  ['shift_generic', 9],
  ['muldiv', 9],
  ['imul_generic', 9],
  ['bit_generic', 9],
  ['xchg_generic', 9],
  ['misc_op', 9],
  ['stack_op', 9],
  ['sse_exec', 9],
  ['x87_exec', 9],
  ['loop_taken', 5],
  ['get_cf', 10],
  ['get_of', 10],
  ['jump_cached', 6],
];

export const HELPERS: readonly { readonly name: string; readonly type: number }[] = NAMES.map(([name, type]) => ({ name, type }));

/** Function index of each helper in a module of translations. */
export const HELPER: Readonly<Record<string, number>> = Object.fromEntries(NAMES.map(([name], i) => [name, i]));
