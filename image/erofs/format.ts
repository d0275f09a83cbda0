/**
 * EROFS on-disk format, as Linux's fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst
 * define it. Everything is little endian. We use its uncompressed part only: every feature
 * here is read by Linux 5.15 and later.
 *
 *   0        1024         1152                                   block-aligned
 *   +--------+------------+--------------------------+-----------+----------+-----------+
 *   | unused | superblock | inodes, xattrs, tails    | shared    | blocks   | blocks of |
 *   |        | 128 bytes  | (nid = address / 32)     | xattrs    | of dirs  | files     |
 *   +--------+------------+--------------------------+-----------+----------+-----------+
 */
export const EROFS_SUPER_MAGIC_V1 = 0xe0f5e1e2;
export const EROFS_SUPER_OFFSET = 1024;
export const EROFS_SUPER_SIZE = 128;
export const BLOCK_BITS = 12;
export const BLOCK_SIZE = 1 << BLOCK_BITS;
/** Inodes lie at multiples of this; a nid is the address divided by it (meta_blkaddr 0). */
export const SLOT_SIZE = 32;

/** Offsets in struct erofs_super_block. */
export const SB = {
  magic: 0,
  checksum: 4,
  feature_compat: 8,
  blkszbits: 12,
  root_nid: 14,
  inos: 16,
  build_time: 24,
  build_time_nsec: 32,
  blocks: 36,
  meta_blkaddr: 40,
  xattr_blkaddr: 44,
  uuid: 48,
  volume_name: 64,
  feature_incompat: 80,
  dirblkbits: 90,
} as const;

export const EROFS_FEATURE_COMPAT_SB_CHKSUM = 0x1;
export const EROFS_FEATURE_COMPAT_MTIME = 0x2;
export const EROFS_FEATURE_INCOMPAT_CHUNKED_FILE = 0x4;

/** i_format: bit 0 is the version, bits 1..3 the data layout. */
export const EROFS_INODE_FLAT_PLAIN = 0;
export const EROFS_INODE_FLAT_INLINE = 2;
export const EROFS_INODE_CHUNK_BASED = 4;

export const COMPACT_INODE_SIZE = 32;
export const EXTENDED_INODE_SIZE = 64;

/** Offsets in struct erofs_inode_compact. */
export const IC = {
  i_format: 0,
  i_xattr_icount: 2,
  i_mode: 4,
  i_nlink: 6,
  i_size: 8,
  i_u: 16,
  i_ino: 20,
  i_uid: 24,
  i_gid: 26,
} as const;

/** Offsets in struct erofs_inode_extended. */
export const IE = {
  i_format: 0,
  i_xattr_icount: 2,
  i_mode: 4,
  i_size: 8,
  i_u: 16,
  i_ino: 20,
  i_uid: 24,
  i_gid: 28,
  i_mtime: 32,
  i_mtime_nsec: 40,
  i_nlink: 44,
} as const;

/** struct erofs_dirent: nid (8), nameoff (2), file_type (1), reserved (1). */
export const DIRENT_SIZE = 12;

/** file_type in a dirent: the FT_* values of Linux's fs_types.h. */
export const FILE_TYPE = { file: 1, dir: 2, char: 3, block: 4, fifo: 5, socket: 6, symlink: 7 } as const;

/** The type bits of i_mode (inode(7)). */
export const MODE_TYPE = {
  fifo: 0o010000,
  char: 0o020000,
  dir: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

/** struct erofs_xattr_ibody_header: h_name_filter (4), h_shared_count (1), reserved (7). */
export const XATTR_IBODY_HEADER_SIZE = 12;
/** struct erofs_xattr_entry: e_name_len (1), e_name_index (1), e_value_size (2). */
export const XATTR_ENTRY_SIZE = 4;

/** Chunk format (i_u of a chunk-based inode): the low five bits are log2(chunk / block). */
export const EROFS_CHUNK_FORMAT_BLKBITS_MASK = 0x1f;
export const EROFS_CHUNK_FORMAT_INDEXES = 0x20;
/** A chunk at this block address is a hole. */
export const EROFS_NULL_ADDR = 0xffffffff;

/** Linux's new_encode_dev: how a device number lies in i_u. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function decodeDevice(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

/** Largest device numbers that encodeDevice can hold. */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xfffff;
