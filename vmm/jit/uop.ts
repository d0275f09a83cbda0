/** Micro-ops as the translator sees them: the common table's descriptors, and views of the fields in linear memory (assembly/cpu/uop.ts). */

import { REG_TMP1 } from '../../assembly/contract/translator.ts';

/** How a condition is known: `any`: from all flags; `res`: the last result decides; `sub`: the operands of the last compare do. */
export type ConditionKind = 'any' | 'res' | 'sub';

/** A micro-op's semantics, as assembly/cpu/uops/ states them. Which fields there are depends on `kind`. */
export interface Uop {
  readonly name: string;
  readonly kind: string;
  /** Registers read and written: `a`, `b`, `m` (base and index), names of fixed ones, or `all`. */
  readonly uses?: string;
  readonly sets?: string;
  /** Operation of ALU, shifts and the like. */
  readonly op?: string;
  /** Operand form: RR, RI, RM, MR, MI. */
  readonly form?: string;
  /** Width of the operation. */
  readonly bits?: number;
  /** Bytes of memory, or of the narrow operand. */
  readonly size?: number;
  readonly signed?: boolean;
  readonly flags?: boolean;
  readonly cond?: ConditionKind;
  /** Condition by name; absent: its code is in the micro-op. */
  readonly cc?: string;
  /** The core's function that does it. */
  readonly call?: string;
}

/** Registers that can have a local, with the pseudo registers between: the general ones and two temporaries. */
export const REG_COUNT = REG_TMP1 + 1;

/** Condition codes in the order of Jcc's opcodes. */
export const CONDITIONS = ['O', 'NO', 'B', 'NB', 'Z', 'NZ', 'BE', 'NBE', 'S', 'NS', 'P', 'NP', 'L', 'NL', 'LE', 'NLE'] as const;

/** The linear memory as the translator reads it. */
export class Words {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;

  constructor(memory: WebAssembly.Memory) {
    this.u8 = new Uint8Array(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.i32 = new Int32Array(memory.buffer);
  }

  op(u: number): number {
    return this.u16[u >>> 1] as number;
  }

  /** Offset of the instruction's end from the block's first byte. */
  ip(u: number): number {
    return this.u16[(u + 2) >>> 1] as number;
  }

  a(u: number): number {
    return this.u8[u + 4] as number;
  }

  b(u: number): number {
    return this.u8[u + 5] as number;
  }

  base(u: number): number {
    return this.u8[u + 6] as number;
  }

  index(u: number): number {
    return this.u8[u + 7] as number;
  }

  disp(u: number): number {
    return this.i32[(u + 8) >>> 2] as number;
  }

  imm(u: number): number {
    return this.u32[(u + 12) >>> 2] as number;
  }
}
