import type { HostFs } from '../../image/index.ts';

/**
 * What an import of a directory needs beyond Node's fs: extended attributes and the holes of sparse files, by FFI.
 * Undefined where the FFI library does not load; such an import is still whole but for these.
 */
export async function hostFs(): Promise<HostFs | undefined> {
  try {
    const { ffi } = await import('../host/ffi.ts');
    ffi();
    const { dataRanges, readXattrs } = await import('../host/sys.ts');
    return {
      readXattrs,
      dataRanges: (fd, size) => dataRanges(fd, size).map(([start, end]) => ({ offset: start, length: end - start })),
    };
  } catch {
    return undefined;
  }
}
