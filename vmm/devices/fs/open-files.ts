/** Open files: what is read from them and written. Each operation returns bytes of answer, or -errno. */
import { EACCES, EINVAL, EISDIR, ENOENT, ENOMEM, EOPNOTSUPP, EXDEV, EFBIG, EIO } from '../../../assembly/contract/generated/errno.ts';
import { FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FUSE_FSYNC_FDATASYNC, FUSE_OPEN_KILL_SUIDGID, FUSE_WRITE_KILL_SUIDGID } from '../../../assembly/contract/generated/fuse.ts';
import { allocate, closeFile, copyRange, openBeneath, openItself, openTemporary, preadv, pwritev, reopen, seek, sync } from '../../host/files.ts';
import { O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_TMPFILE, O_TRUNC, O_WRONLY, RESOLVE_NO_XDEV, S_IFDIR, S_IFMT, S_IFREG } from '../../host/uapi/files.ts';
import { fuse_copy_file_range_in, fuse_create_in, fuse_entry_out, fuse_fallocate_in, fuse_fsync_in, fuse_lseek_in, fuse_open_in, fuse_open_out, fuse_read_in, fuse_write_in, fuse_write_out } from '../../host/uapi/fuse.ts';
import { O_RDWR } from '../../host/uapi/linux.ts';
import { dropSetIds } from './attributes.ts';
import { adopt, asCaller } from './ids.ts';
import { hostMode } from './owners.ts';
import { ROOT, type Session } from './session.ts';
import type { Share } from './share.ts';

const TYPE_REGULAR = S_IFREG >> 12;
const TYPE_DIRECTORY = S_IFDIR >> 12;
const ACCESS = O_WRONLY | O_RDWR;
/** O_DSYNC, and O_SYNC, which holds it. */
const SYNCED = 0o4010000;
/** What a guest's flags mean for us: the rest is its kernel's business. */
const KEPT = ACCESS | O_APPEND | SYNCED;
/** How a guest's open is done here. One that holds writes back reads what it writes a part of, and appends where it knows the end to be. */
function openFlags({ writeback }: Share, flags: number): number {
  const kept = flags & KEPT;
  return !writeback ? kept : (kept & ~(O_APPEND | ACCESS)) | ((kept & ACCESS) === O_WRONLY ? O_RDWR : kept & ACCESS);
}

/** Opens as a guest asked; a file that it may only write is not read for it either. */
function opened(share: Share, flags: number, open: (flags: number) => number): number {
  const wanted = openFlags(share, flags);
  const fd = open(wanted);
  return fd === -EACCES && (wanted & ACCESS) !== (flags & ACCESS) ? open((wanted & ~ACCESS) | (flags & ACCESS)) : fd;
}

/** The highest offset of a file that is served exactly: JavaScript's numbers. */
const OFFSET_MAX = Number.MAX_SAFE_INTEGER;
/** Most bytes of one COPY_FILE_RANGE. */
export const COPY_MAX = 16 << 20;

/** A handle for a descriptor, which is closed when there is none left; the answer struct fuse_open_out at `offset`. */
export function answerOpen(s: Session, node: number, fd: number, offset: number, openFlags: number): number {
  const handle = s.handles.add(node, fd);
  if (handle < 0) {
    closeFile(fd);
    return handle;
  }
  s.nodes.pin(node, 1);
  s.request.put(offset + fuse_open_out.fh, handle);
  s.request.put(offset + fuse_open_out.fh + 4, s.handles.turn(handle));
  s.request.put64(offset + fuse_open_out.open_flags, openFlags);
  return offset + fuse_open_out.sizeof;
}

/** Whether the guest may go on with the pages that it has: the file is what it was at the last open. */
function cacheFlags(s: Session, node: number): number {
  const { cache } = s.share(node);
  if (cache === 'none') return FOPEN_DIRECT_IO;
  if (cache === 'always') return FOPEN_KEEP_CACHE;
  return s.nodes.unchanged(node, s.stat.content) ? FOPEN_KEEP_CACHE : 0;
}

export function open(s: Session, node: number): number {
  if (node === ROOT) return -EISDIR;
  const flags = s.request.argument(fuse_open_in.flags);
  if (s.nodes.type(node) !== TYPE_REGULAR) return s.nodes.type(node) === TYPE_DIRECTORY ? -EISDIR : -EOPNOTSUPP;
  const share = s.share(node);
  if (share.readOnly && ((flags & ACCESS) !== 0 || (flags & O_TRUNC) !== 0)) return s.writable(node);
  const path = s.paths.of(node);
  if (path < 0) return path;
  if ((s.request.argument(fuse_open_in.open_flags) & FUSE_OPEN_KILL_SUIDGID) !== 0) dropSetIds(s, share, path);
  const fd = opened(share, flags, (kept) => s.paths.withRoom(() => reopen(s.paths.of(node), kept | (flags & O_TRUNC) | O_NONBLOCK)));
  if (fd < 0) return fd;
  if (share.cache === 'auto') s.look(fd);
  return answerOpen(s, node, fd, 0, cacheFlags(s, node));
}

/** CREATE: an entry, and the file open. One that is there already is opened as any other. */
export function create(s: Session, parent: number): number {
  const failed = s.writable(parent);
  if (failed < 0) return failed;
  const { request } = s;
  const flags = request.argument(fuse_create_in.flags);
  const dir = s.paths.of(parent);
  if (dir < 0) return dir;
  const name = s.address(request.name);
  const mode = request.argument(fuse_create_in.mode) & 0o7777;
  const share = s.share(parent);
  const resolve = share.crossing ? 0 : RESOLVE_NO_XDEV;
  // Only what we make is opened unseen.
  let fd = asCaller(s, share, () => openBeneath(dir, name, openFlags(share, flags) | O_CREAT | O_EXCL, share.mapped ? hostMode(S_IFREG | mode) : mode, resolve));
  if (fd < 0 && (flags & O_EXCL) === 0) fd = existing(s, share, dir, flags);
  else if (fd >= 0) adopt(s, parent, { fd, mode: S_IFREG | mode });
  if (fd < 0) return fd;
  const node = entered(s, parent, fd);
  if (node < 0) return node;
  return answerOpen(s, node, fd, fuse_entry_out.sizeof, cacheFlags(s, node));
}

/** A regular file that another has made meanwhile. */
function existing(s: Session, share: Share, dir: number, flags: number): number {
  const failed = s.look(dir, s.request.name);
  if (failed < 0) return failed;
  if ((s.stat.mode & S_IFMT) !== S_IFREG) return -ENOENT;
  const fd = opened(share, flags, (kept) => openBeneath(dir, s.address(s.request.name), kept | (flags & O_TRUNC) | O_NONBLOCK));
  if (fd >= 0 && (s.request.argument(fuse_create_in.open_flags) & FUSE_OPEN_KILL_SUIDGID) !== 0) dropSetIds(s, share, fd);
  return fd;
}

/** The answer's entry for a file that is open and has the request's name; closes it where there is none. */
function entered(s: Session, parent: number, fd: number): number {
  const { name, nameLength } = s.request;
  const failed = s.look(fd);
  const node = failed < 0 ? failed : (s.stat.mode & S_IFMT) !== S_IFREG ? -EIO : s.enter(parent, name, nameLength) || -ENOMEM;
  if (node < 0) closeFile(fd);
  else s.putEntry(0, node);
  return node;
}

/** TMPFILE: a file without a name. */
export function tmpfile(s: Session, parent: number): number {
  const failed = s.writable(parent);
  if (failed < 0) return failed;
  const { request } = s;
  const flags = request.argument(fuse_create_in.flags);
  const share = s.share(parent);
  const dir = s.paths.of(parent);
  if (dir < 0) return dir;
  const mode = request.argument(fuse_create_in.mode) & 0o7777;
  const fd = asCaller(s, share, () => openTemporary(dir, openFlags(share, flags) | (flags & O_EXCL) | O_TMPFILE, share.mapped ? hostMode(S_IFREG | mode) : mode));
  if (fd < 0) return fd;
  adopt(s, parent, { fd, mode: S_IFREG | mode });
  if (s.look(fd) < 0) return closeFile(fd) || -EIO;
  const node = s.nodes.known(share.number, s.stat) || s.nodes.add(share.number, s.stat);
  if (node === 0) return closeFile(fd) || -ENOMEM;
  s.nodes.loseName(node);
  // Only descriptors lead to it, until it is linked.
  const path = openItself(fd);
  if (path >= 0) s.paths.keep(node, path);
  s.putEntry(0, node);
  return answerOpen(s, node, fd, fuse_entry_out.sizeof, cacheFlags(s, node));
}

// ---- bytes --------------------------------------------------------------------------------------------------------

export function read(s: Session, node: number): number {
  const handle = s.handle(fuse_read_in.fh, node);
  if (handle < 0) return handle;
  const { request } = s;
  if (request.length === 0) return 0;
  const offset = request.argument64(fuse_read_in.offset);
  if (offset > OFFSET_MAX) return 0;
  const count = request.vectors(false);
  return count === 0 ? -EIO : preadv(s.handles.fd(handle), request.vectorsAt, count, offset);
}

export function write(s: Session, node: number): number {
  const handle = s.handle(fuse_write_in.fh, node);
  if (handle < 0) return handle;
  const { request } = s;
  const fd = s.handles.fd(handle);
  const offset = request.argument64(fuse_write_in.offset);
  if (offset > OFFSET_MAX) return -EFBIG;
  let done = 0;
  if (request.length > 0) {
    const count = request.vectors(true);
    if (count === 0) return -EIO;
    if ((request.argument(fuse_write_in.write_flags) & FUSE_WRITE_KILL_SUIDGID) !== 0) dropSetIds(s, s.share(node), fd);
    done = pwritev(fd, request.vectorsAt, count, offset);
  }
  if (done < 0) return done;
  request.put(fuse_write_out.size, done);
  request.put(fuse_write_out.size + 4, 0);
  return fuse_write_out.sizeof;
}

export function fsync(s: Session, node: number): number {
  const handle = s.handle(fuse_fsync_in.fh, node);
  return handle < 0 ? handle : sync(s.handles.fd(handle), (s.request.argument(fuse_fsync_in.fsync_flags) & FUSE_FSYNC_FDATASYNC) !== 0);
}

export function lseek(s: Session, node: number): number {
  const handle = s.handle(fuse_lseek_in.fh, node);
  if (handle < 0) return handle;
  const { request } = s;
  const offset = request.argument64(fuse_lseek_in.offset);
  if (offset > OFFSET_MAX) return -EINVAL;
  const result = seek(s.handles.fd(handle), offset, request.argument(fuse_lseek_in.whence));
  if (result < 0) return result;
  request.put64(0, result); // struct fuse_lseek_out
  return 8;
}

export function fallocate(s: Session, node: number): number {
  const handle = s.handle(fuse_fallocate_in.fh, node);
  if (handle < 0) return handle;
  const { request } = s;
  const [offset, length] = [request.argument64(fuse_fallocate_in.offset), request.argument64(fuse_fallocate_in.length)];
  if (offset > OFFSET_MAX || length > OFFSET_MAX) return -EFBIG;
  return allocate(s.handles.fd(handle), request.argument(fuse_fallocate_in.mode), offset, length);
}

export function copyFileRange(s: Session, node: number): number {
  const { request } = s;
  const a = fuse_copy_file_range_in;
  const to = s.node(request.argument(a.nodeid_out), request.argument(a.nodeid_out + 4));
  if (to < 0) return to === ROOT ? -EINVAL : to;
  if (node === ROOT || s.share(node) !== s.share(to)) return -EXDEV;
  const [from, into] = [s.handle(a.fh_in, node), s.handle(a.fh_out, to)];
  if (from < 0 || into < 0) return Math.min(from, into);
  const [fromOffset, toOffset] = [request.argument64(a.off_in), request.argument64(a.off_out)];
  if (fromOffset > OFFSET_MAX || toOffset > OFFSET_MAX || request.argument64(a.flags) !== 0) return -EINVAL;
  // A long copy holds up all else: the guest asks again for the rest.
  const result = copyRange(s.handles.fd(from), fromOffset, s.handles.fd(into), toOffset, Math.min(request.argument64(a.len), COPY_MAX));
  if (result < 0) return result;
  request.put64(0, result); // struct fuse_write_out
  return fuse_write_out.sizeof;
}
