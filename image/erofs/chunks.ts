import type { FileContent } from '../tree/content.ts';
import { BLOCK_SIZE } from './format.ts';

/** At most so many block addresses behind an inode (256 KiB); larger files get larger chunks. */
const MAX_CHUNKS = 65536;

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

/** A plan when leaving out holes saves at least a block, else undefined: stored flat. */
export function planChunks(content: FileContent): ChunkPlan | undefined {
  const { size, extents } = content;
  const only = extents[0];
  if (size <= BLOCK_SIZE || (extents.length === 1 && only?.fileOffset === 0 && only.length === size)) return undefined;
  let bits = 0;
  while (size / (BLOCK_SIZE * 2 ** bits) > MAX_CHUNKS) bits++;
  const chunkSize = BLOCK_SIZE * 2 ** bits;
  const count = Math.ceil(size / chunkSize);
  const stored: ChunkPlan['stored'] = [];
  let chunks = 0;
  for (const extent of extents) {
    if (extent.length === 0) continue;
    const end = Math.ceil((extent.fileOffset + extent.length) / chunkSize);
    const last = stored[stored.length - 1];
    let first = Math.floor(extent.fileOffset / chunkSize);
    if (last !== undefined && first <= last.end) {
      first = last.end;
      if (end > last.end) last.end = end;
    } else {
      stored.push({ first, end });
    }
    chunks += Math.max(0, end - first);
  }
  if (chunks === count) return undefined;
  const blocks = stored.reduce((sum, run) => sum + chunkRunBlocks(run, bits, size), 0);
  return { bits, count, stored, blocks };
}

/** Blocks of a run of stored chunks; the file's last chunk ends with the file. */
export function chunkRunBlocks(run: { first: number; end: number }, bits: number, size: number): number {
  const chunkBlocks = 2 ** bits;
  const fileBlocks = Math.ceil(size / BLOCK_SIZE);
  return Math.min(run.end * chunkBlocks, fileBlocks) - run.first * chunkBlocks;
}
