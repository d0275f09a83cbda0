/** Operations of a share with a quota: what each takes of it, or gives back, by what the host's file system says before and after. */
import { ENOSPC } from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { seek, statx } from '../../host/files.ts';
import { O_TRUNC, RENAME_EXCHANGE, S_IFDIR } from '../../host/uapi/files.ts';
import { fuse_copy_file_range_in, fuse_fallocate_in, fuse_open_in, fuse_rename2_in, fuse_write_in } from '../../host/uapi/fuse.ts';
import { FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_PUNCH_HOLE, SEEK_HOLE } from '../../host/uapi/linux.ts';
import { COPY_MAX } from './open-files.ts';
import { countTree, type Quota } from './quota.ts';
import type { Session } from './session.ts';

const TYPE_DIRECTORY = S_IFDIR >> 12;
/** struct fuse_release_in begins with the handle. */
const FH = 0;

type Operation = (s: Session, node: number) => number;

/** What may be there, and what it takes: bytes, 0 where there is nothing. */
function taken(s: Session, fd: number, name = 0): number {
  return fd >= 0 && statx(fd, name === 0 ? 0 : s.address(name), s.stat.address) >= 0 ? s.stat.allocated : 0;
}

/** Counts what `measure` tells before and after. */
function difference(quota: Quota, measure: () => number, work: () => number): number {
  const before = measure();
  const result = work();
  quota.took(measure() - before);
  return result;
}

interface Bytes {
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
}

/** May so much be written at this place, where `left` bytes are (less than none: a little too much is taken already)? */
function fits(s: Session, { fd, offset, length }: Bytes, left: number): boolean {
  if (length <= left) return true;
  if (statx(fd, 0, s.stat.address) < 0) return false;
  const { size, allocated } = s.stat;
  // A file with holes may take all of it; one without has its bytes already, or is filled up within what was set aside for it.
  if (allocated < size || Math.min(length, Math.max(0, offset + length - size)) > Math.max(left, 0)) return false;
  // What was set aside may lie elsewhere.
  return left >= 0 || seek(fd, offset, SEEK_HOLE) >= Math.min(offset + length, size);
}

function bytesOf(s: Session, node: number): Bytes | undefined {
  const { request } = s;
  switch (request.opcode) {
    case F.FUSE_WRITE: return { fd: descriptor(s, fuse_write_in.fh, node), offset: request.argument64(fuse_write_in.offset), length: request.length };
    case F.FUSE_FALLOCATE: return { fd: descriptor(s, fuse_fallocate_in.fh, node), offset: request.argument64(fuse_fallocate_in.offset), length: request.argument64(fuse_fallocate_in.length) };
    case F.FUSE_COPY_FILE_RANGE: {
      const a = fuse_copy_file_range_in;
      const to = s.node(request.argument(a.nodeid_out), request.argument(a.nodeid_out + 4));
      return { fd: to < 0 ? -1 : descriptor(s, a.fh_out, to), offset: request.argument64(a.off_out), length: Math.min(request.argument64(a.len), COPY_MAX) };
    }
    default: return undefined;
  }
}

function descriptor(s: Session, field: number, node: number): number {
  const handle = s.handle(field, node);
  return handle < 0 ? -1 : s.handles.fd(handle);
}

/** What goes with a name: the bytes of a file that has no other, and that nobody has open. */
function goes(s: Session, share: number, dir: number, name: number): number {
  const bytes = taken(s, dir, name);
  if (bytes === 0 || (s.stat.links > 1 && s.stat.type !== TYPE_DIRECTORY)) return 0;
  const node = s.nodes.known(share, s.stat);
  return node !== 0 && s.nodes.pinned(node) > 0 ? 0 : bytes;
}

/** As `operation`, of an inode in a share with a quota; -ENOSPC where it is used up. */
export function countedOperation(s: Session, node: number, quota: Quota, operation: Operation): number {
  const { request } = s;
  const share = s.share(node);
  const work = (): number => operation(s, node);
  const used = (): number => quota.used(() => countTree(share.fd, s.stat));
  switch (request.opcode) {
    case F.FUSE_WRITE:
    case F.FUSE_FALLOCATE:
    case F.FUSE_COPY_FILE_RANGE: {
      const bytes = bytesOf(s, node);
      if (bytes === undefined || bytes.fd < 0) return work();
      const frees = request.opcode === F.FUSE_FALLOCATE && (request.argument(fuse_fallocate_in.mode) & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE)) !== 0;
      const left = quota.limit - used();
      if (!frees && !fits(s, bytes, left)) return -ENOSPC;
      return difference(quota, () => taken(s, bytes.fd), work);
    }
    case F.FUSE_OPEN:
      if ((request.argument(fuse_open_in.flags) & O_TRUNC) === 0) return work();
      used();
      return difference(quota, () => taken(s, s.paths.of(node)), work);
    case F.FUSE_SETXATTR:
      if (used() >= quota.limit) return -ENOSPC;
      return difference(quota, () => taken(s, s.paths.of(node)), work);
    case F.FUSE_SETATTR:
    case F.FUSE_REMOVEXATTR:
      used();
      return difference(quota, () => taken(s, s.paths.of(node)), work);
    case F.FUSE_CREATE:
    case F.FUSE_MKDIR:
    case F.FUSE_MKNOD:
    case F.FUSE_SYMLINK:
      if (used() >= quota.limit) return -ENOSPC;
      return difference(quota, () => taken(s, s.paths.of(node)) + taken(s, s.paths.of(node), request.name), work);
    case F.FUSE_LINK:
    case F.FUSE_TMPFILE:
      if (used() >= quota.limit) return -ENOSPC;
      return difference(quota, () => taken(s, s.paths.of(node)), work);
    case F.FUSE_UNLINK:
    case F.FUSE_RMDIR:
      used();
      return removed(quota, goes(s, share.number, s.paths.of(node), request.name), work);
    case F.FUSE_RENAME:
    case F.FUSE_RENAME2: {
      used();
      const to = s.node(request.argument(fuse_rename2_in.newdir), request.argument(fuse_rename2_in.newdir + 4));
      const exchange = request.opcode === F.FUSE_RENAME2 && (request.argument(fuse_rename2_in.flags) & RENAME_EXCHANGE) !== 0;
      return removed(quota, to < 0 || exchange ? 0 : goes(s, share.number, s.paths.of(to), request.second), work);
    }
    case F.FUSE_RELEASE:
    case F.FUSE_RELEASEDIR: {
      const fd = descriptor(s, FH, node);
      const bytes = taken(s, fd);
      return removed(quota, bytes > 0 && s.stat.links === 0 && s.nodes.pinned(node) === 1 ? bytes : 0, work);
    }
    default: return work();
  }
}

function removed(quota: Quota, bytes: number, work: () => number): number {
  const result = work();
  if (result >= 0) quota.took(-bytes);
  return result;
}
