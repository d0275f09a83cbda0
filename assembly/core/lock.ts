/** A lock word in linear memory: 0 free, 1 held, 2 held and waited for. For sections without system calls that block. */

const SPINS: i32 = 200;
/** A waiter looks again after this long even without a notification, nanoseconds. */
const WAIT_NS: i64 = 1_000_000;

export function lock(word: usize): void {
  for (let i = 0; i < SPINS; i++) {
    if (atomic.cmpxchg<u32>(word, 0, 1) == 0) return;
  }
  while (atomic.xchg<u32>(word, 2) != 0) atomic.wait<u32>(word, 2, WAIT_NS);
}

export function unlock(word: usize): void {
  if (atomic.xchg<u32>(word, 0) == 2) atomic.notify(word, 1);
}
