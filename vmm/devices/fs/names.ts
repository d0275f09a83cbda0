/** Operations on names: a lookup, and all that makes, moves and removes them. Each returns bytes of answer, or -errno. */
import { EINVAL, ENOMEM, EROFS, EXDEV } from '../../../assembly/contract/generated/errno.ts';
import { linkOpen, makeDirectory, makeLink, makeNode, readlinkAt, renameAt, unlinkAt } from '../../host/files.ts';
import { AT_REMOVEDIR, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../host/uapi/files.ts';
import { fuse_link_in, fuse_mkdir_in, fuse_mknod_in, fuse_rename2_in } from '../../host/uapi/fuse.ts';
import { adopt, asCaller } from './ids.ts';
import { hostMode } from './owners.ts';
import { ROOT, type Session } from './session.ts';
import { lookupShare } from './root.ts';

const MODE_MASK = 0o7777;

/** LOOKUP in an inode; the answer is an entry. */
export function lookup(s: Session, parent: number): number {
  if (parent === ROOT) return lookupShare(s);
  const dir = s.paths.of(parent);
  return dir < 0 ? dir : entryOf(s, parent, dir);
}

/** The entry of the request's first name in an open directory. */
function entryOf(s: Session, parent: number, dir: number): number {
  const { request: { name, nameLength } } = s;
  const failed = s.look(dir, name);
  if (failed < 0) return failed;
  const share = s.share(parent);
  if (!share.crossing && s.stat.mount !== share.mount) return -EXDEV;
  const node = s.enter(parent, name, nameLength);
  return node === 0 ? -ENOMEM : s.answerEntry(node);
}

/** Opens the directory that a name is to be changed in: its descriptor, or -errno. */
function changing(s: Session, parent: number): number {
  return s.writable(parent) || s.paths.of(parent);
}

/** Makes something as the caller, and answers with its entry. */
function make(s: Session, parent: number, kind: { readonly mode: number; readonly rdev?: number }, work: (dir: number, name: number) => number): number {
  const dir = changing(s, parent);
  if (dir < 0) return dir;
  const result = asCaller(s, s.share(parent), () => work(dir, s.address(s.request.name)));
  if (result < 0) return result;
  if (s.share(parent).mapped) adopt(s, parent, { fd: dir, name: s.request.name, ...kind });
  return entryOf(s, parent, dir);
}

export function mkdir(s: Session, parent: number): number {
  const mode = S_IFDIR | (s.request.argument(fuse_mkdir_in.mode) & MODE_MASK);
  return make(s, parent, { mode }, (dir, name) => makeDirectory(dir, name, (s.share(parent).mapped ? hostMode(mode) : mode) & MODE_MASK));
}

export function mknod(s: Session, parent: number): number {
  const asked = s.request.argument(fuse_mknod_in.mode);
  const mode = (asked & S_IFMT) === 0 ? asked | S_IFREG : asked;
  const rdev = s.request.argument(fuse_mknod_in.rdev);
  // Beside the file it says what kind it is: it is a plain one for the host.
  return make(s, parent, { mode, rdev }, (dir, name) => (s.share(parent).mapped ? makeNode(dir, name, S_IFREG | hostMode(mode), 0) : makeNode(dir, name, mode, rdev)));
}

export function symlink(s: Session, parent: number): number {
  return make(s, parent, { mode: S_IFLNK | 0o777 }, (dir, name) => makeLink(s.address(s.request.second), dir, name));
}

/** LINK: a second name for an inode, which is in the request's arguments. */
export function link(s: Session, parent: number): number {
  const old = s.node(s.request.argument(fuse_link_in.oldnodeid), s.request.argument(fuse_link_in.oldnodeid + 4));
  if (old < 0) return old === ROOT ? -EROFS : old;
  if (parent !== ROOT && s.share(old) !== s.share(parent)) return -EXDEV;
  const failed = s.writable(parent);
  if (failed < 0) return failed;
  // Its descriptor first, and then the directory's: each is good until the next is asked for, unless it is used in between.
  const fd = s.paths.of(old);
  if (fd < 0) return fd;
  const dir = s.paths.of(parent);
  if (dir < 0) return dir;
  const result = linkOpen(s.paths.of(old), dir, s.address(s.request.name));
  return result < 0 ? result : entryOf(s, parent, dir);
}

export function unlink(s: Session, parent: number): number {
  return remove(s, parent, 0);
}

export function rmdir(s: Session, parent: number): number {
  return remove(s, parent, AT_REMOVEDIR);
}

function remove(s: Session, parent: number, flags: number): number {
  let dir = changing(s, parent);
  if (dir < 0) return dir;
  const { name, nameLength } = s.request;
  const failed = s.look(dir, name);
  if (failed < 0) return failed;
  const node = s.nodes.known(s.share(parent).number, s.stat);
  // What the guest knows of may be open there: from now on only a descriptor leads to it.
  const loses = node !== 0 && s.nodes.called(node, parent, name, nameLength);
  if (loses) {
    s.paths.of(node);
    dir = s.paths.of(parent);
    if (dir < 0) return dir;
  }
  const result = unlinkAt(dir, s.address(name), flags);
  if (result < 0) return result;
  if (loses) s.nodes.loseName(node);
  return 0;
}

/** RENAME and RENAME2. `flags`: RENAME_*. */
export function rename(s: Session, parent: number, flags: number): number {
  const { request } = s;
  const target = s.node(request.argument(fuse_rename2_in.newdir), request.argument(fuse_rename2_in.newdir + 4));
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) return -EINVAL;
  if (parent === ROOT || target === ROOT) return -EROFS;
  if (target < 0) return target;
  const share = s.share(parent);
  if (share !== s.share(target)) return -EXDEV;
  if (share.readOnly) return -EROFS;
  const [fromName, fromLength, toName, toLength] = [request.name, request.nameLength, request.second, request.secondLength];
  const [from, to] = [s.paths.of(parent), s.paths.of(target)];
  if (from < 0 || to < 0) return Math.min(from, to);
  // What is there is known by then to lose its name, or to have another.
  const moved = s.look(from, fromName) < 0 ? 0 : s.nodes.known(share.number, s.stat);
  const replaced = s.look(to, toName) < 0 ? 0 : s.nodes.known(share.number, s.stat);
  if (replaced !== 0 && replaced !== moved) s.paths.of(replaced);
  const result = asCaller(s, share, () => renameAt(s.paths.of(parent), s.address(fromName), s.paths.of(target), s.address(toName), flags));
  if (result < 0) return result;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (replaced !== 0 && replaced !== moved) {
    if (exchange) give(s, replaced, parent, fromName, fromLength);
    else if (s.nodes.called(replaced, target, toName, toLength)) s.nodes.loseName(replaced);
  }
  if (moved !== 0 && moved !== replaced) give(s, moved, target, toName, toLength);
  return 0;
}

function give(s: Session, node: number, parent: number, name: number, length: number): void {
  const before = s.nodes.parent(node);
  if (!s.nodes.setName(node, parent, name, length)) s.nodes.loseName(node);
  if (before !== 0 && before !== parent) s.reap(before);
}

export function readlink(s: Session, node: number): number {
  if (node === ROOT) return -EINVAL;
  const { nodes, paths, request } = s;
  // By its name, where it has one: not each host can read a link that is open.
  const parent = nodes.parent(node);
  if (parent !== 0 && !nodes.nameless(node)) {
    const failed = s.statNode(node);
    return failed < 0 ? failed : readlinkAt(paths.of(parent), s.address(nodes.name(node)), s.address(request.reply), request.room);
  }
  const fd = paths.of(node);
  return fd < 0 ? fd : readlinkAt(fd, 0, s.address(request.reply), request.room);
}
