/**
 * How the guest's programs hear of what the host has changed. Its init (`raiser`, by the number of the process) makes the change that was made once more: its
 * kernel tells its programs of that, and what it asks of us for it is answered as if it were done, with nothing done on the host.
 */
import type { Change, ChangeKind } from '../../agent/changes.ts';
import { ENOENT, EPERM } from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import * as C from '../../host/uapi/files.ts';
import { fuse_attr, fuse_copy_file_range_in, fuse_entry_out, fuse_link_in, fuse_open_in, fuse_rename2_in } from '../../host/uapi/fuse.ts';
import { CHANGES_MAX, CHANGES_TEXT } from './changes.ts';
import { lookup } from './names.ts';
import { open } from './open-files.ts';
import type { RaisedName } from './raised.ts';
import { ROOT, type Session } from './session.ts';
import { CAME, GONE, keyOf, type Pending } from './watches.ts';

const PATH_MAX = 4000;
const TYPE_REGULAR = C.S_IFREG >> 12;
const TYPE_DIRECTORY = C.S_IFDIR >> 12;

/** The next lot out of what has happened, which is in flight from now on; empty: there is nothing to tell. */
export function nextChanges(s: Session, pending: Map<string, Pending>): Change[] {
  const taken: (readonly [string, Pending])[] = [];
  for (const each of pending) {
    if (taken.length === CHANGES_MAX) break;
    taken.push(each);
    pending.delete(each[0]);
  }
  const before = inodesBefore(s, taken);
  const lot = new Map<string, RaisedName>();
  const changes: Change[] = [];
  let room = CHANGES_TEXT;
  for (const [key, one] of taken) {
    const path = pathOf(s, one);
    if (path === undefined) continue;
    if (path.length > room) {
      pending.set(key, one);
      continue;
    }
    const { kinds, type, old } = whatIs(s, one, before.get(key) ?? []);
    if (kinds.length === 0) continue;
    room -= path.length;
    lot.set(key, { remove: kinds.includes('delete'), create: kinds.includes('create'), before: old, generation: s.nodes.generation(old), type });
    changes.push({ kinds, type, path });
  }
  if (changes.length > 0) s.raised.lot = lot;
  return changes;
}

/** An operation of the raiser's; undefined: it is done as any other. */
function answerRaiser(s: Session, node: number): number | undefined {
  const { request } = s;
  const { opcode, name, nameLength } = request;
  switch (opcode) {
    case F.FUSE_LOOKUP: {
      const one = s.raised.lot?.get(keyOf(node, Buffer.from(request.bytes.subarray(name, name + nameLength))));
      if (one?.remove === true) return ghost(s, node, one);
      return one?.create === true ? -ENOENT : undefined;
    }
    case F.FUSE_UNLINK:
    case F.FUSE_RMDIR:
    case F.FUSE_MKNOD:
    case F.FUSE_MKDIR:
    case F.FUSE_SYMLINK: {
      const one = s.raised.lot?.get(keyOf(node, Buffer.from(request.bytes.subarray(name, name + nameLength))));
      const removes = opcode === F.FUSE_UNLINK || opcode === F.FUSE_RMDIR;
      if (one === undefined || !(removes ? one.remove : one.create)) return -EPERM;
      if (removes) one.remove = false;
      else one.create = false;
      return removes ? 0 : lookup(s, node);
    }
    case F.FUSE_SETATTR: {
      const failed = s.statNode(node);
      return failed < 0 ? failed : s.answerAttr(s.share(node));
    }
    case F.FUSE_OPEN:
      // Its kernel sees an open to write, and the end of it.
      request.setArgument(fuse_open_in.flags, 0);
      request.setArgument(fuse_open_in.open_flags, 0);
      return open(s, node);
    default:
      return CHANGING.has(opcode) && opcode !== F.FUSE_RELEASE ? -EPERM : undefined;
  }
}

/** The entry of a name that is gone, so that it can be removed: the inode that it was, or one that is nothing. */
function ghost(s: Session, parent: number, { before, generation, type }: RaisedName): number {
  const { nodes, stat, request } = s;
  const share = s.share(parent);
  stat.pretend((type === 0 ? TYPE_REGULAR : type) << 12 | 0o600, ++s.raised.ghosts);
  const node = nodes.find(before, generation) === 0 ? nodes.add(share.number, stat) : before;
  if (node === 0) return -ENOENT;
  if (node !== before && !nodes.setName(node, parent, request.name, request.nameLength)) {
    nodes.free(node);
    return -ENOENT;
  }
  s.putEntry(0, node);
  request.put64(fuse_entry_out.entry_valid, 0);
  request.put64(fuse_entry_out.attr_valid, 0);
  request.put(fuse_entry_out.attr + fuse_attr.mode, stat.mode);
  request.put(fuse_entry_out.attr + fuse_attr.flags, 0);
  return fuse_entry_out.sizeof;
}

/** What may change something; of the rest nothing does. */
const CHANGING: ReadonlySet<number> = new Set([
  F.FUSE_SETATTR, F.FUSE_SYMLINK, F.FUSE_MKNOD, F.FUSE_MKDIR, F.FUSE_UNLINK, F.FUSE_RMDIR, F.FUSE_RENAME, F.FUSE_RENAME2, F.FUSE_LINK, F.FUSE_OPEN, F.FUSE_CREATE, F.FUSE_TMPFILE, F.FUSE_WRITE,
  F.FUSE_SETXATTR, F.FUSE_REMOVEXATTR, F.FUSE_FALLOCATE, F.FUSE_COPY_FILE_RANGE, F.FUSE_RELEASE,
]);

/** Names that an operation of the guest's may change: its kernel tells of these itself. */
function touched(s: Session, node: number): Set<string> {
  const { request } = s;
  const { opcode, name, nameLength, second, secondLength } = request;
  const names = new Set<string>();
  const named = (dir: number, at: number, length: number): Set<string> => names.add(keyOf(dir, Buffer.from(request.bytes.subarray(at, at + length))));
  const itself = (of: number): void => {
    if (of < 0 || of === ROOT) return;
    names.add(keyOf(of, Buffer.alloc(0)));
    if (s.nodes.parent(of) !== 0) names.add(keyOf(s.nodes.parent(of), nameOf(s, of)));
  };
  if (NAMED.has(opcode)) named(node, name, nameLength);
  else itself(node);
  if (opcode === F.FUSE_RENAME || opcode === F.FUSE_RENAME2) named(s.node(request.argument(fuse_rename2_in.newdir), request.argument(fuse_rename2_in.newdir + 4)), second, secondLength);
  if (opcode === F.FUSE_LINK) itself(s.node(request.argument(fuse_link_in.oldnodeid), request.argument(fuse_link_in.oldnodeid + 4)));
  if (opcode === F.FUSE_COPY_FILE_RANGE) itself(s.node(request.argument(fuse_copy_file_range_in.nodeid_out), request.argument(fuse_copy_file_range_in.nodeid_out + 4)));
  return names;
}

const NAMED: ReadonlySet<number> = new Set([F.FUSE_SYMLINK, F.FUSE_MKNOD, F.FUSE_MKDIR, F.FUSE_UNLINK, F.FUSE_RMDIR, F.FUSE_RENAME, F.FUSE_RENAME2, F.FUSE_LINK, F.FUSE_CREATE]);

/** An operation of a share whose changes are told: what it changes itself is not one of them. */
export function watchedOperation(s: Session, node: number, work: () => number): number {
  const { watches, raised, request } = s;
  if (watches === undefined) return work();
  const answer = raised.raiser !== 0 && request.pid === raised.raiser ? answerRaiser(s, node) : undefined;
  if (answer !== undefined) return answer;
  if (!CHANGING.has(request.opcode)) return work();
  watches.take();
  const own = touched(s, node);
  const result = work();
  watches.take((dir, name) => own.has(keyOf(dir, name)) || (!NAMED.has(request.opcode) && isNamed(s, node, dir, name)));
  return result;
}

/** Is it another name of the file? The kernel tells of that by which it was opened. */
function isNamed(s: Session, node: number, dir: number, name: Buffer): boolean {
  const fd = name.length === 0 ? -1 : s.paths.of(dir);
  return fd >= 0 && s.look(fd, s.request.spare(s.slot, name)) >= 0 && s.nodes.known(s.nodes.share(node), s.stat) === node;
}

/** Inodes that the guest has by names that have gone or come, whichever files they are. */
function inodesBefore(s: Session, taken: readonly (readonly [string, Pending])[]): Map<string, number[]> {
  const wanted = new Map(taken.filter(([, { mask, name }]) => name.length > 0 && (mask & (GONE | CAME)) !== 0));
  const parents = new Set([...wanted.values()].map(({ node }) => node));
  const found = new Map<string, number[]>();
  if (parents.size === 0) return found;
  for (const share of s.shares) {
    if (share?.watch !== true) continue;
    s.nodes.each(share.number, (node) => {
      if (!parents.has(s.nodes.parent(node))) return;
      const key = keyOf(s.nodes.parent(node), nameOf(s, node));
      if (wanted.has(key)) found.set(key, [...(found.get(key) ?? []), node]);
    });
  }
  return found;
}

function nameOf(s: Session, node: number): Buffer {
  const at = s.nodes.name(node);
  const { bytes } = s.request;
  return Buffer.from(bytes.subarray(at, bytes.indexOf(0, at)));
}

/** Undefined: it cannot be reached any more, or is too far down. */
function pathOf(s: Session, { node, generation, name }: Pending): string | undefined {
  const { nodes } = s;
  if (nodes.generation(node) !== generation) return undefined;
  const share = s.shares[nodes.share(node)];
  if (share === undefined) return undefined;
  const names = name.length === 0 ? [] : [name.toString('latin1')];
  for (let at = node; at !== share.node; at = nodes.parent(at)) {
    if (at === 0 || nodes.nameless(at) || names.length > PATH_MAX / 2) return undefined;
    names.unshift(nameOf(s, at).toString('latin1'));
  }
  const path = [share.name, ...names].join('/');
  return path.length > PATH_MAX ? undefined : path;
}

/** What a name is now, and what is to be raised. `old`: the inode that the guest takes it for, where that is another. */
function whatIs(s: Session, { node, name, mask }: Pending, before: readonly number[]): { kinds: ChangeKind[]; type: number; old: number } {
  const { nodes, stat } = s;
  const later = (['modify', 'attrib', 'close'] as const).filter((_, i) => (mask & ([C.IN_MODIFY, C.IN_ATTRIB, C.IN_CLOSE_WRITE][i] as number)) !== 0);
  if (name.length === 0) return { kinds: later, type: nodes.type(node), old: 0 };
  const dir = s.paths.of(node);
  const there = dir >= 0 && s.look(dir, s.request.spare(s.share(node).slot, name)) >= 0;
  const now = there ? nodes.known(nodes.share(node), stat) : 0;
  const old = before.find((each) => each !== now) ?? 0;
  if (!there) {
    const seen = old !== 0 || (mask & CAME) === 0;
    return (mask & GONE) !== 0 && seen ? { kinds: ['delete'], type: old === 0 ? ((mask & C.IN_ISDIR) !== 0 ? TYPE_DIRECTORY : 0) : nodes.type(old), old } : { kinds: [], type: 0, old: 0 };
  }
  const came = (mask & CAME) !== 0;
  // One kind of thing is removed, and another made, by two lots.
  const replaced = came && old !== 0 && nodes.type(old) === stat.type;
  return { kinds: [...(replaced ? (['delete'] as const) : []), ...(came ? (['create'] as const) : []), ...later], type: stat.type, old: replaced ? old : 0 };
}
