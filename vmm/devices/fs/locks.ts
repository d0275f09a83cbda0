/**
 * Locks, which programs of the host see too: flock's belong to the guest's open file, so they are taken on its descriptor; fcntl's to an
 * owner that FUSE numbers, so each owner of an inode has a descriptor for its locks (open file description locks, fcntl(2)). Nothing blocks
 * the thread: who has to wait is asked again.
 */
import { EAGAIN, EBADF, EDEADLK, ENOLCK } from '../../../assembly/contract/generated/errno.ts';
import { FUSE_LK_FLOCK } from '../../../assembly/contract/generated/fuse.ts';
import { HOST_PENDING } from '../../../assembly/contract/hooks.ts';
import { placeOf } from '../../host/places.ts';
import { flockFile, lockFile, reopen } from '../../host/files.ts';
import { F_OFD_GETLK, F_OFD_SETLK, F_RDLCK, F_UNLCK, F_WRLCK, flock, O_NONBLOCK } from '../../host/uapi/files.ts';
import { fuse_file_lock, fuse_flush_in, fuse_lk_in } from '../../host/uapi/fuse.ts';
import { LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, O_RDONLY, O_RDWR } from '../../host/uapi/linux.ts';
import type { Asked } from './lock-table.ts';
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

/** Who asks, by the owner's number in a field: owners of two devices have nothing to do with one another. */
function ownerOf(s: Session, field: number): string {
  return `${s.slot} ${s.request.argument(field)} ${s.request.argument(field + 4)}`;
}

function askedOf(s: Session, node: number): Asked {
  const { request } = s;
  const range = { start: wide(s, fuse_lk_in.lk_start), end: wide(s, fuse_lk_in.lk_end), type: request.argument(fuse_lk_in.lk_type), pid: request.argument(fuse_lk_in.lk_pid) };
  return { owner: ownerOf(s, fuse_lk_in.owner), node, range };
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
  const asked = askedOf(s, node);
  const fd = s.locks.owner(node, asked.owner, () => openForLocks(s, node));
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
  // A process of the host has no number in the guest, and its own may be anybody's there.
  request.put(fuse_file_lock.pid, type === F_UNLCK ? 0 : s.locks.holder(asked, { start, end, type }));
  return fuse_file_lock.sizeof;
}

/** SETLK and SETLKW; `wait`: HOST_PENDING where another has it, instead of -EAGAIN; -EDEADLK where that would wait for us. */
export function setlk(s: Session, node: number, wait: boolean): number {
  const handle = s.handle(fuse_lk_in.fh, node);
  if (handle < 0) return handle;
  const type = s.request.argument(fuse_lk_in.lk_type);
  const whole = (s.request.argument(fuse_lk_in.lk_flags) & FUSE_LK_FLOCK) !== 0;
  const asked = whole ? undefined : askedOf(s, node);
  const result = asked === undefined ? lockWhole(s.handles.fd(handle), type) : lockRange(s, asked);
  // Less of it is let go by a lock to read, too.
  if (type !== F_WRLCK) s.locks.freed = true;
  if (result !== -EAGAIN || !wait) return result;
  if (asked !== undefined && s.locks.deadlock(asked)) return -EDEADLK;
  s.locks.asked = asked;
  return HOST_PENDING;
}

function lockWhole(fd: number, type: number): number {
  return flockFile(fd, (type === F_UNLCK ? LOCK_UN : type === F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB);
}

function lockRange(s: Session, asked: Asked): number {
  const { owner, node, range: { type } } = asked;
  // Nothing is locked by an owner that was never seen.
  if (type === F_UNLCK && s.locks.known(node, owner) < 0) return 0;
  if (type !== F_UNLCK && !s.locks.room) return -ENOLCK;
  const fd = s.locks.owner(node, owner, () => openForLocks(s, node));
  if (fd < 0) return fd;
  const result = lockFile(fd, F_OFD_SETLK, lockOf(s));
  if (result === 0) s.locks.give(asked);
  return result;
}

/** FLUSH: an owner closes the file, one of its descriptors. */
export function flush(s: Session, node: number): number {
  if (node > 0 && s.locks.release(node, ownerOf(s, fuse_flush_in.lock_owner))) {
    s.nodes.pin(node, -1);
    s.reap(node);
  }
  return 0;
}
