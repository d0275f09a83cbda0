/** Operands of 8 to 64 bits: registers' parts, memory, immediates. Those of 8 and 16 bits are sign-extended, in the 32-bit locals. */
import { MEM, OP } from './code.ts';
import type { Context } from './context.ts';
import { type Width, widthOf } from './integer.ts';
import { P, VA } from './locals.ts';
import { address, beginUpdate, endUpdate, read } from './memory.ts';

export interface Size {
  readonly bits: number;
  readonly bytes: number;
  readonly w: Width;
  readonly load: number;
  readonly store: number;
}

/** By log2 of the bytes. */
export const SIZES: readonly Size[] = [
  { bits: 8, bytes: 1, w: widthOf(32), load: MEM.i32Load8S, store: MEM.i32Store8 },
  { bits: 16, bytes: 2, w: widthOf(32), load: MEM.i32Load16S, store: MEM.i32Store16 },
  { bits: 32, bytes: 4, w: widthOf(32), load: MEM.i32Load, store: MEM.i32Store },
  { bits: 64, bytes: 8, w: widthOf(64), load: MEM.i64Load, store: MEM.i64Store },
];

export function extend(c: Context, s: Size): void {
  if (s.bits === 8) c.code.op(OP.i32Extend8);
  else if (s.bits === 16) c.code.op(OP.i32Extend16);
}

/** The register at `place`. */
export function register(c: Context, s: Size, place: number): void {
  if (s.bits === 8) c.byte(place, true);
  else {
    c.value(s.w.bits, place);
    extend(c, s);
  }
}

export function constant(c: Context, s: Size, value: number): void {
  if (s.bits === 64) c.code.i64(value | 0);
  else c.code.i32((value << (32 - s.bits)) >> (32 - s.bits));
}

/** What is in `local` (V's when absent) becomes the register at `place`. */
export function keep(c: Context, s: Size, place: number, local = s.w.v): void {
  c.code.get(local);
  if (s.bits >= 32) {
    c.setValue(s.bits, place);
    return;
  }
  c.code.i32((1 << s.bits) - 1).op(OP.i32And).op(OP.extendU);
  c.setPart(place, s.bits);
}

/** Operand of memory at the address on the stack. */
export function load(c: Context, s: Size): void {
  read(c, s.bytes, s.bits < 32);
  if (s.bits < 64) c.code.op(OP.wrap);
}

/** Memory at VA becomes what `change` makes of X in V. */
export function updateAt(c: Context, s: Size, change: () => void): void {
  const { code } = c;
  beginUpdate(c, s.bytes);
  code.get(P).mem(s.load).set(s.w.x);
  change();
  code.get(P).get(s.w.v).mem(s.store);
  endUpdate(c, s.bytes);
}

export function update(c: Context, s: Size, change: () => void): void {
  address(c);
  c.code.set(VA);
  updateAt(c, s, change);
}
