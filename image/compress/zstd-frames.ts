import { VmmError } from '../../base/errors.ts';

/**
 * Largest window a frame may ask for: what `zstd -d` accepts without --memory. It is memory
 * that the decoder allocates on the word of the data.
 */
const MAX_WINDOW = 128 * 2 ** 20;

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** Magic, descriptor, window, dictionary id, content size at their longest. */
const MAX_FRAME_HEADER = 18;

/**
 * Cuts a zstd stream into frames without decoding it (RFC 8878 section 3.1): frame header,
 * blocks, each with its size in three bytes, and an optional checksum. Skippable frames are
 * dropped. Each frame must be read to its end before the next is asked for.
 */
export class ZstdFrames {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next data frame, from its magic to its checksum; undefined at the stream's end. */
  async next(): Promise<AsyncIterable<Uint8Array> | undefined> {
    for (;;) {
      await this.#fill(MAX_FRAME_HEADER);
      if (this.#buffer.length === 0) return undefined;
      if (this.#buffer.length < 5) throw damaged('it ends within a frame header');
      const magic = this.#buffer.readUInt32LE(0);
      if (magic === FRAME_MAGIC) return this.#frame();
      if ((magic & 0xfffffff0) >>> 0 !== SKIPPABLE_MAGIC) throw damaged('there is no frame where one should start');
      if (this.#buffer.length < 8) throw damaged('it ends within a skippable frame');
      let skip = 8 + this.#buffer.readUInt32LE(4);
      while (skip > 0) skip -= (await this.#take(skip)).length;
    }
  }

  async *#frame(): AsyncGenerator<Uint8Array> {
    const header = parseFrameHeader(this.#buffer);
    let left = header.length;
    while (left > 0) {
      const piece = await this.#take(left);
      left -= piece.length;
      yield piece;
    }
    for (let last = false; !last; ) {
      await this.#fill(3);
      if (this.#buffer.length < 3) throw damaged('it ends within a frame');
      const block = this.#buffer.readUIntLE(0, 3);
      last = (block & 1) === 1;
      // An RLE block stores one byte, whatever its size.
      left = 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
      while (left > 0) {
        const piece = await this.#take(left);
        left -= piece.length;
        yield piece;
      }
    }
    for (left = header.checksum ? 4 : 0; left > 0; ) {
      const piece = await this.#take(left);
      left -= piece.length;
      yield piece;
    }
  }

  /** Between 1 and `most` bytes; throws at the end of the stream. */
  async #take(most: number): Promise<Buffer> {
    if (this.#buffer.length === 0) await this.#fill(1);
    if (this.#buffer.length === 0) throw damaged('it ends within a frame');
    const piece = this.#buffer.subarray(0, most);
    this.#buffer = this.#buffer.subarray(piece.length);
    return piece;
  }

  /** Has `length` bytes at hand, fewer only at the end of the stream. */
  async #fill(length: number): Promise<void> {
    while (this.#buffer.length < length) {
      const next = await this.#source.next();
      if (next.done === true) return;
      const { buffer, byteOffset, byteLength } = next.value;
      const chunk = Buffer.from(buffer, byteOffset, byteLength);
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    }
  }
}

function parseFrameHeader(bytes: Buffer): { length: number; checksum: boolean } {
  const descriptor = bytes[4] as number;
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >> 6;
  const dictionaryLength = [0, 1, 2, 4][descriptor & 3] as number;
  const contentSizeLength = contentSizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << contentSizeFlag;
  const windowLength = singleSegment ? 0 : 1;
  const length = 5 + windowLength + dictionaryLength + contentSizeLength;
  if (bytes.length < length) throw damaged('it ends within a frame header');
  if (bytes.subarray(5 + windowLength, 5 + windowLength + dictionaryLength).some((byte) => byte !== 0)) {
    throw damaged('it needs a dictionary');
  }
  const window = singleSegment
    ? contentSize(bytes, 5 + dictionaryLength, contentSizeLength)
    : windowSize(bytes[5] as number);
  if (window > MAX_WINDOW) {
    throw new VmmError('IMAGE_COMPRESSED', `zstd data needs a window of ${window} bytes; at most ${MAX_WINDOW} are accepted`, {
      hint: 'recompress it without --ultra or --long',
    });
  }
  return { length, checksum: (descriptor & 4) !== 0 };
}

/** RFC 8878 section 3.1.1.1.2. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSize(bytes: Buffer, at: number, length: number): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, length) + (length === 2 ? 256 : 0);
}

function damaged(why: string): VmmError {
  return new VmmError('IMAGE_COMPRESSED', `zstd data is damaged or incomplete: ${why}`);
}
