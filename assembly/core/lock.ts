/** A lock word in linear memory: 0 free, 1 held, 2 held and waited for. For sections without system calls that block. */

const SPINS: i32 = 200;
/** A waiter looks again after this long even without a notification, nanoseconds. */
const WAIT_NS: i64 = 1_000_000;

/**
 * By exchanges alone: V8's baseline compiler (Node 20, x86-64) loses the local that holds the address in a loop with a
 * compare-and-exchange, and the wait below then was for word 0 of the memory, for ever.
 */
export function lock(word: usize): void {
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<u32>(word) != 0) continue;
    const old = atomic.xchg<u32>(word, 1);
    if (old == 0) return;
    // Somebody waits: the mark of that is set again below.
    if (old == 2) break;
  }
  while (atomic.xchg<u32>(word, 2) != 0) atomic.wait<i32>(word, 2, WAIT_NS);
}

export function unlock(word: usize): void {
  if (atomic.xchg<u32>(word, 0) == 2) atomic.notify(word, 1);
}
