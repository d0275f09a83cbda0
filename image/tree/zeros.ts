import type { ByteSource, Extent } from './content.ts';

/** Granularity of holes: the block size of the file systems we read and write. */
export const HOLE_BLOCK = 4096;

const ZERO_BLOCK = Buffer.alloc(HOLE_BLOCK);

/** True when every byte of `bytes` (at most one block) is zero. */
export function isZeroBlock(bytes: Uint8Array): boolean {
  // Nearly all data blocks differ in their first bytes: look there before the native compare.
  if (bytes.length === 0) return true;
  if (bytes[0] !== 0 || bytes[bytes.length >> 1] !== 0) return false;
  return ZERO_BLOCK.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}

/**
 * Collects a file's extents from blocks that arrive in order, merging neighbours.
 */
export class ExtentList {
  readonly extents: Extent[] = [];

  add(fileOffset: number, length: number, source: ByteSource, sourceOffset: number): void {
    if (length === 0) return;
    const last = this.extents[this.extents.length - 1];
    if (
      last !== undefined &&
      last.source === source &&
      last.fileOffset + last.length === fileOffset &&
      last.sourceOffset + last.length === sourceOffset
    ) {
      last.length += length;
      return;
    }
    this.extents.push({ fileOffset, length, source, sourceOffset });
  }
}
