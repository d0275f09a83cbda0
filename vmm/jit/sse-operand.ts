/** An OP_SSE's fields and operands: a register in memory, or guest memory where the TLB has it, else the core does the whole instruction. */
import { OP } from './code.ts';
import type { Context } from './context.ts';
import { CPU, P, VA } from './locals.ts';
import { address, pointer, probe } from './memory.ts';
import type { Words } from './uop.ts';

/** An OP_SSE's fields (assembly/cpu/decode/emit-sse.ts). */
export interface SseOp {
  /** prefix << 8 | opcode; with another map than 0F more than 0x3ff. */
  readonly key: number;
  readonly memory: boolean;
  readonly wide: boolean;
  readonly imm8: number;
  readonly a: number;
  readonly b: number;
}

export function readSse(words: Words, u: number): SseOp {
  const imm = words.imm(u);
  return { key: imm & 0xfff, memory: (imm & 0x1000) !== 0, wide: (imm & 0x2000) !== 0, imm8: (imm >>> 16) & 0xff, a: words.a(u), b: words.b(u) };
}

/** Where an operand of an instruction lies: an offset from the address in a local. */
export interface Place {
  readonly local: number;
  readonly offset: number;
}

export function register(c: Context, n: number): Place {
  return { local: CPU, offset: c.at.xmm + n * 16 };
}

/** What an instruction's code is made with. */
export interface SseContext {
  readonly c: Context;
  readonly op: SseOp;
  /** The core does the whole instruction. */
  readonly byCore: () => void;
}

/**
 * `fast` writes the instruction with its second operand at a place; `out` is where it branches when the core must do it after all. `size`
 * bytes of memory, `aligned` to that. `sure`: with a register it never branches there.
 */
export function withOperand(s: SseContext, size: number, aligned: boolean, tag: number, sure: boolean, fast: (place: Place, out: number) => void): void {
  const { c, op } = s;
  const { code } = c;
  if (!op.memory && sure) {
    fast(register(c, op.b), 0);
    return;
  }
  const done = code.block();
  const out = code.block();
  if (op.memory) {
    address(c);
    code.set(VA);
    if (aligned) code.get(VA).op(OP.wrap).i32(size - 1).op(OP.i32And).rarely().brIf(out);
    probe(c, size, tag);
    code.op(OP.i32Eqz).rarely().brIf(out);
    pointer(c);
    code.set(P);
  }
  fast(op.memory ? { local: P, offset: 0 } : register(c, op.b), out);
  code.br(done).end();
  s.byCore();
  code.end();
}

export type SseEmit = (s: SseContext) => void;
