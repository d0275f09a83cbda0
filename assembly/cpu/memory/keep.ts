/** Pages as they were before a translation wrote to them, for lockstep (jit/check.ts). */
import { JIT_CHECK_BASE, RAM_BASE } from '../../core/layout';
import { block_vars } from '../uop/blocks';

export const PAGE_LIST: usize = JIT_CHECK_BASE + 0x3000;
export const PAGES_BEFORE: usize = JIT_CHECK_BASE + 0x1_0000;
export const PAGES_MAX: u32 = 64;

/** A page becomes writable while a translation runs: its bytes are kept. */
export function check_page(cpu: usize, pa: u32): void {
  const v = block_vars(cpu);
  const page = pa & ~0xfff;
  for (let i: u32 = 0; i < v.jit_pages; i++) if (load<u32>(PAGE_LIST + (i << 2)) == page) return;
  if (v.jit_pages == PAGES_MAX) {
    v.jit_taint = 1;
    return;
  }
  store<u32>(PAGE_LIST + (v.jit_pages << 2), page);
  memory.copy(PAGES_BEFORE + (v.jit_pages << 12), RAM_BASE + page, 4096);
  v.jit_pages++;
}
