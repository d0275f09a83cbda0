import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import type { FileRange } from '../rootfs/build.ts';
import { decompress } from '../compress/compress.ts';
import { JSON_MAX } from '../documents/json.ts';
import { DEFAULT_LIMITS, type ImportLimits } from '../tree/limits.ts';
import { TarReader } from '../tar/reader.ts';
import { byteString } from '../tree/names.ts';
import { openNameless } from '../tree/nameless.ts';

interface Member {
  readonly offset: number;
  readonly size: number;
  /** Target of a link within the archive: old docker archives link equal layers. */
  readonly link: string | undefined;
}

/** Members of image archives lie this deep at most (`blobs/sha256/HEX`); what lies deeper is a root file system's. */
const MAX_COMPONENTS = 3;
const MAX_LINKS = 8;
const READ_CHUNK = 1 << 20;

/**
 * A tar archive whose members are read in any order: OCI and docker archives, ACIs. The file is opened once and all
 * reads go through that descriptor; a compressed one is unpacked to a nameless temporary file first. Close it when its
 * ranges are no longer read.
 */
export class Archive {
  readonly name: string;
  /** The file as it is given, perhaps compressed, and what it was when it was opened. */
  readonly input: { readonly path: string; readonly stat: BigIntStats };
  readonly #fd: number;
  readonly #contents: Contents;

  private constructor(name: string, input: Archive['input'], fd: number, contents: Contents) {
    this.name = name;
    this.input = input;
    this.#fd = fd;
    this.#contents = contents;
  }

  /** Reads the whole archive once, for its table of contents. Throws IMAGE_OPEN, IMAGE_BAD, IMAGE_TAR_*, IMAGE_COMPRESSED, IMAGE_LIMIT, IMAGE_WRITE. */
  static async open(file: string, tempDir: string, limits: ImportLimits = DEFAULT_LIMITS, name = file): Promise<Archive> {
    const input = openFile(file);
    const stat = fstatSync(input, { bigint: true });
    let unpacked: number | undefined;
    try {
      const contents = new Contents(limits);
      const reader = new TarReader({ entry: (entry) => contents.add(entry), data: () => {}, end: () => {} }, limits);
      const { compression, stream } = await decompress(readStream(input, file), limits);
      if (compression !== 'plain') unpacked = openTemporary(tempDir);
      for await (const chunk of stream) {
        reader.push(chunk);
        if (unpacked !== undefined) writeAll(unpacked, chunk);
      }
      if (reader.end().entries === 0) throw new VmmError('IMAGE_BAD', `image ${name} is an archive without a single member`, { hint: 'give an archive of an image or of a root file system' });
      if (unpacked !== undefined) closeSync(input);
      return new Archive(name, { path: file, stat }, unpacked ?? input, contents);
    } catch (error) {
      if (unpacked !== undefined) closeSync(unpacked);
      closeSync(input);
      throw inFile(name, error);
    }
  }

  has(name: string): boolean {
    return this.#contents.members.has(name);
  }

  /** True when something lies at or below a name of the archive's top. */
  hasTop(name: string): boolean {
    return this.#contents.tops.has(name);
  }

  /** Where a member's bytes lie, links followed. Throws IMAGE_BAD when it is missing. */
  range(name: string): FileRange {
    const member = this.#find(name);
    return { path: this.#path, offset: member.offset, length: member.size };
  }

  /** A member of at most JSON_MAX bytes. */
  read(name: string): Uint8Array {
    const member = this.#find(name);
    if (member.size > JSON_MAX) throw new VmmError('IMAGE_LIMIT', `${this.name}: ${name} of ${member.size} bytes is too large`, { hint: `at most ${JSON_MAX} are read` });
    const bytes = new Uint8Array(member.size);
    let done = 0;
    while (done < bytes.length) {
      const n = readSync(this.#fd, bytes, done, bytes.length - done, member.offset + done);
      if (n === 0) throw new VmmError('IMAGE_SOURCE_CHANGED', `${this.name}: became shorter while it was read`, { hint: 'stop what writes to it and import it again' });
      done += n;
    }
    return bytes;
  }

  /** The whole archive, decompressed. */
  whole(): FileRange {
    return { path: this.#path };
  }

  /** The open file without its compression; it is closed with the archive. */
  get fd(): number {
    return this.#fd;
  }

  /** SHA-512 of the decompressed archive, hexadecimal: an ACI's image ID (appc spec, "Image ID"). */
  sha512(): string {
    const hash = createHash('sha512');
    const buffer = new Uint8Array(1 << 20);
    for (let at = 0; ; ) {
      const n = readSync(this.#fd, buffer, 0, buffer.length, at);
      if (n === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, n));
      at += n;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Through our descriptor: the file of that name may be another by now, a temporary one has none. */
  get #path(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  #find(name: string): Member {
    const { members } = this.#contents;
    let member = members.get(byteString(name));
    for (let hops = 0; member?.link !== undefined && hops < MAX_LINKS; hops++) member = members.get(member.link);
    if (member === undefined || member.link !== undefined) throw new VmmError('IMAGE_BAD', `${this.name}: ${JSON.stringify(name.slice(0, 200))} is missing`, { hint: 'the archive is damaged or not an image' });
    return member;
  }
}

/** The table of contents, bounded as a layer is. */
class Contents {
  readonly members = new Map<string, Member>();
  readonly tops = new Set<string>();
  readonly #limits: ImportLimits;
  #bytes = 0;

  constructor(limits: ImportLimits) {
    this.#limits = limits;
  }

  add(entry: { type: string; path: string; linkTarget: string; dataOffset: number; dataSize: number }): void {
    const path = cleanName(entry.path);
    const parts = path.split('/');
    this.tops.add(parts[0] as string);
    if (parts.length <= MAX_COMPONENTS) {
      if (entry.type === 'file') this.members.set(path, { offset: entry.dataOffset, size: entry.dataSize, link: undefined });
      else if (entry.type === 'hardlink') this.members.set(path, { offset: 0, size: 0, link: cleanName(entry.linkTarget) });
      else if (entry.type === 'symlink') {
        const link = symlinkTarget(parts.slice(0, -1), entry.linkTarget);
        if (link !== undefined) this.members.set(path, { offset: 0, size: 0, link });
      }
      this.#bytes += path.length + entry.linkTarget.length;
    }
    if (this.members.size + this.tops.size > this.#limits.maxEntries || this.#bytes > this.#limits.maxMetadataBytes) {
      throw new VmmError('IMAGE_LIMIT', `the archive has more than ${this.#limits.maxEntries} members, or too long names`);
    }
  }
}

/** Never waits: a FIFO would, until somebody writes to it. */
function openFile(file: string): number {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw cannotRead(file, cause);
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return fd;
  closeSync(fd);
  if (stat.isDirectory()) throw new VmmError('IMAGE_OPEN', `${file} is a directory, and an archive is wanted`, { hint: 'import a directory: `vmm image import DIR`, or oci:DIR for a layout' });
  throw new VmmError('IMAGE_OPEN', `image ${file} is neither a file nor a directory`, { hint: 'give an archive or a directory' });
}

/** Not a stream of Node's: that would close the descriptor when its reader stops early. */
async function* readStream(fd: number, file: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    // A new buffer each time: a decompressor keeps it for a while.
    const buffer = Buffer.allocUnsafeSlow(READ_CHUNK);
    let n: number;
    try {
      n = readSync(fd, buffer, 0, buffer.length, at);
    } catch (cause) {
      throw cannotRead(file, cause);
    }
    if (n === 0) return;
    at += n;
    yield buffer.subarray(0, n);
  }
}

function cannotRead(file: string, cause: unknown): VmmError {
  return new VmmError('IMAGE_OPEN', `cannot read ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the path and its permissions' });
}

function openTemporary(dir: string): number {
  try {
    return openNameless(dir);
  } catch (cause) {
    throw cannotWrite(cause);
  }
}

function writeAll(fd: number, chunk: Uint8Array): void {
  try {
    for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
  } catch (cause) {
    throw cannotWrite(cause);
  }
}

function cannotWrite(cause: unknown): VmmError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'error';
  return new VmmError('IMAGE_WRITE', `cannot unpack it to the store: ${code}`, {
    cause,
    hint: code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space (vmm image prune) or set VMM_STORE' : 'set VMM_STORE to a directory of yours',
  });
}

/** Errors of the tar reader and the decompressor do not know the file. */
function inFile(file: string, error: unknown): unknown {
  if (!(error instanceof VmmError) || error.message.includes(file)) return error;
  const hint = error.hint ?? (error.code === 'IMAGE_TAR_HEADER' ? 'images are tar archives (plain, gzip, zstd, xz, bzip2) or directories' : undefined);
  return new VmmError(error.code, `image ${file}: ${error.message}`, { cause: error.cause, ...(hint === undefined ? {} : { hint }) });
}

function cleanName(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

/** A link's target as a member's name; undefined when it leaves the archive. */
function symlinkTarget(dir: readonly string[], target: string): string | undefined {
  const parts = target.startsWith('/') ? [] : [...dir];
  for (const part of target.split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
