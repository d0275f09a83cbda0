import type { HostFs } from '../../image/index.ts';

// <sys/file.h>
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * What a change of the store, an import of a directory and unpacking into one need beyond Node's fs: extended attributes, nodes of devices, the holes of
 * sparse files, locks, by FFI.
 * Undefined where the FFI library does not load; such an import is still whole but for these.
 */
export async function hostFs(): Promise<HostFs | undefined> {
  try {
    const { ffi } = await import('../host/ffi.ts');
    ffi();
    const { dataRanges, flock, makeNode, readXattrs, setXattr } = await import('../host/sys.ts');
    return {
      readXattrs,
      setXattr,
      makeNode,
      tryLock: (fd, how) => flock(fd, (how === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB),
      dataRanges: (fd, size) => dataRanges(fd, size).map(([start, end]) => ({ offset: start, length: end - start })),
    };
  } catch {
    return undefined;
  }
}
