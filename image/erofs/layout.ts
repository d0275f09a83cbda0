import { VmmError } from '../../base/errors.ts';
import { countLinks, type DirNode, sortedNames, type TreeNode } from '../tree/node.ts';
import { type ByteString, NAME_MAX, PATH_MAX, quoteName } from '../tree/names.ts';
import { type ChunkPlan, planChunks } from './chunks.ts';
import {
  BLOCK_SIZE,
  COMPACT_INODE_SIZE,
  DIRENT_SIZE,
  EROFS_INODE_CHUNK_BASED,
  EROFS_INODE_FLAT_INLINE,
  EROFS_INODE_FLAT_PLAIN,
  EROFS_NULL_ADDR,
  EROFS_SUPER_OFFSET,
  EROFS_SUPER_SIZE,
  EXTENDED_INODE_SIZE,
  MAX_MAJOR,
  MAX_MINOR,
  SLOT_SIZE,
} from './format.ts';
import { SlotAllocator } from './slots.ts';
import { type XattrBody, XattrPool } from './xattrs.ts';

/** The entries of a directory: names in byte order with "." and "..", cut into blocks. */
export interface DirPlan {
  parent: InodePlan;
  names: ByteString[];
  /** Index in `names` of each block's first entry. */
  blockStarts: number[];
}

/** Where one inode and its data go. */
export interface InodePlan {
  node: TreeNode;
  /** Sequence number from 1 (i_ino, what a 32-bit stat shows). */
  ino: number;
  nlink: number;
  /** Bytes of data. */
  size: number;
  compact: boolean;
  xattrs: XattrBody | undefined;
  dataLayout: number;
  /** Bytes of data behind the inode. */
  tail: number;
  /** Blocks of data elsewhere, and the first one's address. */
  blocks: number;
  blockAddress: number;
  /** Byte address of the inode. */
  address: number;
  dir: DirPlan | undefined;
  chunks: ChunkPlan | undefined;
}

/** A whole image, before a byte of it is written. */
export interface ImagePlan {
  root: InodePlan;
  /** In the order of their data blocks: directories come first in the image, then files. */
  inodes: InodePlan[];
  byNode: Map<TreeNode, InodePlan>;
  xattrs: XattrPool;
  xattrBlock: number;
  /** Modification time of all compact inodes. */
  epochSec: number;
  epochNsec: number;
  /** Size of the image in blocks. */
  blocks: number;
  chunked: boolean;
}

export interface LayoutOptions {
  /** Tails of files up to this many bytes lie behind the inode; longer ones get a block. */
  maxInlineTail: number;
  /** Largest image, bytes. */
  maxSize: number;
}

/** Decides every address. Throws IMAGE_EROFS_LIMIT for what the format cannot hold. */
export function planImage(tree: DirNode, options: LayoutOptions): ImagePlan {
  const xattrs = new XattrPool();
  const { inodes, byNode } = collect(tree, xattrs);
  xattrs.place();
  const epoch = commonTime(inodes);
  const slots = new SlotAllocator(EROFS_SUPER_OFFSET + EROFS_SUPER_SIZE);
  for (const inode of inodes) placeInode(inode, epoch, slots, xattrs, options);

  let block = Math.ceil(slots.end / BLOCK_SIZE);
  const xattrBlock = block;
  block += Math.ceil(xattrs.sharedSize / BLOCK_SIZE);
  for (const wanted of [true, false]) {
    for (const inode of inodes) {
      if ((inode.dir !== undefined) !== wanted || inode.blocks === 0) continue;
      inode.blockAddress = block;
      block += inode.blocks;
    }
  }
  if (block * BLOCK_SIZE > options.maxSize) {
    throw new VmmError('IMAGE_LIMIT', `the image would have ${block * BLOCK_SIZE} bytes; at most ${options.maxSize} are accepted`);
  }
  if (block >= EROFS_NULL_ADDR) throw limit(`the image needs ${block} blocks of 4 KiB; EROFS addresses 2^32`);
  return {
    root: inodes[0] as InodePlan,
    inodes,
    byNode,
    xattrs,
    xattrBlock,
    epochSec: epoch.sec,
    epochNsec: epoch.nsec,
    blocks: block,
    chunked: inodes.some((inode) => inode.chunks !== undefined),
  };
}

/** Every inode once, breadth first: a directory's children lie together, as `ls -l` reads them. */
function collect(tree: DirNode, pool: XattrPool): { inodes: InodePlan[]; byNode: Map<TreeNode, InodePlan> } {
  const links = countLinks(tree);
  const byNode = new Map<TreeNode, InodePlan>();
  const inodes: InodePlan[] = [];
  const add = (node: TreeNode, name: ByteString): InodePlan => {
    checkNode(node, name);
    const plan: InodePlan = {
      node,
      ino: inodes.length + 1,
      nlink: node.type === 'dir' ? 2 : (links.get(node) as number),
      size: 0,
      compact: false,
      xattrs: pool.add(node.xattrs),
      dataLayout: EROFS_INODE_FLAT_PLAIN,
      tail: 0,
      blocks: 0,
      blockAddress: 0,
      address: 0,
      dir: undefined,
      chunks: undefined,
    };
    inodes.push(plan);
    byNode.set(node, plan);
    return plan;
  };

  const root = add(tree, '/');
  planDir(root, root, tree);
  // `inodes` grows while it is walked: that is the breadth-first queue.
  for (let i = 0; i < inodes.length; i++) {
    const parent = inodes[i] as InodePlan;
    if (parent.node.type !== 'dir') continue;
    for (const name of (parent.dir as DirPlan).names) {
      const child = parent.node.children.get(name);
      if (child === undefined) continue; // "." and ".."
      if (child.type === 'dir') {
        if (byNode.has(child)) throw new Error('a directory has two parents');
        planDir(add(child, name), parent, child);
        parent.nlink++;
      } else if (!byNode.has(child)) {
        planData(add(child, name));
      }
    }
  }
  return { inodes, byNode };
}

function planDir(plan: InodePlan, parent: InodePlan, node: DirNode): void {
  for (const name of node.children.keys()) {
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
      throw new Error(`not a file name: ${quoteName(name)}`);
    }
    if (name.length > NAME_MAX) throw limit(`name ${quoteName(name)} has ${name.length} bytes; at most ${NAME_MAX} fit`);
  }
  // "." and ".." are sorted among the others: Linux searches the blocks by bisection.
  const names = [...sortedNames(node), '.', '..'].sort((a, b) => (a < b ? -1 : 1));
  const blockStarts = [0];
  let used = 0;
  for (const [index, name] of names.entries()) {
    const need = DIRENT_SIZE + name.length;
    if (used + need > BLOCK_SIZE) {
      blockStarts.push(index);
      used = 0;
    }
    used += need;
  }
  plan.size = (blockStarts.length - 1) * BLOCK_SIZE + used;
  plan.dir = { parent, names, blockStarts };
}

function planData(plan: InodePlan): void {
  const { node } = plan;
  if (node.type === 'file') {
    plan.size = node.content.size;
    plan.chunks = planChunks(node.content);
  } else if (node.type === 'symlink') {
    plan.size = node.target.length;
  }
}

function placeInode(
  plan: InodePlan,
  epoch: { sec: number; nsec: number },
  slots: SlotAllocator,
  pool: XattrPool,
  options: LayoutOptions,
): void {
  const { node, size } = plan;
  plan.compact =
    node.mtimeSec === epoch.sec && node.mtimeNsec === epoch.nsec && compactFits(plan);
  if (plan.xattrs !== undefined) pool.measure(plan.xattrs);
  const head = (plan.compact ? COMPACT_INODE_SIZE : EXTENDED_INODE_SIZE) + (plan.xattrs?.size ?? 0);
  if (plan.chunks !== undefined) {
    plan.dataLayout = EROFS_INODE_CHUNK_BASED;
    plan.blocks = plan.chunks.blocks;
    plan.address = slots.allocate(head + plan.chunks.count * 4);
    return;
  }
  const tail = size % BLOCK_SIZE;
  const largest = node.type === 'file' ? options.maxInlineTail : BLOCK_SIZE;
  if (tail > 0 && tail <= largest && head + tail <= BLOCK_SIZE) {
    plan.dataLayout = EROFS_INODE_FLAT_INLINE;
    plan.tail = tail;
    plan.blocks = (size - tail) / BLOCK_SIZE;
  } else {
    plan.dataLayout = EROFS_INODE_FLAT_PLAIN;
    plan.blocks = Math.ceil(size / BLOCK_SIZE);
  }
  plan.address = slots.allocate(head + plan.tail);
}

function compactFits(plan: InodePlan): boolean {
  const { node } = plan;
  return node.uid <= 0xffff && node.gid <= 0xffff && plan.nlink <= 0xffff && plan.size <= 0xffffffff;
}

/** The most frequent modification time: inodes that have it take half the space. */
function commonTime(inodes: InodePlan[]): { sec: number; nsec: number } {
  const counts = new Map<string, { sec: number; nsec: number; count: number }>();
  let best = { sec: 0, nsec: 0, count: 0 };
  for (const { node } of inodes) {
    if (node.mtimeSec < 0) continue;
    const key = `${node.mtimeSec}.${node.mtimeNsec}`;
    let entry = counts.get(key);
    if (entry === undefined) {
      entry = { sec: node.mtimeSec, nsec: node.mtimeNsec, count: 0 };
      counts.set(key, entry);
    }
    entry.count++;
    // The first to reach a count wins a draw; the walk's order is fixed, so the choice is too.
    if (entry.count > best.count) best = entry;
  }
  return best;
}

function checkNode(node: TreeNode, name: ByteString): void {
  const where = quoteName(name);
  if (node.mode < 0 || node.mode > 0o7777) throw limit(`mode 0${node.mode.toString(8)} of ${where} is out of range`);
  for (const id of [node.uid, node.gid]) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw limit(`owner ${id} of ${where} is out of range`);
  }
  if (!Number.isSafeInteger(node.mtimeSec) || !(node.mtimeNsec >= 0 && node.mtimeNsec < 1e9)) {
    throw limit(`modification time of ${where} is out of range`);
  }
  if (node.type === 'symlink' && (node.target.length === 0 || node.target.length > PATH_MAX)) {
    throw limit(`symbolic link ${where} has a target of ${node.target.length} bytes; 1..${PATH_MAX} fit`);
  }
  if ((node.type === 'char' || node.type === 'block') && (node.devMajor > MAX_MAJOR || node.devMinor > MAX_MINOR)) {
    throw limit(`device number ${node.devMajor}:${node.devMinor} of ${where} is out of range`);
  }
}

function limit(message: string): VmmError {
  return new VmmError('IMAGE_EROFS_LIMIT', message);
}

/** The number by which directory entries name an inode. */
export function nidOf(plan: InodePlan): number {
  return plan.address / SLOT_SIZE;
}
