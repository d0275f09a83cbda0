/** The debugger's watchpoints, asked at each access to a page that holds one; the table and who fills it: cpu/debug/debug.ts. */
import { DEBUG_READ, DEBUG_WRITE, WATCH_WRITE } from '../../contract/vcpu';
import { DEBUG_BASE } from '../../core/layout';
import { block_vars, BlockVars } from '../uop/blocks';
import { raise } from '../vcpu/fault';
import { Cpu, FAULT_EXCEPTION, FAULT_NONE } from '../vcpu/state';

export const WATCHES: usize = DEBUG_BASE + 4;
export const WATCH_LIST: usize = DEBUG_BASE + 0xc00;
export const WATCH_SIZE: u32 = 32;

/** Pseudo vector that takes an instruction back when it touches a watched range. */
const X_WATCH: u32 = 0x100;

/** True when a watchpoint lies in the page at `page`. */
export function watch_page(page: u64): bool {
  const n = load<u32>(WATCHES);
  for (let i: u32 = 0; i < n; i++) {
    const w = WATCH_LIST + i * WATCH_SIZE;
    if (load<u64>(w) <= (page | 0xfff) && load<u64>(w, 8) >= page) return true;
  }
  return false;
}

/**
 * An access of the guest to [va, va + size); `accesses` as in debug_watch. True: the instruction is taken back, the caller
 * returns as after a fault.
 */
export function watch_access(cpu: usize, va: u64, size: u32, accesses: u32): bool {
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
