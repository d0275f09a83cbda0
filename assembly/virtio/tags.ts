/** Tags of requests that the host has: a bit each in words of the device's own memory, set while it is taken. Under the device's lock. */
import { own_put64 } from '../core/guest';

/** The lowest free one of `count` (a multiple of 64), taken from now on; -1: all are. */
export function tag_take(tags: usize, count: u32): i32 {
  for (let w: u32 = 0; w < count / 64; w++) {
    const used = load<u64>(tags + (w << 3));
    if (used == 0xffff_ffff_ffff_ffff) continue;
    const bit = <u32>ctz<u64>(~used);
    own_put64(tags + (w << 3), used | (<u64>1 << bit));
    return w * 64 + bit;
  }
  return -1;
}

export function tag_free(tags: usize, tag: u32): void {
  const word = tags + ((tag >> 6) << 3);
  own_put64(word, load<u64>(word) & ~(<u64>1 << (tag & 63)));
}
