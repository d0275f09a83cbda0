import type { ByteString } from './names.ts';

/** What Node's fs cannot do; given by the caller (vmm/host), so that this folder needs no FFI. */
export interface HostFs {
  /**
   * Extended attributes of a file, not following a symbolic link (llistxattr, lgetxattr).
   * `path` is the path's bytes; names are byte strings. Undefined or empty when there are none.
   */
  readXattrs?(path: Uint8Array): ReadonlyMap<ByteString, Uint8Array> | undefined;
  /** Sets one of them (lsetxattr); false where the file system has none of its kind. */
  setXattr?(path: Uint8Array, name: ByteString, value: Uint8Array): boolean;
  /** mknod(2): a device's node or a FIFO; `mode` has the type in it. */
  makeNode?(path: Uint8Array, mode: number, major: number, minor: number): void;
  /** The file's stretches of data, ascending, by SEEK_DATA and SEEK_HOLE; undefined when unknown. */
  dataRanges?(fd: number, size: number): { offset: number; length: number }[] | undefined;
  /** flock(2) with LOCK_NB and LOCK_EX or LOCK_SH; false when somebody else holds it. */
  tryLock?(fd: number, how: 'alone' | 'shared'): boolean;
}

/** Loaded when it is needed; undefined where the FFI library is not there. */
export type LoadHost = () => Promise<HostFs | undefined>;
