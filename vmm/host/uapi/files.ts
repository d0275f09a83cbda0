// Made by scripts/uapi.mjs from <sys/syscall.h>, <fcntl.h>, <linux/openat2.h>, <linux/stat.h>, <sys/statfs.h>, <dirent.h>, <sys/inotify.h>; do not edit.

export const SYS_openat2 = 437;
export const SYS_openat = 257;
export const SYS_close = 3;
export const SYS_statx = 332;
export const SYS_preadv = 295;
export const SYS_pwritev = 296;
export const SYS_getdents64 = 217;
export const SYS_lseek = 8;
export const SYS_readlinkat = 267;
export const SYS_mkdirat = 258;
export const SYS_mknodat = 259;
export const SYS_symlinkat = 266;
export const SYS_linkat = 265;
export const SYS_unlinkat = 263;
export const SYS_renameat2 = 316;
export const SYS_fchmodat = 268;
export const SYS_fchownat = 260;
export const SYS_utimensat = 280;
export const SYS_ftruncate = 77;
export const SYS_fsync = 74;
export const SYS_fdatasync = 75;
export const SYS_syncfs = 306;
export const SYS_fstatfs = 138;
export const SYS_fallocate = 285;
export const SYS_copy_file_range = 326;
export const SYS_fcntl = 72;
export const SYS_flock = 73;
export const SYS_setxattr = 188;
export const SYS_lsetxattr = 189;
export const SYS_getxattr = 191;
export const SYS_lgetxattr = 192;
export const SYS_listxattr = 194;
export const SYS_removexattr = 197;
export const SYS_setfsuid = 122;
export const SYS_setfsgid = 123;
export const SYS_setgroups = 116;
export const SYS_unshare = 272;
export const SYS_umask = 95;
export const SYS_read = 0;
export const SYS_inotify_init1 = 294;
export const SYS_inotify_add_watch = 254;
export const SYS_inotify_rm_watch = 255;
export const O_WRONLY = 1;
export const O_CREAT = 64;
export const O_EXCL = 128;
export const O_TRUNC = 512;
export const O_APPEND = 1024;
export const O_NONBLOCK = 2048;
export const O_DIRECTORY = 0x10000;
export const O_NOFOLLOW = 0x20000;
export const O_TMPFILE = 0x410000;
export const RESOLVE_NO_MAGICLINKS = 2;
export const RESOLVE_NO_SYMLINKS = 4;
export const RESOLVE_BENEATH = 8;
export const RESOLVE_NO_XDEV = 1;
export const AT_FDCWD = 0xffffff9c;
export const AT_SYMLINK_NOFOLLOW = 256;
export const AT_SYMLINK_FOLLOW = 1024;
export const AT_EMPTY_PATH = 4096;
export const AT_REMOVEDIR = 512;
export const STATX_BASIC_STATS = 2047;
export const STATX_BTIME = 2048;
export const STATX_MNT_ID = 4096;
export const S_IFMT = 61440;
export const S_IFDIR = 16384;
export const S_IFREG = 32768;
export const S_IFLNK = 40960;
export const S_IFIFO = 4096;
export const S_IFSOCK = 49152;
export const S_IFBLK = 24576;
export const S_IFCHR = 8192;
export const S_ISUID = 2048;
export const S_ISGID = 1024;
export const S_IXGRP = 8;
export const F_OFD_GETLK = 36;
export const F_OFD_SETLK = 37;
export const F_RDLCK = 0;
export const F_UNLCK = 2;
export const F_WRLCK = 1;
export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;
export const CLONE_FS = 512;
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;
export const IN_CLOEXEC = 0x80000;
export const IN_NONBLOCK = 2048;
export const IN_CREATE = 256;
export const IN_DELETE = 512;
export const IN_MODIFY = 2;
export const IN_ATTRIB = 4;
export const IN_MOVED_FROM = 64;
export const IN_MOVED_TO = 128;
export const IN_CLOSE_WRITE = 8;
export const IN_IGNORED = 32768;
export const IN_Q_OVERFLOW = 16384;
export const IN_ISDIR = 0x40000000;

/** Byte offsets in `struct open_how`, and its size. */
export const open_how = {
  sizeof: 24,
  flags: 0,
  mode: 8,
  resolve: 16,
} as const;

/** Byte offsets in `struct statx`, and its size. */
export const statx = {
  sizeof: 256,
  stx_blksize: 4,
  stx_nlink: 16,
  stx_uid: 20,
  stx_gid: 24,
  stx_mode: 28,
  stx_ino: 32,
  stx_size: 40,
  stx_blocks: 48,
  stx_atime: 64,
  stx_btime: 80,
  stx_ctime: 96,
  stx_mtime: 112,
  stx_rdev_major: 128,
  stx_rdev_minor: 132,
  stx_dev_major: 136,
  stx_dev_minor: 140,
  stx_mnt_id: 144,
} as const;

/** Byte offsets in `struct statfs`, and its size. */
export const statfs = {
  sizeof: 120,
  f_bsize: 8,
  f_blocks: 16,
  f_bfree: 24,
  f_bavail: 32,
  f_files: 40,
  f_ffree: 48,
  f_namelen: 64,
  f_frsize: 72,
} as const;

/** Byte offsets in `struct dirent64`, and its size. */
export const dirent64 = {
  sizeof: 280,
  d_ino: 0,
  d_off: 8,
  d_reclen: 16,
  d_type: 18,
  d_name: 19,
} as const;

/** Byte offsets in `struct flock`, and its size. */
export const flock = {
  sizeof: 32,
  l_type: 0,
  l_whence: 2,
  l_start: 8,
  l_len: 16,
  l_pid: 24,
} as const;

/** Byte offsets in `struct inotify_event`, and its size. */
export const inotify_event = {
  sizeof: 16,
  wd: 0,
  mask: 4,
  len: 12,
  name: 16,
} as const;
