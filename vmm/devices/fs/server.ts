import { EINVAL, EIO, ENOSYS } from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { closeFile, reopen, syncAll } from '../../host/files.ts';
import { O_NONBLOCK, S_IFDIR, S_IFREG } from '../../host/uapi/files.ts';
import { fuse_rename2_in } from '../../host/uapi/fuse.ts';
import { fileSystem, getattr, getxattr, listxattr, removexattr, setattr, setxattr, statxOf } from './attributes.ts';
import { countedOperation } from './counted-operations.ts';
import { opendir, readdir } from './directories.ts';
import { flush, getlk, setlk } from './locks.ts';
import { link, lookup, mkdir, mknod, readlink, rename, rmdir, symlink, unlink } from './names.ts';
import { copyFileRange, create, fallocate, fsync, lseek, open, read, tmpfile, write } from './open-files.ts';
import type { Quota } from './quota.ts';
import { watchedOperation } from './raising.ts';
import { ROOT, type Session } from './session.ts';

/** What an operation answers: bytes, or -errno. Inodes that are there are all it gets; ROOT is the first it has to think of. */
type Operation = (s: Session, node: number) => number;

/** struct fuse_release_in and fuse_flush_in begin with the handle. */
const FH = 0;

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [F.FUSE_LOOKUP]: lookup,
  [F.FUSE_GETATTR]: getattr,
  [F.FUSE_SETATTR]: setattr,
  [F.FUSE_READLINK]: readlink,
  [F.FUSE_SYMLINK]: symlink,
  [F.FUSE_MKNOD]: mknod,
  [F.FUSE_MKDIR]: mkdir,
  [F.FUSE_UNLINK]: unlink,
  [F.FUSE_RMDIR]: rmdir,
  [F.FUSE_RENAME]: (s, node) => rename(s, node, 0),
  [F.FUSE_RENAME2]: (s, node) => rename(s, node, s.request.argument(fuse_rename2_in.flags)),
  [F.FUSE_LINK]: link,
  [F.FUSE_OPEN]: open,
  [F.FUSE_CREATE]: create,
  [F.FUSE_TMPFILE]: tmpfile,
  [F.FUSE_READ]: read,
  [F.FUSE_WRITE]: write,
  [F.FUSE_STATFS]: fileSystem,
  [F.FUSE_STATX]: statxOf,
  [F.FUSE_RELEASE]: release,
  [F.FUSE_RELEASEDIR]: release,
  [F.FUSE_FLUSH]: flush,
  [F.FUSE_GETLK]: getlk,
  [F.FUSE_SETLK]: (s, node) => setlk(s, node, false),
  [F.FUSE_SETLKW]: (s, node) => setlk(s, node, true),
  [F.FUSE_FSYNC]: fsync,
  [F.FUSE_FSYNCDIR]: fsync,
  [F.FUSE_SETXATTR]: setxattr,
  [F.FUSE_GETXATTR]: getxattr,
  [F.FUSE_LISTXATTR]: listxattr,
  [F.FUSE_REMOVEXATTR]: removexattr,
  [F.FUSE_OPENDIR]: opendir,
  [F.FUSE_READDIR]: (s, node) => readdir(s, node, false),
  [F.FUSE_READDIRPLUS]: (s, node) => readdir(s, node, true),
  [F.FUSE_FALLOCATE]: fallocate,
  [F.FUSE_LSEEK]: lseek,
  [F.FUSE_COPY_FILE_RANGE]: copyFileRange,
  [F.FUSE_SYNCFS]: syncfs,
  [F.FUSE_DESTROY]: () => 0,
};

function release(s: Session, node: number): number {
  if (node === ROOT) return 0;
  const handle = s.handle(FH, node);
  if (handle < 0) return handle;
  s.release(handle, node);
  return 0;
}

function syncfs(s: Session, node: number): number {
  if (node !== ROOT) return syncOf(s, node);
  for (const share of s.shares) if (share?.slot === s.slot) syncOf(s, share.node);
  return 0;
}

function syncOf(s: Session, node: number): number {
  const path = s.paths.of(node);
  if (path < 0) return path;
  const type = s.nodes.type(node);
  if (type !== S_IFDIR >> 12 && type !== S_IFREG >> 12) return -EINVAL;
  const fd = s.paths.withRoom(() => reopen(s.paths.of(node), O_NONBLOCK));
  if (fd < 0) return fd;
  const result = syncAll(fd);
  closeFile(fd);
  return result;
}

/** Works on the request that is selected: bytes of answer, -errno, or HOST_PENDING: it waits for a lock. */
export function serve(s: Session): number {
  const { request } = s;
  const { opcode, nodeLow, nodeHigh } = request;
  if (opcode === F.FUSE_FORGET) {
    s.forget(nodeLow, nodeHigh, request.argument64(0));
    return 0;
  }
  if (opcode === F.FUSE_BATCH_FORGET) return batchForget(s);
  const operation = OPERATIONS[opcode];
  if (operation === undefined) return -ENOSYS;
  // The file system as a whole, whatever inode a driver names.
  const node = opcode === F.FUSE_DESTROY ? ROOT : s.node(nodeLow, nodeHigh);
  if (node < 0 && node !== ROOT) return node;
  if (node !== ROOT) {
    const share = s.nodes.share(node);
    if (s.heart.isDead(share)) return -EIO;
    s.heart.at(share);
  }
  const quota = node === ROOT ? undefined : s.share(node).quota;
  const watched = s.watches !== undefined && node !== ROOT && s.share(node).watch;
  const result = watched ? watchedOperation(s, node, () => worked(s, node, quota, operation)) : worked(s, node, quota, operation);
  if (s.watches !== undefined) s.watchLearnt();
  return result <= Math.max(request.room, 8) || opcode === F.FUSE_READ ? result : -EIO;
}

function worked(s: Session, node: number, quota: Quota | undefined, operation: Operation): number {
  return quota === undefined ? operation(s, node) : countedOperation(s, node, quota, operation);
}

function batchForget(s: Session): number {
  const { words, second, secondLength } = s.request;
  for (let at = second >>> 2, end = (second + secondLength) >>> 2; at < end; at += 4) {
    s.forget(words[at] as number, words[at + 1] as number, (words[at + 2] as number) + (words[at + 3] as number) * 2 ** 32);
  }
  return 0;
}
