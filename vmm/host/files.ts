/**
 * System calls on files beneath a descriptor, for the hot path: names and buffers are addresses that the caller has checked, results are
 * numbers, and failure is -errno. Nothing here resolves more than one name, follows a link, or leaves the directory it is given.
 */
import { declareLazily, lastErrno } from './ffi.ts';
import { callByNode } from './files-by-node.ts';
import { hasFfi, placeOf } from './places.ts';
import * as C from './uapi/files.ts';
import { O_CLOEXEC, O_PATH } from './uapi/linux.ts';

type Word = number | bigint;

const c = declareLazily<{
  call4(nr: number, a: Word, b: Word, c: Word, d: Word): number | bigint;
  call6(nr: number, a: Word, b: Word, c: Word, d: Word, e: Word, f: Word): number | bigint;
}>({
  call4: 'long syscall(long, int64_t, int64_t, int64_t, int64_t)',
  call6: 'long syscall(long, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)',
});

function call(nr: number, a: Word, b: Word = 0, d: Word = 0, e: Word = 0): number {
  return hasFfi() ? outcome(c.call4(nr, a, b, d, e)) : callByNode(nr, [a, b, d, e]);
}

function callLong(nr: number, a: Word, b: Word, d: Word, e: Word, f: Word, g: Word = 0): number {
  return hasFfi() ? outcome(c.call6(nr, a, b, d, e, f, g)) : callByNode(nr, [a, b, d, e, f, g]);
}

/** Results beyond 2^53 (offsets of a file) come as bigints. */
function outcome(result: number | bigint): number {
  return result < 0 ? -lastErrno() : Number(result);
}

/** struct open_how, and an empty name; this thread's, so large that they are not on V8's heap, where they would move. */
const memory = new Uint8Array(4096);
const how = new BigUint64Array(memory.buffer, 0, 3);
let memoryAt = 0;
const EMPTY = 64;
const DOT = 96;
memory[DOT] = 0x2e;
/** A link, and a name behind it. */
const LINK = 512;
const OFFSETS = 256;
const offsets = new BigInt64Array(memory.buffer, OFFSETS, 2);

function at(offset: number): number {
  if (memoryAt === 0) memoryAt = placeOf(memory);
  return memoryAt + offset;
}

/** `/proc/self/fd/N`: the file that a descriptor of ours, O_PATH perhaps, stands for. */
function linkOf(fd: number): number {
  const text = `/proc/self/fd/${fd}\0`;
  for (let i = 0; i < text.length; i++) memory[LINK + i] = text.charCodeAt(i);
  return at(LINK);
}

/** openat2 of one name. A link is opened only as itself (O_PATH and O_NOFOLLOW). `resolve`: RESOLVE_NO_XDEV, or nothing more. */
export function openBeneath(dir: number, name: number, flags: number, mode = 0, resolve = 0): number {
  how[0] = BigInt(flags | O_CLOEXEC | C.O_NOFOLLOW);
  how[1] = BigInt(mode);
  how[2] = BigInt(C.RESOLVE_BENEATH | C.RESOLVE_NO_SYMLINKS | C.RESOLVE_NO_MAGICLINKS | resolve);
  return call(C.SYS_openat2, dir, name, at(0), C.open_how.sizeof);
}

/** Opens what an O_PATH descriptor stands for. The caller knows that it is a regular file or a directory. */
export function reopen(fd: number, flags: number): number {
  return call(C.SYS_openat, C.AT_FDCWD | 0, linkOf(fd), flags | O_CLOEXEC | 0, 0);
}

/** An O_PATH descriptor for an open file of ours. */
export const openItself = (fd: number): number => reopen(fd, O_PATH);

/** A file without a name in a directory (O_TMPFILE). */
export function openTemporary(dir: number, flags: number, mode: number): number {
  return call(C.SYS_openat, dir, at(DOT), flags | O_CLOEXEC, mode);
}

export const closeFile = (fd: number): number => call(C.SYS_close, fd);

const STATX_MASK = C.STATX_BASIC_STATS | C.STATX_BTIME | C.STATX_MNT_ID;

/** `to`: room for struct statx. `name` 0: of the descriptor itself. */
export function statx(dir: number, name: number, to: number): number {
  return name === 0 ? callLong(C.SYS_statx, dir, at(EMPTY), C.AT_EMPTY_PATH, STATX_MASK, to) : callLong(C.SYS_statx, dir, name, C.AT_SYMLINK_NOFOLLOW, STATX_MASK, to);
}

export const preadv = (fd: number, vectors: number, count: number, offset: number): number => callLong(C.SYS_preadv, fd, vectors, count, offset % 2 ** 32, Math.floor(offset / 2 ** 32));
export const pwritev = (fd: number, vectors: number, count: number, offset: number): number => callLong(C.SYS_pwritev, fd, vectors, count, offset % 2 ** 32, Math.floor(offset / 2 ** 32));
export const getdents = (fd: number, to: number, length: number): number => call(C.SYS_getdents64, fd, to, length);
/** `offset` as the kernel gave it: a hash, perhaps. */
export const seek = (fd: number, offset: Word, whence: number): number => call(C.SYS_lseek, fd, offset, whence);
/** `name` 0: of the descriptor itself. */
export const readlinkAt = (dir: number, name: number, to: number, length: number): number => call(C.SYS_readlinkat, dir, name === 0 ? at(EMPTY) : name, to, length);
export const makeDirectory = (dir: number, name: number, mode: number): number => call(C.SYS_mkdirat, dir, name, mode);
export const makeNode = (dir: number, name: number, mode: number, device: number): number => call(C.SYS_mknodat, dir, name, mode, device);
export const makeLink = (text: number, dir: number, name: number): number => call(C.SYS_symlinkat, text, dir, name);
/** A name for an open file, one without a name (O_TMPFILE) too. */
export const linkOpen = (fd: number, dir: number, name: number): number => callLong(C.SYS_linkat, C.AT_FDCWD | 0, linkOf(fd), dir, name, C.AT_SYMLINK_FOLLOW);
export const unlinkAt = (dir: number, name: number, flags: number): number => call(C.SYS_unlinkat, dir, name, flags);
export const renameAt = (fromDir: number, fromName: number, dir: number, name: number, flags: number): number => callLong(C.SYS_renameat2, fromDir, fromName, dir, name, flags);
/** Of what an O_PATH descriptor stands for. */
export const changeMode = (fd: number, mode: number): number => call(C.SYS_fchmodat, C.AT_FDCWD | 0, linkOf(fd), mode);
/** -1 leaves one as it is. */
export const changeOwner = (fd: number, uid: number, gid: number): number => callLong(C.SYS_fchownat, fd, at(EMPTY), uid, gid, C.AT_EMPTY_PATH);
/** `times`: two struct timespec. */
export const changeTimes = (fd: number, times: number): number => call(C.SYS_utimensat, fd, at(EMPTY), times, C.AT_EMPTY_PATH);
export const truncate = (fd: number, length: number): number => call(C.SYS_ftruncate, fd, length);
export const sync = (fd: number, dataOnly: boolean): number => call(dataOnly ? C.SYS_fdatasync : C.SYS_fsync, fd);
export const syncAll = (fd: number): number => call(C.SYS_syncfs, fd);
export const statFileSystem = (fd: number, to: number): number => call(C.SYS_fstatfs, fd, to);
export const allocate = (fd: number, mode: number, offset: number, length: number): number => call(C.SYS_fallocate, fd, mode, offset, length);
export function copyRange(from: number, fromOffset: number, to: number, toOffset: number, length: number): number {
  offsets[0] = BigInt(fromOffset);
  offsets[1] = BigInt(toOffset);
  return callLong(C.SYS_copy_file_range, from, at(OFFSETS), to, at(OFFSETS + 8), length);
}

// Extended attributes of what an O_PATH descriptor stands for: only by its link.
export const setAttribute = (fd: number, name: number, value: number, length: number, flags: number): number => callLong(C.SYS_setxattr, linkOf(fd), name, value, length, flags);
export const getAttribute = (fd: number, name: number, to: number, length: number): number => call(C.SYS_getxattr, linkOf(fd), name, to, length);
export const listAttributes = (fd: number, to: number, length: number): number => call(C.SYS_listxattr, linkOf(fd), to, length);
export const removeAttribute = (fd: number, name: number): number => call(C.SYS_removexattr, linkOf(fd), name);

/** Of a name in a directory, as itself; or of what the descriptor stands for. */
export function getNamedAttribute(dir: number, name: Uint8Array | undefined, attribute: number, to: number, length: number): number {
  return name === undefined ? getAttribute(dir, attribute, to, length) : call(C.SYS_lgetxattr, pathOf(dir, name), attribute, to, length);
}

export function setNamedAttribute(dir: number, name: Uint8Array | undefined, attribute: number, value: number, length: number, flags: number): number {
  return name === undefined ? setAttribute(dir, attribute, value, length, flags) : callLong(C.SYS_lsetxattr, pathOf(dir, name), attribute, value, length, flags);
}

/** `/proc/self/fd/N/NAME`, for the calls that have no form with a directory. */
function pathOf(dir: number, name: Uint8Array): number {
  const link = linkOf(dir);
  const end = memory.indexOf(0, LINK);
  memory[end] = 0x2f;
  memory.set(name, end + 1);
  memory[end + 1 + name.length] = 0;
  return link;
}

/** `lock`: struct flock. */
export const lockFile = (fd: number, command: number, lock: number): number => call(C.SYS_fcntl, fd, command, lock);
export const flockFile = (fd: number, operation: number): number => call(C.SYS_flock, fd, operation);

/** Where what happens beneath directories is read, without waiting; -errno. */
export const changesOpen = (): number => call(C.SYS_inotify_init1, C.IN_NONBLOCK | C.IN_CLOEXEC);
/** From now on (IN_* of `mask`) of what an O_PATH descriptor stands for: a number, the same for the same file; or -errno. */
export const changesAdd = (changes: number, fd: number, mask: number): number => call(C.SYS_inotify_add_watch, changes, linkOf(fd), mask);
export const changesDrop = (changes: number, watch: number): number => call(C.SYS_inotify_rm_watch, changes, watch);
/** struct inotify_event one behind the other: bytes, or -errno; -EAGAIN when there is none. */
export const changesRead = (changes: number, to: number, length: number): number => call(C.SYS_read, changes, to, length);

// ---- this thread alone --------------------------------------------------------------------------------------------

/** A mask and a working directory of this thread's own. */
export function ownMask(): void {
  call(C.SYS_unshare, C.CLONE_FS);
  call(C.SYS_umask, 0);
}

/** Whose the next new files are; the calls of libc would change all threads. */
export function actAs(uid: number, gid: number): void {
  call(C.SYS_setfsgid, gid);
  call(C.SYS_setfsuid, uid);
}

const groups = new Uint32Array(1024);

/** The supplementary groups of this thread: one, or none. */
export function joinGroup(group: number | undefined): number {
  if (group !== undefined) groups[0] = group;
  return call(C.SYS_setgroups, group === undefined ? 0 : 1, placeOf(groups));
}
