/** The locals of a region's function, the parameters first. */
import { I32, I64, V128 } from './code.ts';
import type { Locals } from './module.ts';
import { REG_COUNT } from './uop.ts';

export { CPU } from './code.ts';

// Parameters. The first one, the vCPU's address, is known anyway.
export const CPU_GIVEN = 0;
export const BLOCK = 1;
export const TARGET = 2;
export const LEFT = 3;
/** Registers in the file's order; those of the two pseudo registers stay unused. */
export const REG0 = 4;
const LOCALS64 = REG0 + REG_COUNT;
/** Linear address of the region's page. */
export const PAGE = LOCALS64;
/** The lazy flags (assembly/cpu/flags.ts): result, operands. */
export const FLAG_RES = LOCALS64 + 1;
export const FLAG_A = LOCALS64 + 2;
export const FLAG_B = LOCALS64 + 3;
/** Linear address of an access. */
export const VA = LOCALS64 + 4;
/** What a shift or a multiplication made its flags of (flags.ts). */
export const FLAG_X = LOCALS64 + 5;
/** Operands and results of 64 bits. */
export const X = LOCALS64 + 6;
export const Y = LOCALS64 + 7;
export const V = LOCALS64 + 8;
/** The second factor of a product whose flags are not made yet. */
export const FLAG_Y = LOCALS64 + 9;
/** For the high half of a product. */
export const T0 = LOCALS64 + 10;
export const T1 = LOCALS64 + 11;
const LOCALS32 = LOCALS64 + 12;
export const FLAG_OP = LOCALS32;
/** The TLB's entry, or a block that is entered next. */
export const ENTRY = LOCALS32 + 1;
/** Linear offset of an access. */
export const P = LOCALS32 + 2;
export const S = LOCALS32 + 3;
/** Operands and results of 32 bits. */
export const X32 = LOCALS32 + 4;
export const Y32 = LOCALS32 + 5;
export const V32 = LOCALS32 + 6;
/** At a fault: the micro-op and its block; at an exit: the link. */
export const FAULT_UOP = LOCALS32 + 7;
export const FAULT_BLOCK = LOCALS32 + 8;
/** Where the region is entered: the entry's number until control is there, 0 from then on. */
export const WHERE = LOCALS32 + 9;
/** The same as FLAG_RES, FLAG_A and FLAG_B of 32-bit operations, while they are lazy. */
export const FLAG_RES32 = LOCALS32 + 10;
export const FLAG_A32 = LOCALS32 + 11;
export const FLAG_B32 = LOCALS32 + 12;
const LOCALS_V = LOCALS32 + 13;
/** Vectors: destination, source, result. */
export const W0 = LOCALS_V;
export const W1 = LOCALS_V + 1;
export const W2 = LOCALS_V + 2;

export const LOCALS: Locals = [[LOCALS32 - REG0, I64], [LOCALS_V - LOCALS32, I32], [3, V128]];
