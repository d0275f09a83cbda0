/**
 * Guest memory as devices see it: addresses are checked once by `guest_ptr`, and each store goes through this file, so
 * that the dirty bitmap and the software CPU's code marks learn of it. `own_*` are the
 * stores into the core's state: they refuse a pointer into guest memory, `guest_*` refuse one outside.
 */
import { CODE_MARK_BASE, DIRTY_BASE, RAM_BASE } from './layout';
import { machine, region } from './machine';
import { guest_written_code } from './code';

/**
 * The linear offset of guest memory `gpa`..`gpa + len`, which must lie in one region of the linear memory. 0 when any
 * part does not, or when `len` is 0; cannot wrap.
 */
export function guest_ptr(gpa: u64, len: u64): usize {
  if (len == 0) return 0;
  const m = machine();
  const n = m.region_count;
  for (let i: u32 = 0; i < n; i++) {
    const r = region(i);
    const offset = gpa - r.gpa; // wraps to a large number below the region
    if (offset < r.len) {
      if (len > r.len - offset || r.linear == 0) return 0;
      return <usize>r.linear + <usize>offset;
    }
  }
  return 0;
}

@inline
export function guest_gpa(ptr: usize): u32 {
  return <u32>ptr - RAM_BASE;
}

/** The write hook for a linear pointer into guest memory. */
export function guest_written_at(ptr: usize, len: usize): void {
  if (len == 0 || ptr < <usize>RAM_BASE) return;
  const start = <u32>ptr - RAM_BASE;
  let page = start >> 12;
  const last = (start + <u32>len - 1) >> 12;
  let code = false;
  while (page <= last) {
    const word = <usize>DIRTY_BASE + ((page >> 5) << 2);
    if ((page & 31) == 0 && last - page >= 31) {
      // A whole word of the bitmap: large ranges (block reads, balloon) cost 32 pages a step.
      if (load<u32>(word) != 0xffff_ffff) atomic.store<u32>(word, 0xffff_ffff);
      const marks = <usize>CODE_MARK_BASE + page;
      if ((load<u64>(marks) | load<u64>(marks, 8) | load<u64>(marks, 16) | load<u64>(marks, 24)) != 0) code = true;
      page += 32;
    } else {
      const bit: u32 = 1 << (page & 31);
      if ((load<u32>(word) & bit) == 0) atomic.or<u32>(word, bit);
      if (load<u8>(<usize>CODE_MARK_BASE + page) != 0) code = true;
      page++;
    }
  }
  if (code) guest_written_code(start, <u32>len);
}

/** The write hook for the host: guest memory `gpa`..`gpa + len` was written by a system call or a loader. */
export function guest_written(gpa: u32, len: u32): void {
  const ptr = guest_ptr(gpa, len);
  if (ptr != 0) guest_written_at(ptr, len);
}

/** Takes and clears word `index` of the dirty bitmap: bit b is guest page index * 32 + b. */
export function guest_dirty_take(index: u32): u32 {
  if (index >= 0xc000_0000 >> 17) return 0;
  return atomic.xchg<u32>(<usize>DIRTY_BASE + ((<usize>index) << 2), 0);
}

// ---- stores to guest memory ----------------------------------------------------------------------------------

export function guest_store8(ptr: usize, value: u32): void {
  if (ptr < <usize>RAM_BASE) return;
  store<u8>(ptr, <u8>value);
  guest_written_at(ptr, 1);
}

export function guest_store32(ptr: usize, value: u32): void {
  if (ptr < <usize>RAM_BASE) return;
  store<u32>(ptr, value);
  guest_written_at(ptr, 4);
}

export function guest_store64(ptr: usize, value: u64): void {
  if (ptr < <usize>RAM_BASE) return;
  store<u64>(ptr, value);
  guest_written_at(ptr, 8);
}

/** A store that publishes what was stored before it (sequentially consistent, as all atomics of WebAssembly are). */
export function guest_publish16(ptr: usize, value: u32): void {
  if (ptr < <usize>RAM_BASE) return;
  atomic.store<u16>(ptr, <u16>value);
  guest_written_at(ptr, 2);
}

/** Copies into guest memory. */
export function guest_copy(ptr: usize, from: usize, len: usize): void {
  if (ptr < <usize>RAM_BASE || len == 0) return;
  memory.copy(ptr, from, len);
  guest_written_at(ptr, len);
}

export function guest_fill(ptr: usize, value: u8, len: usize): void {
  if (ptr < <usize>RAM_BASE || len == 0) return;
  memory.fill(ptr, value, len);
  guest_written_at(ptr, len);
}

// ---- stores to the core's own state --------------------------------------------------------------------------

@inline
export function own_put8(ptr: usize, value: u32): void {
  if (ptr < <usize>RAM_BASE) store<u8>(ptr, <u8>value);
}

@inline
export function own_put16(ptr: usize, value: u32): void {
  if (ptr < <usize>RAM_BASE) store<u16>(ptr, <u16>value);
}

@inline
export function own_put32(ptr: usize, value: u32): void {
  if (ptr < <usize>RAM_BASE) store<u32>(ptr, value);
}

@inline
export function own_put64(ptr: usize, value: u64): void {
  if (ptr < <usize>RAM_BASE) store<u64>(ptr, value);
}

export function own_copy(ptr: usize, from: usize, len: usize): void {
  if (ptr < <usize>RAM_BASE && len <= <usize>RAM_BASE - ptr) memory.copy(ptr, from, len);
}

export function own_fill(ptr: usize, value: u8, len: usize): void {
  if (ptr < <usize>RAM_BASE && len <= <usize>RAM_BASE - ptr) memory.fill(ptr, value, len);
}
