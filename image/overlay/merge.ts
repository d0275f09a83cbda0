/**
 * What an overlay file system shows (Linux, Documentation/filesystems/overlayfs.rst): the tree of an image, and a container's upper directory
 * over it. Renamed directories, as `redirect_dir` keeps them, included.
 */
import type { ByteString } from '../tree/names.ts';
import { copyMeta, type DirNode, type FileNode, makeDir, type NodeMeta, type TreeNode } from '../tree/node.ts';
import { EMPTY_CONTENT } from '../tree/content.ts';

const XATTRS = 'trusted.overlay.';
const OPAQUE = `${XATTRS}opaque`;
const REDIRECT = `${XATTRS}redirect`;
/** OCI image spec, layer.md. */
const WHITEOUT = '.wh.';
const OPAQUE_MARK = '.wh..wh..opq';

export interface Change {
  /** As docker diff: added, changed, deleted. */
  readonly kind: 'A' | 'C' | 'D';
  /** Without a leading slash. */
  readonly path: ByteString;
}

export interface Overlay {
  /** What the container sees. */
  readonly merged: DirNode;
  /** What turns the image into it: a layer (OCI), with whiteouts. */
  readonly layer: DirNode;
  /** Parents first, siblings in byte order. */
  readonly changes: readonly Change[];
}

/** `lower` and `upper` stay as they are; files are shared with them. */
export function overlayOf(lower: DirNode, upper: DirNode): Overlay {
  const found = new Merge(lower);
  const { merged, layer } = found.directory(upper, lower, '', false);
  return { merged, layer, changes: found.changes.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

class Merge {
  readonly changes: Change[] = [];
  readonly #root: DirNode;
  /** Of hard links: one node each. */
  readonly #clean = new Map<TreeNode, TreeNode>();

  constructor(root: DirNode) {
    this.#root = root;
  }

  /** `below`: what shines through; `whole`: the layer names all of it, since its lower self is elsewhere or hidden. */
  directory(upper: DirNode, below: DirNode | undefined, path: ByteString, whole: boolean): { merged: DirNode; layer: DirNode } {
    const merged = makeDir(cleaned(upper));
    const layer = makeDir(cleaned(upper));
    for (const [name, node] of below?.children ?? []) {
      if (upper.children.has(name)) continue;
      merged.children.set(name, node);
      if (!whole) continue;
      layer.children.set(name, node);
      this.#added(node, joined(path, name));
    }
    for (const [name, node] of upper.children) {
      const at = joined(path, name);
      const there = below?.children.get(name);
      if (isWhiteout(node)) {
        if (whole || there === undefined) continue;
        layer.children.set(`${WHITEOUT}${name}`, mark());
        this.changes.push({ kind: 'D', path: at });
        continue;
      }
      this.changes.push({ kind: there === undefined || whole ? 'A' : 'C', path: at });
      if (node.type === 'dir') this.#put(merged, layer, name, this.#child(node, name, below, at, whole));
      else {
        const clean = this.#file(node);
        this.#put(merged, layer, name, { merged: clean, layer: clean });
      }
    }
    return { merged, layer };
  }

  #put(merged: DirNode, layer: DirNode, name: ByteString, node: { merged: TreeNode; layer: TreeNode }): void {
    merged.children.set(name, node.merged);
    layer.children.set(name, node.layer);
  }

  #child(node: DirNode, name: ByteString, parent: DirNode | undefined, at: ByteString, whole: boolean): { merged: DirNode; layer: DirNode } {
    const there = parent?.children.get(name);
    const redirect = textOf(node, REDIRECT);
    const opaque = textOf(node, OPAQUE) === 'y';
    const source = redirect !== undefined ? this.#lookUp(redirect, parent) : opaque ? undefined : there;
    const below = source?.type === 'dir' ? source : undefined;
    const elsewhere = redirect !== undefined || below === undefined;
    const made = this.directory(node, below, at, whole || elsewhere);
    if (elsewhere && there?.type === 'dir' && !whole) {
      made.layer.children.set(OPAQUE_MARK, mark());
      for (const gone of there.children.keys()) if (!made.merged.children.has(gone)) this.changes.push({ kind: 'D', path: joined(at, gone) });
    }
    return made;
  }

  /** A redirect is a path from the image's root, or the name that it had in its parent's lower self. */
  #lookUp(redirect: ByteString, parent: DirNode | undefined): TreeNode | undefined {
    let node: TreeNode | undefined = redirect.startsWith('/') ? this.#root : parent;
    for (const part of redirect.replace(/^\//, '').split('/')) node = node?.type === 'dir' ? node.children.get(part) : undefined;
    return node;
  }

  #file(node: TreeNode): TreeNode {
    const known = this.#clean.get(node);
    if (known !== undefined) return known;
    const clean = { ...node, ...cleaned(node) } as TreeNode;
    this.#clean.set(node, clean);
    return clean;
  }

  #added(node: TreeNode, path: ByteString): void {
    this.changes.push({ kind: 'A', path });
    if (node.type === 'dir') for (const [name, child] of node.children) this.#added(child, joined(path, name));
  }
}

/** Where the host mounts something of its own. init makes what is missing there, which is no change of the container's. */
const STUBS = ['dev', 'proc', 'sys', 'etc/hostname', 'etc/hosts', 'etc/resolv.conf'];

/** Takes them out of an upper directory. */
export function dropStubs(upper: DirNode, lower: DirNode): void {
  for (const path of STUBS) {
    const [first = '', second] = path.split('/');
    const folder = second === undefined ? upper : upper.children.get(first);
    const below = second === undefined ? lower : lower.children.get(first);
    const name = second ?? first;
    const node = folder?.type === 'dir' ? folder.children.get(name) : undefined;
    if (folder?.type !== 'dir' || node === undefined || isWhiteout(node) || (below?.type === 'dir' && below.children.has(name))) continue;
    const empty = node.type === 'dir' ? node.children.size === 0 : node.type === 'file' && node.content.size === 0;
    if (!empty) continue;
    folder.children.delete(name);
    if (second !== undefined && folder.children.size === 0 && below?.type === 'dir' && sameMeta(folder, below)) upper.children.delete(first);
  }
}

/** But for the time of the last change. */
function sameMeta(a: DirNode, b: DirNode): boolean {
  const shown = (node: NodeMeta): string => JSON.stringify([node.mode, node.uid, node.gid, [...(cleaned(node).xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString('hex')]).sort()]);
  return shown(a) === shown(b);
}

function joined(path: ByteString, name: ByteString): ByteString {
  return path === '' ? name : `${path}/${name}`;
}

function isWhiteout(node: TreeNode): boolean {
  return node.type === 'char' && node.devMajor === 0 && node.devMinor === 0;
}

function textOf(node: TreeNode, name: string): string | undefined {
  const value = node.xattrs?.get(name);
  return value === undefined ? undefined : Buffer.from(value).toString('latin1');
}

/** Without the overlay's own attributes. */
function cleaned(node: NodeMeta): NodeMeta {
  const meta = copyMeta(node);
  for (const name of [...(meta.xattrs?.keys() ?? [])]) if (name.startsWith(XATTRS)) meta.xattrs?.delete(name);
  if (meta.xattrs?.size === 0) meta.xattrs = undefined;
  return meta;
}

function mark(): FileNode {
  return { type: 'file', mode: 0o600, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0, xattrs: undefined, content: EMPTY_CONTENT };
}
