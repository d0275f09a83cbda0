import { PATH_MAX } from './names.ts';

/**
 * Bounds for an image that may be hostile. Far above any real image, low enough that an
 * import ends and fits in memory. Exceeding one is IMAGE_LIMIT.
 */
export interface ImportLimits {
  /** Archive entries of all layers together, with the parent directories they imply. */
  maxEntries: number;
  /** Bytes of names, link targets and attributes of all entries together (they stay in memory). */
  maxMetadataBytes: number;
  /** Bytes of one extended header (PAX, GNU long name). */
  maxHeaderBytes: number;
  /** Bytes that all layers may decompress to, and the size of the finished image. */
  maxTotalBytes: number;
  /** Bytes of one path. */
  maxPathBytes: number;
  /** Components of one path. */
  maxDepth: number;
  /** Stretches of data in one sparse file. */
  maxSparseExtents: number;
  /**
   * Output over input of a decompressor, once it has put out `ratioFloor` bytes. gzip reaches
   * 1032 at most; zstd and xz exceed this only on data made for it.
   */
  maxRatio: number;
  ratioFloor: number;
}

export const DEFAULT_LIMITS: Readonly<ImportLimits> = {
  maxEntries: 2_000_000,
  maxMetadataBytes: 512 << 20,
  maxHeaderBytes: 4 << 20,
  maxTotalBytes: 256 * 2 ** 30,
  maxPathBytes: PATH_MAX,
  maxDepth: 1024,
  maxSparseExtents: 1_000_000,
  maxRatio: 1100,
  ratioFloor: 2 ** 30,
};
