import { isUtf8 } from 'node:buffer';
import { type FileContent, readContent, releaseContent } from '../tree/content.ts';
import { type ByteString, bytesOf } from '../tree/names.ts';
import { type DirNode, type TreeNode, walk } from '../tree/node.ts';
import { BLOCK } from './header.ts';

const CHUNK = 1 << 20;
/** Largest numbers of the octal header fields of 8 and 12 bytes. */
const MAX_OCTAL_8 = 0o7777777;
const MAX_OCTAL_12 = 0o77777777777;

const TYPE_FLAG = { file: '0', symlink: '2', char: '3', block: '4', dir: '5', fifo: '6' } as const;

export interface TarWriterOptions {
  /** Put before every path, "rootfs" for an ACI; default: none. */
  prefix?: ByteString;
  /** Write an entry for the root itself ("./" or the prefix); default true. */
  root?: boolean;
}

/**
 * A tree as a tar archive (POSIX pax format, only where ustar does not suffice). Entries come
 * in byte order, hard links after the first name, sparse files in GNU format 1.0. Sockets are
 * left out: tar has no type for them. Equal trees give equal bytes. A chunk is valid until the
 * next one is asked for.
 */
export function* tarFromTree(root: DirNode, options: TarWriterOptions = {}): Generator<Uint8Array> {
  const prefix = options.prefix === undefined || options.prefix === '' ? '' : `${options.prefix}/`;
  const first = new Map<TreeNode, ByteString>();
  for (const { path, node } of walk(root)) {
    if (path === '' && options.root === false) continue;
    if (node.type === 'socket') continue;
    const full = prefix + path === '' ? './' : prefix + path + (node.type === 'dir' && path !== '' ? '/' : '');
    const linkTo = node.type === 'dir' ? undefined : first.get(node);
    if (linkTo !== undefined) {
      yield header(full, node, '1', linkTo, 0, []);
      continue;
    }
    first.set(node, full);
    if (node.type === 'file') yield* fileEntry(full, node, node.content);
    else yield header(full, node, TYPE_FLAG[node.type], node.type === 'symlink' ? node.target : '', 0, []);
  }
  yield Buffer.alloc(2 * BLOCK);
}

function* fileEntry(path: ByteString, node: TreeNode, content: FileContent): Generator<Uint8Array> {
  const stored = content.extents.reduce((sum, extent) => sum + extent.length, 0);
  if (stored === content.size) {
    yield header(path, node, '0', '', content.size, []);
    yield* range(content, 0, content.size);
    yield padding(content.size);
  } else {
    const ranges = content.extents.map(({ fileOffset, length }) => [fileOffset, length]);
    const last = content.extents.at(-1);
    // GNU tar ends a file where its map does, whatever size it is said to have.
    if (last === undefined || last.fileOffset + last.length < content.size) ranges.push([content.size, 0]);
    const numbers = [ranges.length, ...ranges.flat()];
    const text = `${numbers.join('\n')}\n`;
    const map = Buffer.alloc(Math.ceil(text.length / BLOCK) * BLOCK);
    map.write(text, 'latin1');
    yield header(path, node, '0', '', map.length + stored, [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', path],
      ['GNU.sparse.realsize', String(content.size)],
    ]);
    yield map;
    for (const { fileOffset, length } of content.extents) yield* range(content, fileOffset, length);
    yield padding(stored);
  }
  releaseContent(content);
}

function* range(content: FileContent, offset: number, length: number): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(length, CHUNK));
  for (let done = 0; done < length; done += CHUNK) {
    const part = buffer.subarray(0, Math.min(CHUNK, length - done));
    readContent(content, part, offset + done);
    yield part;
  }
}

function padding(length: number): Uint8Array {
  return Buffer.alloc((BLOCK - (length % BLOCK)) % BLOCK);
}

function header(
  path: ByteString,
  node: TreeNode,
  typeflag: string,
  linkTarget: ByteString,
  size: number,
  extra: [string, ByteString][],
): Buffer {
  const pax: [string, ByteString][] = [...extra];
  const [name, namePrefix] = splitName(path) ?? [path.slice(0, 100), ''];
  if (splitName(path) === undefined) pax.push(['path', path]);
  if (linkTarget.length > 100) pax.push(['linkpath', linkTarget]);
  if (size > MAX_OCTAL_12) pax.push(['size', String(size)]);
  if (node.uid > MAX_OCTAL_8) pax.push(['uid', String(node.uid)]);
  if (node.gid > MAX_OCTAL_8) pax.push(['gid', String(node.gid)]);
  if (node.mtimeNsec !== 0 || node.mtimeSec < 0 || node.mtimeSec > MAX_OCTAL_12) {
    pax.push(['mtime', decimalTime(node.mtimeSec, node.mtimeNsec)]);
  }
  if (typeflag !== '1') {
    const names = [...(node.xattrs?.keys() ?? [])].sort((a, b) => (a < b ? -1 : 1));
    for (const key of names) {
      const value = Buffer.from(node.xattrs?.get(key) as Uint8Array);
      // "=" ends a key, so a name that has one needs libarchive's form.
      if (key.includes('=')) pax.push([`LIBARCHIVE.xattr.${percentEncode(key)}`, value.toString('base64')]);
      else pax.push([`SCHILY.xattr.${key}`, value.toString('latin1')]);
    }
  }
  const main = block(name, namePrefix, node, typeflag, linkTarget.slice(0, 100), size);
  if (pax.length === 0) return main;
  if (!pax.every(([key, value]) => key.includes('xattr') || isUtf8(bytesOf(value)))) pax.unshift(['hdrcharset', 'BINARY']);
  const records = Buffer.concat(pax.map(([key, value]) => record(key, value)));
  const paxName = `PaxHeaders/${name.replace(/.*\/(?=.)/s, '')}`.slice(0, 100);
  const paxBlock = block(paxName, '', { ...node, mtimeSec: 0, mtimeNsec: 0 }, 'x', '', records.length);
  return Buffer.concat([paxBlock, records, padding(records.length), main]);
}

/** Name and prefix fields, when the path fits them. */
function splitName(path: ByteString): [ByteString, ByteString] | undefined {
  if (path.length <= 100) return [path, ''];
  if (path.length > 256) return undefined;
  for (let slash = path.indexOf('/', path.length - 101); slash >= 0 && slash < path.length - 1; slash = path.indexOf('/', slash + 1)) {
    if (slash <= 155 && slash > 0) return [path.slice(slash + 1), path.slice(0, slash)];
  }
  return undefined;
}

function block(name: ByteString, prefix: ByteString, node: TreeNode, typeflag: string, link: ByteString, size: number): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) => {
    const max = length === 8 ? MAX_OCTAL_8 : MAX_OCTAL_12;
    bytes.write(Math.max(0, Math.min(value, max)).toString(8).padStart(length - 1, '0'), at, 'latin1');
  };
  bytes.write(name, 0, 100, 'latin1');
  octal(node.mode, 100, 8);
  octal(node.uid, 108, 8);
  octal(node.gid, 116, 8);
  octal(size, 124, 12);
  octal(node.mtimeSec, 136, 12);
  bytes.write(typeflag, 156, 'latin1');
  bytes.write(link, 157, 100, 'latin1');
  bytes.write('ustar\x0000', 257, 'latin1');
  if (node.type === 'char' || node.type === 'block') {
    octal(node.devMajor, 329, 8);
    octal(node.devMinor, 337, 8);
  }
  bytes.write(prefix, 345, 155, 'latin1');
  bytes.fill(0x20, 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

/** "length key=value\n", the length counting itself. */
function record(key: string, value: ByteString): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`, 'latin1');
}

function decimalTime(sec: number, nsec: number): string {
  if (nsec === 0) return String(sec);
  const [whole, fraction] = sec < 0 ? [-(sec + 1), 1_000_000_000 - nsec] : [sec, nsec];
  return `${sec < 0 ? '-' : ''}${whole}.${String(fraction).padStart(9, '0')}`;
}

function percentEncode(name: ByteString): string {
  return name.replace(/[^A-Za-z0-9._-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
