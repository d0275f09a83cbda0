import { VmmError } from '../../base/errors.ts';
import type { ByteString } from '../tree/names.ts';

/** A tar archive is a sequence of these. */
export const BLOCK = 512;

/** Offset and length of each field: POSIX.1-2017 pax, "ustar Interchange Format". */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  chksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const;

/** GNU tar manual, "Basic Tar Format", struct oldgnu_header: the sparse map in the header. */
const GNU_SPARSE = { at: 386, entries: 4, isExtended: 482, realSize: [483, 12] } as const;
/** struct sparse_header: one block of further entries. */
const GNU_SPARSE_EXTENSION = { entries: 21, isExtended: 504 } as const;

export type TarFormat = 'v7' | 'ustar' | 'gnu' | 'star';

/** A header block's fields as they stand, before extended headers are applied. */
export interface RawHeader {
  format: TarFormat;
  name: ByteString;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  /** One character; NUL reads as "0". */
  typeflag: string;
  linkname: ByteString;
  devmajor: number;
  devminor: number;
}

export function isZeroHeader(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** Throws IMAGE_TAR_HEADER for a wrong checksum or a field that is no number. */
export function parseHeader(block: Buffer): RawHeader {
  verifyChecksum(block);
  const format = formatOf(block);
  const typeflag = String.fromCharCode(block[FIELD.typeflag[0]] || 0x30);
  const device = typeflag === '3' || typeflag === '4';
  let name = text(block, FIELD.name);
  if (format === 'ustar' || format === 'star') {
    // star uses the end of the prefix field for times.
    const prefix = text(block, format === 'star' ? [FIELD.prefix[0], 131] : FIELD.prefix);
    if (prefix !== '') name = `${prefix}/${name}`;
  }
  return {
    format,
    name,
    mode: number(block, FIELD.mode, 'mode'),
    uid: number(block, FIELD.uid, 'uid'),
    gid: number(block, FIELD.gid, 'gid'),
    size: number(block, FIELD.size, 'size'),
    mtime: number(block, FIELD.mtime, 'mtime'),
    typeflag,
    linkname: text(block, FIELD.linkname),
    // Writers leave anything in these fields for other types.
    devmajor: device ? number(block, FIELD.devmajor, 'devmajor') : 0,
    devminor: device ? number(block, FIELD.devminor, 'devminor') : 0,
  };
}

function formatOf(block: Buffer): TarFormat {
  const magic = block.toString('latin1', FIELD.magic[0], FIELD.magic[0] + 8);
  if (magic === 'ustar  \0') return 'gnu';
  if (!magic.startsWith('ustar\0')) return 'v7';
  return block.toString('latin1', 508, 512) === 'tar\0' ? 'star' : 'ustar';
}

/** The sum of all bytes, the checksum field counted as spaces; old writers summed signed chars. */
function verifyChecksum(block: Buffer): void {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  const [start, length] = FIELD.chksum;
  for (let i = 0; i < BLOCK; i++) {
    if (i >= start && i < start + length) continue;
    const byte = block[i] as number;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stored = number(block, FIELD.chksum, 'checksum');
  if (stored !== unsigned && stored !== signed) {
    throw new VmmError('IMAGE_TAR_HEADER', `header checksum is ${stored}, computed ${unsigned}`);
  }
}

function text(block: Buffer, [start, length]: readonly [number, number]): ByteString {
  const end = block.indexOf(0, start);
  return block.toString('latin1', start, end < 0 || end > start + length ? start + length : end);
}

/** An octal or base-256 number (GNU tar manual, "Extensions"); an empty field is 0. */
function number(block: Buffer, [start, length]: readonly [number, number], field: string): number {
  const first = block[start] as number;
  if (first === 0x80 || first === 0xff) {
    let value = first === 0xff ? -1n : 0n;
    for (let i = start + 1; i < start + length; i++) value = (value << 8n) | BigInt(block[i] as number);
    const result = Number(value);
    if (!Number.isSafeInteger(result)) throw badNumber(field, String(value));
    return result;
  }
  let digits = block.toString('latin1', start, start + length);
  const nul = digits.indexOf('\0');
  if (nul > 0) digits = digits.slice(0, nul);
  // Some writers lead with NUL or space and end with either.
  digits = digits.replace(/^[\0 ]+|[\0 ]+$/g, '');
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw badNumber(field, JSON.stringify(digits));
  return Number.parseInt(digits, 8);
}

function badNumber(field: string, value: string): VmmError {
  return new VmmError('IMAGE_TAR_HEADER', `field ${field} holds ${value}, which is no usable number`);
}

/** A stretch of data of a sparse file. */
export interface SparseExtent {
  offset: number;
  length: number;
}

/** The first four stretches of an old GNU sparse header ("S"); more blocks follow when `more`. */
export function gnuSparseHeader(block: Buffer): { extents: SparseExtent[]; more: boolean; realSize: number } {
  return {
    extents: sparseEntries(block, GNU_SPARSE.at, GNU_SPARSE.entries),
    more: block[GNU_SPARSE.isExtended] !== 0,
    realSize: number(block, GNU_SPARSE.realSize, 'realsize'),
  };
}

export function gnuSparseExtension(block: Buffer): { extents: SparseExtent[]; more: boolean } {
  return {
    extents: sparseEntries(block, 0, GNU_SPARSE_EXTENSION.entries),
    more: block[GNU_SPARSE_EXTENSION.isExtended] !== 0,
  };
}

function sparseEntries(block: Buffer, at: number, count: number): SparseExtent[] {
  const extents: SparseExtent[] = [];
  for (let i = 0; i < count; i++) {
    const start = at + i * 24;
    if (block[start] === 0 && block[start + 12] === 0) break;
    extents.push({
      offset: number(block, [start, 12], 'sparse offset'),
      length: number(block, [start + 12, 12], 'sparse length'),
    });
  }
  return extents;
}
