/**
 * Lockstep: what a translation did is undone, the interpreter does the same instructions, and both ends are compared: registers, flags,
 * floating-point state, faults, counts, and the pages that were written.
 *
 * Writes are seen where a page becomes writable in the TLB: before a run no page is, and the walk that a first store makes keeps a copy
 * (`check_page` in memory/keep.ts). What cannot be done twice makes the run not comparable (BlockVars.jit_taint): devices, system instructions, code that
 * is overwritten. At JIT_CHECK_BASE: 16 words for the host (see `report`), the states, then pages as they were and as the translation
 * left them.
 *
 * Devices write guest memory on threads of their own. A run during which one may have (virtio/turns.ts) is not undone, for that would undo what the
 * device wrote; and where one may have written only since, so that the interpreter saw other memory, a difference says nothing.
 */
import { JIT_CHECK_BASE, RAM_BASE } from '../../core/layout';
import { block_vars } from '../uop/blocks';
import { flags_get } from '../vcpu/flags';
import { Cpu, CPU_FPR, CPU_XMM, FAULT_EXCEPTION } from '../vcpu/state';
import { PAGE_LIST, PAGES_BEFORE, PAGES_MAX } from '../memory/keep';
import { TLB_ENTRIES } from '../memory/tlb';
import { devices_turns } from '../../virtio/turns';

const COMPARED: usize = JIT_CHECK_BASE;
const SKIPPED: usize = JIT_CHECK_BASE + 4;
const DIFFERENT: usize = JIT_CHECK_BASE + 8;
const STATE_BEFORE: usize = JIT_CHECK_BASE + 0x1000;
const STATE_AFTER: usize = JIT_CHECK_BASE + 0x2000;
const PAGES_AFTER: usize = PAGES_BEFORE + PAGES_MAX * 4096;

/** What differs (word 3 of the report). */
const DIFF_REGISTER: u32 = 1;
const DIFF_RIP: u32 = 2;
const DIFF_FLAGS: u32 = 4;
const DIFF_FAULT: u32 = 8;
const DIFF_FP: u32 = 16;
const DIFF_MEMORY: u32 = 32;
const DIFF_COUNT: u32 = 64;

const HEAD_END: usize = offsetof<Cpu>('pending'); // registers, rip, flags, fault
const FP_FROM: usize = offsetof<Cpu>('mxcsr');
const FP_END: usize = offsetof<Cpu>('index');
const VECTORS: usize = CPU_XMM;
const VECTORS_SIZE: usize = CPU_FPR + 0x80 - CPU_XMM;
const FLAGS_AT: usize = 0xff0; // of a saved state
const TURNS_AT: usize = 0xfe0; // devices' turns before the translation

/** False when devices may have written guest memory since the translation began. */
function steady(): bool {
  const before = load<i64>(STATE_BEFORE, TURNS_AT);
  return before >= 0 && devices_turns() == before;
}

/** Takes back what a run wrote, and no byte beside it, which a device may be about to write. */
function rewind_page(real: usize, before: usize, after: usize): void {
  for (let i: usize = 0; i < 4096; i += 8) {
    if (load<u64>(after + i) == load<u64>(before + i)) continue;
    for (let j = i; j < i + 8; j++) if (load<u8>(after + j) != load<u8>(before + j)) store<u8>(real + j, load<u8>(before + j));
  }
}

function save(cpu: usize, to: usize): void {
  memory.copy(to, cpu, HEAD_END);
  memory.copy(to + FP_FROM, cpu + FP_FROM, FP_END - FP_FROM);
  memory.copy(to + VECTORS, cpu + VECTORS, VECTORS_SIZE);
  const c = changetype<Cpu>(cpu);
  store<u64>(to, c.cr2, offsetof<Cpu>('cr2'));
  store<u64>(to, c.rep_count, offsetof<Cpu>('rep_count'));
  store<u32>(to, flags_get(cpu), FLAGS_AT);
}

function restore(cpu: usize, from: usize): void {
  memory.copy(cpu, from, HEAD_END);
  memory.copy(cpu + FP_FROM, from + FP_FROM, FP_END - FP_FROM);
  memory.copy(cpu + VECTORS, from + VECTORS, VECTORS_SIZE);
  const c = changetype<Cpu>(cpu);
  c.cr2 = load<u64>(from, offsetof<Cpu>('cr2'));
  c.rep_count = load<u64>(from, offsetof<Cpu>('rep_count'));
}

/** Before a translation runs. */
export function check_begin(cpu: usize): void {
  const v = block_vars(cpu);
  save(cpu, STATE_BEFORE);
  store<i64>(STATE_BEFORE, devices_turns(), TURNS_AT);
  const table: usize = changetype<Cpu>(cpu).tlb;
  for (let i: u32 = 0; i < TLB_ENTRIES; i++) store<u64>(table + (i << 5), <u64>-1, 8);
  v.jit_pages = 0;
  v.jit_taint = 0;
  v.jit_checking = 1;
}

/** The translation is done. False: this run cannot be compared. Else all is as it was before. */
export function check_rewind(cpu: usize): bool {
  const v = block_vars(cpu);
  v.jit_checking = 0;
  for (let i: u32 = 0; i < v.jit_pages; i++) memory.copy(PAGES_AFTER + (i << 12), RAM_BASE + load<u32>(PAGE_LIST + (i << 2)), 4096);
  if (v.jit_taint || !steady()) {
    store<u32>(SKIPPED, load<u32>(SKIPPED) + 1);
    return false;
  }
  save(cpu, STATE_AFTER);
  for (let i: u32 = 0; i < v.jit_pages; i++) rewind_page(RAM_BASE + load<u32>(PAGE_LIST + (i << 2)), PAGES_BEFORE + (i << 12), PAGES_AFTER + (i << 12));
  restore(cpu, STATE_BEFORE);
  return true;
}

/** The interpreter is done as well. `blk`, `rip`: where the run began; `same`: it took as many instructions. */
export function check_compare(cpu: usize, blk: usize, rip: u64, same: bool): void {
  const c = changetype<Cpu>(cpu);
  let what: u32 = same ? 0 : DIFF_COUNT;
  let at: u32 = 0;
  for (let r: u32 = 0; r < 16; r++) {
    if (load<u64>(cpu + (r << 3)) == load<u64>(STATE_AFTER + (r << 3))) continue;
    what |= DIFF_REGISTER;
    at = r;
  }
  if (c.rip != load<u64>(STATE_AFTER, offsetof<Cpu>('rip'))) what |= DIFF_RIP;
  if (flags_get(cpu) != load<u32>(STATE_AFTER, FLAGS_AT)) what |= DIFF_FLAGS;
  const fault = load<u32>(STATE_AFTER, offsetof<Cpu>('fault'));
  if (c.fault != fault) what |= DIFF_FAULT;
  else if (fault == FAULT_EXCEPTION) {
    if (c.fault_vector != load<u32>(STATE_AFTER, offsetof<Cpu>('fault_vector'))) what |= DIFF_FAULT;
    if (c.fault_error != load<u32>(STATE_AFTER, offsetof<Cpu>('fault_error'))) what |= DIFF_FAULT;
    if (c.cr2 != load<u64>(STATE_AFTER, offsetof<Cpu>('cr2'))) what |= DIFF_FAULT;
  }
  if (memory.compare(cpu + VECTORS, STATE_AFTER + VECTORS, VECTORS_SIZE)) what |= DIFF_FP;
  if (memory.compare(cpu + FP_FROM, STATE_AFTER + FP_FROM, FP_END - FP_FROM)) what |= DIFF_FP;
  const pages = block_vars(cpu).jit_pages;
  for (let i: u32 = 0; i < pages; i++) {
    const page = load<u32>(PAGE_LIST + (i << 2));
    if (memory.compare(RAM_BASE + page, PAGES_AFTER + (i << 12), 4096) == 0) continue;
    what |= DIFF_MEMORY;
    if (!(what & DIFF_REGISTER)) at = page;
  }
  if (what && !steady()) {
    store<u32>(SKIPPED, load<u32>(SKIPPED) + 1);
    return;
  }
  store<u32>(COMPARED, load<u32>(COMPARED) + 1);
  if (what) report(cpu, blk, rip, what, at);
}

/**
 * Words for the host, of the first difference: 0 compared runs, 1 skipped, 2 different, 3 what differs, 4 register or page, 5 guest physical
 * address of the first block, 6 and 7 its rip, 8 and 9 the translation's value (of a fault: kind << 8 | vector, error
 * code), 10 and 11 the interpreter's, 12 and 13 flags of both,
 * 14 and 15 low halves of rip behind both.
 */
function report(cpu: usize, blk: usize, rip: u64, what: u32, at: u32): void {
  const before = load<u32>(DIFFERENT);
  store<u32>(DIFFERENT, before + 1);
  if (before) return;
  store<u32>(JIT_CHECK_BASE, what, 12);
  store<u32>(JIT_CHECK_BASE, at, 16);
  store<u32>(JIT_CHECK_BASE, load<u32>(blk, 4), 20);
  store<u64>(JIT_CHECK_BASE, rip, 24);
  if (what & DIFF_REGISTER) {
    store<u64>(JIT_CHECK_BASE, load<u64>(STATE_AFTER + (at << 3)), 32);
    store<u64>(JIT_CHECK_BASE, load<u64>(cpu + (at << 3)), 40);
  }
  if (what & DIFF_FAULT) {
    for (let i: usize = 0; i < 2; i++) {
      const from: usize = i ? cpu : STATE_AFTER;
      const vector = load<u32>(from, offsetof<Cpu>('fault_vector'));
      store<u32>(JIT_CHECK_BASE + 32 + (i << 3), (load<u32>(from, offsetof<Cpu>('fault')) << 8) | vector);
      store<u32>(JIT_CHECK_BASE + 36 + (i << 3), load<u32>(from, offsetof<Cpu>('fault_error')));
    }
  }
  store<u32>(JIT_CHECK_BASE, load<u32>(STATE_AFTER, FLAGS_AT), 48);
  store<u32>(JIT_CHECK_BASE, flags_get(cpu), 52);
  store<u32>(JIT_CHECK_BASE, <u32>load<u64>(STATE_AFTER, offsetof<Cpu>('rip')), 56);
  store<u32>(JIT_CHECK_BASE, <u32>changetype<Cpu>(cpu).rip, 60);
}

/** Where the fault is that the translation ended with. */
export function check_fault(): usize {
  return STATE_AFTER + offsetof<Cpu>('fault');
}

/** A run of lockstep begins. */
export function check_clear(): void {
  memory.fill(JIT_CHECK_BASE, 0, 64);
}
