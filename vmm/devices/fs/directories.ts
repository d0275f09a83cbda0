/** Open directories. Each operation returns bytes of answer, or -errno. */
import { EINVAL, ENOTDIR } from '../../../assembly/contract/generated/errno.ts';
import { placeOf } from '../../host/places.ts';
import { getdents, reopen, seek } from '../../host/files.ts';
import { dirent64, O_DIRECTORY, S_IFDIR } from '../../host/uapi/files.ts';
import { fuse_attr, fuse_dirent, fuse_entry_out, fuse_open_out, fuse_read_in } from '../../host/uapi/fuse.ts';
import { SEEK_SET } from '../../host/uapi/linux.ts';
import { answerOpen } from './open-files.ts';
import { readRoot } from './root.ts';
import { ROOT, type Session } from './session.ts';

const TYPE_DIRECTORY = S_IFDIR >> 12;
/** Room for the kernel's entries, not on V8's heap, where it would move. */
const ENTRIES_BYTES = 32768;
const entries = new Uint8Array(new ArrayBuffer(ENTRIES_BYTES));
const words = new DataView(entries.buffer);
let entriesAt = 0;
/** The least that an entry takes, with the shortest name; and what the longest takes. */
const LONGEST = 280;

export function opendir(s: Session, node: number): number {
  if (node === ROOT) {
    s.request.clear(fuse_open_out.sizeof);
    return fuse_open_out.sizeof;
  }
  if (s.nodes.type(node) !== TYPE_DIRECTORY) return -ENOTDIR;
  const path = s.paths.of(node);
  if (path < 0) return path;
  const fd = s.paths.withRoom(() => reopen(s.paths.of(node), O_DIRECTORY));
  return fd < 0 ? fd : answerOpen(s, node, fd, 0, 0);
}

/** READDIR, and READDIRPLUS, which learns of the inodes too. */
export function readdir(s: Session, node: number, plus: boolean): number {
  const { request } = s;
  const size = Math.min(request.argument(fuse_read_in.size), request.room);
  if (node === ROOT) return readRoot(s, request.argument64(fuse_read_in.offset), size, plus);
  const handle = s.handle(fuse_read_in.fh, node);
  if (handle < 0) return handle;
  const fd = s.handles.fd(handle);
  const offset = BigInt(request.argument(fuse_read_in.offset)) | (BigInt(request.argument(fuse_read_in.offset + 4)) << 32n);
  if ((s.handles.positions.get(handle) ?? 0n) !== offset) {
    const failed = seek(fd, BigInt.asIntN(64, offset), SEEK_SET);
    if (failed < 0) return failed;
  }
  if (entriesAt === 0) entriesAt = placeOf(entries);
  // Not many more than fit: those left over are read again.
  const length = getdents(fd, entriesAt, Math.min(ENTRIES_BYTES, Math.max(LONGEST, plus ? size >> 2 : size)));
  if (length < 0) return length;
  const filled = fill(s, node, length, size, plus);
  s.handles.positions.set(handle, filled.whole ? filled.position : -1n);
  return filled.bytes === 0 && length > 0 ? -EINVAL : filled.bytes;
}

/** The kernel's entries as FUSE's, as many as fit. `whole`: all of them did, so that the directory stands at `position`. */
function fill(s: Session, node: number, length: number, size: number, plus: boolean): { bytes: number; position: bigint; whole: boolean } {
  const { request } = s;
  const head = plus ? fuse_entry_out.sizeof : 0;
  let position = -1n;
  let to = 0;
  let dir = -1;
  for (let at = 0; at < length; at += words.getUint16(at + dirent64.d_reclen, true)) {
    const from = at + dirent64.d_name;
    const nameLength = entries.indexOf(0, from) - from;
    const bytes = (head + fuse_dirent.name + nameLength + 7) & ~7;
    if (to + bytes > size) return { bytes: to, position, whole: false };
    const reply = request.reply + to;
    request.words.fill(0, reply >>> 2, (reply + bytes) >>> 2);
    request.bytes.set(entries.subarray(from, from + nameLength), reply + head + fuse_dirent.name);
    request.put(to + head + fuse_dirent.ino, words.getUint32(at + dirent64.d_ino, true));
    request.put(to + head + fuse_dirent.ino + 4, words.getUint32(at + dirent64.d_ino + 4, true));
    request.put(to + head + fuse_dirent.off, words.getUint32(at + dirent64.d_off, true));
    request.put(to + head + fuse_dirent.off + 4, words.getUint32(at + dirent64.d_off + 4, true));
    request.put(to + head + fuse_dirent.namelen, nameLength);
    request.put(to + head + fuse_dirent.type, entries[at + dirent64.d_type] as number);
    if (plus && !(entries[from] === 0x2e && (nameLength === 1 || (nameLength === 2 && entries[from + 1] === 0x2e)))) {
      if (dir < 0) dir = s.paths.of(node);
      if (dir >= 0) enter(s, node, dir, to, nameLength);
    }
    position = BigInt.asIntN(64, words.getBigUint64(at + dirent64.d_off, true));
    to += bytes;
  }
  return { bytes: to, position, whole: true };
}

/** READDIRPLUS's entry of one name, whose text is in the answer already; one that cannot be had is without. */
function enter(s: Session, parent: number, dir: number, to: number, nameLength: number): void {
  const { request } = s;
  const name = request.reply + to + fuse_entry_out.sizeof + fuse_dirent.name;
  // A NUL behind the name: the next entry's bytes come later.
  request.bytes[name + nameLength] = 0;
  if (s.look(dir, name) < 0) return;
  const share = s.share(parent);
  if (!share.crossing && s.stat.mount !== share.mount) return;
  const node = s.enter(parent, name, nameLength);
  if (node !== 0) s.putEntry(to, node);
  else request.put(to + fuse_entry_out.attr + fuse_attr.ino, 0);
}
