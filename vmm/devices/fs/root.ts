/** The root of a device with named shares: a directory that is nowhere on the host. */
import { EINVAL, ENOENT } from '../../../assembly/contract/generated/errno.ts';
import { FUSE_ATTR_SUBMOUNT, FUSE_ROOT_ID } from '../../../assembly/contract/generated/fuse.ts';
import { S_IFDIR } from '../../host/uapi/files.ts';
import { fuse_attr, fuse_attr_out, fuse_dirent, fuse_entry_out } from '../../host/uapi/fuse.ts';
import type { Session } from './session.ts';
import type { Share } from './share.ts';

const MODE = S_IFDIR | 0o555;
const DT_DIR = 4;
const DT_UNKNOWN = 0;

function shares(s: Session): Share[] {
  return s.shares.filter((share) => share?.slot === s.slot) as Share[];
}

export function lookupShare(s: Session): number {
  const { bytes, name, nameLength } = s.request;
  const wanted = Buffer.from(bytes.subarray(name, name + nameLength)).toString();
  const share = shares(s).find((each) => each.name === wanted);
  if (share === undefined) return -ENOENT;
  const failed = s.look(share.fd);
  if (failed < 0) return failed;
  s.putEntry(0, share.node);
  // Names come and go with their shares.
  s.request.put64(fuse_entry_out.entry_valid, 0);
  if (s.stat.mode >>> 12 === S_IFDIR >> 12) s.request.put(fuse_entry_out.attr + fuse_attr.flags, FUSE_ATTR_SUBMOUNT);
  return fuse_entry_out.sizeof;
}

export function rootAttr(s: Session): number {
  const { request } = s;
  request.clear(fuse_attr_out.sizeof);
  request.put(fuse_attr_out.attr + fuse_attr.ino, FUSE_ROOT_ID);
  request.put(fuse_attr_out.attr + fuse_attr.mode, MODE);
  request.put(fuse_attr_out.attr + fuse_attr.nlink, 2 + shares(s).length);
  request.put(fuse_attr_out.attr + fuse_attr.blksize, 4096);
  return fuse_attr_out.sizeof;
}

/** READDIR: the shares' names. `offset` counts them; no inode is learnt of by READDIRPLUS. */
export function readRoot(s: Session, offset: number, size: number, plus: boolean): number {
  if (!Number.isSafeInteger(offset)) return -EINVAL;
  const { request } = s;
  const head = plus ? fuse_entry_out.sizeof : 0;
  const entries = [{ name: '.', type: DT_DIR }, { name: '..', type: DT_DIR }, ...shares(s).map(({ name }) => ({ name, type: DT_UNKNOWN }))];
  let at = 0;
  for (let i = offset; i < entries.length; i++) {
    const entry = entries[i] as { name: string; type: number };
    const text = Buffer.from(entry.name);
    const length = (head + fuse_dirent.name + text.length + 7) & ~7;
    if (at + length > Math.min(size, request.room)) break;
    request.words.fill(0, (request.reply + at) >>> 2, (request.reply + at + length) >>> 2);
    request.put64(at + head + fuse_dirent.ino, FUSE_ROOT_ID + i);
    request.put64(at + head + fuse_dirent.off, i + 1);
    request.put(at + head + fuse_dirent.namelen, text.length);
    request.put(at + head + fuse_dirent.type, entry.type);
    request.bytes.set(text, request.reply + at + head + fuse_dirent.name);
    at += length;
  }
  return at;
}
