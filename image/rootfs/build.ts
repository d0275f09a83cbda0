import { createHash, type Hash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { decompress } from '../compress/compress.ts';
import { type ErofsOptions, type ErofsResult, writeErofs, writeErofsTo } from '../erofs/writer.ts';
import { type ImportNotes, type LayerOptions, LayerStack } from './layers.ts';
import type { ImportLimits } from '../tree/limits.ts';
import { TarReader } from '../tar/reader.ts';
import { FdSource } from '../tree/content.ts';
import type { DirNode } from '../tree/node.ts';
import type { Progress } from '../tree/progress.ts';
import { inPlaceSink, Spool, spoolSink } from '../tree/spool.ts';

/** A file, or a range of one (a member of an archive that is stored whole). */
export interface FileRange {
  path: string;
  /** Bytes; default 0. */
  offset?: number;
  /** Bytes; default: to the file's end. */
  length?: number;
}

/** One layer: a tar archive, plain or compressed in any way that `decompress` knows. */
export interface LayerSource extends LayerOptions {
  /** What messages call it. */
  name: string;
  /**
   * Its bytes. Data of a plain tar file is copied straight from the file; anything else goes
   * through a temporary file.
   */
  data: FileRange | AsyncIterable<Uint8Array>;
  /** "sha256:<hex>" or "sha512:<hex>" of the bytes as they are; checked when given. */
  digest?: string;
  /** "sha256:<hex>" of the decompressed bytes (OCI diff_ids); checked when given. */
  diffId?: string;
}

/** A file that is written to by its descriptor. */
export interface OpenFile {
  readonly fd: number;
  /** What messages call it. */
  readonly name: string;
}

export interface BuildOptions {
  /** Lowest first. */
  layers: readonly LayerSource[];
  /** Path of the image to write, which appears whole or not at all; or an open, empty file, which is the caller's to name and to close. */
  out: string | OpenFile;
  limits?: Partial<ImportLimits>;
  /** Folder for the temporary file; default: that of the path `out`, else the system's. */
  tempDir?: string;
  /** Changes the tree before it is written. Give a `contentKey` that covers the change. */
  adjust?: (tree: DirNode) => void;
  /** Source of the file system's UUID; default: the chain ID. */
  contentKey?: string;
  /** See ErofsOptions. */
  fsync?: boolean;
  hash?: boolean;
  progress?: Progress;
  signal?: AbortSignal;
}

export interface BuildResult extends ErofsResult {
  /** "sha256:<hex>" of each layer, decompressed; tests compare it. */
  diffIds: string[];
  /** OCI image spec, config.md, "Layer ChainID"; "" without layers. Tests compare it. */
  chainId: string;
  notes: ImportNotes;
}

/**
 * Builds the EROFS image of a stack of layers. Bounded memory: only names and metadata are
 * held. Nothing but `out` and a nameless temporary file is ever written.
 *
 * Throws IMAGE_OPEN, IMAGE_DIGEST, IMAGE_COMPRESSED, IMAGE_TAR_*, IMAGE_LIMIT,
 * IMAGE_SOURCE_CHANGED, IMAGE_WRITE, IMAGE_EROFS_LIMIT; the layer's name leads the message.
 */
export async function buildRootfs(options: BuildOptions): Promise<BuildResult> {
  const stack = new LayerStack(options.limits);
  const resources = new Resources(options.tempDir ?? (typeof options.out === 'string' ? dirname(options.out) : tmpdir()));
  try {
    return await build(options, stack, resources);
  } finally {
    resources.close();
  }
}

async function build(options: BuildOptions, stack: LayerStack, resources: Resources): Promise<BuildResult> {
  const diffIds: string[] = [];
  for (const layer of options.layers) {
    options.signal?.throwIfAborted();
    try {
      diffIds.push(await applyLayer(layer, stack, resources, options));
    } catch (error) {
      throw inLayer(layer.name, error);
    }
  }
  options.adjust?.(stack.root);
  const chainId = chainIdOf(diffIds);
  const erofs: ErofsOptions = {
    contentKey: options.contentKey ?? chainId,
    ...(options.limits?.maxTotalBytes === undefined ? {} : { maxSize: options.limits.maxTotalBytes }),
    ...(options.fsync === undefined ? {} : { fsync: options.fsync }),
    ...(options.hash === undefined ? {} : { hash: options.hash }),
    ...(options.progress === undefined ? {} : { progress: options.progress }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    // Before the image gets its name: did the files that were copied from stay the same?
    verify: () => resources.verify(),
  };
  const { out } = options;
  const result = typeof out === 'string' ? writeErofs(stack.root, out, erofs) : writeErofsTo(stack.root, out.fd, out.name, erofs);
  return { ...result, diffIds, chainId, notes: stack.notes };
}

/** Identifies a stack of layers (OCI image spec, config.md, "Layer ChainID"). */
export function chainIdOf(diffIds: readonly string[]): string {
  let chain = '';
  for (const diffId of diffIds) {
    chain = chain === '' ? diffId : `sha256:${createHash('sha256').update(`${chain} ${diffId}`).digest('hex')}`;
  }
  return chain;
}

async function applyLayer(
  layer: LayerSource,
  stack: LayerStack,
  resources: Resources,
  options: BuildOptions,
): Promise<string> {
  const file = Symbol.asyncIterator in layer.data ? undefined : resources.open(layer.data);
  const digest = layer.digest === undefined ? undefined : new DigestCheck(layer.digest, 'digest');
  const input = hashed(file?.read() ?? (layer.data as AsyncIterable<Uint8Array>), digest);
  const { compression, stream } = await decompress(input, options.limits);
  const sink = file !== undefined && compression === 'plain' ? file.sink() : spoolSink(resources.spool());
  const handler = stack.layer(sink, layer);
  const reader = new TarReader(handler, options.limits);
  const hash = createHash('sha256');
  for await (const chunk of stream) {
    options.signal?.throwIfAborted();
    hash.update(chunk);
    reader.push(chunk);
    resources.unpacked += chunk.length;
    options.progress?.({ stage: 'reading', done: resources.unpacked, total: undefined });
  }
  // The rest of the input after the compressed data, if any, belongs to the digest.
  for await (const _ of input);
  digest?.check();
  const diffId = `sha256:${hash.digest('hex')}`;
  // A wrong digest explains more than a truncated archive, so it is checked first.
  if (layer.diffId !== undefined && layer.diffId !== diffId) throw mismatch('diff_id', layer.diffId, diffId);
  if (!reader.end().endMarker) stack.notes.missingEndMarkers++;
  handler.finish();
  return diffId;
}

async function* hashed(source: AsyncIterable<Uint8Array>, digest: DigestCheck | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digest?.update(chunk);
    yield chunk;
  }
}

class DigestCheck {
  readonly #expected: string;
  readonly #what: string;
  readonly #algorithm: string;
  readonly #hash: Hash;

  constructor(expected: string, what: string) {
    const match = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.exec(expected);
    if (match === null) throw new VmmError('IMAGE_DIGEST', `${what} ${JSON.stringify(expected.slice(0, 80))} is not a sha256 or sha512 digest`);
    this.#expected = expected;
    this.#what = what;
    this.#algorithm = expected.slice(0, 6);
    this.#hash = createHash(this.#algorithm);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  check(): void {
    const actual = `${this.#algorithm}:${this.#hash.digest('hex')}`;
    if (actual !== this.#expected) throw mismatch(this.#what, this.#expected, actual);
  }
}

function mismatch(what: string, expected: string, actual: string): VmmError {
  return new VmmError('IMAGE_DIGEST', `${what} should be ${expected} but is ${actual}`, {
    hint: 'the data is damaged or was changed; fetch the image again',
  });
}

function inLayer(name: string, error: unknown): unknown {
  if (!(error instanceof VmmError)) return error;
  return new VmmError(error.code, `layer ${name}: ${error.message}`, {
    cause: error.cause,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

const READ_CHUNK = 1 << 20;

/** An open layer file and what it was when it was opened. */
class OpenRange {
  readonly #fd: number;
  readonly #path: string;
  readonly #start: number;
  readonly #end: number;
  readonly #stat: BigIntStats;

  constructor(range: FileRange) {
    this.#path = range.path;
    try {
      // Without waiting: a FIFO in the file's place would hold us until somebody writes to it.
      this.#fd = openSync(range.path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw new VmmError('IMAGE_OPEN', `cannot open ${JSON.stringify(range.path)}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, {
        cause,
        hint: 'the image is incomplete, or not yours to read',
      });
    }
    this.#stat = fstatSync(this.#fd, { bigint: true });
    this.#start = range.offset ?? 0;
    this.#end = range.length === undefined ? Number(this.#stat.size) : this.#start + range.length;
    if (!this.#stat.isFile() || this.#end > Number(this.#stat.size)) {
      closeSync(this.#fd);
      throw new VmmError('IMAGE_OPEN', `${JSON.stringify(range.path)} is not a file of at least ${this.#end} bytes`);
    }
  }

  /** New buffers each time: a decompressor keeps them for a while. */
  async *read(): AsyncGenerator<Uint8Array> {
    for (let at = this.#start; at < this.#end; ) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_CHUNK, this.#end - at));
      const n = readSync(this.#fd, buffer, 0, buffer.length, at);
      if (n === 0) throw this.#changed();
      at += n;
      yield buffer.subarray(0, n);
    }
  }

  sink(): ReturnType<typeof inPlaceSink> {
    return inPlaceSink(new FdSource(this.#fd, this.#path), this.#start);
  }

  verify(): void {
    const now = fstatSync(this.#fd, { bigint: true });
    const { size, mtimeNs, ctimeNs } = this.#stat;
    if (now.size !== size || now.mtimeNs !== mtimeNs || now.ctimeNs !== ctimeNs) throw this.#changed();
  }

  close(): void {
    closeSync(this.#fd);
  }

  #changed(): VmmError {
    return new VmmError('IMAGE_SOURCE_CHANGED', `${JSON.stringify(this.#path)} changed while it was read`, {
      hint: 'stop what writes to it and import it again',
    });
  }
}

/** What stays open until the image is written. */
class Resources {
  /** Bytes of all layers so far, decompressed. */
  unpacked = 0;
  readonly #folder: string;
  readonly #files: OpenRange[] = [];
  #spool: Spool | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  open(range: FileRange): OpenRange {
    const file = new OpenRange(range);
    this.#files.push(file);
    return file;
  }

  spool(): Spool {
    this.#spool ??= new Spool(this.#folder);
    return this.#spool;
  }

  verify(): void {
    for (const file of this.#files) file.verify();
  }

  close(): void {
    for (const file of this.#files) file.close();
    this.#spool?.close();
  }
}
