/**
 * The CPU's accesses by linear address. Hot path: one TLB probe, inlined; everything else in `*_slow`. A fault sets
 * `cpu.fault` (and CR2 for #PF), reads return 0, and nothing was written. A non-canonical address raises #GP(0); a
 * caller that knows it used SS turns vector 13 into 12 (nothing else here raises 13).
 *
 * A store looks at the code mark of its page after it has stored, so that decoded code never outlives its bytes: on
 * this vCPU exactly, for others as soon as they look at the page's generation.
 */
import { CODE_MARK_BASE, RAM_BASE } from '../../core/layout';
import { block_vars, code_write, DEBUG_ACCESSES } from '../uop/blocks';
import { access_seen, device_seen, page_seen } from './watch';
import { mmio_read, mmio_write, phys_read } from './mmio';
import { ACC_R, ACC_W, mmu_pa, PA_FAULT } from './mmu';
import { Cpu, CPU_BOUNCE } from '../vcpu/state';
import { TLB_ADDEND, TLB_WRITE, tlb_slot, tlb_sys } from './tlb';

const PAGE: u64 = ~0xfff;
/** Code mark of the page of linear-memory offset p: load<u8>(p >> 12, MARK). */
const MARK: usize = CODE_MARK_BASE - (RAM_BASE >> 12);
const TLB: usize = offsetof<Cpu>('tlb');

const BOUNCE_R: u32 = CPU_BOUNCE;
const BOUNCE_W: u32 = CPU_BOUNCE + 64;
/** Most bytes of an operand that ptr_* may have to bounce. */
export const BOUNCE_MAX: u32 = 64;

const READ: u32 = 1;
const WRITE: u32 = 2;

/** Someone looks at this access to [va, va + size) and the instruction does not happen: as after a fault. */
@inline
function watched(cpu: usize, table: usize, va: u64, size: u32, accesses: u32): bool {
  return (block_vars(cpu).debug & DEBUG_ACCESSES) != 0 && access_seen(cpu, table, va, size, accesses);
}

/** As `watched`, for direct pointers: accesses to the page are looked at, so they go piece by piece. */
@inline
function watched_page(cpu: usize, va: u64): bool {
  return (block_vars(cpu).debug & DEBUG_ACCESSES) != 0 && page_seen(cpu, load<u32>(cpu, TLB), va & PAGE);
}

// ---- single values ----------------------------------------------------------------------------------------------

@inline
export function rd8(cpu: usize, va: u64): u32 {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e) == (va & PAGE)) return load<u8>(<usize>va + load<u32>(e, TLB_ADDEND));
  return <u32>rd_slow(cpu, load<u32>(cpu, TLB), va, 1);
}

@inline
export function rd16(cpu: usize, va: u64): u32 {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e) == ((va + 1) & PAGE)) return load<u16>(<usize>va + load<u32>(e, TLB_ADDEND));
  return <u32>rd_slow(cpu, load<u32>(cpu, TLB), va, 2);
}

@inline
export function rd32(cpu: usize, va: u64): u32 {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e) == ((va + 3) & PAGE)) return load<u32>(<usize>va + load<u32>(e, TLB_ADDEND));
  return <u32>rd_slow(cpu, load<u32>(cpu, TLB), va, 4);
}

@inline
export function rd64(cpu: usize, va: u64): u64 {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e) == ((va + 7) & PAGE)) return load<u64>(<usize>va + load<u32>(e, TLB_ADDEND));
  return rd_slow(cpu, load<u32>(cpu, TLB), va, 8);
}

@inline
export function wr8(cpu: usize, va: u64, v: u32): void {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e, TLB_WRITE) == (va & PAGE)) {
    const p = <usize>va + load<u32>(e, TLB_ADDEND);
    store<u8>(p, v);
    if (load<u8>(p >> 12, MARK)) code_write(cpu, <u32>(p - RAM_BASE), 1);
  } else wr_slow(cpu, load<u32>(cpu, TLB), va, v, 1);
}

@inline
export function wr16(cpu: usize, va: u64, v: u32): void {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e, TLB_WRITE) == ((va + 1) & PAGE)) {
    const p = <usize>va + load<u32>(e, TLB_ADDEND);
    store<u16>(p, v);
    if (load<u8>(p >> 12, MARK)) code_write(cpu, <u32>(p - RAM_BASE), 2);
  } else wr_slow(cpu, load<u32>(cpu, TLB), va, v, 2);
}

@inline
export function wr32(cpu: usize, va: u64, v: u32): void {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e, TLB_WRITE) == ((va + 3) & PAGE)) {
    const p = <usize>va + load<u32>(e, TLB_ADDEND);
    store<u32>(p, v);
    if (load<u8>(p >> 12, MARK)) code_write(cpu, <u32>(p - RAM_BASE), 4);
  } else wr_slow(cpu, load<u32>(cpu, TLB), va, v, 4);
}

@inline
export function wr64(cpu: usize, va: u64, v: u64): void {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e, TLB_WRITE) == ((va + 7) & PAGE)) {
    const p = <usize>va + load<u32>(e, TLB_ADDEND);
    store<u64>(p, v);
    if (load<u8>(p >> 12, MARK)) code_write(cpu, <u32>(p - RAM_BASE), 8);
  } else wr_slow(cpu, load<u32>(cpu, TLB), va, v, 8);
}

/** An access to a device that does not happen now (device_seen). */
@inline
function beyond_ram(cpu: usize, pa: u64): bool {
  return pa >= changetype<Cpu>(cpu).ram_size && device_seen(cpu);
}

/** Reads `size` ≤ 8 bytes with the privilege of `table`, page crossings and MMIO included. */
export function rd_slow(cpu: usize, table: usize, va: u64, size: u32): u64 {
  if (watched(cpu, table, va, size, READ)) return 0;
  const pa = mmu_pa(cpu, table, va, ACC_R);
  if (pa == PA_FAULT || beyond_ram(cpu, pa)) return 0;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  if (size <= room) return phys_read(cpu, pa, size);
  const pa2 = mmu_pa(cpu, table, va + room, ACC_R);
  if (pa2 == PA_FAULT || beyond_ram(cpu, pa2)) return 0;
  let v: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    v |= (phys_read(cpu, i < room ? pa + i : pa2 + (i - room), 1) & 0xff) << (i << 3);
  }
  return v;
}

/** Stores in one page at physical address `pa`. */
export function phys_write(cpu: usize, pa: u64, v: u64, size: u32): void {
  if (pa < changetype<Cpu>(cpu).ram_size) {
    const p = RAM_BASE + <u32>pa;
    switch (size) {
      case 1: store<u8>(p, <u8>v); break;
      case 2: store<u16>(p, <u16>v); break;
      case 4: store<u32>(p, <u32>v); break;
      default: store<u64>(p, v);
    }
    if (load<u8>(p >> 12, MARK)) code_write(cpu, <u32>pa, size);
  } else mmio_write(cpu, pa, v, size);
}

/** Writes `size` ≤ 8 bytes with the privilege of `table`; both pages of a crossing are checked before either changes. */
export function wr_slow(cpu: usize, table: usize, va: u64, v: u64, size: u32): void {
  if (watched(cpu, table, va, size, WRITE)) return;
  const pa = mmu_pa(cpu, table, va, ACC_W);
  if (pa == PA_FAULT || beyond_ram(cpu, pa)) return;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  if (size <= room) {
    phys_write(cpu, pa, v, size);
    return;
  }
  const pa2 = mmu_pa(cpu, table, va + room, ACC_W);
  if (pa2 == PA_FAULT || beyond_ram(cpu, pa2)) return;
  for (let i: u32 = 0; i < size; i++) {
    phys_write(cpu, i < room ? pa + i : pa2 + (i - room), (v >> (i << 3)) & 0xff, 1);
  }
}

// ---- implicit supervisor accesses: descriptor tables, TSS, interrupt stacks ---------------------------------------

export function rd16_sys(cpu: usize, va: u64): u32 {
  return <u32>rd_slow(cpu, tlb_sys(cpu), va, 2);
}

export function rd32_sys(cpu: usize, va: u64): u32 {
  return <u32>rd_slow(cpu, tlb_sys(cpu), va, 4);
}

export function rd64_sys(cpu: usize, va: u64): u64 {
  return rd_slow(cpu, tlb_sys(cpu), va, 8);
}

export function wr8_sys(cpu: usize, va: u64, v: u32): void {
  wr_slow(cpu, tlb_sys(cpu), va, v, 1);
}

// ---- operands by pointer ------------------------------------------------------------------------------------------

/**
 * `size` readable bytes: the linear-memory offset itself when they are RAM in one page (any size), else a copy in the
 * read bounce buffer (size ≤ BOUNCE_MAX). 0: fault.
 */
@inline
export function ptr_r(cpu: usize, va: u64, size: u32): usize {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e) == ((va + (size - 1)) & PAGE)) return <usize>va + load<u32>(e, TLB_ADDEND);
  return ptr_r_slow(cpu, va, size);
}

/** A place to put `size` bytes; `ptr_w_done` makes them visible. Write permission of all pages is checked here. 0: fault. */
@inline
export function ptr_w(cpu: usize, va: u64, size: u32): usize {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e, TLB_WRITE) == ((va + (size - 1)) & PAGE)) return <usize>va + load<u32>(e, TLB_ADDEND);
  return ptr_w_slow(cpu, va, size, false);
}

/** As ptr_w, with the present contents readable at the pointer: read-modify-write. */
@inline
export function ptr_rw(cpu: usize, va: u64, size: u32): usize {
  const e = tlb_slot(load<u32>(cpu, TLB), va);
  if (load<u64>(e, TLB_WRITE) == ((va + (size - 1)) & PAGE)) return <usize>va + load<u32>(e, TLB_ADDEND);
  return ptr_w_slow(cpu, va, size, true);
}

/** Ends a ptr_w or ptr_rw: `ptr` is what it returned. Copies a bounced operand out and keeps decoded code true. */
@inline
export function ptr_w_done(cpu: usize, ptr: usize, va: u64, size: u32): void {
  if (ptr >= RAM_BASE) {
    if (load<u8>(ptr >> 12, MARK)) code_write(cpu, <u32>(ptr - RAM_BASE), size);
  } else bounce_out(cpu, va, size);
}

/** True when `ptr` is guest RAM itself, not a bounce buffer: atomics on it are atomics for the guest. */
@inline
export function ptr_direct(ptr: usize): bool {
  return ptr >= RAM_BASE;
}

export function ptr_r_slow(cpu: usize, va: u64, size: u32): usize {
  if (watched(cpu, load<u32>(cpu, TLB), va, size, READ)) return 0;
  const table: usize = load<u32>(cpu, TLB);
  const pa = mmu_pa(cpu, table, va, ACC_R);
  if (pa == PA_FAULT) return 0;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  if (size <= room && pa < changetype<Cpu>(cpu).ram_size) return RAM_BASE + <u32>pa;
  const to = cpu + BOUNCE_R;
  if (size > BOUNCE_MAX || !copy_in(cpu, va, to, size)) return 0;
  return to;
}

export function ptr_w_slow(cpu: usize, va: u64, size: u32, fill: bool): usize {
  if (watched(cpu, load<u32>(cpu, TLB), va, size, fill ? READ | WRITE : WRITE)) return 0;
  const table: usize = load<u32>(cpu, TLB);
  const pa = mmu_pa(cpu, table, va, ACC_W);
  if (pa == PA_FAULT) return 0;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  if (size <= room && pa < changetype<Cpu>(cpu).ram_size) return RAM_BASE + <u32>pa;
  if (beyond_ram(cpu, pa)) return 0;
  if (size > room) {
    const pa2 = mmu_pa(cpu, table, va + room, ACC_W);
    if (pa2 == PA_FAULT || beyond_ram(cpu, pa2)) return 0;
  }
  const to = cpu + BOUNCE_W;
  if (size > BOUNCE_MAX || (fill && !copy_in(cpu, va, to, size))) return 0;
  return to;
}

export function bounce_out(cpu: usize, va: u64, size: u32): void {
  copy_out(cpu, va, cpu + BOUNCE_W, size);
}

/** True when `size` ≤ 4096 bytes at `va` may be written; else the fault is set. */
export function probe_w(cpu: usize, va: u64, size: u32): bool {
  const table: usize = load<u32>(cpu, TLB);
  if (mmu_pa(cpu, table, va, ACC_W) == PA_FAULT) return false;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  return size <= room || mmu_pa(cpu, table, va + room, ACC_W) != PA_FAULT;
}

/**
 * Direct pointer to the RAM byte at `va`, good to the end of its page; for string instructions. 0: fault, or MMIO (then
 * `cpu.fault` is unchanged and the caller goes by rd*).
 */
export function page_r(cpu: usize, va: u64): usize {
  const pa = mmu_pa(cpu, load<u32>(cpu, TLB), va, ACC_R);
  return pa < changetype<Cpu>(cpu).ram_size && !watched_page(cpu, va) ? <usize>RAM_BASE + <u32>pa : <usize>0;
}

/** As page_r for writing; the caller ends with `page_w_done` for what it wrote. */
export function page_w(cpu: usize, va: u64): usize {
  const pa = mmu_pa(cpu, load<u32>(cpu, TLB), va, ACC_W);
  return pa < changetype<Cpu>(cpu).ram_size && !watched_page(cpu, va) ? <usize>RAM_BASE + <u32>pa : <usize>0;
}

@inline
export function page_w_done(cpu: usize, ptr: usize, size: u32): void {
  if (load<u8>(ptr >> 12, MARK)) code_write(cpu, <u32>(ptr - RAM_BASE), size);
}

// ---- longer runs (FXSAVE and the like) ------------------------------------------------------------------------------

/** Copies `size` ≤ 4096 guest bytes to linear-memory offset `to`. False: fault, contents of `to` undefined. */
export function copy_in(cpu: usize, va: u64, to: usize, size: u32): bool {
  if (watched(cpu, load<u32>(cpu, TLB), va, size, READ)) return false;
  const table: usize = load<u32>(cpu, TLB);
  const pa = mmu_pa(cpu, table, va, ACC_R);
  if (pa == PA_FAULT || beyond_ram(cpu, pa)) return false;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  const first = size < room ? size : room;
  let pa2: u64 = 0;
  if (first < size) {
    pa2 = mmu_pa(cpu, table, va + room, ACC_R);
    if (pa2 == PA_FAULT || beyond_ram(cpu, pa2)) return false;
  }
  phys_copy_in(cpu, pa, to, first);
  if (first < size) phys_copy_in(cpu, pa2, to + first, size - first);
  return true;
}

/** Copies `size` ≤ 4096 bytes from `from` to the guest. False: fault, and nothing was written. */
export function copy_out(cpu: usize, va: u64, from: usize, size: u32): bool {
  if (watched(cpu, load<u32>(cpu, TLB), va, size, WRITE)) return false;
  const table: usize = load<u32>(cpu, TLB);
  const pa = mmu_pa(cpu, table, va, ACC_W);
  if (pa == PA_FAULT || beyond_ram(cpu, pa)) return false;
  const room: u32 = 4096 - (<u32>va & 0xfff);
  const first = size < room ? size : room;
  let pa2: u64 = 0;
  if (first < size) {
    pa2 = mmu_pa(cpu, table, va + room, ACC_W);
    if (pa2 == PA_FAULT || beyond_ram(cpu, pa2)) return false;
  }
  phys_copy_out(cpu, pa, from, first);
  if (first < size) phys_copy_out(cpu, pa2, from + first, size - first);
  return true;
}

function phys_copy_in(cpu: usize, pa: u64, to: usize, size: u32): void {
  if (pa < changetype<Cpu>(cpu).ram_size) {
    memory.copy(to, RAM_BASE + <u32>pa, size);
    return;
  }
  let i: u32 = 0;
  for (; i + 4 <= size; i += 4) store<u32>(to + i, <u32>mmio_read(cpu, pa + i, 4));
  for (; i < size; i++) store<u8>(to + i, <u8>mmio_read(cpu, pa + i, 1));
}

function phys_copy_out(cpu: usize, pa: u64, from: usize, size: u32): void {
  if (pa < changetype<Cpu>(cpu).ram_size) {
    const p = RAM_BASE + <u32>pa;
    memory.copy(p, from, size);
    if (load<u8>(p >> 12, MARK)) code_write(cpu, <u32>pa, size);
    return;
  }
  let i: u32 = 0;
  for (; i + 4 <= size; i += 4) mmio_write(cpu, pa + i, load<u32>(from + i), 4);
  for (; i < size; i++) mmio_write(cpu, pa + i, load<u8>(from + i), 1);
}
