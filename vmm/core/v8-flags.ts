/** Flags of V8 that the translator's thread sets for the process (the main thread's, for a moment, is in shrink-heap.ts). V8 gives and takes kept code with the flags alone that it was made with (kept-code.ts). */
import { setFlagsFromString } from 'node:v8';

const DEFAULT_BUDGET = 13_000_000;

/**
 * V8 counts bytes of machine code that a function's first, quick code runs, and compiles it anew when they are `bytes`; leaving a function counts as
 * all that lies before the place. For the modules that are compiled from now on.
 */
export function setTieringBudget(bytes: number): void {
  setFlagsFromString(`--wasm-tiering-budget=${bytes}`);
}

/**
 * Branch hints: without them nothing is wrong, but registers are saved on the hot ways instead of the cold ones. No flag may be set here that compiled code and
 * instances have to agree on: other threads compile and instantiate at this moment (with `--no-wasm-inlining` V8 died of a missing feedback vector).
 */
export function setTranslatorFlags(): void {
  setFlagsFromString('--experimental-wasm-branch-hinting');
}

/** Those of this file as they were at the process's start. */
export function resetFlags(): void {
  setFlagsFromString('--no-experimental-wasm-branch-hinting');
  setTieringBudget(DEFAULT_BUDGET);
}
