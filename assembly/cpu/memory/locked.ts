/** Locked accesses that no WASM atomic covers (misaligned, over two pages, 128 bits): all other vCPUs stand still meanwhile. */
import { copy_in, ptr_direct } from './mem';
import { pause_begin, pause_end } from '../vcpu/smp';

/** `p` is what ptr_rw returned for [va, va + size); a bounce buffer is filled anew, since others ran until now. */
export function lock_begin(cpu: usize, p: usize, va: u64, size: u32): void {
  pause_begin(cpu);
  if (!ptr_direct(p)) copy_in(cpu, va, p, size);
}

export function lock_end(cpu: usize): void {
  pause_end(cpu);
}
