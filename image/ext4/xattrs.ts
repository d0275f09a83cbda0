import type { ByteString } from '../tree/names.ts';
import { corrupt, type Ext4Disk } from './disk.ts';
import type { Inode } from './inode.ts';

// Linux, fs/ext4/xattr.h.
const MAGIC = 0xea020000;
const ENTRY_BYTES = 16;
const BLOCK_HEADER = 32;
const PREFIXES: Readonly<Record<number, string>> = { 0: '', 1: 'user.', 2: 'system.posix_acl_access', 3: 'system.posix_acl_default', 4: 'trusted.', 6: 'security.', 7: 'system.' };
const ACLS = [2, 3];

/** Extended attributes of an inode; undefined for none. Throws KEPT_DISK. */
export function xattrsOf(disk: Ext4Disk, { extra, aclBlock }: Inode): Map<ByteString, Uint8Array> | undefined {
  const found = new Map<ByteString, Uint8Array>();
  if (extra.length > 4 && extra.readUInt32LE(0) === MAGIC) entries(extra, 4, 4, found);
  if (aclBlock !== 0) {
    const block = disk.block(aclBlock);
    if (block.readUInt32LE(0) !== MAGIC) throw corrupt('attributes of a file are malformed');
    entries(block, BLOCK_HEADER, 0, found);
  }
  return found.size === 0 ? undefined : found;
}

/** `base`: what values' places are counted from. */
function entries(bytes: Buffer, start: number, base: number, found: Map<ByteString, Uint8Array>): void {
  for (let at = start; at + 4 <= bytes.length && bytes.readUInt32LE(at) !== 0; ) {
    const nameLength = bytes[at] as number;
    if (at + ENTRY_BYTES + nameLength > bytes.length) throw corrupt('attributes of a file are malformed');
    const index = bytes[at + 1] as number;
    const prefix = PREFIXES[index];
    const from = base + bytes.readUInt16LE(at + 2);
    const size = bytes.readUInt32LE(at + 8);
    // An inode of its own for a value (ea_inode) is a feature that our file systems do not have.
    if (prefix === undefined || bytes.readUInt32LE(at + 4) !== 0 || from + size > bytes.length) throw corrupt('attributes of a file are malformed');
    const value = Buffer.from(bytes.subarray(from, from + size));
    found.set(prefix + bytes.toString('latin1', at + ENTRY_BYTES, at + ENTRY_BYTES + nameLength), ACLS.includes(index) ? aclValue(value) : value);
    at += ENTRY_BYTES + Math.ceil(nameLength / 4) * 4;
  }
}

/** ext4 leaves out the ids that say nothing (fs/ext4/acl.h); programs see each entry with one (linux/posix_acl_xattr.h). */
function aclValue(bytes: Buffer): Buffer {
  const parts: Uint8Array[] = [Buffer.from([2, 0, 0, 0])];
  for (let at = 4; at + 4 <= bytes.length; ) {
    const tag = bytes.readUInt16LE(at);
    const named = tag === 0x02 || tag === 0x08;
    if (named && at + 8 > bytes.length) throw corrupt('an access control list is malformed');
    parts.push(bytes.subarray(at, at + 4), named ? bytes.subarray(at + 4, at + 8) : Buffer.from([0xff, 0xff, 0xff, 0xff]));
    at += named ? 8 : 4;
  }
  return Buffer.concat(parts);
}
