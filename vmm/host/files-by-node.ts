/**
 * The system calls of files.ts by Node's own functions, where there is no FFI library: names are reached by `/proc/self/fd/N/NAME`, which
 * leads beneath a descriptor as openat does. What Node has no function for is refused as a file system does that cannot.
 */
import {
  chmodSync, chownSync, closeSync, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, lstatSync, mkdirSync, openSync, readdirSync, readlinkSync, readvSync, renameSync, rmdirSync, statfsSync, symlinkSync,
  unlinkSync, utimesSync, writevSync, type BigIntStats,
} from 'node:fs';
import { EINVAL, EIO, ENOSYS, EOPNOTSUPP, EPERM } from '../../assembly/contract/generated/errno.ts';
import { bytesAt } from './places.ts';
import * as C from './uapi/files.ts';
import { iovec } from './uapi/linux.ts';

type Word = number | bigint;

/** C string at a place. */
function text(place: Word): Buffer {
  const bytes = bytesAt(Number(place));
  return Buffer.from(bytes.subarray(0, bytes.indexOf(0)));
}

function path(dir: Word, name: Word): Buffer {
  const bytes = text(name);
  return bytes[0] === 0x2f ? bytes : Buffer.concat([Buffer.from(`/proc/self/fd/${dir}/`), bytes]);
}

const view = (place: Word): DataView => {
  const bytes = bytesAt(Number(place));
  return new DataView(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4096));
};

function putStat(to: DataView, s: BigIntStats): number {
  for (let i = 0; i < C.statx.sizeof; i += 4) to.setUint32(i, 0, true);
  const u32 = (offset: number, value: bigint): void => to.setUint32(offset, Number(value & 0xffff_ffffn), true);
  u32(C.statx.stx_blksize, s.blksize);
  u32(C.statx.stx_nlink, s.nlink);
  u32(C.statx.stx_uid, s.uid);
  u32(C.statx.stx_gid, s.gid);
  u32(C.statx.stx_mode, s.mode);
  for (const [offset, value] of [[C.statx.stx_ino, s.ino], [C.statx.stx_size, s.size], [C.statx.stx_blocks, s.blocks]] as const) to.setBigUint64(offset, value, true);
  for (const [offset, ns] of [[C.statx.stx_atime, s.atimeNs], [C.statx.stx_btime, s.birthtimeNs], [C.statx.stx_ctime, s.ctimeNs], [C.statx.stx_mtime, s.mtimeNs]] as const) {
    const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    to.setBigInt64(offset, (ns - rest) / 1_000_000_000n, true);
    u32(offset + 8, rest);
  }
  // dev_t of the kernel's encoding for programs: 12 bits of major, 20 of minor.
  const major = (dev: bigint): bigint => ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev: bigint): bigint => (dev & 0xffn) | ((dev >> 12n) & 0xff_ff00n);
  u32(C.statx.stx_dev_major, major(s.dev));
  u32(C.statx.stx_dev_minor, minor(s.dev));
  u32(C.statx.stx_rdev_major, major(s.rdev));
  u32(C.statx.stx_rdev_minor, minor(s.rdev));
  // For want of it: another file system is another mount.
  to.setBigUint64(C.statx.stx_mnt_id, s.dev, true);
  return 0;
}

function vectors(place: Word, count: Word): Uint8Array[] {
  const table = view(place);
  return Array.from({ length: Number(count) }, (_, i) => bytesAt(Number(table.getBigUint64(i * iovec.sizeof, true))).subarray(0, table.getUint32(i * iovec.sizeof + iovec.iov_len, true)));
}

/** Names of open directories as they were at the first read, and how far it has come. */
const directories = new Map<number, { names: Buffer[]; at: number }>();

function readEntries(fd: number, place: Word, length: number): number {
  let open = directories.get(fd);
  if (open === undefined || open.at === 0) {
    open = { names: [Buffer.from('.'), Buffer.from('..'), ...readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' })], at: 0 };
    directories.set(fd, open);
  }
  const bytes = bytesAt(Number(place));
  const to = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let done = 0;
  for (; open.at < open.names.length; open.at++) {
    const name = open.names[open.at] as Buffer;
    const size = (C.dirent64.d_name + name.length + 8) & ~7;
    if (done + size > length) return done === 0 ? -EINVAL : done;
    to.setBigUint64(done + C.dirent64.d_ino, 1n, true);
    to.setBigUint64(done + C.dirent64.d_off, BigInt(open.at + 1), true);
    to.setUint16(done + C.dirent64.d_reclen, size, true);
    to.setUint8(done + C.dirent64.d_type, 0);
    bytes.set(name, done + C.dirent64.d_name);
    bytes[done + C.dirent64.d_name + name.length] = 0;
    done += size;
  }
  return done;
}

function setTimes(fd: Word, place: Word): number {
  const times = view(place);
  const now = fstatSync(Number(fd), { bigint: true });
  const time = (at: number, old: bigint): number => {
    const ns = times.getUint32(at + 8, true);
    if (ns === C.UTIME_OMIT) return Number(old) / 1e9;
    return ns === C.UTIME_NOW ? Date.now() / 1000 : Number(times.getBigInt64(at, true)) + ns / 1e9;
  };
  utimesSync(`/proc/self/fd/${fd}`, time(0, now.atimeNs), time(16, now.mtimeNs));
  return 0;
}

function putFileSystem(fd: Word, place: Word): number {
  const s = statfsSync(`/proc/self/fd/${fd}`, { bigint: true });
  const to = view(place);
  for (const [offset, value] of [
    [C.statfs.f_bsize, s.bsize], [C.statfs.f_frsize, s.bsize], [C.statfs.f_blocks, s.blocks], [C.statfs.f_bfree, s.bfree], [C.statfs.f_bavail, s.bavail], [C.statfs.f_files, s.files],
    [C.statfs.f_ffree, s.ffree], [C.statfs.f_namelen, 255n],
  ] as const) to.setBigUint64(offset, value, true);
  return 0;
}

const done = (_: unknown): number => 0;

const CALLS: Readonly<Record<number, (...args: Word[]) => number>> = {
  [C.SYS_openat2]: (dir = 0, name = 0, how = 0) => openSync(path(dir, name), Number(view(how).getBigUint64(C.open_how.flags, true)), Number(view(how).getBigUint64(C.open_how.mode, true))),
  [C.SYS_openat]: (dir = 0, name = 0, flags = 0, mode = 0) => openSync(path(dir, name), Number(flags), Number(mode)),
  [C.SYS_close]: (fd = 0) => {
    directories.delete(Number(fd));
    return done(closeSync(Number(fd)));
  },
  [C.SYS_statx]: (dir = 0, name = 0, flags = 0, _mask = 0, to = 0) => putStat(view(to), (Number(flags) & C.AT_EMPTY_PATH) !== 0 ? fstatSync(Number(dir), { bigint: true }) : lstatSync(path(dir, name), { bigint: true })),
  [C.SYS_preadv]: (fd = 0, table = 0, count = 0, low = 0, high = 0) => readvSync(Number(fd), vectors(table, count), Number(low) + Number(high) * 2 ** 32),
  [C.SYS_pwritev]: (fd = 0, table = 0, count = 0, low = 0, high = 0) => writevSync(Number(fd), vectors(table, count), Number(low) + Number(high) * 2 ** 32),
  [C.SYS_getdents64]: (fd = 0, to = 0, length = 0) => readEntries(Number(fd), to, Number(length)),
  [C.SYS_lseek]: (fd = 0, offset = 0, whence = 0) => {
    if (!fstatSync(Number(fd)).isDirectory()) return -ENOSYS;
    const open = directories.get(Number(fd));
    if (open !== undefined && whence === 0) open.at = Math.max(0, Number(offset));
    return 0;
  },
  [C.SYS_readlinkat]: (dir = 0, name = 0, to = 0, length = 0) => {
    if (text(name).length === 0) return -EINVAL;
    const link = readlinkSync(path(dir, name), { encoding: 'buffer' }).subarray(0, Number(length));
    bytesAt(Number(to)).set(link);
    return link.length;
  },
  [C.SYS_mkdirat]: (dir = 0, name = 0, mode = 0) => {
    mkdirSync(path(dir, name), { mode: Number(mode) });
    return 0;
  },
  [C.SYS_mknodat]: (dir = 0, name = 0, mode = 0) => {
    if ((Number(mode) & C.S_IFMT) !== C.S_IFREG) return -EPERM;
    return done(closeSync(openSync(path(dir, name), C.O_CREAT | C.O_EXCL | C.O_WRONLY | C.O_NOFOLLOW, Number(mode) & 0o7777)));
  },
  [C.SYS_symlinkat]: (target = 0, dir = 0, name = 0) => done(symlinkSync(text(target), path(dir, name))),
  [C.SYS_linkat]: () => -EPERM,
  [C.SYS_unlinkat]: (dir = 0, name = 0, flags = 0) => done((Number(flags) & C.AT_REMOVEDIR) !== 0 ? rmdirSync(path(dir, name)) : unlinkSync(path(dir, name))),
  [C.SYS_renameat2]: (from = 0, name = 0, to = 0, other = 0, flags = 0) => (Number(flags) !== 0 ? -EINVAL : done(renameSync(path(from, name), path(to, other)))),
  [C.SYS_fchmodat]: (dir = 0, name = 0, mode = 0) => done(chmodSync(path(dir, name), Number(mode))),
  [C.SYS_fchownat]: (fd = 0, _name = 0, uid = 0, gid = 0) => done(chownSync(`/proc/self/fd/${fd}`, Number(uid), Number(gid))),
  [C.SYS_utimensat]: (fd = 0, _name = 0, times = 0) => setTimes(fd, times),
  [C.SYS_ftruncate]: (fd = 0, length = 0) => done(ftruncateSync(Number(fd), Number(length))),
  [C.SYS_fsync]: (fd = 0) => done(fsyncSync(Number(fd))),
  [C.SYS_fdatasync]: (fd = 0) => done(fdatasyncSync(Number(fd))),
  [C.SYS_syncfs]: (fd = 0) => done(fsyncSync(Number(fd))),
  [C.SYS_fstatfs]: (fd = 0, to = 0) => putFileSystem(fd, to),
  [C.SYS_copy_file_range]: () => -ENOSYS,
  // Ids and masks are those of the process.
  [C.SYS_setfsuid]: () => 0,
  [C.SYS_setfsgid]: () => 0,
  [C.SYS_setgroups]: () => 0,
  [C.SYS_unshare]: () => 0,
  [C.SYS_umask]: () => 0,
};

/** One system call: its result, or -errno. */
export function callByNode(nr: number, args: readonly Word[]): number {
  try {
    return CALLS[nr]?.(...args) ?? -EOPNOTSUPP;
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno ?? -EIO;
  }
}
