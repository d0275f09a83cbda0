import { MACHINE_BASE } from './layout';

/** Where results of waits go that nobody reads. */
const RESULT: usize = <usize>MACHINE_BASE + 0xc00;

/**
 * memory.atomic.wait32: blocks while the word at `word` is `value`, `ns` nanoseconds at most (-1: for ever). Every wait goes through here:
 * V8's baseline compiler (docs/decisions/0010-waits.md) spills the address as 8 bytes into a slot of 4, which clears the value below it on the
 * stack, and that would be the calling function's last local. Here it is a constant.
 */
@inline
export function wait32(word: usize, value: u32, ns: i64): void {
  store<u32>(RESULT, atomic.wait<u32>(word, value, ns));
}
