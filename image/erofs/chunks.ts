import type { FileContent } from '../tree/content.ts';
import { BLOCK_SIZE } from './format.ts';

/** At most so many block addresses behind an inode (64 MiB); larger files get larger chunks: 64 GiB of many small stretches has a block for each. */
const MAX_CHUNKS = 2 ** 24;

/** How a sparse file is stored: chunks of one size, those without data left out. */
export interface ChunkPlan {
  /** log2(chunk size / block size) */
  bits: number;
  /** Chunks of the whole file, holes included. */
  count: number;
  /** Runs [first, end) of chunks that hold data, ascending. */
  stored: { first: number; end: number }[];
  /** Blocks of all stored chunks. */
  blocks: number;
}

/**
 * A plan when leaving out holes saves at least a block, else undefined: stored flat. The chunk
 * size is the one that takes least space for data and block addresses together.
 */
export function planChunks(content: FileContent): ChunkPlan | undefined {
  const { size, extents } = content;
  const only = extents[0];
  if (size <= BLOCK_SIZE || (extents.length === 1 && only?.fileOffset === 0 && only.length === size)) return undefined;
  let best: ChunkPlan | undefined;
  let bestCost = Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
  for (let bits = 0; BLOCK_SIZE * 2 ** bits < size; bits++) {
    if (size / (BLOCK_SIZE * 2 ** bits) > MAX_CHUNKS) continue;
    const plan = planWith(content, bits);
    const cost = plan.blocks * BLOCK_SIZE + plan.count * 4;
    if (cost >= bestCost) continue;
    best = plan;
    bestCost = cost;
  }
  return best;
}

function planWith({ size, extents }: FileContent, bits: number): ChunkPlan {
  const chunkSize = BLOCK_SIZE * 2 ** bits;
  const stored: ChunkPlan['stored'] = [];
  for (const extent of extents) {
    if (extent.length === 0) continue;
    const first = Math.floor(extent.fileOffset / chunkSize);
    const end = Math.ceil((extent.fileOffset + extent.length) / chunkSize);
    const last = stored[stored.length - 1];
    if (last !== undefined && first <= last.end) last.end = Math.max(last.end, end);
    else stored.push({ first, end });
  }
  const blocks = stored.reduce((sum, run) => sum + chunkRunBlocks(run, bits, size), 0);
  return { bits, count: Math.ceil(size / chunkSize), stored, blocks };
}

/** Blocks of a run of stored chunks; the file's last chunk ends with the file. */
export function chunkRunBlocks(run: { first: number; end: number }, bits: number, size: number): number {
  const chunkBlocks = 2 ** bits;
  const fileBlocks = Math.ceil(size / BLOCK_SIZE);
  return Math.min(run.end * chunkBlocks, fileBlocks) - run.first * chunkBlocks;
}
