/** FUSE requests: one chain's readable part → class FsRequest. Everything that a driver may get wrong is found here. */
import { FS_ARGUMENTS_MAX, FS_DATA, FS_NAME_BYTES, FS_REQ_ARGUMENTS, FS_TEXT, FS_TEXT_SIZE } from '../contract/fs';
import { EINVAL, EIO, ENAMETOOLONG, ENOSYS } from '../contract/generated/errno';
import * as F from '../contract/generated/fuse';
import { Queue, chain_read, table_len, table_ptr, table_put } from './queue';

/** assembly/contract/fs.ts has the offsets for the host. */
@unmanaged
export class FsRequest {
  epoch: u32; // of the queue when the request was taken
  queue: u32;
  head: u32;
  busy: u32;
  reply: u32; // linear offset of the place for struct fuse_out_header, 0: none
  answers: u32; // pieces behind it
  reserved: u64;
  opcode: u32;
  group: u32;
  unique: u64;
  nodeid: u64;
  uid: u32;
  gid: u32;
  room: u32;
  name: u32;
  name_length: u32;
  second: u32;
  second_length: u32;
  pieces: u32;
  bytes: u32;
  pid: u32;
}

/** Bytes of struct fuse_in_header. */
const IN_HEADER: u32 = 40;
/** The longest text of a link: PATH_MAX less its NUL. */
const LINK_MAX: u32 = 4095;
/** Most bytes of an attribute's value: XATTR_SIZE_MAX. */
const VALUE_MAX: u32 = 65536;

// What follows the operation's structure.
const NOTHING: u32 = 0;
const NAME: u32 = 1; // of a directory's entry
const TWO_NAMES: u32 = 2;
const ATTRIBUTE: u32 = 3; // the name of an extended attribute
const ATTRIBUTE_VALUE: u32 = 4; // and its value
const NAME_TEXT: u32 = 5; // a name and a link's text
const DATA: u32 = 6; // WRITE's, left where it is
const LIST: u32 = 7; // BATCH_FORGET's
const IGNORED: u32 = 8; // a name that means nothing

@inline
function shape(bytes: u32, kind: u32): u32 {
  return bytes | (kind << 16);
}

/** Length of an operation's structure (7.31 and later) and what follows it; -1 for one that is not served. */
function shape_of(opcode: u32): i32 {
  switch (opcode) {
    case F.FUSE_LOOKUP: case F.FUSE_UNLINK: case F.FUSE_RMDIR: return shape(0, NAME);
    case F.FUSE_REMOVEXATTR: return shape(0, ATTRIBUTE);
    case F.FUSE_FORGET: return shape(8, NOTHING);
    case F.FUSE_BATCH_FORGET: return shape(8, LIST);
    case F.FUSE_GETATTR: return shape(16, NOTHING);
    case F.FUSE_STATX: return shape(24, NOTHING);
    case F.FUSE_SETATTR: return shape(88, NOTHING);
    case F.FUSE_READLINK: case F.FUSE_STATFS: case F.FUSE_DESTROY: return shape(0, NOTHING);
    case F.FUSE_SYMLINK: return shape(0, NAME_TEXT);
    case F.FUSE_MKNOD: return shape(16, NAME);
    case F.FUSE_MKDIR: return shape(8, NAME);
    case F.FUSE_RENAME: return shape(8, TWO_NAMES);
    case F.FUSE_RENAME2: return shape(16, TWO_NAMES);
    case F.FUSE_LINK: return shape(8, NAME);
    case F.FUSE_OPEN: case F.FUSE_OPENDIR: return shape(8, NOTHING);
    case F.FUSE_READ: case F.FUSE_READDIR: case F.FUSE_READDIRPLUS: return shape(40, NOTHING);
    case F.FUSE_WRITE: return shape(40, DATA);
    case F.FUSE_RELEASE: case F.FUSE_RELEASEDIR: case F.FUSE_FLUSH: case F.FUSE_LSEEK: return shape(24, NOTHING);
    case F.FUSE_FSYNC: case F.FUSE_FSYNCDIR: return shape(16, NOTHING);
    case F.FUSE_SETXATTR: return shape(16, ATTRIBUTE_VALUE);
    case F.FUSE_GETXATTR: return shape(8, ATTRIBUTE);
    case F.FUSE_LISTXATTR: case F.FUSE_SYNCFS: case F.FUSE_INTERRUPT: return shape(8, NOTHING);
    case F.FUSE_INIT: return shape(64, NOTHING);
    case F.FUSE_GETLK: case F.FUSE_SETLK: case F.FUSE_SETLKW: return shape(48, NOTHING);
    case F.FUSE_CREATE: return shape(16, NAME);
    case F.FUSE_TMPFILE: return shape(16, IGNORED);
    case F.FUSE_FALLOCATE: return shape(32, NOTHING);
    case F.FUSE_COPY_FILE_RANGE: return shape(56, NOTHING);
    default: return -1;
  }
}

/** Fills `r` from the chain that `q` took last. 0 or -errno for the driver; `area`: the device's (FS_BASE). */
export function fs_parse(q: Queue, r: FsRequest, area: usize): i32 {
  const text = area + FS_TEXT;
  const total = q.read_bytes;
  if (total < IN_HEADER) return -EIO;
  chain_read(q, text, IN_HEADER);
  const len = load<u32>(text, F.FUSE_IN_LEN);
  r.opcode = load<u32>(text, F.FUSE_IN_OPCODE);
  r.unique = load<u64>(text, F.FUSE_IN_UNIQUE);
  r.nodeid = load<u64>(text, F.FUSE_IN_NODEID);
  r.uid = load<u32>(text, F.FUSE_IN_UID);
  r.gid = load<u32>(text, F.FUSE_IN_GID);
  r.pid = load<u32>(text, F.FUSE_IN_PID);
  const extensions = <u32>load<u16>(text, F.FUSE_IN_TOTAL_EXTLEN) << 3;
  if (len < IN_HEADER || <u64>len > total) return -EIO;
  const found = shape_of(r.opcode);
  if (found < 0) return -ENOSYS;
  const bytes = <u32>found & 0xffff;
  const kind = <u32>found >> 16;
  let rest = len - IN_HEADER;
  if (rest < bytes || bytes > FS_ARGUMENTS_MAX) return -EINVAL;
  chain_read(q, changetype<usize>(r) + FS_REQ_ARGUMENTS, bytes);
  rest -= bytes;
  if (r.opcode == F.FUSE_READ) r.bytes = min<u32>(size_of(r), r.room);
  if (kind == DATA) return write_data(q, r, area, rest);
  if (rest > FS_TEXT_SIZE - 1) return -EINVAL;
  chain_read(q, text, rest);
  if (extensions > rest) return -EINVAL;
  rest -= extensions;
  group(r, text + rest, extensions);
  return names(r, text, rest, kind);
}

/** `size` of struct fuse_read_in and of fuse_write_in. */
@inline
function size_of(r: FsRequest): u32 {
  return load<u32>(changetype<usize>(r) + FS_REQ_ARGUMENTS, 16);
}

/** WRITE: as many bytes as it says, where they are. */
function write_data(q: Queue, r: FsRequest, area: usize, rest: u32): i32 {
  const size = size_of(r);
  if (size > rest) return -EINVAL;
  r.pieces = copy_pieces(area + FS_DATA, q, q.at, q.nread, 0, size);
  r.bytes = size;
  return 0;
}

/** Copies what the entries `from`..`to` of the chain hold, without the first `skip` bytes and at most `most`; returns how many pieces. */
export function copy_pieces(table: usize, q: Queue, from: u32, to: u32, skip: u32, most: u32): u32 {
  let left = most;
  let n: u32 = 0;
  for (let i = from; i < to && left != 0; i++) {
    let ptr = table_ptr(q.table, i);
    let len = table_len(q.table, i);
    if (skip >= len) {
      skip -= len;
      continue;
    }
    ptr += skip;
    len = min<u32>(len - skip, left);
    skip = 0;
    table_put(table, n++, ptr, len);
    left -= len;
  }
  return n;
}

/** Extensions (7.38): the one group of the caller's that is the directory's. What is not understood is left out. */
function group(r: FsRequest, from: usize, length: u32): void {
  let at: u32 = 0;
  while (length - at >= 8) {
    const size = load<u32>(from + at);
    if (size < 8 || size > length - at) return;
    if (load<u32>(from + at, 4) == F.FUSE_EXT_GROUPS && size >= 16 && load<u32>(from + at, 8) == 1) r.group = load<u32>(from + at, 12);
    at += size;
  }
}

function names(r: FsRequest, text: usize, rest: u32, kind: u32): i32 {
  switch (kind) {
    case NAME: return first(r, text, rest, true);
    case ATTRIBUTE: return first(r, text, rest, false);
    case TWO_NAMES: {
      const found = first(r, text, rest, true);
      return found < 0 ? found : second(r, text, rest, FS_NAME_BYTES, true);
    }
    case NAME_TEXT: {
      const found = first(r, text, rest, true);
      return found < 0 ? found : second(r, text, rest, LINK_MAX, false);
    }
    case ATTRIBUTE_VALUE: {
      const found = first(r, text, rest, false);
      if (found < 0) return found;
      const size = load<u32>(changetype<usize>(r) + FS_REQ_ARGUMENTS);
      if (size > VALUE_MAX || size > rest - r.name_length - 1) return -EINVAL;
      r.second = r.name + r.name_length + 1;
      r.second_length = size;
      return 0;
    }
    case LIST: {
      const count = load<u32>(changetype<usize>(r) + FS_REQ_ARGUMENTS);
      if (count > rest >> 4) return -EINVAL;
      r.second = <u32>text;
      r.second_length = count << 4;
      return 0;
    }
    default: return 0;
  }
}

/** A C string of at most `most` bytes at `from`; `rest`: what there is. Its length, or -errno. */
function c_string(from: usize, rest: u32, most: u32): i32 {
  const end = min<u32>(rest, most + 1);
  for (let n: u32 = 0; n < end; n++) if (load<u8>(from + n) == 0) return n == 0 ? -EINVAL : <i32>n;
  return rest > most ? -ENAMETOOLONG : -EINVAL;
}

/** `entry`: the name of a directory's entry, which leads nowhere but beneath it. */
function first(r: FsRequest, text: usize, rest: u32, entry: bool): i32 {
  const n = c_string(text, rest, FS_NAME_BYTES);
  if (n < 0) return n;
  if (entry && !is_entry(text, <u32>n)) return -EINVAL;
  r.name = <u32>text;
  r.name_length = n;
  return 0;
}

function second(r: FsRequest, text: usize, rest: u32, most: u32, entry: bool): i32 {
  const skip = r.name_length + 1;
  const n = c_string(text + skip, rest - skip, most);
  if (n < 0) return n;
  if (entry && !is_entry(text + skip, <u32>n)) return -EINVAL;
  r.second = <u32>text + skip;
  r.second_length = n;
  return 0;
}

const DOT: u32 = 0x2e;
const SLASH: u32 = 0x2f;

function is_entry(name: usize, n: u32): bool {
  if (load<u8>(name) == DOT && (n == 1 || (n == 2 && load<u8>(name, 1) == DOT))) return false;
  for (let i: u32 = 0; i < n; i++) if (load<u8>(name + i) == SLASH) return false;
  return true;
}
