/**
 * The cache of decoded blocks of one vCPU. What writes to their bytes do to them is in core/code.ts.
 *
 * A vCPU's share of the BLOCK area starts with a hash table (u32 heads), then blocks one after another. When it is
 * full everything is dropped at once. vCPU 0 has blocks outside of its share, too: kept.ts. A block:
 *
 *   +0  u32 next      in its hash chain
 *   +4  u32 pa        guest physical address of the first byte
 *   +8  u32 mode      MODE_*
 *   +12 u32 gen       the page's generation when its bytes were read; another one now: the block is dead
 *   +16 u32 gen_at    linear offset of that generation
 *   +20 u16 insns     instructions
 *   +22 u16 bytes
 *   +24 u32 pa2       page of the second part of an instruction that crosses pages, NO_PAGE, or a translation: TABLE_SHIFT
 *   +28 u32 gen2      that page's generation; with NO_PAGE: samples that found the block, and when (jit/translation.ts); with a translation: gen,
 *                     which itself is made one that the page does not have, so that only who looks for a translation finds the block alive
 *   +32 …   micro-ops
 */
import { B_GEN, B_GEN2, B_GEN_AT, B_MODE, B_PA, B_PA2, HASH_BYTES, HASH_LEAST, NO_PAGE, SHARE_UNIT } from '../../contract/translator';
export {
  B_BYTES, B_GEN, B_GEN2, B_GEN_AT, B_INSNS, B_MODE, B_PA, B_PA2, B_UOPS, BLOCK_INSNS, BLOCK_ROOM, NO_PAGE, TABLE_SHIFT,
} from '../../contract/translator';
import { kill_lines } from '../../core/code';
import { BLOCK_BASE, BLOCK_SIZE, CPU_BASE, JUMP_BASE, JUMP_ENTRIES, VCPU_MAX } from '../../core/layout';
import { leave_block } from '../vcpu/fault';
import { Cpu, CPU_PRIVATE } from '../vcpu/state';

export const B_NEXT: usize = 0;

/** Jump cache: JUMP_ENTRIES of { u64 va, u32 block, u32 generation of mappings }, for targets not known at decode time. Its offset from the vCPU's state. */
export const JUMP_CACHE: u32 = JUMP_BASE - CPU_BASE;
export const JUMP_BLOCK: usize = 8;
export const JUMP_GEN: usize = 12;

/** Block-cache variables. */
export const PRIVATE_VARS: u32 = CPU_PRIVATE + 0x1_0000;

@unmanaged
export class BlockVars {
  ready: u32;
  hash: u32; // linear offset of the table
  hash_mask: u32;
  first: u32; // where blocks start
  next: u32; // where the next block goes
  end: u32;
  current: u32; // the running block, 0 outside
  flushes: u32; // times everything was dropped
  decoded: u64; // blocks decoded
  icount_end: u64; // icount when the running slice's budget is used up
  exact: u32; // not 0: a budget ends at exactly that instruction
  step: u32; // debugger: return RUN_DEBUG after one instruction
  shadow: u32; // the next instruction runs before interrupts are looked at
  slice: i32;
  link: u32; // a direct link that wants its target, 0 none; made by cpu_run when it has found the block
  link_pad: u32;
  link_from: u64;
  link_to: u64;
  debug: u32; // DEBUG_* bits, 0 when nobody looks
  watch_raise: u32; // a watched access, and one to a device in counted time, takes its instruction back
  watch_redo: u32; // the next instruction was taken back: it runs alone
  watch_hit: u32; // DEBUG_READ or DEBUG_WRITE: stop before the next instruction
  watch_at: u64;
  jit: u32; // JIT_* of jit/translation.ts, 0: nothing is translated
  jit_next: u32; // left by a translation: the block that is next, or 0
  jit_cold: u32; // that block is to be interpreted: its translation did not begin
  sample: u32; // the next block is a sample
  threshold: u32; // samples that make a block hot, and while the vCPU is young (jit/translation.ts)
  threshold_young: u32;
  samples: u32; // samples so far
  jit_insns: u64; // instructions that ran translated
  jit_checking: u32; // lockstep (jit/check.ts): a translation runs
  jit_taint: u32; // it did what cannot be done twice
  jit_pages: u32; // pages kept
  jit_rest: i32; // what the last leave_at gave back
  dr_hit: u32; // DR6.B0-B3 of breakpoints met by the running instruction
  sample_left: i32; // instructions to the next sample
  vote_page: u32; // the page that most of the last samples were in, and how many more than elsewhere
  votes: i32;
  paused: i32; // counted time: what a REP that was put off costs of the budget
  trap: u32; // EFLAGS.TF before the running instruction, 0 once that has entered a handler
}

/** Bits of BlockVars.debug. */
export const DEBUG_BREAK: u32 = 1; // the debugger on the host has breakpoints
export const DEBUG_WATCH: u32 = 2; // … watchpoints
export const DEBUG_GUEST_CODE: u32 = 4; // the guest's DR7 has instruction breakpoints on
export const DEBUG_GUEST_DATA: u32 = 8; // … data breakpoints
export const DEBUG_GUEST_IO: u32 = 16; // … I/O breakpoints
export const DEBUG_ALIGN: u32 = 32; // CR0.AM and EFLAGS.AC: accesses at CPL 3 must be aligned
/** Accesses by linear address are looked at, each one. */
export const DEBUG_ACCESSES: u32 = DEBUG_WATCH | DEBUG_GUEST_DATA | DEBUG_ALIGN;
/** What may take an instruction back, to run it alone. */
export const DEBUG_TAKES_BACK: u32 = DEBUG_WATCH | DEBUG_GUEST_DATA;

@inline
export function block_vars(cpu: usize): BlockVars {
  return changetype<BlockVars>(cpu + PRIVATE_VARS);
}

/** Offset of `current` from the vCPU's state. */
export const BLOCK_CURRENT: usize = PRIVATE_VARS + offsetof<BlockVars>('current');

/** Offset of `jit_next`. */
export const JIT_NEXT: usize = PRIVATE_VARS + offsetof<BlockVars>('jit_next');
/** Offset of `jit_cold`. */
export const JIT_COLD: usize = PRIVATE_VARS + offsetof<BlockVars>('jit_cold');

/** True when the block has a translation of the bytes that are there now. */
@inline
export function translated(b: usize): bool {
  const mark = load<u32>(b, B_PA2);
  return (mark & 1) != 0 && mark != NO_PAGE && load<u32>(b, B_GEN2) == load<u32>(<usize>load<u32>(b, B_GEN_AT));
}

/** Gives the vCPU its share of the block area; `cpus` ≥ 1 is the number of vCPUs of the machine. */
export function blocks_init(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const v = block_vars(cpu);
  let cpus = c.cpus;
  if (cpus == 0 || cpus > VCPU_MAX) cpus = VCPU_MAX;
  const share = (BLOCK_SIZE / cpus) & ~(SHARE_UNIT - 1);
  let entries: u32 = HASH_LEAST;
  while (entries < share / HASH_BYTES) entries <<= 1;
  v.hash = BLOCK_BASE + c.index * share;
  v.hash_mask = entries - 1;
  v.first = v.hash + entries * 4;
  v.end = v.hash + share;
  blocks_flush(cpu);
  v.ready = 1;
}

/** Drops all blocks. The caller is not in one, or leaves it now. */
export function blocks_flush(cpu: usize): void {
  const v = block_vars(cpu);
  memory.fill(v.hash, 0, (v.hash_mask + 1) * 4);
  memory.fill(cpu + JUMP_CACHE, 0, JUMP_ENTRIES * 16);
  v.next = v.first;
  v.link = 0;
  v.current = 0;
  v.flushes++;
}

@inline
function hash_of(pa: u32, mode: u32): u32 {
  return ((pa * 0x9e37_79b1) >> 12) ^ (pa >> 3) ^ (mode << 5);
}

/** The valid block at (pa, mode), or 0. Dead ones met on the way are unlinked. */
export function block_find(cpu: usize, pa: u32, mode: u32): usize {
  const v = block_vars(cpu);
  let at: usize = v.hash + ((hash_of(pa, mode) & v.hash_mask) << 2);
  while (true) {
    const b = <usize>load<u32>(at);
    if (b == 0) return 0;
    if (load<u32>(b, B_GEN) != load<u32>(<usize>load<u32>(b, B_GEN_AT)) && !translated(b)) {
      store<u32>(at, load<u32>(b, B_NEXT));
      continue;
    }
    if (load<u32>(b, B_PA) == pa && load<u32>(b, B_MODE) == mode) return b;
    at = b + B_NEXT;
  }
}

export function block_insert(cpu: usize, b: usize): void {
  const v = block_vars(cpu);
  const at: usize = v.hash + ((hash_of(load<u32>(b, B_PA), load<u32>(b, B_MODE)) & v.hash_mask) << 2);
  store<u32>(b, load<u32>(at), B_NEXT);
  store<u32>(at, <u32>b);
}

/** Block `b` is in its hash chain, alive or dead. */
export function block_chained(cpu: usize, b: usize): bool {
  const v = block_vars(cpu);
  let at = <usize>load<u32>(v.hash + ((hash_of(load<u32>(b, B_PA), load<u32>(b, B_MODE)) & v.hash_mask) << 2));
  while (at != 0 && at != b) at = <usize>load<u32>(at, B_NEXT);
  return at == b;
}

/** A store of this vCPU to [pa, pa + len) hit a page with CODE_MARK. Leaves the running block when it may be hit. */
export function code_write(cpu: usize, pa: u32, len: u32): void {
  const end: u64 = <u64>pa + len;
  let at: u64 = pa;
  while (at < end) {
    const off = <u32>at & 0xfff;
    const left = <u32>(end - at);
    const n = left < 4096 - off ? left : 4096 - off;
    if (kill_lines(<u32>(at >> 12), off, n)) {
      block_vars(cpu).jit_taint = 1;
      const b: usize = block_vars(cpu).current;
      if (b != 0 && (load<u32>(b, B_PA) >> 12 == <u32>(at >> 12) || load<u32>(b, B_PA2) == (<u32>at & ~0xfff))) leave_block(cpu);
    }
    at += n;
  }
}
