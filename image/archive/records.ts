/** Files of a container as init sends and takes them (docs/agent-protocol.md, "Built-ins"): trees from records, and back. */
import { VmmError } from '../../base/errors.ts';
import type { LayerHandler } from '../rootfs/layers.ts';
import type { TarEntry, TarEntryType } from '../tar/reader.ts';
import { readContent, releaseContent } from '../tree/content.ts';
import { type ByteString, byteStringOf, bytesOf } from '../tree/names.ts';
import { type DirNode, type NodeMeta, type TreeNode, walk } from '../tree/node.ts';

const HEADER = 56;
const MAX_PATH = 65_536;
const MAX_TARGET = 4096;
const CHUNK = 64 << 10;
const TYPES: Readonly<Record<string, TarEntryType>> = { f: 'file', d: 'dir', l: 'symlink', c: 'char', b: 'block', p: 'fifo' };
/** Of what is only looked at: it is nothing to copy. */
const SOCKET = 's'.charCodeAt(0);
const LETTERS = { file: 'f', dir: 'd', symlink: 'l', char: 'c', block: 'b', fifo: 'p', socket: '' } as const;

function malformed(what: string): VmmError {
  return new VmmError('COPY_GUEST', `the container sends ${what}`, { hint: 'what runs in it may have taken its machine over' });
}

/** Takes a stream of records apart. What a guest sends is checked here, and paths where they become a tree's. Throws COPY_GUEST and what `handler` throws. */
export class RecordReader {
  readonly #handler: Pick<LayerHandler, 'entry' | 'data' | 'end'>;
  #left: Buffer = Buffer.alloc(0);
  #entry: TarEntry | undefined;
  #missing = 0;
  #offset = 0;
  /** The last record has come. */
  ended = false;

  constructor(handler: Pick<LayerHandler, 'entry' | 'data' | 'end'>) {
    this.#handler = handler;
  }

  push(chunk: Buffer): void {
    let bytes = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    while (bytes.length > 0) {
      if (this.ended) throw malformed('more than its files');
      if (this.#entry !== undefined) {
        bytes = this.#data(this.#entry, bytes);
        continue;
      }
      const length = this.#begin(bytes);
      if (length === undefined) break;
      bytes = bytes.subarray(length);
    }
    this.#left = Buffer.from(bytes);
  }

  #data(entry: TarEntry, bytes: Buffer): Buffer {
    const part = bytes.subarray(0, Math.min(this.#missing, bytes.length));
    this.#handler.data(part, entry);
    this.#offset += part.length;
    this.#missing -= part.length;
    if (this.#missing === 0) this.#finish(entry);
    return bytes.subarray(part.length);
  }

  #finish(entry: TarEntry): void {
    this.#handler.end(entry);
    this.#entry = undefined;
  }

  /** Bytes of a record's head; undefined: not all of it is there. */
  #begin(bytes: Buffer): number | undefined {
    if (bytes.length < HEADER) return undefined;
    const head = recordHead(bytes);
    if (head === undefined) {
      this.ended = true;
      return HEADER;
    }
    const whole = HEADER + head.pathLength + head.linkLength;
    if (bytes.length < whole) return undefined;
    const entry: TarEntry = { ...head.entry, path: byteStringOf(bytes.subarray(HEADER, HEADER + head.pathLength)), linkTarget: byteStringOf(bytes.subarray(HEADER + head.pathLength, whole)), dataOffset: this.#offset };
    this.#handler.entry(entry);
    this.#entry = entry;
    this.#missing = entry.dataSize;
    if (this.#missing === 0) this.#finish(entry);
    return whole;
  }
}

type Head = Omit<TarEntry, 'path' | 'linkTarget' | 'dataOffset'>;

/** Undefined: the last record. */
function recordHead(bytes: Buffer): { entry: Head; pathLength: number; linkLength: number } | undefined {
  const letter = bytes[0] as number;
  if (letter === 0) return undefined;
  const type = TYPES[String.fromCharCode(letter)];
  const size = bytes.readBigUInt64LE(24);
  const [mtime, nanoseconds, pathLength, linkLength] = [bytes.readBigInt64LE(32), bytes.readUInt32LE(40), bytes.readUInt32LE(44), bytes.readUInt32LE(48)];
  if (type === undefined || pathLength === 0 || pathLength > MAX_PATH || linkLength > MAX_TARGET || nanoseconds > 999_999_999) throw malformed('what is no record of a file');
  if ((type !== 'file' && size > 0n) || size > BigInt(Number.MAX_SAFE_INTEGER) || mtime > 1n << 52n || mtime < -(1n << 52n)) throw malformed('a file of impossible size or time');
  return {
    entry: {
      type, mode: bytes.readUInt32LE(4) & 0o7777, uid: bytes.readUInt32LE(8), gid: bytes.readUInt32LE(12), devMajor: bytes.readUInt32LE(16), devMinor: bytes.readUInt32LE(20),
      size: Number(size), dataSize: Number(size), sparse: undefined, mtimeSec: Number(mtime), mtimeNsec: nanoseconds, xattrs: undefined,
    },
    pathLength, linkLength,
  };
}

/** What `stat` or `list` say. */
export type ListedEntry = Omit<TarEntry, 'type'> & { readonly type: TarEntryType | 'socket' };

/** What `stat` says: of a thing, and of what it leads to where it is a link; or `list`: of each thing in a directory. Throws COPY_GUEST. */
export function recordsOf(bytes: Buffer): ListedEntry[] {
  const found: ListedEntry[] = [];
  // Contents are not sent.
  for (let at = 0; at < bytes.length; ) {
    const socket = bytes[at] === SOCKET;
    const record = bytes.subarray(at);
    if (socket) record[0] = 'p'.charCodeAt(0); // of no content either
    const head = bytes.length - at < HEADER ? undefined : recordHead(record);
    if (head === undefined || bytes.length - at < HEADER + head.pathLength + head.linkLength) throw malformed('half a record');
    const names = at + HEADER;
    found.push({ ...head.entry, ...(socket ? { type: 'socket' } : {}), path: byteStringOf(bytes.subarray(names, names + head.pathLength)), linkTarget: byteStringOf(bytes.subarray(names + head.pathLength, names + head.pathLength + head.linkLength)), dataOffset: 0 });
    at = names + head.pathLength + head.linkLength;
  }
  return found;
}

function head(node: TreeNode & NodeMeta, path: Buffer, target: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.write(LETTERS[node.type], 0, 'latin1');
  bytes.writeUInt32LE(node.mode & 0o7777, 4);
  bytes.writeUInt32LE(node.uid >>> 0, 8);
  bytes.writeUInt32LE(node.gid >>> 0, 12);
  if ('devMajor' in node) {
    bytes.writeUInt32LE(node.devMajor, 16);
    bytes.writeUInt32LE(node.devMinor, 20);
  }
  if (node.type === 'file') bytes.writeBigUInt64LE(BigInt(node.content.size), 24);
  bytes.writeBigInt64LE(BigInt(node.mtimeSec), 32);
  bytes.writeUInt32LE(node.mtimeNsec, 40);
  bytes.writeUInt32LE(path.length, 44);
  bytes.writeUInt32LE(target.length, 48);
  return Buffer.concat([bytes, path, target]);
}

/** A tree as records; sockets are left out, hard links become files of their own. Each chunk is the receiver's. `owner`: of everything. */
export function* recordsFromTree(root: DirNode, owner?: { readonly uid: number; readonly gid: number }): Generator<Buffer> {
  for (const { path, node } of walk(root)) {
    if (path === '' || node.type === 'socket') continue;
    yield head({ ...node, ...owner } as TreeNode, bytesOf(path as ByteString), node.type === 'symlink' ? bytesOf(node.target) : Buffer.alloc(0));
    if (node.type !== 'file') continue;
    for (let at = 0; at < node.content.size; at += CHUNK) {
      const part = Buffer.alloc(Math.min(CHUNK, node.content.size - at));
      readContent(node.content, part, at);
      yield part;
    }
    releaseContent(node.content);
  }
  yield Buffer.alloc(HEADER);
}
