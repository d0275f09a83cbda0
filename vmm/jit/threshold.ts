/** When a block is hot: translations are paid for out of what translations have gained. */

/**
 * What a byte of a translation costs, in instructions that ran translated. Emission, V8's first compiler and installing take 0.17 µs a byte on all
 * threads; an instruction gains some 1.5 ns (docs/decisions/0047).
 */
const INSNS_OF_BYTE = 200;
/** Instructions on credit, before anything has been gained. */
const CREDIT = 20e6;
/** Samples, of 50,000 instructions each, where costs are as large as gains; more costs, more samples. */
const EVEN = 8;
const LEAST = 4;
const MOST = 40;

/**
 * Samples that make a block hot, when translations are `bytes` of WebAssembly and `insns` instructions have run in them. A program that stays in the code that
 * it has had translated (an interpreter's loop) gets more of it soon; one that goes on to other code all the time (a compiler) must run it
 * for long before it is worth anything.
 */
export function thresholdOf(bytes: number, insns: number): number {
  return Math.min(MOST, Math.max(LEAST, Math.ceil((EVEN * bytes * INSNS_OF_BYTE) / (CREDIT + insns))));
}
