/** Offsets inside the software CPU's state that translated code uses, as the core tells them (jit_offsets in assembly/cpu/jit/). */
import { JIT_BASE } from '../../assembly/core/layout.ts';

/** In the order in which the core writes them. */
const FIELDS = [
  'block', 'rip', 'flagRes', 'flagA', 'flagB', 'flagOp', 'eflags', 'fault', 'pending', 'tlbUser', 'tlbGen', 'mode', 'cr0', 'cr4', 'mxcsr', 'current', 'next',
  'jumpCache', 'segments', 'xmm', 'codeMark', 'ramBase', 'blockHash', 'blockHashMask',
  'jitInsns', 'tlbSys', 'flushes',
] as const;

export type Offsets = Readonly<Record<(typeof FIELDS)[number], number>>;

/** After the core's `jit_offsets`. */
export function readOffsets(memory: WebAssembly.Memory): Offsets {
  const words = new Uint32Array(memory.buffer, JIT_BASE, FIELDS.length);
  return Object.fromEntries(FIELDS.map((name, i) => [name, words[i]])) as Offsets;
}
