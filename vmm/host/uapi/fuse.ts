// Made by scripts/uapi.mjs from <linux/fuse.h>; do not edit.

/** Byte offsets in `struct fuse_attr`, and its size. */
export const fuse_attr = {
  sizeof: 88,
  ino: 0,
  size: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimensec: 48,
  mtimensec: 52,
  ctimensec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blksize: 80,
  flags: 84,
} as const;

/** Byte offsets in `struct fuse_entry_out`, and its size. */
export const fuse_entry_out = {
  sizeof: 128,
  nodeid: 0,
  generation: 8,
  entry_valid: 16,
  attr_valid: 24,
  entry_valid_nsec: 32,
  attr: 40,
} as const;

/** Byte offsets in `struct fuse_attr_out`, and its size. */
export const fuse_attr_out = {
  sizeof: 104,
  attr_valid: 0,
  attr_valid_nsec: 8,
  attr: 16,
} as const;

/** Byte offsets in `struct fuse_open_out`, and its size. */
export const fuse_open_out = {
  sizeof: 16,
  fh: 0,
  open_flags: 8,
} as const;

/** Byte offsets in `struct fuse_getattr_in`, and its size. */
export const fuse_getattr_in = {
  sizeof: 16,
  getattr_flags: 0,
  fh: 8,
} as const;

/** Byte offsets in `struct fuse_setattr_in`, and its size. */
export const fuse_setattr_in = {
  sizeof: 88,
  valid: 0,
  fh: 8,
  size: 16,
  atime: 32,
  mtime: 40,
  atimensec: 56,
  mtimensec: 60,
  mode: 68,
  uid: 76,
  gid: 80,
} as const;

/** Byte offsets in `struct fuse_open_in`, and its size. */
export const fuse_open_in = {
  sizeof: 8,
  flags: 0,
  open_flags: 4,
} as const;

/** Byte offsets in `struct fuse_create_in`, and its size. */
export const fuse_create_in = {
  sizeof: 16,
  flags: 0,
  mode: 4,
  open_flags: 12,
} as const;

/** Byte offsets in `struct fuse_mknod_in`, and its size. */
export const fuse_mknod_in = {
  sizeof: 16,
  mode: 0,
  rdev: 4,
} as const;

/** Byte offsets in `struct fuse_mkdir_in`, and its size. */
export const fuse_mkdir_in = {
  sizeof: 8,
  mode: 0,
} as const;

/** Byte offsets in `struct fuse_rename2_in`, and its size. */
export const fuse_rename2_in = {
  sizeof: 16,
  newdir: 0,
  flags: 8,
} as const;

/** Byte offsets in `struct fuse_link_in`, and its size. */
export const fuse_link_in = {
  sizeof: 8,
  oldnodeid: 0,
} as const;

/** Byte offsets in `struct fuse_flush_in`, and its size. */
export const fuse_flush_in = {
  sizeof: 24,
  lock_owner: 16,
} as const;

/** Byte offsets in `struct fuse_read_in`, and its size. */
export const fuse_read_in = {
  sizeof: 40,
  fh: 0,
  offset: 8,
  size: 16,
} as const;

/** Byte offsets in `struct fuse_write_in`, and its size. */
export const fuse_write_in = {
  sizeof: 40,
  fh: 0,
  offset: 8,
  size: 16,
  write_flags: 20,
  flags: 32,
} as const;

/** Byte offsets in `struct fuse_write_out`, and its size. */
export const fuse_write_out = {
  sizeof: 8,
  size: 0,
} as const;

/** Byte offsets in `struct fuse_kstatfs`, and its size. */
export const fuse_kstatfs = {
  sizeof: 80,
  blocks: 0,
  bfree: 8,
  bavail: 16,
  files: 24,
  ffree: 32,
  bsize: 40,
  namelen: 44,
  frsize: 48,
} as const;

/** Byte offsets in `struct fuse_fsync_in`, and its size. */
export const fuse_fsync_in = {
  sizeof: 16,
  fh: 0,
  fsync_flags: 8,
} as const;

/** Byte offsets in `struct fuse_setxattr_in`, and its size. */
export const fuse_setxattr_in = {
  sizeof: 16,
  size: 0,
  flags: 4,
} as const;

/** Byte offsets in `struct fuse_getxattr_in`, and its size. */
export const fuse_getxattr_in = {
  sizeof: 8,
  size: 0,
} as const;

/** Byte offsets in `struct fuse_lk_in`, and its size. */
export const fuse_lk_in = {
  sizeof: 48,
  fh: 0,
  owner: 8,
  lk_start: 16,
  lk_end: 24,
  lk_type: 32,
  lk_pid: 36,
  lk_flags: 40,
} as const;

/** Byte offsets in `struct fuse_file_lock`, and its size. */
export const fuse_file_lock = {
  sizeof: 24,
  start: 0,
  end: 8,
  type: 16,
  pid: 20,
} as const;

/** Byte offsets in `struct fuse_fallocate_in`, and its size. */
export const fuse_fallocate_in = {
  sizeof: 32,
  fh: 0,
  offset: 8,
  length: 16,
  mode: 24,
} as const;

/** Byte offsets in `struct fuse_lseek_in`, and its size. */
export const fuse_lseek_in = {
  sizeof: 24,
  fh: 0,
  offset: 8,
  whence: 16,
} as const;

/** Byte offsets in `struct fuse_copy_file_range_in`, and its size. */
export const fuse_copy_file_range_in = {
  sizeof: 56,
  fh_in: 0,
  off_in: 8,
  nodeid_out: 16,
  fh_out: 24,
  off_out: 32,
  len: 40,
  flags: 48,
} as const;

/** Byte offsets in `struct fuse_dirent`, and its size. */
export const fuse_dirent = {
  sizeof: 24,
  ino: 0,
  off: 8,
  namelen: 16,
  type: 20,
  name: 24,
} as const;
