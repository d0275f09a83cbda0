/**
 * The TLB of one vCPU: two direct-mapped tables (user, supervisor) of 1,024 entries, so that the hot path needs no
 * permission test. An entry, 32 bytes:
 *
 *   +0  u64 read tag     linear page address, or TAG_NONE
 *   +8  u64 write tag    only when the page is writable and its dirty bit is set
 *   +16 u64 exec tag
 *   +24 u32 addend       (u32) va + addend = offset in linear memory
 *   +28 u32 TLB_* flags
 *
 * The index comes from the first byte, the compared tag from the last one, so an access that crosses a page misses by
 * itself. Only RAM has entries; MMIO is walked each time. Large pages enter as 4 KiB pieces; two small hashed sets tell
 * whether INVLPG must look for the other pieces. Slots in use are listed, so a flush costs what was used.
 */
import { CPU_TLB, Cpu } from '../vcpu/state';

export const TLB_ENTRIES: u32 = 1024;
export const TLB_TABLE: u32 = TLB_ENTRIES * 32;
export const TLB_LISTS: u32 = CPU_TLB + 2 * TLB_TABLE; // 2 × 1,024 × u16
export const TAG_NONE: u64 = 0xffff_ffff_ffff_ffff;

// Offsets in an entry; the read tag is at 0.
export const TLB_WRITE: usize = 8;
export const TLB_EXEC: usize = 16;
export const TLB_ADDEND: usize = 24;
export const TLB_FLAGS: usize = 28;

export const TLB_LISTED: u32 = 1;
export const TLB_GLOBAL: u32 = 2;
export const TLB_2M: u32 = 4;
export const TLB_1G: u32 = 8;

// Cpu.paging (SDM Vol. 3A §4.1.1)
export const PAGING_NONE: u32 = 0;
export const PAGING_32: u32 = 1;
export const PAGING_PAE: u32 = 2;
export const PAGING_4: u32 = 3;

@inline
export function tlb_user(cpu: usize): usize {
  return cpu + CPU_TLB;
}

@inline
export function tlb_sys(cpu: usize): usize {
  return cpu + CPU_TLB + TLB_TABLE;
}

/** Something is kept of the mapping of `va`, which was just walked: what is not global must go with a MOV to CR3, also in the higher half. */
export function tlb_learnt(cpu: usize, va: u64): void {
  const c = changetype<Cpu>(cpu);
  if (!(va >> 63) || c.tlb_high_local) return;
  const e = tlb_slot(c.tlb, va);
  if (load<u64>(e, TLB_EXEC) != (va & ~0xfff) || !(load<u32>(e, TLB_FLAGS) & TLB_GLOBAL)) c.tlb_high_local = 1;
}

/** The entry that linear address `va` maps to in `table`. */
@inline
export function tlb_slot(table: usize, va: u64): usize {
  return table + ((<u32>(va >> 7)) & ((TLB_ENTRIES - 1) << 5));
}

@inline
function hash_2m(va: u64): u64 {
  return <u64>1 << (((va >> 21) ^ (va >> 27) ^ (va >> 33)) & 63);
}

@inline
function hash_1g(va: u64): u64 {
  return <u64>1 << (((va >> 30) ^ (va >> 36)) & 63);
}

@inline
function drop(e: usize): void {
  store<u64>(e, TAG_NONE);
  store<u64>(e, TAG_NONE, TLB_WRITE);
  store<u64>(e, TAG_NONE, TLB_EXEC);
}

/** Empties both tables whatever they hold: before the first use. */
export function tlb_init(cpu: usize): void {
  for (let i: u32 = 0; i < 2 * TLB_ENTRIES; i++) {
    const e = cpu + CPU_TLB + (i << 5);
    drop(e);
    store<u64>(e, 0, TLB_ADDEND);
  }
  const c = changetype<Cpu>(cpu);
  c.tlb_used_user = 0;
  c.tlb_used_sys = 0;
  c.large_2m = 0;
  c.large_1g = 0;
  c.tlb_gen++;
  c.tlb_gen_high++;
}

/** Enters a RAM page. `page`: linear page address; `addend` as above; `flags`: TLB_GLOBAL, TLB_2M, TLB_1G. */
export function tlb_enter(cpu: usize, table: usize, page: u64, addend: u32, write: bool, exec: bool, flags: u32): void {
  const c = changetype<Cpu>(cpu);
  const e = tlb_slot(table, page);
  if (!(load<u32>(e, TLB_FLAGS) & TLB_LISTED)) {
    const slot = (e - table) >> 5;
    if (table == tlb_user(cpu)) store<u16>(cpu + TLB_LISTS + (c.tlb_used_user++ << 1), <u16>slot);
    else store<u16>(cpu + TLB_LISTS + 2 * TLB_ENTRIES + (c.tlb_used_sys++ << 1), <u16>slot);
  }
  store<u64>(e, page);
  store<u64>(e, write ? page : TAG_NONE, TLB_WRITE);
  store<u64>(e, exec ? page : TAG_NONE, TLB_EXEC);
  store<u32>(e, addend, TLB_ADDEND);
  store<u32>(e, flags | TLB_LISTED, TLB_FLAGS);
  if (flags & TLB_2M) c.large_2m |= hash_2m(page);
  if (flags & TLB_1G) c.large_1g |= hash_1g(page);
}

/** Flushes one table's used slots; returns how many stay listed. */
function flush_table(cpu: usize, table: usize, list: usize, used: u32, keepGlobal: bool): u32 {
  const c = changetype<Cpu>(cpu);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < used; i++) {
    const slot = load<u16>(list + (i << 1));
    const e = table + ((<u32>slot) << 5);
    const flags = load<u32>(e, TLB_FLAGS);
    const page = load<u64>(e);
    if (keepGlobal && flags & TLB_GLOBAL && page != TAG_NONE) {
      store<u16>(list + (kept << 1), slot);
      kept++;
      if (flags & TLB_2M) c.large_2m |= hash_2m(page);
      if (flags & TLB_1G) c.large_1g |= hash_1g(page);
    } else {
      drop(e);
      store<u32>(e, 0, TLB_FLAGS);
    }
  }
  return kept;
}

/** Flushes all entries, or all that are not global (MOV to CR3). */
export function tlb_flush_all(cpu: usize, keepGlobal: bool): void {
  const c = changetype<Cpu>(cpu);
  c.tlb_gen++;
  if (!keepGlobal || c.tlb_high_local) {
    c.tlb_gen_high++;
    c.tlb_high_local = 0;
  }
  c.large_2m = 0;
  c.large_1g = 0;
  c.tlb_used_user = flush_table(cpu, tlb_user(cpu), cpu + TLB_LISTS, c.tlb_used_user, keepGlobal);
  c.tlb_used_sys = flush_table(cpu, tlb_sys(cpu), cpu + TLB_LISTS + 2 * TLB_ENTRIES, c.tlb_used_sys, keepGlobal);
}

function drop_page(e: usize, page: u64): void {
  if (load<u64>(e) == page) drop(e);
}

function drop_pieces(table: usize, list: usize, used: u32, va: u64): void {
  for (let i: u32 = 0; i < used; i++) {
    const e = table + ((<u32>load<u16>(list + (i << 1))) << 5);
    const flags = load<u32>(e, TLB_FLAGS);
    const other = load<u64>(e) ^ va;
    if ((flags & TLB_2M && other >> 21 == 0) || (flags & TLB_1G && other >> 30 == 0)) drop(e);
  }
}

/** Flushes the page of `va`, global or not, the whole of it if it is a large one (INVLPG, SDM Vol. 3A §4.10.4.1). */
export function tlb_flush_page(cpu: usize, va: u64): void {
  const c = changetype<Cpu>(cpu);
  if (va >> 63) c.tlb_gen_high++;
  else c.tlb_gen++;
  const page = va & ~0xfff;
  drop_page(tlb_slot(tlb_user(cpu), page), page);
  drop_page(tlb_slot(tlb_sys(cpu), page), page);
  if (c.large_2m & hash_2m(va) || c.large_1g & hash_1g(va)) {
    drop_pieces(tlb_user(cpu), cpu + TLB_LISTS, c.tlb_used_user, va);
    drop_pieces(tlb_sys(cpu), cpu + TLB_LISTS + 2 * TLB_ENTRIES, c.tlb_used_sys, va);
  }
}
