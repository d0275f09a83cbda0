/**
 * Ranges of ports and of guest physical addresses, each with the device that claimed it. They never overlap. Which device
 * a kind is, the bus does not know: assembly/io/access.ts does.
 */
import { EEXIST, EINVAL, ENOSPC } from '../contract/generated/errno';
import { MACHINE_BASE } from './layout';
import { machine } from './machine';

export const BUS_PIO: u32 = 0;
export const BUS_MMIO: u32 = 1;

export const BUS_MAX: u32 = 64;
const RANGES: usize = <usize>MACHINE_BASE + 0x200;
const RANGE_SIZE: usize = 32;

@unmanaged
export class Range {
  base: u64;
  len: u64;
  space: u32;
  kind: u32; // BUS_* of io/access.ts
  arg: u32; // what that kind wants to know
  reserved: u32;
}

@inline
function range(index: u32): Range {
  return changetype<Range>(RANGES + <usize>index * RANGE_SIZE);
}

/** Claims `base`..`base + len` of `space`. 0, -EINVAL (empty, wraps, or a port above 0xffff), -EEXIST (overlaps), -ENOSPC. */
export function bus_add(space: u32, base: u64, len: u64, kind: u32, arg: u32): i32 {
  const m = machine();
  if (len == 0 || base + (len - 1) < base || space > BUS_MMIO) return -EINVAL;
  if (space == BUS_PIO && base + len > 0x1_0000) return -EINVAL;
  if (m.range_count >= BUS_MAX) return -ENOSPC;
  for (let i: u32 = 0; i < m.range_count; i++) {
    const r = range(i);
    if (r.space == space && base <= r.base + (r.len - 1) && r.base <= base + (len - 1)) return -EEXIST;
  }
  const r = range(m.range_count);
  r.base = base;
  r.len = len;
  r.space = space;
  r.kind = kind;
  r.arg = arg;
  m.range_count++;
  return 0;
}

/** The range that holds all of `addr`..`addr + size`, or null. The last one found is tried first: exits come in runs. */
export function bus_find(space: u32, addr: u64, size: u32): Range {
  const m = machine();
  const n = m.range_count;
  const hint = m.range_hint; // other threads write it too: any value is good once checked
  if (hint < n) {
    const r = range(hint);
    const offset = addr - r.base;
    if (r.space == space && offset < r.len && <u64>size <= r.len - offset) return r;
  }
  for (let i: u32 = 0; i < n; i++) {
    const r = range(i);
    const offset = addr - r.base;
    if (r.space == space && offset < r.len && <u64>size <= r.len - offset) {
      m.range_hint = i;
      return r;
    }
  }
  return changetype<Range>(0);
}
