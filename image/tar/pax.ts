import { VmmError } from '../../base/errors.ts';
import type { ByteString } from '../tree/names.ts';
import type { SparseExtent } from './header.ts';

/**
 * What extended header records say (POSIX.1-2017 pax, "pax Extended Header"; GNU and star
 * extensions). Values are bytes, so `hdrcharset=BINARY` needs no care.
 */
export interface PaxRecords {
  path?: ByteString;
  linkpath?: ByteString;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: { sec: number; nsec: number };
  devmajor?: number;
  devminor?: number;
  xattrs?: Map<ByteString, Uint8Array>;
  sparse?: PaxSparse;
}

/** The GNU.sparse records of formats 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files"). */
export interface PaxSparse {
  major?: number;
  minor?: number;
  name?: ByteString;
  realSize?: number;
  extents?: SparseExtent[];
  /** Format 0.0 gives offset and length in separate records. */
  pendingOffset?: number;
}

/**
 * Merges the records of one extended header into `into`. Throws IMAGE_TAR_HEADER for records
 * that do not follow the "length key=value newline" form, and for values out of range.
 */
export function parsePax(bytes: Buffer, into: PaxRecords, maxSparseExtents: number): void {
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? '' : bytes.toString('latin1', at, space);
    if (!/^[0-9]+$/.test(digits)) {
      // Some writers fill the rest of the block with NULs and count them.
      if (bytes.subarray(at).every((byte) => byte === 0)) return;
      throw bad('a record does not start with its length');
    }
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space + 1);
    if (end > bytes.length || equals < 0 || equals >= end - 1 || bytes[end - 1] !== 0x0a) {
      throw bad(`a record of ${digits} bytes does not end where it should`);
    }
    apply(
      bytes.toString('latin1', space + 1, equals),
      bytes.toString('latin1', equals + 1, end - 1),
      into,
      maxSparseExtents,
    );
    at = end;
  }
}

const SCHILY_XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';

function apply(key: string, value: ByteString, into: PaxRecords, maxSparseExtents: number): void {
  if (key.startsWith(SCHILY_XATTR)) {
    setXattr(into, key.slice(SCHILY_XATTR.length), Buffer.from(value, 'latin1'));
    return;
  }
  if (key.startsWith(LIBARCHIVE_XATTR)) {
    const name = percentDecode(key.slice(LIBARCHIVE_XATTR.length));
    // Where a writer gives both forms, star's plain one wins.
    if (into.xattrs?.has(name) !== true) setXattr(into, name, Buffer.from(value, 'base64'));
    return;
  }
  // An empty value takes back an earlier record (POSIX): the header's own field counts again.
  const unset = value === '';
  switch (key) {
    case 'path':
    case 'linkpath':
      if (unset) delete into[key];
      else into[key] = value;
      return;
    case 'size':
    case 'uid':
    case 'gid':
      if (unset) delete into[key];
      else into[key] = integer(key, value);
      return;
    case 'SCHILY.devmajor':
      into.devmajor = integer(key, value);
      return;
    case 'SCHILY.devminor':
      into.devminor = integer(key, value);
      return;
    case 'mtime':
      if (unset) delete into.mtime;
      else into.mtime = time(value);
      return;
    default:
      if (key.startsWith('GNU.sparse.')) applySparse(key.slice(11), value, into, maxSparseExtents);
  }
}

function setXattr(into: PaxRecords, name: ByteString, value: Uint8Array): void {
  if (name === '' || name.length > 255 || name.includes('\0')) throw bad('an attribute has an unusable name');
  into.xattrs ??= new Map();
  into.xattrs.set(name, value);
}

function applySparse(key: string, value: ByteString, into: PaxRecords, maxSparseExtents: number): void {
  into.sparse ??= {};
  const sparse = into.sparse;
  switch (key) {
    case 'major':
    case 'minor':
      sparse[key] = integer(key, value);
      return;
    case 'name':
      sparse.name = value;
      return;
    case 'size':
    case 'realsize':
      sparse.realSize = integer(key, value);
      return;
    case 'offset':
      sparse.pendingOffset = integer(key, value);
      return;
    case 'numbytes':
      if (sparse.pendingOffset === undefined) throw bad('GNU.sparse.numbytes without an offset');
      sparse.extents ??= [];
      sparse.extents.push({ offset: sparse.pendingOffset, length: integer(key, value) });
      delete sparse.pendingOffset;
      break;
    case 'map': {
      const numbers = value === '' ? [] : value.split(',').map((part) => integer('GNU.sparse.map', part));
      if (numbers.length % 2 !== 0) throw bad('GNU.sparse.map has an odd count of numbers');
      sparse.extents = [];
      for (let i = 0; i < numbers.length; i += 2) {
        sparse.extents.push({ offset: numbers[i] as number, length: numbers[i + 1] as number });
      }
      break;
    }
    default: // numblocks repeats what the list says
  }
  if ((sparse.extents?.length ?? 0) > maxSparseExtents) {
    throw new VmmError('IMAGE_LIMIT', `a sparse file has more than ${maxSparseExtents} stretches of data`);
  }
}

/** A whole number of seconds or bytes, not negative. Throws IMAGE_TAR_HEADER. */
function integer(key: string, value: string): number {
  const result = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(result)) throw bad(`${key} holds ${JSON.stringify(value.slice(0, 40))}`);
  return result;
}

/** Decimal seconds with a fraction, possibly negative: -1.5 is 2 s before 1970 plus 0.5 s. */
function time(value: string): { sec: number; nsec: number } {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) throw bad(`mtime holds ${JSON.stringify(value.slice(0, 40))}`);
  const sec = Number(match[2]);
  const nsec = Number((match[3] ?? '').padEnd(9, '0').slice(0, 9));
  if (match[1] === '') return { sec, nsec };
  return nsec === 0 ? { sec: 0 - sec, nsec: 0 } : { sec: -sec - 1, nsec: 1_000_000_000 - nsec };
}

function percentDecode(text: string): ByteString {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function bad(why: string): VmmError {
  return new VmmError('IMAGE_TAR_HEADER', `extended header: ${why}`);
}
