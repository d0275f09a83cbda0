/** Flags of V8 that the translator's thread sets for the process. V8 gives and takes kept code with the flags alone that it was made with (kept-code.ts). */
import { setFlagsFromString } from 'node:v8';

/**
 * V8 counts bytes of machine code that a function's first, quick code runs, and compiles it anew when they are so many; leaving a function counts as
 * all that lies before the place. A region that is left after some twenty instructions has V8's default count together after a thousand turns,
 * 0.1 ms, and its second compilation takes 4 ms. A tight loop goes round inside and counts what it runs.
 */
const BUDGETS = { default: 13_000_000, loops: 150_000_000, straight: 2_000_000_000 } as const;

/** For the modules that are compiled from now on. */
export function setTieringBudget(kind: keyof typeof BUDGETS): void {
  setFlagsFromString(`--wasm-tiering-budget=${BUDGETS[kind]}`);
}

/**
 * Branch hints: without them nothing is wrong, but registers are saved on the hot ways instead of the cold ones. No flag may be set here that compiled code and
 * instances have to agree on: other threads compile and instantiate at this moment (with `--no-wasm-inlining` V8 died of a missing feedback vector).
 */
export function setTranslatorFlags(): void {
  setFlagsFromString('--experimental-wasm-branch-hinting');
}

/** As they were at the process's start. */
export function resetFlags(): void {
  setFlagsFromString('--no-expose-gc'); // shrink-heap.ts
  setFlagsFromString('--no-experimental-wasm-branch-hinting');
  setTieringBudget('default');
}
