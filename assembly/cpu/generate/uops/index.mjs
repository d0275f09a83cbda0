/**
 * The one table of micro-ops: names, what they mean to the flags, operands and semantics as data (the translator reads those), and the
 * dispatcher's text. The order gives the numbers.
 */
import { CC, LAZY, SUB, UNKNOWN, WIDTHS, WRITES } from './text.mjs';
import { flowOps } from './flow.mjs';
import { integerOps } from './integer.mjs';
import { moveOps } from './moves.mjs';
import { outOfLineOps } from './out-of-line.mjs';

/** Those that may change flags in ways that nobody knows beforehand. */
const FLAGS_UNKNOWN = /^(UNARY_G|SHIFT_G|MULDIV|BIT_G|XCHG_G|SHXD|MISC|STACK_G|SSE|X87|STRING|SYS|RO[LR]_RI..)$/;

/** The table: `list` of { name, attr, sem, body }, `index` of names, `nf`: number of the form without flags, or 0. */
export function makeTable() {
  const list = [];
  const pairs = [];
  const op = (name, attr, sem, body) => list.push({ name, attr, sem, body });
  const withoutFlags = (name, other) => pairs.push([name, other]);
  flowOps(op);
  moveOps(op);
  integerOps(op, withoutFlags);
  outOfLineOps(op);
  for (const o of list) {
    if (/^(CMP|SUB|NEG)_/.test(o.name) && o.attr & WRITES) o.attr |= SUB;
    else if (o.attr & WRITES && o.name !== 'UNARY_G') o.attr |= LAZY;
    if (FLAGS_UNKNOWN.test(o.name)) o.attr |= UNKNOWN;
  }
  const index = new Map(list.map((o, i) => [o.name, i]));
  const nf = list.map(() => 0);
  for (const [name, other] of pairs) nf[index.get(name)] = index.get(other);
  return { list, index, nf };
}

/** Numbers of the fused compares and branches: [RR RI][32 64][CMP TEST][condition], 0: none. */
export function fusedNumbers(index) {
  const out = [];
  for (const form of ['RR', 'RI']) {
    for (const w of WIDTHS) for (const k of ['CMP', 'TEST']) for (const cc of CC) out.push(index.get(`${k}_${form}${w.bits}_J${cc}`) ?? 0);
  }
  return out;
}

/** Numbers of one form by condition code, 0: none. */
export function byCondition(index, prefix, suffix) {
  return CC.map((cc) => index.get(`${prefix}${cc}${suffix}`) ?? 0);
}
