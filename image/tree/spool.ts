import { closeSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { type ByteSource, FdSource, type FileContent, writeFully } from './content.ts';
import { openNameless } from './nameless.ts';
import { ExtentList, HOLE_BLOCK, isZeroBlock } from './zeros.ts';

const BUFFER_SIZE = 1 << 20;
const ZEROS = Buffer.alloc(64 * 1024);

/** Runs of zeros become holes from this length on; shorter ones would only cut files up. */
const MIN_HOLE = 64 * 1024;

/** A temporary file without a name that takes file data until the image is written. */
export class Spool {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #used = 0;
  #flushed = 0;
  readonly source: ByteSource;

  /** In `folder`, which should be on a disk with room for the image. Throws IMAGE_WRITE. */
  constructor(folder: string) {
    try {
      this.#fd = openNameless(folder);
    } catch (cause) {
      throw new VmmError('IMAGE_WRITE', `cannot create a temporary file in ${folder}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, {
        cause,
        hint: 'the folder has to be writable and have space',
      });
    }
    const file = new FdSource(this.#fd, 'the temporary file');
    this.source = {
      read: (into, position) => {
        this.#flush();
        file.read(into, position);
      },
      release: () => {},
    };
  }

  /** Adds bytes; returns where they start. */
  append(bytes: Uint8Array): number {
    const at = this.#flushed + this.#used;
    if (bytes.length > BUFFER_SIZE - this.#used) this.#flush();
    if (bytes.length >= BUFFER_SIZE) {
      writeFully(this.#fd, bytes, this.#flushed, 'the temporary file');
      this.#flushed += bytes.length;
    } else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
    return at;
  }

  /** Contents that refer to it are unusable afterwards. */
  close(): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    if (this.#used === 0) return;
    writeFully(this.#fd, this.#buffer.subarray(0, this.#used), this.#flushed, 'the temporary file');
    this.#flushed += this.#used;
    this.#used = 0;
  }
}

/** Where a builder's data goes, or already lies. */
export interface DataSink {
  readonly source: ByteSource;
  /** Keeps bytes that start at `archiveOffset` of the archive; returns where they lie in `source`. */
  keep(bytes: Uint8Array, archiveOffset: number): number;
  /** The same for zeros. */
  keepZeros(length: number, archiveOffset: number): number;
}

export function spoolSink(spool: Spool): DataSink {
  return {
    source: spool.source,
    keep: (bytes) => spool.append(bytes),
    keepZeros: (length) => {
      let at = -1;
      for (let left = length; left > 0; left -= ZEROS.length) {
        const start = spool.append(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
        if (at < 0) at = start;
      }
      return at;
    },
  };
}

/** For an archive that is a plain file: its data stays where it is. */
export function inPlaceSink(source: ByteSource, base: number): DataSink {
  return {
    source,
    keep: (_, archiveOffset) => base + archiveOffset,
    keepZeros: (_, archiveOffset) => base + archiveOffset,
  };
}

/**
 * Builds a file's content from the stretches of data that a tar reader delivers. Long runs of
 * zero blocks become holes, found the same way however the data was cut into chunks, so that
 * the image does not depend on the archive's compression.
 */
export class ContentBuilder {
  readonly #sink: DataSink;
  readonly #list = new ExtentList();
  readonly #size: number;
  /** Stretches of the file, ascending; the data goes there in order. */
  readonly #stretches: readonly { offset: number; length: number }[];
  #stretch = 0;
  /** Position in the current stretch. */
  #at = 0;
  /** Zeros before the current position that are not yet kept. */
  #zeros = 0;

  constructor(sink: DataSink, size: number, sparse?: readonly { offset: number; length: number }[]) {
    this.#sink = sink;
    this.#size = size;
    this.#stretches = sparse ?? [{ offset: 0, length: size }];
  }

  /** Takes the next bytes, which start at `archiveOffset` of the archive. */
  push(bytes: Uint8Array, archiveOffset: number): void {
    for (let done = 0; done < bytes.length; ) {
      const stretch = this.#stretches[this.#stretch];
      if (stretch === undefined) throw new RangeError('more data than the file has');
      const take = Math.min(bytes.length - done, stretch.length - this.#at);
      this.#run(bytes.subarray(done, done + take), stretch.offset + this.#at, archiveOffset + done);
      this.#at += take;
      done += take;
      if (this.#at === stretch.length) {
        this.#settle(stretch.offset + this.#at, archiveOffset + done);
        this.#stretch++;
        this.#at = 0;
      }
    }
  }

  finish(): FileContent {
    return { size: this.#size, extents: this.#list.extents };
  }

  /** Bytes of one stretch: everything up to the last block that is not zero is kept. */
  #run(bytes: Uint8Array, fileOffset: number, archiveOffset: number): void {
    if (this.#size < MIN_HOLE) {
      this.#list.add(fileOffset, bytes.length, this.#sink.source, this.#sink.keep(bytes, archiveOffset));
      return;
    }
    let dataStart = 0;
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + HOLE_BLOCK - ((fileOffset + at) % HOLE_BLOCK));
      if (isZeroBlock(bytes.subarray(at, end))) {
        if (this.#zeros === 0 && at > dataStart) this.#keep(bytes, dataStart, at, fileOffset, archiveOffset);
        this.#zeros += end - at;
      } else if (this.#zeros > 0) {
        this.#settle(fileOffset + at, archiveOffset + at);
        dataStart = at;
      }
      at = end;
    }
    if (this.#zeros === 0) this.#keep(bytes, dataStart, bytes.length, fileOffset, archiveOffset);
  }

  #keep(bytes: Uint8Array, start: number, end: number, fileOffset: number, archiveOffset: number): void {
    const at = this.#sink.keep(bytes.subarray(start, end), archiveOffset + start);
    this.#list.add(fileOffset + start, end - start, this.#sink.source, at);
  }

  /** Decides about the zeros that end at `fileOffset`: a hole, if enough whole blocks of them. */
  #settle(fileOffset: number, archiveOffset: number): void {
    const length = this.#zeros;
    if (length === 0) return;
    this.#zeros = 0;
    const start = fileOffset - length;
    const holeStart = Math.ceil(start / HOLE_BLOCK) * HOLE_BLOCK;
    const holeEnd = fileOffset === this.#size ? fileOffset : Math.floor(fileOffset / HOLE_BLOCK) * HOLE_BLOCK;
    if (holeEnd - holeStart < MIN_HOLE) {
      this.#keepZeros(start, length, archiveOffset - length);
      return;
    }
    this.#keepZeros(start, holeStart - start, archiveOffset - length);
    this.#keepZeros(holeEnd, fileOffset - holeEnd, archiveOffset - (fileOffset - holeEnd));
  }

  #keepZeros(fileOffset: number, length: number, archiveOffset: number): void {
    if (length === 0) return;
    this.#list.add(fileOffset, length, this.#sink.source, this.#sink.keepZeros(length, archiveOffset));
  }
}
