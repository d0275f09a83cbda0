/**
 * What looks at accesses one by one: the debugger's watchpoints (their table and who fills it: cpu/debug/debug.ts), the guest's
 * data breakpoints (DR0-DR3, DR7), alignment checks (EFLAGS.AC). Pages that are looked at have no TLB entry, so that each
 * access comes to the slow paths of mem.ts, and nothing costs anything while BlockVars.debug is 0. In counted time accesses to devices are
 * among them: the instruction runs alone, so that the clock that it may read, and what it sets off, is at its very place.
 */
import { DEBUG_READ, DEBUG_WRITE, WATCH_READ, WATCH_WRITE } from '../../contract/vcpu';
import { DEBUG_BASE } from '../../core/layout';
import {
  block_vars, BlockVars, DEBUG_ALIGN, DEBUG_GUEST_DATA, DEBUG_WATCH,
} from '../uop/blocks';
import { raise, X_AC } from '../vcpu/fault';
import { AC } from '../vcpu/flags';
import { Cpu, FAULT_EXCEPTION, FAULT_NONE } from '../vcpu/state';
import { tlb_flush_all, tlb_user } from './tlb';

export const WATCHES: usize = DEBUG_BASE + 4;
export const WATCH_LIST: usize = DEBUG_BASE + 0xc00;
export const WATCH_SIZE: u32 = 32;

/** Pseudo vector that takes an instruction back when it touches a watched range. */
export const X_WATCH: u32 = 0x100;

/** True when accesses by `table` to the page at `page` are looked at: it gets no TLB entry. */
export function page_seen(cpu: usize, table: usize, page: u64): bool {
  const debug = block_vars(cpu).debug;
  if (debug & DEBUG_ALIGN && table == tlb_user(cpu)) return true;
  if (debug & DEBUG_WATCH && watch_page(page)) return true;
  return (debug & DEBUG_GUEST_DATA) != 0 && data_breaks(cpu, page, page | 0xfff, WATCH_READ | WATCH_WRITE) != 0;
}

/**
 * An access by `table` to [va, va + size); `accesses`: WATCH_READ, WATCH_WRITE, both. True: the instruction did not happen, the
 * caller returns as after a fault.
 */
export function access_seen(cpu: usize, table: usize, va: u64, size: u32, accesses: u32): bool {
  const v = block_vars(cpu);
  if (v.debug & DEBUG_ALIGN && table == tlb_user(cpu) && misaligned(va, size)) {
    raise(cpu, X_AC, 0);
    return true;
  }
  if (v.debug & DEBUG_GUEST_DATA) {
    const hit = data_breaks(cpu, va, va + (size - 1), accesses);
    if (hit) {
      if (v.watch_raise) {
        raise(cpu, X_WATCH, 0);
        return true;
      }
      v.dr_hit |= hit;
    }
  }
  return (v.debug & DEBUG_WATCH) != 0 && watch_access(cpu, va, size, accesses);
}

/** An access to a device, in counted time: true when its instruction did not happen, and is to run alone. */
export function device_seen(cpu: usize): bool {
  if (!block_vars(cpu).watch_raise || changetype<Cpu>(cpu).time_mode == 0) return false;
  raise(cpu, X_WATCH, 0);
  return true;
}

// ---- alignment checks ------------------------------------------------------------------------------------------------

/**
 * Alignment that an operand of `size` bytes needs (SDM Vol. 3A table 6-7). 16 bytes: the instructions that want 16 raise #GP
 * themselves; for the others it is 8 or nothing, as the processor likes (SDM Vol. 2, MOVUPS).
 */
function misaligned(va: u64, size: u32): bool {
  if (size == 10 || size == 16) return (va & 7) != 0;
  if (size & (size - 1)) return (va & (size & 3 ? 1 : 3)) != 0; // FSTENV, FSAVE: by operand size
  return size <= 8 && (va & (size - 1)) != 0;
}

/** EFLAGS.AC or CR0.AM may have changed. Both are bit 18. */
@inline
export function align_update(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const on: u32 = c.eflags & <u32>c.cr0 & AC ? DEBUG_ALIGN : 0;
  if ((block_vars(cpu).debug & DEBUG_ALIGN) != on) align_switch(cpu, on);
}

function align_switch(cpu: usize, on: u32): void {
  const v = block_vars(cpu);
  v.debug = (v.debug & ~DEBUG_ALIGN) | on;
  if (on) tlb_flush_all(cpu, false);
}

// ---- the guest's data breakpoints ------------------------------------------------------------------------------------

/** Bytes that DR7.LENn covers: 1, 2, 8, 4 (SDM Vol. 3B §18.2.4). */
@inline
export function dr_length(dr7: u64, n: u32): u64 {
  const code = <u32>(dr7 >> (18 + 4 * n)) & 3;
  return code == 2 ? 8 : code + 1;
}

/** DR6.B0-B3 of the data breakpoints that an access to [first, last] meets. */
function data_breaks(cpu: usize, first: u64, last: u64, accesses: u32): u32 {
  const c = changetype<Cpu>(cpu);
  let hit: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    const kind = <u32>(c.dr7 >> (16 + 4 * n)) & 3;
    if (!((c.dr7 >> (2 * n)) & 3) || !(kind & 1) || !(accesses & (kind == 1 ? WATCH_WRITE : WATCH_READ | WATCH_WRITE))) continue;
    const length = dr_length(c.dr7, n);
    const at = load<u64>(cpu + offsetof<Cpu>('dr0') + (n << 3)) & ~(length - 1);
    if (at <= last && first <= at + (length - 1)) hit |= 1 << n;
  }
  return hit;
}

// ---- the debugger's watchpoints --------------------------------------------------------------------------------------

/** True when a watchpoint lies in the page at `page`. */
function watch_page(page: u64): bool {
  const n = load<u32>(WATCHES);
  for (let i: u32 = 0; i < n; i++) {
    const w = WATCH_LIST + i * WATCH_SIZE;
    if (load<u64>(w) <= (page | 0xfff) && load<u64>(w, 8) >= page) return true;
  }
  return false;
}

/** As access_seen, for the debugger. */
function watch_access(cpu: usize, va: u64, size: u32, accesses: u32): bool {
  const n = load<u32>(WATCHES);
  const last = va + (size - 1);
  for (let i: u32 = 0; i < n; i++) {
    const w = WATCH_LIST + i * WATCH_SIZE;
    if (!(load<u32>(w, 16) & accesses) || load<u64>(w) > last || load<u64>(w, 8) < va) continue;
    const v = block_vars(cpu);
    if (v.watch_raise) {
      raise(cpu, X_WATCH, 0);
      return true;
    }
    if (v.watch_hit != DEBUG_WRITE) {
      v.watch_hit = load<u32>(w, 16) & accesses & WATCH_WRITE ? DEBUG_WRITE : DEBUG_READ;
      v.watch_at = load<u64>(w) > va ? load<u64>(w) : va;
    }
    return false;
  }
  return false;
}

/** After blocks ran with `watch_raise`: true when an instruction was taken back and is to run again alone. */
export function watch_taken_back(c: Cpu, v: BlockVars): bool {
  v.watch_raise = 0;
  if (c.fault != FAULT_EXCEPTION || c.fault_vector != X_WATCH) return false;
  c.fault = FAULT_NONE;
  v.link = 0;
  v.watch_redo = 1;
  return true;
}
