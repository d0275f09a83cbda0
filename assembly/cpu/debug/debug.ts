/**
 * What a debugger on the host asks of the software CPU. Its tables, shared by all vCPUs, lie at DEBUG_BASE and change
 * only while every vCPU stands still:
 *
 *   +0     u32 breakpoints, u32 watchpoints
 *   +0x40  4,096 bits: low 12 address bits that some breakpoint has
 *   +0x400 breakpoints, BREAK_MAX × u64 linear address
 *   +0xc00 watchpoints, WATCH_MAX × { u64 first, u64 last, u32 accesses (WATCH_READ, WATCH_WRITE) }
 *
 * Breakpoints: a block ends before an address with a breakpoint's low bits, and no block is linked to such an address, so
 * cpu_run sees each arrival. Guest memory is not patched. Watchpoints: a watched page has no TLB entry, so each access
 * comes to the slow paths of mem.ts. There a hit first abandons the instruction like a page fault would; cpu_run repeats
 * it alone, notes the hit and stops behind it.
 */
import { EINVAL, ENOSPC } from '../../contract/generated/errno';
import { BREAK_MAX, DEBUG_AT_BREAK, DEBUG_STEP, SEG_BASE, WATCH_MAX, WATCH_READ, WATCH_WRITE } from '../../contract/vcpu';
import { DEBUG_BASE, DEBUG_SIZE } from '../../core/layout';
import { block_vars, DEBUG_BREAK, DEBUG_WATCH, blocks_flush, } from '../uop/blocks';
import { mmu_peek, update_paging } from '../memory/mmu';
import { align_update, WATCHES, WATCH_LIST, WATCH_SIZE } from '../memory/watch';
import { MODE_64, update_mode } from '../vcpu/modes';
import { cpu_at, cpu_count } from '../vcpu/smp';
import { Cpu, CPU_SEGS, SEG_CS } from '../vcpu/state';
import { tlb_flush_all } from '../memory/tlb';

const BREAKS: usize = DEBUG_BASE;
const LOW_BITS: usize = DEBUG_BASE + 0x40;
const BREAK_LIST: usize = DEBUG_BASE + 0x400;

// ---- the host's side: all vCPUs stand still ------------------------------------------------------------------------

/** Forgets all breakpoints and watchpoints. */
export function debug_clear(): void {
  memory.fill(DEBUG_BASE, 0, DEBUG_SIZE);
}

/** Adds a breakpoint at linear address `va`. 0, or -ENOSPC. */
export function debug_break(va: u64): i32 {
  const n = load<u32>(BREAKS);
  if (n >= BREAK_MAX) return -ENOSPC;
  store<u64>(BREAK_LIST + (<usize>n << 3), va);
  const low = <u32>va & 0xfff;
  store<u8>(LOW_BITS + (low >> 3), <u8>(<u32>load<u8>(LOW_BITS + (low >> 3)) | (<u32>1 << (low & 7))));
  store<u32>(BREAKS, n + 1);
  return 0;
}

/** Adds a watchpoint on [va, va + len); accesses: WATCH_READ, WATCH_WRITE or both. 0, -EINVAL or -ENOSPC. */
export function debug_watch(va: u64, len: u32, accesses: u32): i32 {
  const n = load<u32>(WATCHES);
  if (len == 0 || va + (len - 1) < va || accesses == 0 || accesses > (WATCH_READ | WATCH_WRITE)) return -EINVAL;
  if (n >= WATCH_MAX) return -ENOSPC;
  const w = WATCH_LIST + n * WATCH_SIZE;
  store<u64>(w, va);
  store<u64>(w, va + (len - 1), 8);
  store<u32>(w, accesses, 16);
  store<u32>(WATCHES, n + 1);
  return 0;
}

/** Makes the lists true on all vCPUs: what was decoded or translated without them is dropped. */
export function debug_apply(): void {
  const flags: u32 = (load<u32>(BREAKS) ? DEBUG_BREAK : 0) | (load<u32>(WATCHES) ? DEBUG_WATCH : 0);
  for (let i: u32 = 0; i < cpu_count(); i++) {
    const cpu = cpu_at(i);
    const v = block_vars(cpu);
    if (v.ready) blocks_flush(cpu);
    tlb_flush_all(cpu, false);
    v.debug = (v.debug & ~(DEBUG_BREAK | DEBUG_WATCH)) | flags;
    v.watch_hit = 0;
    v.watch_redo = 0;
  }
}

/** Drops all blocks of all vCPUs, which stand. */
export function blocks_drop(): void {
  for (let i: u32 = 0; i < cpu_count(); i++) if (block_vars(cpu_at(i)).ready) blocks_flush(cpu_at(i));
}

/** Why vCPU state `cpu` last returned RUN_DEBUG: DEBUG_*. Forgets a watchpoint's hit. */
export function debug_reason(cpu: usize): u32 {
  const v = block_vars(cpu);
  if (v.watch_hit) {
    const hit = v.watch_hit;
    v.watch_hit = 0;
    return hit;
  }
  return v.debug & DEBUG_BREAK && debug_at(cpu) ? DEBUG_AT_BREAK : DEBUG_STEP;
}

/** First watched byte of the last watchpoint hit. */
export function debug_address(cpu: usize): u64 {
  return block_vars(cpu).watch_at;
}

/** The host wrote registers that decide about paging or the decode mode. */
export function debug_registers_set(cpu: usize): void {
  update_paging(cpu);
  update_mode(cpu);
  align_update(cpu);
  tlb_flush_all(cpu, false);
}

/** Physical address of linear `va` by the vCPU's tables, all ones when it is not mapped; nothing in them changes. */
export function debug_translate(cpu: usize, va: u64): u64 {
  return mmu_peek(cpu, va);
}

/** The machine stood still for `ns`: its clock shall not have gone on. */
export function debug_clock_back(ns: f64): void {
  for (let i: u32 = 0; i < cpu_count(); i++) {
    const c = changetype<Cpu>(cpu_at(i));
    if (c.time_mode == 0) c.tsc_offset -= <u64>ns;
  }
}

// ---- the CPU's side ------------------------------------------------------------------------------------------------

/** True when some breakpoint has the low address bits of `va`. */
export function debug_low(va: u32): bool {
  const low = va & 0xfff;
  return ((<u32>load<u8>(LOW_BITS + (low >> 3)) >> (low & 7)) & 1) != 0;
}

/** Linear address of the next instruction. */
export function next_address(cpu: usize): u64 {
  const c = changetype<Cpu>(cpu);
  return c.mode & MODE_64 ? c.rip : (c.rip + load<u64>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_BASE)) & 0xffff_ffff;
}

/** True when the next instruction has a breakpoint. */
export function debug_at(cpu: usize): bool {
  const va = next_address(cpu);
  if (!debug_low(<u32>va)) return false;
  const n = load<u32>(BREAKS);
  for (let i: u32 = 0; i < n; i++) {
    if (load<u64>(BREAK_LIST + (<usize>i << 3)) == va) return true;
  }
  return false;
}
