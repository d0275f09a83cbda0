/**
 * Decoded blocks of our own kernel that come with it (vmm/core/kept-blocks.ts): a boot decodes some 57,000, the same ones each time. They lie at
 * KEPT_BASE. Those of a page are adopted when the page has a block to be decoded: the guest's bytes are compared with those that the blocks were made
 * of, and those whose bytes are the same stand as if they had been decoded now. From then on they are blocks like others.
 * They are vCPU 0's. The layout is assembly/contract/kept.ts.
 */
import {
  KEPT_BLOCKS_USED, KEPT_FIRST, KEPT_FLUSHES, KEPT_MODE, KEPT_PAGES, KEPT_PAGES_USED, KEPT_RECORDS, KEPT_SIZE_BYTES, KEPT_USED, NO_FLUSHES, R_BLOCK,
  R_BLOCKS, R_BYTES, R_GEN, R_KNOWN, R_LINES, R_LIST, R_RUNS, RUN_FROM, RUN_LENGTH, RUN_SIZE,
} from '../../contract/kept';
import { UOP_SIZE } from '../../contract/translator';
import { CODE_MARK_BASE, KEPT_BASE, LINE_MASK_BASE, RAM_BASE } from '../../core/layout';
import { gen_at } from '../../core/code';
import { Cpu } from '../vcpu/state';
import { B_BYTES, B_GEN, B_GEN2, B_PA, B_PA2, block_chained, block_find, block_insert, block_vars, NO_PAGE } from './blocks';

/** The block at `pa`, if it is kept and its page is adopted just now; else 0, and it is to be decoded. */
export function kept_block(cpu: usize, pa: u32, mode: u32): usize {
  if (!atomic.load<u32>(KEPT_BASE + KEPT_USED) || changetype<Cpu>(cpu).index || mode != load<u32>(KEPT_BASE + KEPT_MODE)) return 0;
  const page = (pa >> 12) - load<u32>(KEPT_BASE + KEPT_FIRST);
  const v = block_vars(cpu);
  if (page >= load<u32>(KEPT_BASE + KEPT_PAGES) || v.debug) return 0; // a debugger's blocks end before its breakpoints
  const record: usize = load<u32>(KEPT_BASE + KEPT_RECORDS + (page << 2));
  if (record == 0) return 0;
  const flushes = load<u32>(KEPT_BASE + KEPT_FLUSHES);
  if (flushes == NO_FLUSHES) store<u32>(KEPT_BASE + KEPT_FLUSHES, v.flushes);
  else if (flushes != v.flushes) return 0; // their links may lead to blocks that are no more
  const gen = atomic.load<u32>(gen_at(pa));
  if (load<u32>(record, R_KNOWN) && load<u32>(record, R_GEN) == gen) return 0;
  adopt(cpu, record, pa & ~0xfff, gen);
  return block_find(cpu, pa, mode);
}

/** Makes the blocks of the page at `pa` those of its generation `gen`. */
function adopt(cpu: usize, record: usize, pa: u32, gen: u32): void {
  const known = load<u32>(record, R_KNOWN);
  store<u32>(record, gen, R_GEN);
  store<u32>(record, 1, R_KNOWN);
  // as the decoder: marks first, then the bytes
  atomic.store<u8>(CODE_MARK_BASE + (pa >> 12), 1);
  atomic.or<u64>(LINE_MASK_BASE + ((pa >> 12) << 3), load<u64>(record, R_LINES));
  const same = unchanged(record, pa);
  const blocks = load<u32>(record, R_BLOCKS);
  const sizes: usize = record + R_LIST + load<u32>(record, R_RUNS) * RUN_SIZE;
  let blk: usize = load<u32>(record, R_BLOCK);
  let used: u32 = 0;
  for (let i: u32 = 0; i < blocks; i++) {
    const fits = same || unchanged_block(record, blk);
    store<u32>(blk, fits ? gen : gen - 1, B_GEN);
    store<u32>(blk, NO_PAGE, B_PA2);
    store<u32>(blk, 0, B_GEN2);
    if (fits && !(known && block_chained(cpu, blk))) block_insert(cpu, blk);
    used += u32(fits);
    blk += <usize>load<u16>(sizes + i * KEPT_SIZE_BYTES) * UOP_SIZE;
  }
  store<u32>(KEPT_BASE + KEPT_PAGES_USED, load<u32>(KEPT_BASE + KEPT_PAGES_USED) + 1);
  store<u32>(KEPT_BASE + KEPT_BLOCKS_USED, load<u32>(KEPT_BASE + KEPT_BLOCKS_USED) + used);
  if (changetype<Cpu>(cpu).cpus > 1) look_again(record, gen);
}

/** A store of another vCPU may have been on its way when its mark was looked at, as for block_build: by now it has come. */
function look_again(record: usize, gen: u32): void {
  const sizes: usize = record + R_LIST + load<u32>(record, R_RUNS) * RUN_SIZE;
  let blk: usize = load<u32>(record, R_BLOCK);
  const blocks = load<u32>(record, R_BLOCKS);
  for (let i: u32 = 0; i < blocks; i++) {
    if (load<u32>(blk, B_GEN) == gen && !unchanged_block(record, blk)) store<u32>(blk, gen - 1, B_GEN);
    blk += <usize>load<u16>(sizes + i * KEPT_SIZE_BYTES) * UOP_SIZE;
  }
}

/** All runs of the page at `pa` are what they were. */
function unchanged(record: usize, pa: u32): bool {
  let bytes: usize = load<u32>(record, R_BYTES);
  const runs = load<u32>(record, R_RUNS);
  for (let i: u32 = 0; i < runs; i++) {
    const run = record + R_LIST + i * RUN_SIZE;
    const length = load<u16>(run, RUN_LENGTH);
    if (!equal(RAM_BASE + pa + load<u16>(run, RUN_FROM), bytes, length)) return false;
    bytes += length;
  }
  return true;
}

/** The bytes of one block are; each lies in one run. */
function unchanged_block(record: usize, blk: usize): bool {
  let bytes: usize = load<u32>(record, R_BYTES);
  const pa = load<u32>(blk, B_PA);
  const at = pa & 0xfff;
  const runs = load<u32>(record, R_RUNS);
  for (let i: u32 = 0; i < runs; i++) {
    const run = record + R_LIST + i * RUN_SIZE;
    const from: u32 = load<u16>(run, RUN_FROM);
    const length: u32 = load<u16>(run, RUN_LENGTH);
    if (at - from < length) return equal(RAM_BASE + pa, bytes + (at - from), load<u16>(blk, B_BYTES));
    bytes += length;
  }
  return false;
}

function equal(a: usize, b: usize, length: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= length; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  for (; i < length; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}
