/**
 * Translations of decoded blocks: functions of the vCPU's own table, which the host makes (vmm/jit/).
 *
 * Which blocks are worth it is told by samples: each 50,000 instructions the dispatcher's budget ends, anywhere, and the block that is
 * next has one sample more, and its page. So nothing is counted while blocks run. Samples are halved with each epoch that passes, so that what
 * is lukewarm for long never becomes hot. A start, of a kernel and its first programs, runs many things once: a vCPU that is young wants more
 * samples, of one block; later those of blocks in its page that have no translation count, since a translation has most of them in it. A block with
 * `threshold` samples goes into the vCPU's list of hot blocks, at JIT_HOT_BASE + index * JIT_HOT_STRIDE: u32 taken (by the host), u32 put,
 * u32 lost, u32 near, then JIT_HOT_MAX entries of { u32 block, u32 flushes }, a ring. `near`: the most that a block has had of its samples, in eighths, so that
 * whoever translates may make ready. `flushes` tells a block from one that came to its place after all were dropped. Bit 0 of a block: urgent, most of the last
 * samples were in its page, so the vCPU does little else than what waits to be translated.
 *
 * Samples of blocks that have a translation tell which are of use: at JIT_HOT_BASE + index * JIT_HOT_STRIDE + USED_LIST, u32 number, then so many u32 table
 * indices, USED_MAX at most; the host empties it.
 *
 * Samples of pages: at JIT_HOT_BASE + index * JIT_HOT_STRIDE + PAGE_LIST, PAGES words of page << PAGE_SHIFT | samples, or PAGE_RESTS and the number of the
 * last sample.
 *
 * A block with a translation does not have the generation of its page any more (see uop/blocks.ts): that sends the dispatcher here.
 */
import { HOT_LIST, HOT_LOST, HOT_NEAR, HOT_PUT, HOT_TAKEN, HOT_THRESHOLD, JIT_HOT_MAX, USED_LIST, USED_MAX } from '../../contract/translator';
import { JIT_BASE, JIT_HOT_BASE, JIT_HOT_STRIDE, RAM_BASE } from '../../core/layout';
import { check_clear } from './check';
import { tlb_sys, tlb_user } from '../memory/tlb';
import { MARK } from '../execute/interp_support';
import { JIT_CHECK } from '../uop/enter';
import {
  B_GEN, B_GEN2, B_GEN_AT, B_MODE, B_PA, B_PA2, BLOCK_CURRENT, block_vars, BlockVars, JIT_NEXT, JUMP_CACHE, NO_PAGE, PRIVATE_VARS, TABLE_SHIFT, translated,
} from '../uop/blocks';
import { MODE_64, MODE_STEP } from '../vcpu/modes';
import { Cpu, CPU_SEGS, CPU_XMM } from '../vcpu/state';

const PAGE_LIST: usize = 0xc00;
const PAGES: u32 = 256;
const PAGE_SHIFT: u32 = 12;
const PAGE_COUNT: u32 = 0x7ff;
/** A block of the page is on its way to be translated: for so many samples of the vCPU's those of the page do not count. */
const PAGE_RESTS: u32 = 0x800;
const PAGE_REST: u32 = 64;
/** A page has so many samples more than all others together since it began to have them: what is hot there is urgent. */
const URGENT: i32 = 8;
const VOTES_MAX: i32 = 16;
const NEVER: u32 = 0xffff_ffff;
/** A vCPU is young for so many samples: 75 million instructions. A start of a small container has 40 million. */
const YOUNG: u32 = 1500;
/** Samples of an epoch: 1 << this. */
const EPOCH_SHIFT: u32 = 14;
/** A block that has been listed is not looked at for so many epochs: it may be one that stays interpreted. */
const REST: u32 = 16;

/** Sets BlockVars.jit; `threshold` samples make a block hot, `young` those of a young vCPU; 0, for tests: as soon as it is there. */
export function jit_set(cpu: usize, mode: u32, threshold: u32, young: u32): void {
  const v = block_vars(cpu);
  v.jit = mode;
  if (mode == JIT_CHECK) check_clear();
  const ring: usize = JIT_HOT_BASE + changetype<Cpu>(cpu).index * JIT_HOT_STRIDE;
  memory.fill(ring, 0, HOT_LIST);
  store<u32>(ring + USED_LIST, 0);
  memory.fill(ring + PAGE_LIST, 0, PAGES << 2);
  v.votes = 0;
  v.threshold = threshold;
  store<u32>(ring + HOT_THRESHOLD, threshold);
  v.threshold_young = young;
  v.samples = 0;
  v.sample_left = 0;
  v.sample = u32(mode != 0 && threshold == 0);
}

/** From now on `threshold` samples make a block hot, but for a vCPU that is young or closed. */
export function jit_threshold(cpu: usize, threshold: u32): void {
  const v = block_vars(cpu);
  if (v.threshold == NEVER) return;
  v.threshold = threshold;
  store<u32>(JIT_HOT_BASE + changetype<Cpu>(cpu).index * JIT_HOT_STRIDE + HOT_THRESHOLD, threshold);
}

/** No block becomes hot any more; what is translated stays. */
export function jit_close(cpu: usize): void {
  const v = block_vars(cpu);
  v.threshold = NEVER;
  v.threshold_young = NEVER;
}

/** A sample: `blk` is next. Its word: epoch << 16 | samples. */
export function jit_sample(cpu: usize, blk: usize): void {
  const v = block_vars(cpu);
  if (v.threshold) v.sample = 0;
  v.samples++;
  const index = changetype<Cpu>(cpu).index;
  if ((v.samples & ((1 << EPOCH_SHIFT) - 1)) == 0) pages_age(index);
  vote(v, load<u32>(blk, B_PA) >> 12);
  if (translated(blk)) {
    used(index, load<u32>(blk, B_PA2) >> TABLE_SHIFT);
    return;
  }
  const young = v.samples < YOUNG;
  const threshold = young ? v.threshold_young : v.threshold;
  const mode = load<u32>(blk, B_MODE);
  if (threshold == NEVER || load<u32>(blk, B_PA2) != NO_PAGE || !(mode & MODE_64) || mode & MODE_STEP) return;
  const epoch = v.samples >> EPOCH_SHIFT;
  const word = load<u32>(blk, B_GEN2);
  const age = <i32><i16>(epoch - (word >> 16));
  if (age < 0) return;
  const own: u32 = (age > 15 ? 0 : (word & 0xffff) >> age) + 1;
  const page = page_at(index, load<u32>(blk, B_PA));
  const n = young || threshold == 0 ? own : page_sample(page, load<u32>(blk, B_PA) >> 12, v.samples);
  near(index, n, threshold);
  const listed = n >= threshold && hot(index, v, blk);
  if (listed) store<u32>(page, (load<u32>(blk, B_PA) & ~0xfff) | PAGE_RESTS | (v.samples & PAGE_COUNT));
  store<u32>(blk, listed ? (epoch + REST) << 16 : (epoch << 16) | own, B_GEN2);
}

@inline
function page_at(index: u32, pa: u32): usize {
  const page = pa >> 12;
  return JIT_HOT_BASE + index * JIT_HOT_STRIDE + PAGE_LIST + (((page ^ (page >> 8)) & (PAGES - 1)) << 2);
}

/** One sample more for `page`, whose word would be at `at`: how many it has. Of pages that share the place the most frequent one stays (Misra and Gries). */
function page_sample(at: usize, page: u32, now: u32): u32 {
  const word = load<u32>(at);
  const samples = word & PAGE_COUNT;
  const rests = (word & PAGE_RESTS) != 0 && ((now - word) & PAGE_COUNT) < PAGE_REST;
  if (word >> PAGE_SHIFT != page && samples != 0 && !(word & PAGE_RESTS)) {
    store<u32>(at, word - 1);
    return 0;
  }
  if (rests) return 0;
  const n: u32 = word >> PAGE_SHIFT != page || word & PAGE_RESTS ? 1 : min<u32>(samples + 1, PAGE_COUNT);
  store<u32>(at, (page << PAGE_SHIFT) | n);
  return n;
}

/** An epoch has passed. */
function pages_age(index: u32): void {
  for (let i: u32 = 0; i < PAGES; i++) {
    const at: usize = JIT_HOT_BASE + index * JIT_HOT_STRIDE + PAGE_LIST + (i << 2);
    const word = load<u32>(at);
    store<u32>(at, word & PAGE_RESTS ? 0 : (word & ~PAGE_COUNT) | ((word & PAGE_COUNT) >> 1));
  }
}

/** The most that a block has had of its samples. */
function near(index: u32, n: u32, threshold: u32): void {
  const ring: usize = JIT_HOT_BASE + index * JIT_HOT_STRIDE;
  const part: u32 = threshold == 0 ? 8 : (n << 3) / threshold;
  if (part > load<u32>(ring, HOT_NEAR)) store<u32>(ring, part, HOT_NEAR);
}

/** Majority vote over the samples' pages (Boyer and Moore). */
function vote(v: BlockVars, page: u32): void {
  if (page == v.vote_page) {
    if (v.votes < VOTES_MAX) v.votes++;
  } else if (v.votes > 0) v.votes--;
  else {
    v.vote_page = page;
    v.votes = 1;
  }
}

/** A sample found the translation at `index` of the table at work. */
function used(index: u32, translation: u32): void {
  const at: usize = JIT_HOT_BASE + index * JIT_HOT_STRIDE + USED_LIST;
  const n = load<u32>(at);
  if (n >= USED_MAX) return;
  store<u32>(at + ((n + 1) << 2), translation);
  store<u32>(at, n + 1);
}

/** False: the list is full. */
function hot(index: u32, v: BlockVars, blk: usize): bool {
  const ring: usize = JIT_HOT_BASE + index * JIT_HOT_STRIDE;
  const put = load<u32>(ring, HOT_PUT);
  if (put - atomic.load<u32>(ring, HOT_TAKEN) >= JIT_HOT_MAX) {
    store<u32>(ring, load<u32>(ring, HOT_LOST) + 1, HOT_LOST);
    return false;
  }
  const e = ring + HOT_LIST + ((put & (JIT_HOT_MAX - 1)) << 3);
  store<u32>(e, <u32>blk | u32(v.votes >= URGENT && load<u32>(blk, B_PA) >> 12 == v.vote_page));
  store<u32>(e, v.flushes, 4);
  atomic.store<u32>(ring, put + 1, HOT_PUT);
  return true;
}

/**
 * The function at `index` of the table runs block `blk` as its `entry`; the block is of generation `gen`, decoded before the `flushes`-th time
 * all were dropped. From the vCPU's own thread. False: the block is gone or its bytes have changed.
 */
export function jit_install(cpu: usize, blk: usize, index: u32, entry: u32, gen: u32, flushes: u32): bool {
  if (block_vars(cpu).flushes != flushes || load<u32>(blk, B_PA2) != NO_PAGE) return false;
  if (load<u32>(blk, B_GEN) != gen || load<u32>(<usize>load<u32>(blk, B_GEN_AT)) != gen) return false;
  store<u32>(blk, gen, B_GEN2);
  store<u32>(blk, (index << TABLE_SHIFT) | (entry << 1) | 1, B_PA2);
  store<u32>(blk, gen - 1, B_GEN);
  return true;
}

/**
 * The translation of `blk` at `index` of the table, decoded before the `flushes`-th time all were dropped, is given back: from now
 * on the block is interpreted, and may become hot again. One whose bytes have changed stays dead. One that was adopted anew
 * (uop/kept.ts) may have another translation by now, which stays.
 */
export function jit_remove(cpu: usize, blk: usize, index: u32, flushes: u32): void {
  if (block_vars(cpu).flushes != flushes || load<u32>(blk, B_PA2) >> TABLE_SHIFT != index) return;
  if (translated(blk)) store<u32>(blk, load<u32>(blk, B_GEN2), B_GEN);
  store<u32>(blk, NO_PAGE, B_PA2);
  store<u32>(blk, (block_vars(cpu).samples >> EPOCH_SHIFT) << 16, B_GEN2);
}

/** Offsets that translated code uses, as words from JIT_BASE: vmm/jit/layout.ts has the names in this order. */
export function jit_offsets(): void {
  const at: usize = JIT_BASE;
  store<u32>(at, offsetof<Cpu>('block'));
  store<u32>(at, offsetof<Cpu>('rip'), 4);
  store<u32>(at, offsetof<Cpu>('flag_res'), 8);
  store<u32>(at, offsetof<Cpu>('flag_a'), 12);
  store<u32>(at, offsetof<Cpu>('flag_b'), 16);
  store<u32>(at, offsetof<Cpu>('flag_op'), 20);
  store<u32>(at, offsetof<Cpu>('eflags'), 24);
  store<u32>(at, offsetof<Cpu>('fault'), 28);
  store<u32>(at, offsetof<Cpu>('pending'), 32);
  store<u32>(at, <u32>tlb_user(0), 36);
  store<u32>(at, offsetof<Cpu>('tlb_gen'), 40);
  store<u32>(at, offsetof<Cpu>('mode'), 44);
  store<u32>(at, offsetof<Cpu>('cr0'), 48);
  store<u32>(at, offsetof<Cpu>('cr4'), 52);
  store<u32>(at, offsetof<Cpu>('mxcsr'), 56);
  store<u32>(at, <u32>BLOCK_CURRENT, 60);
  store<u32>(at, <u32>JIT_NEXT, 64);
  store<u32>(at, JUMP_CACHE, 68);
  store<u32>(at, CPU_SEGS, 72);
  store<u32>(at, CPU_XMM, 76);
  store<u32>(at, <u32>MARK, 80);
  store<u32>(at, RAM_BASE, 84);
  store<u32>(at, PRIVATE_VARS + offsetof<BlockVars>('hash'), 88);
  store<u32>(at, PRIVATE_VARS + offsetof<BlockVars>('hash_mask'), 92);
  store<u32>(at, PRIVATE_VARS + offsetof<BlockVars>('jit_insns'), 96);
  store<u32>(at, <u32>tlb_sys(0), 100);
  store<u32>(at, PRIVATE_VARS + offsetof<BlockVars>('flushes'), 104);
}
