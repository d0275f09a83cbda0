/** What is known of a file beside its bytes. Each operation returns bytes of answer, or -errno. */
import { EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../../../assembly/contract/generated/errno.ts';
import {
  FATTR_ATIME, FATTR_ATIME_NOW, FATTR_FH, FATTR_GID, FATTR_KILL_SUIDGID, FATTR_MODE, FATTR_MTIME, FATTR_MTIME_NOW, FATTR_SIZE, FATTR_UID, FUSE_GETATTR_FH,
} from '../../../assembly/contract/generated/fuse.ts';
import { placeOf } from '../../host/places.ts';
import { changeMode, changeOwner, changeTimes, closeFile, getAttribute, listAttributes, removeAttribute, reopen, setAttribute, statFileSystem, truncate } from '../../host/files.ts';
import { S_IFDIR, S_IFMT, S_IFREG, statfs, statx as struct_statx, UTIME_NOW, UTIME_OMIT } from '../../host/uapi/files.ts';
import { fuse_getattr_in, fuse_getxattr_in, fuse_kstatfs, fuse_setattr_in, fuse_setxattr_in } from '../../host/uapi/fuse.ts';
import { O_NONBLOCK, O_WRONLY } from '../../host/uapi/files.ts';
import { HIDDEN, hideOverride, hostMode, isOverride, setOwner, withoutSetIds } from './owners.ts';
import { countTree, type Quota } from './quota.ts';
import { rootAttr } from './root.ts';
import { ROOT, type Session } from './session.ts';
import { type Share, validity } from './share.ts';

const TYPE_REGULAR = S_IFREG >> 12;
const TYPE_DIRECTORY = S_IFDIR >> 12;
/** Not on V8's heap, where it would move: two struct timespec, or struct statfs. */
const scratch = new Uint32Array(new ArrayBuffer(4096));
const NO_ID = -1;

export function getattr(s: Session, node: number): number {
  if (node === ROOT) return rootAttr(s);
  const flags = s.request.argument(fuse_getattr_in.getattr_flags);
  const failed = (flags & FUSE_GETATTR_FH) !== 0 ? statOpen(s, node) : s.statNode(node);
  return failed < 0 ? failed : s.answerAttr(s.share(node));
}

/** STATX: as the kernel told us, less what is the host's own. */
export function statxOf(s: Session, node: number): number {
  if (node === ROOT) return -ENOSYS;
  const failed = (s.request.argument(fuse_getattr_in.getattr_flags) & FUSE_GETATTR_FH) !== 0 ? statOpen(s, node) : s.statNode(node);
  if (failed < 0) return failed;
  const { request, stat: { words } } = s;
  request.clear(STATX_OUT);
  request.put64(0, validity(s.share(node)));
  for (let at = 0; at < struct_statx.stx_mnt_id; at += 4) request.put(STATX_OUT_STAT + at, words[at / 4] as number);
  const { uid, gid, mode } = s.owner(s.share(node));
  request.put(STATX_OUT_STAT + struct_statx.stx_uid, uid);
  request.put(STATX_OUT_STAT + struct_statx.stx_gid, gid);
  request.put(STATX_OUT_STAT + struct_statx.stx_mode, mode);
  return STATX_OUT;
}

/** struct fuse_statx_out (7.39): attr_valid u64, attr_valid_nsec u32, flags u32, spare u64 × 2, struct statx. */
const STATX_OUT_STAT = 32;
const STATX_OUT = STATX_OUT_STAT + struct_statx.sizeof;

function statOpen(s: Session, node: number): number {
  const handle = s.handle(fuse_getattr_in.fh, node);
  return handle < 0 ? s.statNode(node) : s.look(s.handles.fd(handle));
}

export function setattr(s: Session, node: number): number {
  const failed = s.writable(node);
  if (failed < 0) return failed;
  const { request } = s;
  const valid = request.argument(fuse_setattr_in.valid);
  const result = change(s, node, valid);
  if (result < 0) return result;
  const fd = s.paths.of(node);
  const again = fd < 0 ? fd : s.look(fd);
  return again < 0 ? again : s.answerAttr(s.share(node));
}

function change(s: Session, node: number, valid: number): number {
  const fd = s.paths.of(node);
  if (fd < 0) return fd;
  let result = 0;
  if (s.share(node).mapped) result = changeOverride(s, node, fd, valid);
  else result = changeOwnerAndMode(s, fd, valid);
  if (result >= 0 && (valid & FATTR_SIZE) !== 0) result = resize(s, node, fd, valid);
  if (result >= 0 && (valid & FATTR_KILL_SUIDGID) !== 0) result = dropSetIds(s, s.share(node), fd);
  if (result >= 0 && (valid & (FATTR_ATIME | FATTR_MTIME)) !== 0) result = setTimes(s, fd, valid);
  return result;
}

/** Owner first: it takes set-id bits away that a new mode may want. */
function changeOwnerAndMode(s: Session, fd: number, valid: number): number {
  const { request } = s;
  let result = 0;
  if ((valid & (FATTR_UID | FATTR_GID)) !== 0) {
    const uid = (valid & FATTR_UID) !== 0 ? request.argument(fuse_setattr_in.uid) : NO_ID;
    const gid = (valid & FATTR_GID) !== 0 ? request.argument(fuse_setattr_in.gid) : NO_ID;
    result = changeOwner(fd, uid, gid);
  }
  if (result >= 0 && (valid & FATTR_MODE) !== 0) result = changeMode(fd, request.argument(fuse_setattr_in.mode) & 0o7777);
  return result;
}

/** Likewise where owner and mode are kept beside the file. */
function changeOverride(s: Session, node: number, fd: number, valid: number): number {
  if ((valid & (FATTR_UID | FATTR_GID | FATTR_MODE)) === 0) return 0;
  const failed = s.look(fd);
  if (failed < 0) return failed;
  const { request } = s;
  let { uid, gid, mode, rdev } = s.owner(s.share(node));
  if ((valid & (FATTR_UID | FATTR_GID)) !== 0) {
    if (s.nodes.type(node) === TYPE_REGULAR) mode = withoutSetIds(mode);
    if ((valid & FATTR_UID) !== 0) uid = request.argument(fuse_setattr_in.uid);
    if ((valid & FATTR_GID) !== 0) gid = request.argument(fuse_setattr_in.gid);
  }
  if ((valid & FATTR_MODE) !== 0) mode = (mode & S_IFMT) | (request.argument(fuse_setattr_in.mode) & 0o7777);
  // A link's owner cannot be kept, and its mode means nothing.
  if (s.nodes.type(node) !== TYPE_REGULAR && s.nodes.type(node) !== TYPE_DIRECTORY) return 0;
  const moded = (valid & FATTR_MODE) !== 0 ? changeMode(fd, hostMode((s.stat.mode & S_IFMT) | (mode & 0o777))) : 0;
  return moded < 0 ? moded : setOwner(fd, undefined, { uid, gid, mode, rdev });
}

function resize(s: Session, node: number, fd: number, valid: number): number {
  const { request } = s;
  const size = request.argument64(fuse_setattr_in.size);
  const handle = (valid & FATTR_FH) !== 0 ? s.handle(fuse_setattr_in.fh, node) : -1;
  if (handle >= 0) return truncate(s.handles.fd(handle), size);
  if (s.nodes.type(node) !== TYPE_REGULAR) return -EINVAL;
  const open = s.paths.withRoom(() => reopen(fd, O_WRONLY | O_NONBLOCK));
  if (open < 0) return open;
  const result = truncate(open, size);
  closeFile(open);
  return result;
}

/** As the kernel does for a caller without CAP_FSETID: set-user-id goes, set-group-id too where the group may execute. */
export function dropSetIds(s: Session, share: Share, fd: number): number {
  const failed = s.look(fd);
  if (failed < 0) return failed;
  const before = s.owner(share);
  const mode = withoutSetIds(before.mode);
  if (mode === before.mode) return 0;
  return share.mapped ? setOwner(fd, undefined, { ...before, mode }) : changeMode(fd, mode & 0o7777);
}

function setTimes(s: Session, fd: number, valid: number): number {
  const { request } = s;
  const time = (to: number, is: number, isNow: number, seconds: number, nanoseconds: number): void => {
    scratch[to] = request.argument(seconds);
    scratch[to + 1] = request.argument(seconds + 4);
    scratch[to + 2] = (valid & is) === 0 ? UTIME_OMIT : (valid & isNow) !== 0 ? UTIME_NOW : request.argument(nanoseconds) % 1e9;
    scratch[to + 3] = 0;
  };
  time(0, FATTR_ATIME, FATTR_ATIME_NOW, fuse_setattr_in.atime, fuse_setattr_in.atimensec);
  time(4, FATTR_MTIME, FATTR_MTIME_NOW, fuse_setattr_in.mtime, fuse_setattr_in.mtimensec);
  return changeTimes(fd, placeOf(scratch));
}

export function fileSystem(s: Session, node: number): number {
  const { request } = s;
  const fd = node === ROOT ? (s.shares.find((share) => share?.slot === s.slot)?.fd ?? -1) : s.paths.of(node);
  request.clear(fuse_kstatfs.sizeof);
  if (fd < 0) return node === ROOT ? fuse_kstatfs.sizeof : fd;
  const failed = statFileSystem(fd, placeOf(scratch));
  if (failed < 0) return failed;
  for (const [to, from] of [[fuse_kstatfs.blocks, statfs.f_blocks], [fuse_kstatfs.bfree, statfs.f_bfree], [fuse_kstatfs.bavail, statfs.f_bavail], [fuse_kstatfs.files, statfs.f_files], [fuse_kstatfs.ffree, statfs.f_ffree]] as const) {
    request.put(to, scratch[from / 4] as number);
    request.put(to + 4, scratch[from / 4 + 1] as number);
  }
  const quota = node === ROOT ? undefined : s.share(node).quota;
  if (quota !== undefined) limitBlocks(s, s.share(node), quota, scratch[statfs.f_bsize / 4] as number);
  request.put(fuse_kstatfs.bsize, scratch[statfs.f_bsize / 4] as number);
  request.put(fuse_kstatfs.frsize, scratch[statfs.f_frsize / 4] as number);
  request.put(fuse_kstatfs.namelen, scratch[statfs.f_namelen / 4] as number);
  return fuse_kstatfs.sizeof;
}

/** A file system that has a quota is as large as that, where the host's is not smaller. */
function limitBlocks({ request, stat }: Session, { fd }: Share, quota: Quota, blockSize: number): void {
  const left = Math.max(0, quota.limit - quota.used(() => countTree(fd, stat)));
  for (const [field, bytes] of [[fuse_kstatfs.blocks, quota.limit], [fuse_kstatfs.bfree, left], [fuse_kstatfs.bavail, left]] as const) {
    const host = (request.words[(request.reply + field) >>> 2] as number) + (request.words[(request.reply + field + 4) >>> 2] as number) * 2 ** 32;
    request.put64(field, Math.min(host, Math.floor(bytes / blockSize)));
  }
}

// ---- extended attributes ------------------------------------------------------------------------------------------

/** Is the request about the attribute that is ours alone? */
function hidden({ request: { bytes, name, nameLength } }: Session, share: Share): boolean {
  return share.mapped && isOverride(bytes.subarray(name, name + nameLength));
}

export function setxattr(s: Session, node: number): number {
  const failed = s.writable(node);
  if (failed < 0) return failed;
  if (hidden(s, s.share(node))) return -EPERM;
  const fd = s.paths.of(node);
  if (fd < 0) return fd;
  const { request } = s;
  return setAttribute(fd, s.address(request.name), s.address(request.second), request.secondLength, request.argument(fuse_setxattr_in.flags));
}

/** GETXATTR and LISTXATTR: the value, or with size 0 how long it is. */
function sized(s: Session, node: number, get: (fd: number, to: number, length: number) => number): number {
  if (node === ROOT) return -EOPNOTSUPP;
  const fd = s.paths.of(node);
  if (fd < 0) return fd;
  const { request } = s;
  const size = request.argument(fuse_getxattr_in.size);
  const result = get(fd, size === 0 ? 0 : s.address(request.reply), Math.min(size, request.room));
  if (result < 0 || size !== 0) return result;
  request.put64(0, result);
  return 8; // struct fuse_getxattr_out
}

export function getxattr(s: Session, node: number): number {
  if (node !== ROOT && hidden(s, s.share(node))) return HIDDEN;
  return sized(s, node, (fd, to, length) => getAttribute(fd, s.address(s.request.name), to, length));
}

export function listxattr(s: Session, node: number): number {
  const result = sized(s, node, listAttributes);
  if (node === ROOT || !s.share(node).mapped || result <= 0 || s.request.argument(fuse_getxattr_in.size) === 0) return result;
  return hideOverride(s.request.bytes.subarray(s.request.reply, s.request.reply + result));
}

export function removexattr(s: Session, node: number): number {
  const failed = s.writable(node);
  if (failed < 0) return failed;
  if (hidden(s, s.share(node))) return HIDDEN;
  const fd = s.paths.of(node);
  return fd < 0 ? fd : removeAttribute(fd, s.address(s.request.name));
}
