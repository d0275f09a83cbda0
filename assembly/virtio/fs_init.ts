/** FUSE_INIT: the version and the features of a session. */
import { FS_LOCKS, FS_REQ_ARGUMENTS, FS_SUBMOUNTS, FS_WRITEBACK } from '../contract/fs';
import { EIO } from '../contract/generated/errno';
import * as F from '../contract/generated/fuse';
import { own_fill, own_put16, own_put32 } from '../core/guest';
import { FsRequest } from './fs_parse';

/** Versions that are served: Linux 5.4's and Linux 6.12's. */
const MINOR_MIN: u32 = 31;
const MINOR_MAX: u32 = 41;

/** Most bytes of a WRITE, and pages of any request; a driver asks for less where its queue is shorter. */
const MAX_WRITE: u32 = 1 << 20;
const MAX_PAGES: u32 = 256;
const MAX_BACKGROUND: u32 = 64;
const OUT_BYTES: u32 = 64;

/** Answers at `to` with struct fuse_init_out: its length, or -errno. `flags`: FS_* of the device. */
export function fs_init(r: FsRequest, to: usize, flags: u32): i32 {
  const p = changetype<usize>(r) + FS_REQ_ARGUMENTS;
  const major = load<u32>(p);
  const minor = load<u32>(p, 4);
  own_fill(to, 0, OUT_BYTES);
  own_put32(to, F.FUSE_KERNEL_VERSION);
  own_put32(to + 4, min<u32>(minor, MINOR_MAX));
  // A younger major version is asked for again with ours.
  if (major > F.FUSE_KERNEL_VERSION) return OUT_BYTES;
  if (major < F.FUSE_KERNEL_VERSION || minor < MINOR_MIN) return -EIO;
  let offered = <u64>load<u32>(p, 12);
  if ((offered & F.FUSE_INIT_EXT) != 0) offered |= <u64>load<u32>(p, 16) << 32;
  let wanted = F.FUSE_ASYNC_READ | F.FUSE_ATOMIC_O_TRUNC | F.FUSE_BIG_WRITES | F.FUSE_AUTO_INVAL_DATA | F.FUSE_DO_READDIRPLUS | F.FUSE_READDIRPLUS_AUTO
    | F.FUSE_ASYNC_DIO | F.FUSE_PARALLEL_DIROPS | F.FUSE_MAX_PAGES | F.FUSE_CACHE_SYMLINKS | F.FUSE_HANDLE_KILLPRIV_V2 | F.FUSE_SETXATTR_EXT | F.FUSE_INIT_EXT
    | F.FUSE_CREATE_SUPP_GROUP | F.FUSE_DIRECT_IO_ALLOW_MMAP;
  if ((flags & FS_SUBMOUNTS) != 0) wanted |= F.FUSE_SUBMOUNTS;
  if ((flags & FS_LOCKS) != 0) wanted |= F.FUSE_POSIX_LOCKS | F.FUSE_FLOCK_LOCKS;
  if ((flags & FS_WRITEBACK) != 0) wanted |= F.FUSE_WRITEBACK_CACHE;
  // SETXATTR's structure is the extended one: its shape is fixed (fs_parse.ts).
  if ((offered & F.FUSE_SETXATTR_EXT) == 0 || (offered & F.FUSE_MAX_PAGES) == 0) return -EIO;
  const agreed = offered & wanted;
  own_put32(to + 8, load<u32>(p, 8));
  own_put32(to + 12, <u32>agreed);
  own_put16(to + 16, MAX_BACKGROUND);
  own_put16(to + 18, MAX_BACKGROUND * 3 / 4);
  own_put32(to + 20, MAX_WRITE);
  own_put32(to + 24, 1); // nanoseconds
  own_put16(to + 28, MAX_PAGES);
  own_put32(to + 32, <u32>(agreed >> 32));
  return OUT_BYTES;
}
