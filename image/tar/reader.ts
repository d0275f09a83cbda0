import { VmmError } from '../../base/errors.ts';
import { DEFAULT_LIMITS, type ImportLimits } from '../tree/limits.ts';
import { type ByteString, byteStringOf, quoteName } from '../tree/names.ts';
import {
  BLOCK,
  gnuSparseExtension,
  gnuSparseHeader,
  isZeroHeader,
  parseHeader,
  type RawHeader,
  type SparseExtent,
} from './header.ts';
import { parsePax, type PaxRecords } from './pax.ts';
import { checkSparse, SparseMapReader } from './sparse.ts';

export type TarEntryType = 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** One member of an archive, all extended headers applied. Names and targets are byte strings. */
export interface TarEntry {
  type: TarEntryType;
  /** As it stands in the archive; not checked (see `splitPath`). */
  path: ByteString;
  /** Target of a symbolic or hard link, else "". */
  linkTarget: ByteString;
  /** 0..0o7777 */
  mode: number;
  uid: number;
  gid: number;
  mtimeSec: number;
  mtimeNsec: number;
  devMajor: number;
  devMinor: number;
  xattrs: Map<ByteString, Uint8Array> | undefined;
  /** Size of the file, holes included. */
  size: number;
  /** Stretches of data of a sparse file, ascending; undefined when the file is whole. */
  sparse: SparseExtent[] | undefined;
  /** Bytes that `data` delivers: the file, or a sparse file's stretches one after the other. */
  dataSize: number;
  /** Where they start in the (decompressed) archive. */
  dataOffset: number;
}

/** Receives an archive. Everything is called in order, synchronously. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Next bytes of the current entry; the buffer is valid during the call only. */
  data(chunk: Uint8Array, entry: TarEntry): void;
  /** The entry's data is complete. Called for every entry. */
  end(entry: TarEntry): void;
}

export interface TarSummary {
  entries: number;
  /** False when the archive stops at a member's end without its end-of-archive blocks. */
  endMarker: boolean;
}

type State = 'header' | 'meta' | 'gnuSparse' | 'sparseMap' | 'data' | 'padding' | 'ended';

interface GnuSparse {
  extents: SparseExtent[];
  realSize: number;
}

/** What each type flag becomes. Only files have data, whatever the size field says. */
const TYPES: Record<string, TarEntryType> = {
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
  '7': 'file', // contiguous file
  S: 'file', // GNU sparse
  D: 'dir', // GNU incremental dump: its data lists names
};

/**
 * A streaming tar parser: push chunks of any size, then `end()`. Reads v7, ustar, PAX, GNU and
 * star archives. Memory is bounded by `limits`, whatever the archive says.
 *
 * Throws IMAGE_TAR_HEADER, IMAGE_TAR_TRUNCATED, IMAGE_TAR_UNSUPPORTED, IMAGE_LIMIT; after a
 * throw the reader must not be used.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: ImportLimits;
  #state: State = 'header';
  /** Bytes of the archive before the current chunk's next byte. */
  #position = 0;
  #headerAt = 0;
  #entries = 0;
  #zeroBlocks = 0;
  #gathered: Buffer[] = [];
  #gatheredLength = 0;
  /** Bytes the state still waits for: of a gathered piece, of data, or of padding. */
  #need = BLOCK;
  #padding = 0;
  #metaType = '';
  readonly #global: PaxRecords = {};
  #local: PaxRecords | undefined;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;
  #header: RawHeader | undefined;
  #sparse: GnuSparse | undefined;
  #sparseMap: SparseMapReader | undefined;
  #entry: TarEntry | undefined;

  constructor(handler: TarHandler, limits: Partial<ImportLimits> = {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  push(input: Uint8Array): void {
    let chunk = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
    while (chunk.length > 0) {
      if (this.#state === 'ended') {
        this.#position += chunk.length;
        return;
      }
      const take = Math.min(this.#need, chunk.length);
      const part = chunk.subarray(0, take);
      chunk = chunk.subarray(take);
      this.#position += take;
      this.#need -= take;
      if (this.#state === 'data') {
        this.#handler.data(part, this.#entry as TarEntry);
        if (this.#need === 0) this.#endData();
      } else if (this.#state === 'padding') {
        if (this.#need === 0) this.#expect('header', BLOCK);
      } else {
        this.#gather(part);
      }
    }
  }

  /** Call when the archive has ended. */
  end(): TarSummary {
    const whole = this.#state === 'ended' || (this.#state === 'header' && this.#need === BLOCK);
    const dangling = this.#local !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
    if (!whole || dangling) {
      throw new VmmError('IMAGE_TAR_TRUNCATED', `the archive ends early, at byte ${this.#position}${this.#where()}`, {
        hint: 'it is incomplete; fetch or build it again',
      });
    }
    return { entries: this.#entries, endMarker: this.#state === 'ended' || this.#zeroBlocks > 0 };
  }

  #where(): string {
    return this.#entry === undefined ? '' : ` within ${quoteName(this.#entry.path)}`;
  }

  #expect(state: State, bytes: number): void {
    this.#state = state;
    this.#need = bytes;
  }

  /** Collects one piece of header information, then acts on it. */
  #gather(part: Buffer): void {
    if (this.#need > 0) {
      // The caller's buffer is not ours to keep.
      this.#gathered.push(Buffer.from(part));
      this.#gatheredLength += part.length;
      return;
    }
    let piece = part;
    if (this.#gatheredLength > 0) {
      piece = Buffer.concat([...this.#gathered, part]);
      this.#gathered = [];
      this.#gatheredLength = 0;
    }
    const at = this.#state === 'header' ? this.#position - BLOCK : this.#headerAt;
    try {
      switch (this.#state) {
        case 'header':
          this.#headerAt = at;
          this.#takeHeader(piece);
          break;
        case 'meta':
          this.#takeMeta(piece);
          break;
        case 'gnuSparse':
          this.#takeGnuSparse(piece);
          break;
        default:
          this.#takeSparseMap(piece);
      }
    } catch (error) {
      if (error instanceof VmmError && error.code === 'IMAGE_TAR_HEADER') {
        throw new VmmError(error.code, `member ${this.#entries + 1} at byte ${at}: ${error.message}`, {
          hint: at === 0 ? 'this is not a tar archive' : 'the archive is damaged',
        });
      }
      throw error;
    }
  }

  #takeHeader(block: Buffer): void {
    if (isZeroHeader(block)) {
      this.#zeroBlocks++;
      // Two in a row are the end; what follows is the writer's record padding.
      this.#expect(this.#zeroBlocks === 2 ? 'ended' : 'header', BLOCK);
      return;
    }
    this.#zeroBlocks = 0;
    const header = parseHeader(block);
    if (header.size < 0) throw new VmmError('IMAGE_TAR_HEADER', `negative size ${header.size}`);
    switch (header.typeflag) {
      case 'x':
      case 'X': // Solaris
      case 'g':
      case 'L':
      case 'K':
        this.#startMeta(header);
        return;
      case 'V': // volume label
      case 'N': // old GNU long names, unused since 1993
        this.#expectSkip(header.size);
        return;
      default:
        if (TYPES[header.typeflag] === undefined) {
          throw new VmmError('IMAGE_TAR_UNSUPPORTED', `${quoteName(header.name)} has the unknown type ${JSON.stringify(header.typeflag)}`);
        }
    }
    this.#header = header;
    if (header.typeflag === 'S') {
      const sparse = gnuSparseHeader(block);
      this.#sparse = sparse;
      if (sparse.more) {
        this.#expect('gnuSparse', BLOCK);
        return;
      }
    }
    this.#startEntry();
  }

  #expectSkip(size: number): void {
    const padded = Math.ceil(size / BLOCK) * BLOCK;
    if (padded === 0) this.#expect('header', BLOCK);
    else this.#expect('padding', padded);
  }

  #startMeta(header: RawHeader): void {
    if (header.size > this.#limits.maxHeaderBytes) {
      throw new VmmError('IMAGE_LIMIT', `extended header of ${header.size} bytes at byte ${this.#headerAt}; at most ${this.#limits.maxHeaderBytes} are accepted`);
    }
    this.#metaType = header.typeflag;
    this.#padding = (BLOCK - (header.size % BLOCK)) % BLOCK;
    if (header.size === 0) this.#takeMeta(Buffer.alloc(0));
    else this.#expect('meta', header.size);
  }

  #takeMeta(bytes: Buffer): void {
    switch (this.#metaType) {
      case 'g': {
        const records: PaxRecords = {};
        parsePax(bytes, records, this.#limits.maxSparseExtents);
        // These describe one member; as a default for all they would only do harm.
        delete records.path;
        delete records.linkpath;
        delete records.size;
        delete records.sparse;
        Object.assign(this.#global, records);
        break;
      }
      case 'L':
        this.#longName = cString(bytes);
        break;
      case 'K':
        this.#longLink = cString(bytes);
        break;
      default:
        this.#local ??= {};
        parsePax(bytes, this.#local, this.#limits.maxSparseExtents);
    }
    if (this.#padding > 0) this.#expect('padding', this.#padding);
    else this.#expect('header', BLOCK);
  }

  #takeGnuSparse(block: Buffer): void {
    const sparse = this.#sparse as GnuSparse;
    const { extents, more } = gnuSparseExtension(block);
    // Each block costs the sender 512 bytes, but entries stay in memory.
    if (sparse.extents.length + extents.length > this.#limits.maxSparseExtents) {
      throw new VmmError('IMAGE_LIMIT', `a sparse file has more than ${this.#limits.maxSparseExtents} stretches of data`);
    }
    for (const extent of extents) sparse.extents.push(extent);
    if (more) this.#expect('gnuSparse', BLOCK);
    else this.#startEntry();
  }

  #startEntry(): void {
    const header = this.#header as RawHeader;
    const pax: PaxRecords = { ...this.#global, ...this.#local };
    if (++this.#entries > this.#limits.maxEntries) {
      throw new VmmError('IMAGE_LIMIT', `the archive has more than ${this.#limits.maxEntries} members`);
    }
    const entry = makeEntry(header, pax, this.#longName, this.#longLink);
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#entry = entry;
    const stored = entry.type === 'file' || header.typeflag === 'D' ? (pax.size ?? header.size) : 0;
    this.#padding = (BLOCK - (stored % BLOCK)) % BLOCK;
    if (header.typeflag === 'D') {
      this.#emit(entry);
      this.#handler.end(entry);
      this.#entry = undefined;
      this.#expectSkip(stored);
      return;
    }
    entry.size = stored;
    entry.dataSize = stored;
    if (entry.type === 'file' && pax.sparse?.major === 1) {
      entry.size = pax.sparse.realSize ?? 0;
      this.#sparseMap = new SparseMapReader(this.#limits.maxSparseExtents);
      if (stored < BLOCK) throw new VmmError('IMAGE_TAR_HEADER', 'a sparse file has no map');
      this.#expect('sparseMap', BLOCK);
      return;
    }
    if (header.typeflag === 'S') {
      const sparse = this.#sparse as GnuSparse;
      entry.size = sparse.realSize;
      entry.sparse = checkSparse(sparse.extents, entry.size, stored);
      this.#sparse = undefined;
    } else if (entry.type === 'file' && pax.sparse?.extents !== undefined) {
      entry.size = pax.sparse.realSize ?? stored;
      entry.sparse = checkSparse(pax.sparse.extents, entry.size, stored);
    }
    this.#startData(entry);
  }

  /** Format 1.0: the map stands before the data, and counts as part of it. */
  #takeSparseMap(block: Buffer): void {
    const entry = this.#entry as TarEntry;
    const map = this.#sparseMap as SparseMapReader;
    entry.dataSize -= BLOCK;
    const extents = map.push(block);
    if (extents === undefined) {
      if (entry.dataSize < BLOCK) throw new VmmError('IMAGE_TAR_HEADER', 'the map of a sparse file does not end');
      this.#expect('sparseMap', BLOCK);
      return;
    }
    this.#sparseMap = undefined;
    entry.sparse = checkSparse(extents, entry.size, entry.dataSize);
    this.#startData(entry);
  }

  #startData(entry: TarEntry): void {
    this.#emit(entry);
    if (entry.dataSize === 0) this.#endData();
    else this.#expect('data', entry.dataSize);
  }

  #emit(entry: TarEntry): void {
    entry.dataOffset = this.#position;
    this.#handler.entry(entry);
  }

  #endData(): void {
    this.#handler.end(this.#entry as TarEntry);
    this.#entry = undefined;
    if (this.#padding > 0) this.#expect('padding', this.#padding);
    else this.#expect('header', BLOCK);
  }
}

function makeEntry(
  header: RawHeader,
  pax: PaxRecords,
  longName: ByteString | undefined,
  longLink: ByteString | undefined,
): TarEntry {
  let type = TYPES[header.typeflag] as TarEntryType;
  const path = pax.sparse?.name ?? pax.path ?? longName ?? header.name;
  // Before POSIX a directory was a file whose name ends in a slash.
  if (header.typeflag === '0' && path.endsWith('/')) type = 'dir';
  const isLink = type === 'symlink' || type === 'hardlink';
  const entry: TarEntry = {
    type,
    path,
    linkTarget: isLink ? (pax.linkpath ?? longLink ?? header.linkname) : '',
    mode: header.mode & 0o7777,
    uid: pax.uid ?? header.uid,
    gid: pax.gid ?? header.gid,
    mtimeSec: pax.mtime?.sec ?? header.mtime,
    mtimeNsec: pax.mtime?.nsec ?? 0,
    devMajor: pax.devmajor ?? header.devmajor,
    devMinor: pax.devminor ?? header.devminor,
    xattrs: pax.xattrs,
    size: 0,
    sparse: undefined,
    dataSize: 0,
    dataOffset: 0,
  };
  for (const id of [entry.uid, entry.gid]) {
    if (id < 0 || id > 0xffffffff) throw new VmmError('IMAGE_TAR_HEADER', `owner ${id} of ${quoteName(path)} is out of range`);
  }
  return entry;
}

/** A GNU long name: up to its first NUL. */
function cString(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return byteStringOf(end < 0 ? bytes : bytes.subarray(0, end));
}

