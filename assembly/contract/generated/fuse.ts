// Made by scripts/uapi.mjs from <linux/fuse.h> (what is younger than 7.38: Linux 6.12); do not edit.

export const FUSE_KERNEL_VERSION: u32 = 7;
export const FUSE_ROOT_ID: u32 = 1;

// Operations.
export const FUSE_LOOKUP: u32 = 1;
export const FUSE_FORGET: u32 = 2;
export const FUSE_GETATTR: u32 = 3;
export const FUSE_SETATTR: u32 = 4;
export const FUSE_READLINK: u32 = 5;
export const FUSE_SYMLINK: u32 = 6;
export const FUSE_MKNOD: u32 = 8;
export const FUSE_MKDIR: u32 = 9;
export const FUSE_UNLINK: u32 = 10;
export const FUSE_RMDIR: u32 = 11;
export const FUSE_RENAME: u32 = 12;
export const FUSE_LINK: u32 = 13;
export const FUSE_OPEN: u32 = 14;
export const FUSE_READ: u32 = 15;
export const FUSE_WRITE: u32 = 16;
export const FUSE_STATFS: u32 = 17;
export const FUSE_RELEASE: u32 = 18;
export const FUSE_FSYNC: u32 = 20;
export const FUSE_SETXATTR: u32 = 21;
export const FUSE_GETXATTR: u32 = 22;
export const FUSE_LISTXATTR: u32 = 23;
export const FUSE_REMOVEXATTR: u32 = 24;
export const FUSE_FLUSH: u32 = 25;
export const FUSE_INIT: u32 = 26;
export const FUSE_OPENDIR: u32 = 27;
export const FUSE_READDIR: u32 = 28;
export const FUSE_RELEASEDIR: u32 = 29;
export const FUSE_FSYNCDIR: u32 = 30;
export const FUSE_GETLK: u32 = 31;
export const FUSE_SETLK: u32 = 32;
export const FUSE_SETLKW: u32 = 33;
export const FUSE_CREATE: u32 = 35;
export const FUSE_INTERRUPT: u32 = 36;
export const FUSE_DESTROY: u32 = 38;
export const FUSE_BATCH_FORGET: u32 = 42;
export const FUSE_FALLOCATE: u32 = 43;
export const FUSE_READDIRPLUS: u32 = 44;
export const FUSE_RENAME2: u32 = 45;
export const FUSE_LSEEK: u32 = 46;
export const FUSE_COPY_FILE_RANGE: u32 = 47;
export const FUSE_SYNCFS: u32 = 50;
export const FUSE_TMPFILE: u32 = 51;
export const FUSE_STATX: u32 = 52;

// Flags of FUSE_INIT.
export const FUSE_ASYNC_READ: u64 = 1;
export const FUSE_POSIX_LOCKS: u64 = 2;
export const FUSE_ATOMIC_O_TRUNC: u64 = 8;
export const FUSE_BIG_WRITES: u64 = 32;
export const FUSE_FLOCK_LOCKS: u64 = 1024;
export const FUSE_AUTO_INVAL_DATA: u64 = 4096;
export const FUSE_DO_READDIRPLUS: u64 = 8192;
export const FUSE_READDIRPLUS_AUTO: u64 = 16384;
export const FUSE_ASYNC_DIO: u64 = 32768;
export const FUSE_WRITEBACK_CACHE: u64 = 0x10000;
export const FUSE_PARALLEL_DIROPS: u64 = 0x40000;
export const FUSE_MAX_PAGES: u64 = 0x400000;
export const FUSE_CACHE_SYMLINKS: u64 = 0x800000;
export const FUSE_SUBMOUNTS: u64 = 0x8000000;
export const FUSE_HANDLE_KILLPRIV_V2: u64 = 0x10000000;
export const FUSE_SETXATTR_EXT: u64 = 0x20000000;
export const FUSE_INIT_EXT: u64 = 0x40000000;
export const FUSE_CREATE_SUPP_GROUP: u64 = 0x400000000;
export const FUSE_DIRECT_IO_ALLOW_MMAP: u64 = 0x1000000000;

// What is valid in fuse_setattr_in.
export const FATTR_MODE: u32 = 1;
export const FATTR_UID: u32 = 2;
export const FATTR_GID: u32 = 4;
export const FATTR_SIZE: u32 = 8;
export const FATTR_ATIME: u32 = 16;
export const FATTR_MTIME: u32 = 32;
export const FATTR_FH: u32 = 64;
export const FATTR_ATIME_NOW: u32 = 128;
export const FATTR_MTIME_NOW: u32 = 256;
export const FATTR_KILL_SUIDGID: u32 = 2048;

// Flags of single operations.
export const FUSE_GETATTR_FH: u32 = 1;
export const FUSE_WRITE_KILL_SUIDGID: u32 = 4;
export const FUSE_OPEN_KILL_SUIDGID: u32 = 1;
export const FUSE_LK_FLOCK: u32 = 1;
export const FUSE_FSYNC_FDATASYNC: u32 = 1;
export const FUSE_ATTR_SUBMOUNT: u32 = 1;
export const FUSE_EXT_GROUPS: u32 = 32;
export const FOPEN_DIRECT_IO: u32 = 1;
export const FOPEN_KEEP_CACHE: u32 = 2;

// Byte offsets in `struct fuse_in_header`.
export const FUSE_IN_LEN: u32 = 0;
export const FUSE_IN_OPCODE: u32 = 4;
export const FUSE_IN_UNIQUE: u32 = 8;
export const FUSE_IN_NODEID: u32 = 16;
export const FUSE_IN_UID: u32 = 24;
export const FUSE_IN_GID: u32 = 28;
export const FUSE_IN_PID: u32 = 32;
export const FUSE_IN_TOTAL_EXTLEN: u32 = 36;
