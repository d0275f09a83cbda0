import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { bytesOf, type ByteString, quoteName } from './names.ts';

/** Where bytes of files lie. Reads are synchronous: the writer wants big blocks in order. */
export interface ByteSource {
  /**
   * Fills `into` from `position`. Throws IMAGE_SOURCE_CHANGED when the source ends early or
   * is no longer what it was when the tree was made.
   */
  read(into: Uint8Array, position: number): void;
  /** Called when the reader is done with it for now; a later `read` opens it again. */
  release(): void;
}

/** A stretch of a file that is stored somewhere; all numbers are bytes. */
export interface Extent {
  fileOffset: number;
  length: number;
  source: ByteSource;
  sourceOffset: number;
}

/** A file's bytes by reference. Extents ascend and do not overlap; gaps are holes (zeros). */
export interface FileContent {
  size: number;
  extents: readonly Extent[];
  /** Of a whole file of the host: what tells whether it has changed since. */
  stamp?: FileStamp;
}

export const EMPTY_CONTENT: FileContent = { size: 0, extents: [] };

/** Bytes held in memory: for small files that are generated. */
class BufferSource implements ByteSource {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(into: Uint8Array, position: number): void {
    if (position + into.length > this.#bytes.length) throw endedEarly('a generated file');
    into.set(this.#bytes.subarray(position, position + into.length));
  }

  release(): void {}
}

/** A file content held in memory: how tests make files. */
export function contentFromBytes(bytes: Uint8Array): FileContent {
  if (bytes.length === 0) return EMPTY_CONTENT;
  return {
    size: bytes.length,
    extents: [{ fileOffset: 0, length: bytes.length, source: new BufferSource(bytes), sourceOffset: 0 }],
  };
}

/** What identifies a version of a file; compared before its bytes are used. */
export interface FileStamp {
  dev: bigint;
  ino: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}

function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return (
    a.dev === b.dev &&
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs
  );
}

/**
 * A file of the host, opened when read. Before the first byte and after the last one its
 * identity, size and times are compared with those of the walk, so a file that changes
 * while it is copied is found out.
 */
export class PathSource implements ByteSource {
  readonly #path: ByteString;
  readonly #stamp: FileStamp;
  #fd = -1;

  constructor(path: ByteString, stamp: FileStamp) {
    this.#path = path;
    this.#stamp = stamp;
  }

  read(into: Uint8Array, position: number): void {
    if (this.#fd < 0) this.#open();
    if (!readFully(this.#fd, into, position)) throw this.#changed();
  }

  release(): void {
    if (this.#fd < 0) return;
    try {
      if (!sameStamp(fstatSync(this.#fd, { bigint: true }), this.#stamp)) throw this.#changed();
    } finally {
      closeSync(this.#fd);
      this.#fd = -1;
    }
  }

  #open(): void {
    // O_NONBLOCK: were it replaced by a FIFO, the open must not wait for a writer.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    try {
      this.#fd = openSync(bytesOf(this.#path), flags);
    } catch (cause) {
      throw new VmmError('IMAGE_DIR_READ', `cannot read ${quoteName(this.#path)}`, { cause });
    }
    if (!sameStamp(fstatSync(this.#fd, { bigint: true }), this.#stamp)) {
      closeSync(this.#fd);
      this.#fd = -1;
      throw this.#changed();
    }
  }

  #changed(): VmmError {
    return new VmmError('IMAGE_SOURCE_CHANGED', `${quoteName(this.#path)} changed while it was read`, {
      hint: 'stop what writes to it, or import a copy',
    });
  }
}

/** Reads shorter than this are answered from a window: a sparse file may have a million stretches of some bytes each. */
const SMALL_READ = 16 << 10;
const WINDOW = 128 << 10;

/** A range of an open file that belongs to someone else, who closes it; its bytes do not change once they are there. */
export class FdSource implements ByteSource {
  readonly #fd: number;
  readonly #what: string;
  #window: Buffer | undefined;
  #windowAt = 0;
  #windowLength = 0;

  constructor(fd: number, what: string) {
    this.#fd = fd;
    this.#what = what;
  }

  read(into: Uint8Array, position: number): void {
    if (into.length < SMALL_READ && this.#fromWindow(into, position)) return;
    if (!readFully(this.#fd, into, position)) throw endedEarly(this.#what);
  }

  release(): void {}

  /** False at the file's end, which a read of its own finds out. */
  #fromWindow(into: Uint8Array, position: number): boolean {
    if (position < this.#windowAt || position + into.length > this.#windowAt + this.#windowLength) {
      this.#window ??= Buffer.allocUnsafeSlow(WINDOW);
      this.#windowAt = position;
      this.#windowLength = readSync(this.#fd, this.#window, 0, WINDOW, position);
      if (this.#windowLength < into.length) return false;
    }
    const start = position - this.#windowAt;
    this.#window?.copy(into, 0, start, start + into.length);
    return true;
  }
}

/** Reads until `into` is full; false at an early end. */
export function readFully(fd: number, into: Uint8Array, position: number): boolean {
  let done = 0;
  while (done < into.length) {
    const n = readSync(fd, into, done, into.length - done, position + done);
    if (n === 0) return false;
    done += n;
  }
  return true;
}

/** Writes all of `bytes` at the file's position `position`. Throws IMAGE_WRITE. */
export function writeFully(fd: number, bytes: Uint8Array, position: number, what: string): void {
  let done = 0;
  try {
    while (done < bytes.length) {
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
    }
  } catch (cause) {
    const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new VmmError('IMAGE_WRITE', `cannot write ${what}${full ? ': no space left' : ''}`, {
      cause,
      ...(full ? { hint: 'free some space, or remove unused images with `vmm image prune`' } : {}),
    });
  }
}

function endedEarly(what: string): VmmError {
  return new VmmError('IMAGE_SOURCE_CHANGED', `${what} ended before its recorded size`, {
    hint: 'it was truncated while it was read; import it again',
  });
}

/**
 * Fills `into` with the file's bytes from `offset`; holes read as zeros.
 * The range must lie inside the file. `first` is the index of an extent at or before
 * `offset`, to read a long list in order without searching; the index to go on with is returned.
 */
export function readContent(content: FileContent, into: Uint8Array, offset: number, first = 0): number {
  const end = offset + into.length;
  let at = offset;
  let i = first;
  const { extents } = content;
  while (at < end) {
    let extent = extents[i];
    while (extent !== undefined && extent.fileOffset + extent.length <= at) extent = extents[++i];
    if (extent === undefined || extent.fileOffset >= end) {
      into.fill(0, at - offset);
      break;
    }
    if (extent.fileOffset > at) {
      into.fill(0, at - offset, extent.fileOffset - offset);
      at = extent.fileOffset;
    }
    const stop = Math.min(end, extent.fileOffset + extent.length);
    extent.source.read(into.subarray(at - offset, stop - offset), extent.sourceOffset + at - extent.fileOffset);
    at = stop;
  }
  return i;
}

/** Tells every source of a file that the reader is done with it. */
export function releaseContent(content: FileContent): void {
  let last: ByteSource | undefined;
  for (const extent of content.extents) {
    if (extent.source !== last) extent.source.release();
    last = extent.source;
  }
}
