/** Micro-ops that translated code does itself nearly always, and the core in what is left: another page, a division that faults, a misaligned lock. */
import { OP } from './code.ts';
import type { Context } from './context.ts';
import { emitFlags, type LazyFlags, setLazy } from './flags.ts';
import { P, VA } from './locals.ts';
import { address, pointer, probe } from './memory.ts';
import type { Uop } from './uop.ts';

/** Writes a micro-op; `byCore` writes the call of the core's function for it. */
export type GenericEmit = (c: Context, uop: Uop, byCore: () => void) => void;

/** What both ways leave the flags made of; `slow` makes, behind the core's call, what `lazy` is made of beside the usual locals. */
export interface Settled {
  readonly lazy: LazyFlags;
  readonly slow?: () => void;
}

/** Flags of `kind` in their locals, FLAG_OP aside. */
export function settled(kind: LazyFlags['kind']): Settled {
  return { lazy: { of: 'done', kind, bits: 64 } };
}

/**
 * `fast` writes the micro-op and branches to `out`, before it has changed anything, when the core must do it. Without `flags` neither of them
 * changes any.
 */
export function guarded(c: Context, byCore: () => void, flags: Settled | undefined, fast: (out: number) => void): void {
  const { code } = c;
  const done = code.block();
  const out = code.block();
  const { dirty, flagsDirty, flagKind, lazy } = c;
  fast(out);
  if (flags !== undefined && flags.lazy.of !== 'bits') emitFlags(c);
  code.br(done).end();
  const changed = c.dirty;
  const own = { flagsDirty: c.flagsDirty, flagKind: c.flagKind, lazy: c.lazy };
  Object.assign(c, { dirty, flagsDirty, flagKind, lazy });
  byCore();
  flags?.slow?.();
  code.end();
  c.dirty |= changed;
  if (flags === undefined) Object.assign(c, own);
  else setLazy(c, flags.lazy);
}

/** P is where the memory operand of `size` bytes lies; else to `out`. */
export function place(c: Context, size: number, tag: number, out: number): void {
  address(c);
  c.code.set(VA);
  placeAt(c, size, tag, out, false);
}

/** As `place`, of VA, `aligned` to the size. */
export function placeAt(c: Context, size: number, tag: number, out: number, aligned: boolean): void {
  const { code } = c;
  if (aligned && size > 1) code.get(VA).op(OP.wrap).i32(size - 1).op(OP.i32And).rarely().brIf(out);
  probe(c, size, tag);
  code.op(OP.i32Eqz).rarely().brIf(out);
  pointer(c);
  code.set(P);
}
