import { createHash } from 'node:crypto';
import { closeSync, lstatSync, readdirSync, readSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { type Compression, decompress, recognise } from '../compress/compress.ts';
import { type TarEntry, type TarHandler, TarReader } from '../tar/reader.ts';
import { DEFAULT_LIMITS, type ImportLimits } from '../tree/limits.ts';
import { quoteName } from '../tree/names.ts';
import { chunksOf, openRegular, readBounded } from './file.ts';
import { Context } from './schema/context.ts';
import { MANIFEST_MAX } from './schema/fields.ts';
import { type ImageManifest, parseImageManifest } from './schema/image-manifest.ts';

/** What an ACI is, from one look through all of it. */
export interface AciInfo {
  readonly manifest: ImageManifest;
  /** As it stands in the archive. */
  readonly manifestBytes: Uint8Array;
  /** `sha512-HEX` of the archive without its compression. */
  readonly id: string;
  readonly compression: Compression;
  /** What the specification forbids and the reference's code lets pass, a line each. */
  readonly warnings: readonly string[];
}

/** Where the magic of a POSIX tar archive stands: by it the reference's code knows what is not compressed. */
const USTAR_AT = 257;

/** Reads a whole ACI and gives the reference's verdict on it. Throws ACI_LAYOUT, ACI_MANIFEST, IMAGE_*. */
export async function readAci(path: string, limits: ImportLimits = DEFAULT_LIMITS): Promise<AciInfo> {
  const fd = openRegular(path);
  try {
    refuseUnknown(fd, path);
    const context = new Context(`${path}: manifest`);
    const contents = new AciContents(path, context, limits);
    const reader = new TarReader(contents, limits);
    const hash = createHash('sha512');
    const { compression, stream } = await decompress(chunksOf(fd), limits);
    for await (const chunk of stream) {
      hash.update(chunk);
      reader.push(chunk);
    }
    if (!reader.end().endMarker) context.warn('archive', 'ends without its two blocks of zeros');
    const { manifest, manifestBytes } = contents.finish();
    return { manifest, manifestBytes, id: `sha512-${hash.digest('hex')}`, compression, warnings: context.warnings };
  } catch (error) {
    throw inFile(path, error);
  } finally {
    closeSync(fd);
  }
}

/** The reference's code knows gzip, bzip2, xz, and a tar archive by its magic. */
function refuseUnknown(fd: number, path: string): void {
  const head = Buffer.alloc(512);
  const n = readSync(fd, head, 0, head.length, 0);
  const compression = recognise(head.subarray(0, n));
  const isTar = head.toString('latin1', USTAR_AT, USTAR_AT + 5) === 'ustar';
  if (compression === 'zstd' || (compression === 'plain' && !isTar)) {
    throw new VmmError('ACI_LAYOUT', `${path}: ${compression === 'zstd' ? 'is compressed by zstd' : 'is no tar archive'}`, { hint: 'an ACI is a POSIX tar archive, plain or by gzip, bzip2 or xz' });
  }
}

/** Checks an archive's members while it streams; keeps the manifest. */
class AciContents implements TarHandler {
  readonly #path: string;
  readonly #context: Context;
  readonly #limits: ImportLimits;
  readonly #seen = new Set<string>();
  #nameBytes = 0;
  #manifest: Buffer[] | undefined;
  #manifestLength = 0;
  #reading = false;
  #rootfs = false;

  constructor(path: string, context: Context, limits: ImportLimits) {
    this.#path = path;
    this.#context = context;
    this.#limits = limits;
  }

  entry(entry: TarEntry): void {
    const name = posix.normalize(entry.path).replace(/(.)\/+$/, '$1');
    this.#reading = name === 'manifest';
    if (name === 'manifest') {
      if (this.#manifest !== undefined) this.#context.warn('archive', 'has two members "manifest"');
      if (entry.type !== 'file') throw this.#bad(`"manifest" is a ${entry.type}, not a file`);
      if (entry.size > MANIFEST_MAX) throw this.#bad(`the manifest has ${entry.size} bytes; at most ${MANIFEST_MAX} are read`);
      this.#manifest = [];
      this.#manifestLength = 0;
      return;
    }
    if (name === 'rootfs') {
      if (entry.type !== 'dir') throw this.#bad(`"rootfs" is a ${entry.type}, not a directory`);
      if (this.#rootfs) this.#context.warn('archive', 'has two members "rootfs"');
      this.#rootfs = true;
      return;
    }
    if (!name.startsWith('rootfs')) throw this.#bad(`${quoteName(entry.path)} lies neither in rootfs nor is it the manifest`);
    if (!name.startsWith('rootfs/')) this.#context.warn('archive', `${quoteName(entry.path)} lies beside rootfs`);
    if (entry.path.split('/').includes('..')) this.#context.warn('archive', `${quoteName(entry.path)} has ".." in it`);
    this.#remember(name, entry);
  }

  data(chunk: Uint8Array): void {
    if (!this.#reading) return;
    this.#manifestLength += chunk.length;
    if (this.#manifestLength > MANIFEST_MAX) throw this.#bad(`the manifest has more than ${MANIFEST_MAX} bytes`);
    this.#manifest?.push(Buffer.from(chunk));
  }

  end(): void {
    this.#reading = false;
  }

  finish(): { manifest: ImageManifest; manifestBytes: Uint8Array } {
    if (!this.#rootfs) throw this.#bad('no rootfs is in it');
    if (this.#manifest === undefined) throw this.#bad('no manifest is in it');
    const manifestBytes = Buffer.concat(this.#manifest);
    return { manifest: parseImageManifest(manifestBytes, this.#context), manifestBytes };
  }

  #remember(name: string, entry: TarEntry): void {
    if (this.#seen.has(name)) throw this.#bad(`${quoteName(entry.path)} is in it twice`);
    this.#seen.add(name);
    this.#nameBytes += name.length;
    if (this.#nameBytes > this.#limits.maxMetadataBytes) throw new VmmError('IMAGE_LIMIT', `names of the archive exceed ${this.#limits.maxMetadataBytes} bytes`);
  }

  #bad(what: string): VmmError {
    return badLayout(this.#path, what);
  }
}

/** Reads an image's layout, the directory that an ACI is made of: `manifest` and `rootfs`. Throws ACI_LAYOUT, ACI_MANIFEST, IMAGE_OPEN. */
export function readLayout(path: string): Pick<AciInfo, 'manifest' | 'manifestBytes' | 'warnings'> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) throw badLayout(path, stat === undefined ? 'does not exist' : 'is not a directory');
  for (const name of ['manifest', 'rootfs']) {
    const stat = lstatSync(join(path, name), { throwIfNoEntry: false });
    if (stat === undefined) throw badLayout(path, `has no ${name}`);
    if (name === 'manifest' && !stat.isFile()) throw badLayout(path, 'manifest is not a file');
    if (name === 'rootfs' && !stat.isDirectory()) throw badLayout(path, 'rootfs is not a directory');
  }
  const other = readdirSync(path).find((name) => name !== 'manifest' && name !== 'rootfs');
  if (other !== undefined) throw badLayout(path, `${JSON.stringify(other.slice(0, 200))} is in it beside manifest and rootfs`);
  const context = new Context(join(path, 'manifest'));
  const manifestBytes = readBounded(join(path, 'manifest'), MANIFEST_MAX);
  return { manifest: parseImageManifest(manifestBytes, context), manifestBytes, warnings: context.warnings };
}

function badLayout(path: string, what: string): VmmError {
  return new VmmError('ACI_LAYOUT', `${path}: ${what}`, { hint: 'an ACI holds a file `manifest`, a directory `rootfs`, and nothing else' });
}

/** Errors of the tar reader and the decompressor do not know the file. */
function inFile(path: string, error: unknown): unknown {
  if (!(error instanceof VmmError) || error.message.startsWith(path)) return error;
  return new VmmError(error.code, `${path}: ${error.message}`, { cause: error.cause, ...(error.hint === undefined ? {} : { hint: error.hint }) });
}
