/**
 * The guest's own debug registers (SDM Vol. 3B §18.2): instruction and I/O breakpoints, and what follows from a write to DR0-DR3,
 * DR7 or CR4.DE. Data breakpoints are met in memory/watch.ts; cpu_run raises what was met as a trap behind the instruction.
 */
import { block_vars, blocks_flush, DEBUG_BREAK, DEBUG_GUEST_CODE, DEBUG_GUEST_DATA, DEBUG_GUEST_IO } from '../uop/blocks';
import { leave_block } from '../vcpu/fault';
import { RF } from '../vcpu/flags';
import { Cpu } from '../vcpu/state';
import { tlb_flush_all } from '../memory/tlb';
import { dr_length } from '../memory/watch';
import { debug_low, next_address } from './debug';

const GUEST: u32 = DEBUG_GUEST_CODE | DEBUG_GUEST_DATA | DEBUG_GUEST_IO;
const CR4_DE: u64 = 8;

// DR7.R/Wn
const ON_CODE: u32 = 0;
const ON_IO: u32 = 2;

/** R/Wn of breakpoint `n`, or 4 when it is off. */
@inline
function kind_of(c: Cpu, n: u32): u32 {
  return (c.dr7 >> (2 * n)) & 3 ? <u32>(c.dr7 >> (16 + 4 * n)) & 3 : 4;
}

@inline
function address_of(c: Cpu, n: u32): u64 {
  return load<u64>(changetype<usize>(c) + offsetof<Cpu>('dr0') + (n << 3));
}

/** The debug registers changed: blocks and TLB entries made without them go. The running block has to be left. */
export function guest_debug_update(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const v = block_vars(cpu);
  let bits: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    const kind = kind_of(c, n);
    if (kind == ON_CODE) bits |= DEBUG_GUEST_CODE;
    else if (kind == ON_IO) bits |= c.cr4 & CR4_DE ? DEBUG_GUEST_IO : 0; // else undefined: nothing
    else if (kind < 4) bits |= DEBUG_GUEST_DATA;
  }
  const any = (v.debug & GUEST) | bits;
  v.debug = (v.debug & ~GUEST) | bits;
  if (any & DEBUG_GUEST_CODE) {
    c.eflags &= ~RF;
    if (v.ready) blocks_flush(cpu);
  }
  if (any & DEBUG_GUEST_DATA) tlb_flush_all(cpu, false);
}

/** DR6.B0-B3 of the instruction breakpoints at the next instruction. */
export function guest_breaks(cpu: usize): u32 {
  const c = changetype<Cpu>(cpu);
  const va = next_address(cpu);
  let hit: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (kind_of(c, n) == ON_CODE && address_of(c, n) == va) hit |= 1 << n;
  }
  return hit;
}

/** True when a breakpoint, the host's or the guest's, has the low address bits of `va`: a block may not run over it or be linked to it. */
export function stop_low(cpu: usize, va: u32): bool {
  const debug = block_vars(cpu).debug;
  if (debug & DEBUG_BREAK && debug_low(va)) return true;
  if (!(debug & DEBUG_GUEST_CODE)) return false;
  const c = changetype<Cpu>(cpu);
  for (let n: u32 = 0; n < 4; n++) {
    if (kind_of(c, n) == ON_CODE && !((<u32>address_of(c, n) ^ va) & 0xfff)) return true;
  }
  return false;
}

/** IN or OUT of `size` bytes at `port` goes on; what it met is raised behind the instruction. */
export function guest_io(cpu: usize, port: u32, size: u32): void {
  const c = changetype<Cpu>(cpu);
  for (let n: u32 = 0; n < 4; n++) {
    if (kind_of(c, n) != ON_IO) continue;
    const length = dr_length(c.dr7, n);
    const at = address_of(c, n) & ~(length - 1);
    if (at > port + (size - 1) || port > at + (length - 1)) continue;
    block_vars(cpu).dr_hit |= 1 << n;
    leave_block(cpu);
  }
}
