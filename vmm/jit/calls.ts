/** Micro-ops that the core does: what they read goes into memory first, what they may change comes back. */
import { REG_BLOCK } from '../../assembly/contract/translator.ts';
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { reloadFlags, syncFlags } from './flags.ts';
import type { FlowEmit } from './flow.ts';
import { HELPER } from './helpers.ts';
import { CPU, LEFT, S, V } from './locals.ts';
import type { RegisterUse } from './registers.ts';
import type { Uop } from './uop.ts';

/** SSE opcodes (0F map) whose operands a and b may be general registers. */
const SSE_GENERAL = new Set([0x2a, 0x2c, 0x2d, 0x50, 0x6e, 0x7e, 0xc4, 0xc5, 0xd7]);
/** And those that write the arithmetic flags. */
const SSE_FLAGS = new Set([0x2e, 0x2f]);
/** Bits of an OP_SSE's imm: other opcode maps; in those the same. */
const SSE_MAPS = 0xc00;
const V2_GENERAL = new Set([0x914, 0x915, 0x916, 0x917, 0x920, 0x922, 0x960, 0x961, 0x962, 0x963]);
const PTEST = 0x517;

interface Wanted {
  readonly before: number;
  readonly after: number;
  readonly flags: boolean;
  readonly block: boolean;
}

function wantedOf(c: Context, uop: Uop, use: RegisterUse): Wanted {
  const { words, u } = c;
  const block = words.base(u) >>> 3 === REG_BLOCK;
  if (use.all) return { before: -1, after: -1, flags: true, block: true };
  const sets = use.sets(words, u);
  const before = use.uses(words, u) | sets;
  if (uop.call !== 'sse_exec') return { before, after: sets, flags: true, block };
  const imm = words.imm(u);
  const opcode = imm & 0xff;
  const maps = (imm & SSE_MAPS) !== 0;
  if (maps ? V2_GENERAL.has(imm & 0xfff) : SSE_GENERAL.has(opcode)) return { before: -1, after: -1, flags: true, block };
  return { before, after: 0, flags: maps ? (imm & 0xfff) === PTEST : SSE_FLAGS.has(opcode), block };
}

/** Calls `uop.call`; afterwards the region goes on unless it faulted. */
export function callHelper(c: Context, uop: Uop, use: RegisterUse): void {
  const { code } = c;
  const wanted = wantedOf(c, uop, use);
  c.sync(wanted.before);
  if (wanted.flags) syncFlags(c);
  if (wanted.block) c.storeBlock();
  code.get(CPU);
  if (uop.kind === 'string') code.i32(c.node.block);
  code.i32(c.u).call(HELPER[uop.call as string] as number);
  if (uop.kind === 'string') pausedString(c);
  c.reload(wanted.after);
  if (wanted.flags) reloadFlags(c);
  c.leaveIfFault(0);
}

/** A long string instruction paused (jit_string is not 0): rip is the instruction's, what it has not done goes back to the budget. */
function pausedString(c: Context): void {
  const { code, at } = c;
  code.tee(S).rarely().if().get(CPU).i32(0).mem(MEM.i32Store, at.next).get(LEFT).get(S).op(OP.i32Add).op(OP.return).end();
}

/** A system instruction: the core does it, and the dispatcher or the next translation goes on at cpu.rip. */
export const system: FlowEmit = (c) => {
  const { code, at } = c;
  c.sync(-1);
  syncFlags(c);
  c.storeBlock();
  code.get(CPU).i32(c.node.block).i32(c.u).get(LEFT).call(HELPER.jit_sys as number);
  code.get(CPU).mem(MEM.i32Load, at.fault).rarely().if();
  code.get(LEFT).get(CPU).i32(c.node.block).i32(c.u).call(HELPER.leave_at as number).op(OP.i32Add).op(OP.return).end();
  code.get(CPU).mem(MEM.i64Load, at.rip).set(V).br(c.jumpLabel);
};
