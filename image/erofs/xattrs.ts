import { VmmError } from '../../base/errors.ts';
import type { ByteString } from '../tree/names.ts';
import { XATTR_ENTRY_SIZE, XATTR_IBODY_HEADER_SIZE } from './format.ts';

/** Name prefixes that EROFS stores as a number (fs/erofs/erofs_fs.h, EROFS_XATTR_INDEX_*). */
export const XATTR_PREFIXES: readonly { index: number; prefix: ByteString; whole: boolean }[] = [
  { index: 1, prefix: 'user.', whole: false },
  { index: 2, prefix: 'system.posix_acl_access', whole: true },
  { index: 3, prefix: 'system.posix_acl_default', whole: true },
  { index: 4, prefix: 'trusted.', whole: false },
  { index: 6, prefix: 'security.', whole: false },
];

/** h_shared_count is one byte. */
const MAX_SHARED = 255;
/** i_xattr_icount is two bytes and counts in fours, the header being the first. */
const MAX_BODY = XATTR_IBODY_HEADER_SIZE + 0xfffe * 4;
const MAX_VALUE = 0xffff;

/** True when EROFS can hold an attribute of this name and value. */
export function xattrFits(name: ByteString, value: Uint8Array): boolean {
  const prefix = prefixOf(name);
  if (prefix === undefined || value.length > MAX_VALUE) return false;
  const rest = name.length - prefix.prefix.length;
  return rest <= 255 && (prefix.whole || rest > 0);
}

function prefixOf(name: ByteString): (typeof XATTR_PREFIXES)[number] | undefined {
  return XATTR_PREFIXES.find((p) => (p.whole ? name === p.prefix : name.startsWith(p.prefix)));
}

/** One distinct (name, value) and how many inodes have it. */
interface PoolEntry {
  bytes: Buffer;
  uses: number;
  /** Address in the shared area divided by four; -1 while inline. */
  sharedId: number;
}

/** The xattrs of one inode, as they will lie behind it. */
export interface XattrBody {
  entries: PoolEntry[];
  /** Bytes behind the inode, header included; set by `XattrPool.place`. */
  size: number;
}

/**
 * All attributes of an image: those that two or more inodes have alike go to the shared
 * area once, the others behind their inode.
 */
export class XattrPool {
  readonly #entries = new Map<string, PoolEntry>();
  #sharedSize = 0;

  /** Registers the attributes of one inode that EROFS can hold; undefined when none is left. */
  add(xattrs: ReadonlyMap<ByteString, Uint8Array> | undefined): XattrBody | undefined {
    if (xattrs === undefined || xattrs.size === 0) return undefined;
    const entries: PoolEntry[] = [];
    for (const name of [...xattrs.keys()].sort((a, b) => (a < b ? -1 : 1))) {
      const value = xattrs.get(name) as Uint8Array;
      if (!xattrFits(name, value)) continue;
      const bytes = encodeEntry(name, value);
      const key = bytes.toString('latin1');
      let entry = this.#entries.get(key);
      if (entry === undefined) {
        entry = { bytes, uses: 0, sharedId: -1 };
        this.#entries.set(key, entry);
      }
      entry.uses++;
      entries.push(entry);
    }
    return entries.length === 0 ? undefined : { entries, size: 0 };
  }

  /** Decides what is shared; afterwards `sharedSize` and `measure` are valid. */
  place(): void {
    for (const entry of this.#entries.values()) {
      if (entry.uses < 2) continue;
      entry.sharedId = this.#sharedSize / 4;
      this.#sharedSize += entry.bytes.length;
    }
  }

  get sharedSize(): number {
    return this.#sharedSize;
  }

  /** Sets the body's size. Throws IMAGE_EROFS_LIMIT when it exceeds the format. */
  measure(body: XattrBody): void {
    let size = XATTR_IBODY_HEADER_SIZE;
    let shared = 0;
    for (const entry of body.entries) {
      if (entry.sharedId >= 0 && shared < MAX_SHARED) {
        shared++;
        size += 4;
      } else {
        size += entry.bytes.length;
      }
    }
    if (size > MAX_BODY) {
      throw new VmmError('IMAGE_EROFS_LIMIT', `extended attributes of one file take ${size} bytes; at most ${MAX_BODY} fit`);
    }
    body.size = size;
  }

  /** The shared area's entries in the order of their ids. */
  *shared(): Generator<Buffer> {
    for (const entry of this.#entries.values()) if (entry.sharedId >= 0) yield entry.bytes;
  }
}

/** Writes a measured body into `into`, which is body.size zeroed bytes. */
export function encodeBody(body: XattrBody, into: Buffer): void {
  let at = XATTR_IBODY_HEADER_SIZE;
  let shared = 0;
  const inline: PoolEntry[] = [];
  for (const entry of body.entries) {
    if (entry.sharedId >= 0 && shared < MAX_SHARED) {
      into.writeUInt32LE(entry.sharedId, at);
      at += 4;
      shared++;
    } else {
      inline.push(entry);
    }
  }
  into[4] = shared;
  for (const entry of inline) {
    entry.bytes.copy(into, at);
    at += entry.bytes.length;
  }
}

function encodeEntry(name: ByteString, value: Uint8Array): Buffer {
  const prefix = prefixOf(name);
  if (prefix === undefined) throw new Error(`no EROFS prefix for ${name}`);
  const rest = name.slice(prefix.prefix.length);
  const length = XATTR_ENTRY_SIZE + rest.length + value.length;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes[0] = rest.length;
  bytes[1] = prefix.index;
  bytes.writeUInt16LE(value.length, 2);
  bytes.write(rest, XATTR_ENTRY_SIZE, 'latin1');
  bytes.set(value, XATTR_ENTRY_SIZE + rest.length);
  return bytes;
}
