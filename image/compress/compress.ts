import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { VmmError } from '../../base/errors.ts';
import { bunzip2 } from './bunzip2.ts';
import { DEFAULT_LIMITS, type ImportLimits } from '../tree/limits.ts';
import { ZstdFrames } from './zstd-frames.ts';

export type Compression = 'plain' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Bytes `recognise` wants to see. */
const MAGIC_LENGTH = 6;

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

/** Chunk size of decompressed data: each is one pass through the tar reader. */
const OUTPUT_CHUNK = 256 * 1024;

/** The compression of data that starts with `start`; "plain" is anything else. */
export function recognise(start: Uint8Array): Compression {
  for (const [name, magic] of MAGICS) if (magic.every((byte, i) => start[i] === byte)) return name;
  // A zstd stream may start with a skippable frame (RFC 8878 section 3.1.2).
  const skippable = start[0] !== undefined && (start[0] & 0xf0) === 0x50 && [0x2a, 0x4d, 0x18].every((b, i) => start[i + 1] === b);
  return skippable ? 'zstd' : 'plain';
}

export interface Decompressed {
  compression: Compression;
  /** The decompressed bytes; a chunk is valid until the next one is asked for. */
  stream: AsyncIterable<Uint8Array>;
}

/**
 * Recognises the compression of `source` by its first bytes and undoes it, as a stream with
 * bounded memory. Several gzip members or zstd frames in a row are one stream.
 *
 * Errors come from the stream: IMAGE_COMPRESSED for damaged, truncated or unsupported data,
 * IMAGE_LIMIT beyond `limits.maxTotalBytes` or its ratio.
 */
export async function decompress(
  source: AsyncIterable<Uint8Array>,
  limits: Partial<ImportLimits> = {},
): Promise<Decompressed> {
  const all = { ...DEFAULT_LIMITS, ...limits };
  const { start, rest } = await peek(source, MAGIC_LENGTH);
  const compression = recognise(start);
  const input: Input = { bytes: 0, error: undefined };
  return { compression, stream: bounded(undo(compression, rest, input), compression, input, all) };
}

/** What came from the source. */
interface Input {
  bytes: number;
  error: unknown;
}

async function* undo(compression: Compression, rest: AsyncIterable<Uint8Array>, input: Input): AsyncGenerator<Uint8Array> {
  const source = observed(rest, input);
  try {
    switch (compression) {
      case 'plain':
        yield* source;
        return;
      case 'gzip':
        yield* through(source, zlib.createGunzip({ chunkSize: OUTPUT_CHUNK }));
        return;
      case 'zstd':
        yield* unzstd(source);
        return;
      case 'xz':
        yield* unxz(source);
        return;
      default:
        yield* bunzip2(source);
    }
  } catch (cause) {
    // A failing source is no damaged data.
    if (input.error !== undefined) throw input.error;
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('IMAGE_COMPRESSED', `${compression} data is damaged or incomplete`, {
      cause,
      hint: 'fetch or build the image again',
    });
  }
}

/** Runs a Node transform between two async iterables, passing errors of both on. */
async function* through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Uint8Array> {
  const fed = pipeline(Readable.from(source, { objectMode: false }), transform);
  // The error also surfaces where the output is read; without this it would be unhandled there.
  fed.catch(() => {});
  try {
    yield* transform;
    await fed;
  } finally {
    transform.destroy();
  }
}

/** Node's zstd stops after the first frame, so frames are fed one by one. */
async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames(source);
  for (let frame = await frames.next(); frame !== undefined; frame = await frames.next()) {
    yield* through(frame, zlib.createZstdDecompress({ chunkSize: OUTPUT_CHUNK }));
  }
}

async function* unxz(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { XzReadableStream } = await loadXz();
  const input = Readable.toWeb(Readable.from(source, { objectMode: false })) as unknown as ReadableStream<Uint8Array>;
  const reader = new XzReadableStream(input).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

interface XzModule {
  XzReadableStream: new (source: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;
}

/** Loaded when needed: its start compiles a WebAssembly module. */
async function loadXz(): Promise<XzModule> {
  const module = (await import('xz-decompress')) as unknown as XzModule & { default?: XzModule };
  return module.default ?? module;
}

/** Counts what a source gives and remembers how it failed. */
async function* observed(source: AsyncIterable<Uint8Array>, input: Input): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of source) {
      input.bytes += chunk.length;
      yield chunk;
    }
  } catch (error) {
    input.error = error;
    throw error;
  }
}

async function* bounded(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  input: Input,
  limits: ImportLimits,
): AsyncGenerator<Uint8Array> {
  let output = 0;
  for await (const chunk of source) {
    output += chunk.length;
    if (output > limits.maxTotalBytes) {
      throw new VmmError('IMAGE_LIMIT', `the data is larger than ${limits.maxTotalBytes} bytes`);
    }
    if (output > limits.ratioFloor && output > input.bytes * limits.maxRatio) {
      throw new VmmError('IMAGE_LIMIT', `${compression} data expands more than ${limits.maxRatio} times (${input.bytes} bytes to over ${output})`, {
        hint: 'it looks like a decompression bomb; unpack it yourself if you trust it',
      });
    }
    yield chunk;
  }
}

/** The first bytes of a stream, and the whole stream again. */
async function peek(
  source: AsyncIterable<Uint8Array>,
  length: number,
): Promise<{ start: Uint8Array; rest: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let have = 0;
  while (have < length) {
    const next = await iterator.next();
    if (next.done === true) break;
    if (next.value.length === 0) continue;
    // Sources may reuse their buffer for the next chunk.
    const chunk = have + next.value.length < length ? Uint8Array.from(next.value) : next.value;
    head.push(chunk);
    have += chunk.length;
  }
  const start = Buffer.concat(head.map((chunk) => chunk.subarray(0, length))).subarray(0, length);
  async function* rest(): AsyncGenerator<Uint8Array> {
    try {
      yield* head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { start, rest: rest() };
}
