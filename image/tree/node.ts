import type { FileContent } from './content.ts';
import type { ByteString } from './names.ts';

/** Kinds of inode, by the names that `find -type` and POSIX use. */
export type NodeType = 'dir' | 'file' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** What every inode has. */
export interface NodeMeta {
  /** Permission bits with setuid, setgid and sticky: 0..0o7777. The type is not in it. */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970, whole; may be negative. */
  mtimeSec: number;
  /** 0..999_999_999 */
  mtimeNsec: number;
  /** Full name ("security.capability") to value; undefined when there are none. */
  xattrs: Map<ByteString, Uint8Array> | undefined;
}

export interface DirNode extends NodeMeta {
  readonly type: 'dir';
  /** Never holds "." or "..". */
  readonly children: Map<ByteString, TreeNode>;
}

export interface FileNode extends NodeMeta {
  readonly type: 'file';
  content: FileContent;
}

export interface SymlinkNode extends NodeMeta {
  readonly type: 'symlink';
  target: ByteString;
}

export interface DeviceNode extends NodeMeta {
  readonly type: 'char' | 'block';
  devMajor: number;
  devMinor: number;
}

export interface SpecialNode extends NodeMeta {
  readonly type: 'fifo' | 'socket';
}

/**
 * One inode. Hard links are the same object under several names, so a link count is the
 * number of directory entries that refer to it (`countLinks`). A directory has one parent.
 */
export type TreeNode = DirNode | FileNode | SymlinkNode | DeviceNode | SpecialNode;

/** Metadata of a directory that no archive entry describes (a missing parent). */
function defaultMeta(mode: number): NodeMeta {
  return { mode, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0, xattrs: undefined };
}

/** The fields of `meta` only, whatever else the object carries. */
export function copyMeta(meta: NodeMeta): NodeMeta {
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = meta;
  return { mode, uid, gid, mtimeSec, mtimeNsec, xattrs: xattrs === undefined ? undefined : new Map(xattrs) };
}

export function makeDir(meta: NodeMeta = defaultMeta(0o755)): DirNode {
  return { type: 'dir', ...copyMeta(meta), children: new Map() };
}

/** Names of a directory in byte order, the order of EROFS and of every walk here. */
export function sortedNames(dir: DirNode): ByteString[] {
  return [...dir.children.keys()].sort((a, b) => (a < b ? -1 : 1));
}

/** Link count of each inode that is not a directory, by identity. */
export function countLinks(root: DirNode): Map<TreeNode, number> {
  const links = new Map<TreeNode, number>();
  const dirs: DirNode[] = [root];
  for (let dir = dirs.pop(); dir !== undefined; dir = dirs.pop()) {
    for (const child of dir.children.values()) {
      if (child.type === 'dir') dirs.push(child);
      else links.set(child, (links.get(child) ?? 0) + 1);
    }
  }
  return links;
}

/** A visit of `walk`: `path` has no leading slash; the root's is "". */
export interface Visit {
  path: ByteString;
  node: TreeNode;
}

/** All nodes, parents first, siblings in byte order. A hard link is visited once a name. */
export function* walk(root: DirNode): Generator<Visit> {
  const stack: Visit[] = [{ path: '', node: root }];
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    yield visit;
    if (visit.node.type !== 'dir') continue;
    const prefix = visit.path === '' ? '' : `${visit.path}/`;
    const names = sortedNames(visit.node);
    for (let i = names.length - 1; i >= 0; i--) {
      const name = names[i] as string;
      stack.push({ path: prefix + name, node: visit.node.children.get(name) as TreeNode });
    }
  }
}
