/** When a page's code is hot, and when V8 compiles a translation once more: translations are paid for out of what translations have gained. */

/**
 * What a byte of a translation costs, in instructions that ran translated: emission, V8's compilers and installing on all threads, over the 5 ns that an
 * instruction gains (docs/decisions/0056).
 */
const INSNS_OF_BYTE = 150;
/** Instructions on credit, before anything has been gained. */
const CREDIT = 20e6;
/** Samples, of 50,000 instructions each, where costs are as large as gains; more costs, more samples. */
const EVEN = 10;
const LEAST = 2;
const MOST = 40;

/**
 * Samples that make a page's code hot, when translations are `bytes` of WebAssembly and `insns` instructions have run in them. A program that stays in the
 * code that it has had translated (an interpreter's loop) gets more of it soon; one that goes on to other code all the time (a compiler) must run it
 * for long before it is worth anything.
 */
export function thresholdOf(bytes: number, insns: number): number {
  return Math.min(MOST, Math.max(LEAST, Math.ceil((EVEN * bytes * INSNS_OF_BYTE) / (CREDIT + insns))));
}

/** Bytes of a region's first code that run before V8's second compiler has it, for a threshold of one sample: 12 × 10⁶ for LEAST. */
const STRAIGHT = 3e6;
const STRAIGHT_MOST = 2e9;
/** Tight loops count what they run; what leaves the region all the time counts all that lies before the way out, ten times as much. */
const TIGHT = 20e6;

/**
 * V8's budget (setTieringBudget) for regions that are all tight loops, or none is. Its second compilation costs four times what all before it does, and
 * halves the time: what is used much gets it at once, what a program with a high `threshold` uses must earn it.
 */
export function tieringBudgetOf(tight: boolean, threshold: number): number {
  return tight ? TIGHT : Math.min(STRAIGHT_MOST, STRAIGHT * threshold ** 2);
}
