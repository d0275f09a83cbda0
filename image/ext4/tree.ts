/** A directory of an ext4 file system in a file, as a tree. Nothing is written, and no kernel mounts it. */
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import { EMPTY_CONTENT, FdSource, type FileContent } from '../tree/content.ts';
import type { ByteString } from '../tree/names.ts';
import { type DirNode, makeDir, type NodeMeta, type TreeNode } from '../tree/node.ts';
import { corrupt, Ext4Disk } from './disk.ts';
import { entriesOf, type Inode, metadataOf, readInode, S_IFMT, stretches } from './inode.ts';
import { replayJournal } from './journal.ts';
import { xattrsOf } from './xattrs.ts';

const ROOT = 2;
const MAX_DIRECTORY = 128 << 20;
const MAX_LINK = 4096;
/** Of all files together. */
const MAX_PIECES = 8_000_000;

/**
 * The directory at `path`, the journal replayed; undefined: it is not there. Files are read from `fd`, which has to stay open. Throws
 * KEPT_DISK, IMAGE_LIMIT.
 */
export function treeFromExt4(fd: number, path: readonly ByteString[]): DirNode | undefined {
  const disk = new Ext4Disk(fd);
  replayJournal(disk);
  return new Reader(disk).directory(path);
}

class Reader {
  readonly #disk: Ext4Disk;
  readonly #source: FdSource;
  /** By inode: hard links are one node, and no directory is entered twice. */
  readonly #nodes = new Map<number, TreeNode>();
  #pieces = 0;
  #metadataBytes = 0;

  constructor(disk: Ext4Disk) {
    this.#disk = disk;
    this.#source = new FdSource(disk.fd, 'the container’s disk');
  }

  directory(path: readonly ByteString[]): DirNode | undefined {
    let number = ROOT;
    for (const part of path) {
      const found = [...this.#entries(readInode(this.#disk, number))].find(([name]) => name === part);
      if (found === undefined) return undefined;
      number = found[1];
    }
    const root = this.#node(number);
    if (root.type !== 'dir') throw corrupt(`${path.join('/')} is no directory`);
    const todo: [number, DirNode, depth: number][] = [[number, root, 0]];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const [at, dir, depth] = next;
      if (depth > DEFAULT_LIMITS.maxDepth) throw corrupt('its directories are too deep');
      for (const [name, child] of this.#entries(readInode(this.#disk, at))) {
        this.#count(name.length);
        const known = this.#nodes.get(child);
        if (known?.type === 'dir') throw corrupt('a directory is in two places');
        const node = known ?? this.#node(child);
        dir.children.set(name, node);
        if (node.type === 'dir') todo.push([child, node, depth + 1]);
      }
    }
    return root;
  }

  #entries(inode: Inode): Generator<readonly [ByteString, number]> {
    if ((inode.mode & S_IFMT) !== 0o040000) throw corrupt('what should be a directory is none');
    return entriesOf(this.#disk, metadataOf(this.#disk, inode, MAX_DIRECTORY));
  }

  #node(number: number): TreeNode {
    if (this.#nodes.size >= DEFAULT_LIMITS.maxEntries) throw corrupt('it has too many files');
    const node = this.#make(readInode(this.#disk, number));
    for (const [name, value] of node.xattrs ?? []) this.#count(name.length + value.length);
    if (node.type === 'symlink') this.#count(node.target.length);
    this.#nodes.set(number, node);
    return node;
  }

  #count(bytes: number): void {
    this.#metadataBytes += bytes;
    if (this.#metadataBytes > DEFAULT_LIMITS.maxMetadataBytes) throw corrupt('its names and attributes are too large');
  }

  #make(inode: Inode): TreeNode {
    const { mode, uid, gid, mtimeSec, mtimeNsec } = inode;
    const meta: NodeMeta = { mode: mode & 0o7777, uid: uid >>> 0, gid: gid >>> 0, mtimeSec, mtimeNsec, xattrs: xattrsOf(this.#disk, inode) };
    switch (mode & S_IFMT) {
      case 0o040000:
        return makeDir(meta);
      case 0o100000:
        return { type: 'file', ...meta, content: this.#content(inode) };
      case 0o120000:
        return { type: 'symlink', ...meta, target: this.#target(inode) };
      case 0o020000:
        return { type: 'char', ...meta, ...deviceOf(inode) };
      case 0o060000:
        return { type: 'block', ...meta, ...deviceOf(inode) };
      case 0o010000:
        return { type: 'fifo', ...meta };
      case 0o140000:
        return { type: 'socket', ...meta };
      default:
        throw corrupt('an inode is of no kind');
    }
  }

  #target(inode: Inode): ByteString {
    if (!inode.extents && inode.size < inode.block.length) return inode.block.toString('latin1', 0, inode.size);
    return metadataOf(this.#disk, inode, MAX_LINK).toString('latin1');
  }

  #content(inode: Inode): FileContent {
    if (inode.size === 0) return EMPTY_CONTENT;
    const { blockSize } = this.#disk.super;
    const extents = [];
    for (const { at, count, block } of stretches(this.#disk, inode)) {
      const fileOffset = at * blockSize;
      if (++this.#pieces > MAX_PIECES) throw corrupt('its files are in too many pieces');
      // Blocks behind the end are there for what may be written later.
      const length = Math.min(count * blockSize, inode.size - fileOffset);
      if (length > 0) extents.push({ fileOffset, length, source: this.#source, sourceOffset: block * blockSize });
    }
    return { size: inode.size, extents };
  }
}

/** Linux, include/linux/kdev_t.h: the old form in the first word, or the new one in the second. */
function deviceOf({ block }: Inode): { devMajor: number; devMinor: number } {
  const old = block.readUInt32LE(0);
  if (old !== 0) return { devMajor: (old >>> 8) & 0xff, devMinor: old & 0xff };
  const wide = block.readUInt32LE(4);
  return { devMajor: (wide & 0xfff00) >>> 8, devMinor: (wide & 0xff) | ((wide >>> 12) & 0xfff00) };
}
