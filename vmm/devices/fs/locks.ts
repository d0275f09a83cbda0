/**
 * Locks, which programs of the host see too: flock's belong to the guest's open file, so they are taken on its descriptor; fcntl's to an
 * owner that FUSE numbers, so each owner of an inode has a descriptor for its locks (open file description locks, fcntl(2)). Nothing blocks
 * the thread: who has to wait is asked again.
 */
import { EAGAIN, EBADF } from '../../../assembly/contract/generated/errno.ts';
import { FUSE_LK_FLOCK } from '../../../assembly/contract/generated/fuse.ts';
import { HOST_PENDING } from '../../../assembly/contract/hooks.ts';
import { placeOf } from '../../host/places.ts';
import { flockFile, lockFile, reopen } from '../../host/files.ts';
import { F_OFD_GETLK, F_OFD_SETLK, F_RDLCK, F_UNLCK, flock, O_NONBLOCK } from '../../host/uapi/files.ts';
import { fuse_file_lock, fuse_flush_in, fuse_lk_in } from '../../host/uapi/fuse.ts';
import { LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, O_RDONLY, O_RDWR } from '../../host/uapi/linux.ts';
import type { Session } from './session.ts';

/** `end` of a lock to the end of the file, however long it gets. */
const WHOLE = 0x7fff_ffff_ffff_ffffn;

/** struct flock, not on V8's heap, where it would move. */
const memory = new DataView(new ArrayBuffer(4096));

/** The descriptor for an owner's locks: as much access as there is, for a lock to write needs a file that may be written. */
function openForLocks(s: Session, node: number): number {
  const open = (access: number): number => {
    const path = s.paths.of(node);
    return path < 0 ? path : s.paths.withRoom(() => reopen(s.paths.of(node), access | O_NONBLOCK));
  };
  let fd = s.writable(node) < 0 ? -EBADF : open(O_RDWR);
  if (fd < 0) fd = open(O_RDONLY);
  if (fd >= 0) s.nodes.pin(node, 1);
  return fd;
}

function keyOf(s: Session, node: number, field: number): string {
  return `${node} ${s.request.argument(field)} ${s.request.argument(field + 4)}`;
}

function wide(s: Session, field: number): bigint {
  return BigInt(s.request.argument(field)) | (BigInt(s.request.argument(field + 4)) << 32n);
}

/** Fills struct flock from the request; its address. */
function lockOf(s: Session): number {
  const [start, end] = [wide(s, fuse_lk_in.lk_start), wide(s, fuse_lk_in.lk_end)];
  memory.setInt16(flock.l_type, s.request.argument(fuse_lk_in.lk_type), true);
  memory.setInt16(flock.l_whence, 0, true);
  memory.setBigInt64(flock.l_start, BigInt.asIntN(64, start), true);
  memory.setBigInt64(flock.l_len, end === WHOLE ? 0n : BigInt.asIntN(64, end - start + 1n), true);
  memory.setInt32(flock.l_pid, 0, true);
  return placeOf(memory);
}

/** GETLK: who would be in the way. */
export function getlk(s: Session, node: number): number {
  const handle = s.handle(fuse_lk_in.fh, node);
  if (handle < 0) return handle;
  const fd = s.locks.owner(keyOf(s, node, fuse_lk_in.owner), node, () => openForLocks(s, node));
  if (fd < 0) return fd;
  const failed = lockFile(fd, F_OFD_GETLK, lockOf(s));
  if (failed < 0) return failed;
  const { request } = s;
  const type = memory.getInt16(flock.l_type, true);
  const [start, length] = [memory.getBigInt64(flock.l_start, true), memory.getBigInt64(flock.l_len, true)];
  const end = length === 0n ? WHOLE : start + length - 1n;
  for (const [field, value] of [[fuse_file_lock.start, start], [fuse_file_lock.end, end]] as const) {
    request.put(field, Number(value & 0xffff_ffffn));
    request.put(field + 4, Number(value >> 32n));
  }
  request.put(fuse_file_lock.type, type);
  // A process of the host, or nobody's: the guest knows none by this number.
  request.put(fuse_file_lock.pid, type === F_UNLCK ? 0 : Math.max(0, memory.getInt32(flock.l_pid, true)));
  return fuse_file_lock.sizeof;
}

/** SETLK and SETLKW; `wait`: HOST_PENDING where another has it, instead of -EAGAIN. */
export function setlk(s: Session, node: number, wait: boolean): number {
  const handle = s.handle(fuse_lk_in.fh, node);
  if (handle < 0) return handle;
  const type = s.request.argument(fuse_lk_in.lk_type);
  const result = (s.request.argument(fuse_lk_in.lk_flags) & FUSE_LK_FLOCK) !== 0 ? lockWhole(s.handles.fd(handle), type) : lockRange(s, node, type);
  if (type === F_UNLCK) s.locks.freed = true;
  return result === -EAGAIN && wait ? HOST_PENDING : result;
}

function lockWhole(fd: number, type: number): number {
  return flockFile(fd, (type === F_UNLCK ? LOCK_UN : type === F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB);
}

function lockRange(s: Session, node: number, type: number): number {
  const key = keyOf(s, node, fuse_lk_in.owner);
  // Nothing is locked by an owner that was never seen.
  if (type === F_UNLCK && s.locks.known(key) < 0) return 0;
  const fd = s.locks.owner(key, node, () => openForLocks(s, node));
  return fd < 0 ? fd : lockFile(fd, F_OFD_SETLK, lockOf(s));
}

/** FLUSH: an owner closes the file, one of its descriptors. */
export function flush(s: Session, node: number): number {
  if (node > 0 && s.locks.release(keyOf(s, node, fuse_flush_in.lock_owner))) {
    s.nodes.pin(node, -1);
    s.reap(node);
  }
  return 0;
}
