import { type BigIntStats, closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { Sha256 } from '../../base/sha256.ts';
import type { EarlierImage, Origin } from '../erofs/earlier.ts';
import { xattrFits } from '../erofs/xattrs.ts';
import { EMPTY_CONTENT, type FileContent, type FileStamp, PathSource, readFully } from '../tree/content.ts';
import type { HostFs } from '../tree/host.ts';
import { bytesOf, type ByteString, byteString, quoteName } from '../tree/names.ts';
import { type DirNode, makeDir, type NodeMeta, type TreeNode } from '../tree/node.ts';
import { ExtentList, HOLE_BLOCK, isZeroBlock } from '../tree/zeros.ts';

export interface DirectoryOptions {
  host?: HostFs;
  /** Go into directories on other file systems; default false: they are kept, but empty. */
  crossMounts?: boolean;
  /** Owner of everything, instead of the files' own. */
  owner?: { uid: number; gid: number };
  /** An image that may have been made of the directory before: files that have not changed are not read. */
  earlier?: ((root: FileStamp) => EarlierImage | undefined) | undefined;
  /** Most directory entries; default 4 million. */
  maxEntries?: number;
  signal?: AbortSignal;
}

/** Something that was left out on purpose. */
export interface Skipped {
  path: ByteString;
  reason: 'socket' | 'mount point' | 'attribute';
}

export interface DirectoryTree {
  tree: DirNode;
  /** At most 1000 are kept; `skippedCount` has them all. */
  skipped: Skipped[];
  skippedCount: number;
  /**
   * SHA-256 over every path and its stat fields (device, inode, size, times, owner, mode):
   * while it is the same, the directory need not be imported again.
   */
  fingerprint: string;
  origin: Origin;
}

const MAX_ENTRIES = 4_000_000;
const MAX_DEPTH = 2048;
const MAX_REPORTED = 1000;
/** The coarsest of file systems' clocks counts two seconds. */
const SETTLED_NS = 2_000_000_000n;

/**
 * The tree of a host directory. Only metadata is read now; file data is read when the tree is
 * written, and a file that changed in between is an error then. The directory is never changed.
 *
 * Throws IMAGE_DIR_READ (with the path) for what cannot be read, IMAGE_LIMIT for too many entries.
 */
export function treeFromDirectory(path: string, options: DirectoryOptions = {}): DirectoryTree {
  return new DirectoryWalk(options).run(path);
}

class DirectoryWalk {
  readonly #options: DirectoryOptions;
  readonly #links = new Map<string, TreeNode>();
  readonly #hash = new Sha256();
  readonly #skipped: Skipped[] = [];
  #skippedCount = 0;
  #entries = 0;
  readonly #settledNs = BigInt(Date.now()) * 1_000_000n - SETTLED_NS;
  #earlier: EarlierImage | undefined;
  #rootDev = 0n;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  run(path: string): DirectoryTree {
    const rootPath = byteString(path.length > 1 ? path.replace(/\/+$/, '') || '/' : path);
    // The root itself may be named through a symbolic link: a trailing "/." follows it.
    const start = `${rootPath === '/' ? '' : rootPath}/.`;
    const stat = this.#lstat(start);
    if (!stat.isDirectory()) {
      throw new VmmError('IMAGE_DIR_READ', `${quoteName(rootPath)} is not a directory`);
    }
    this.#rootDev = stat.dev;
    this.#earlier = this.#options.earlier?.(stat);
    const tree = makeDir(this.#meta(stat, start, ''));
    this.#record('', stat);
    const stack: { dir: DirNode; path: ByteString; inner: ByteString; depth: number }[] = [
      { dir: tree, path: rootPath === '/' ? '' : rootPath, inner: '', depth: 1 },
    ];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      this.#options.signal?.throwIfAborted();
      if (at.depth > MAX_DEPTH) {
        throw new VmmError('IMAGE_LIMIT', `${quoteName(at.path)} is nested more than ${MAX_DEPTH} directories deep`);
      }
      for (const name of this.#names(at.path)) {
        const full = `${at.path}/${name}`;
        const inner = at.inner === '' ? name : `${at.inner}/${name}`;
        const child = this.#child(full, inner);
        if (child === undefined) continue;
        at.dir.children.set(name, child.node);
        if (child.node.type === 'dir' && child.enter) {
          stack.push({ dir: child.node, path: full, inner, depth: at.depth + 1 });
        }
      }
    }
    return {
      tree,
      skipped: this.#skipped,
      skippedCount: this.#skippedCount,
      fingerprint: this.#hash.hex(),
      origin: { dev: stat.dev, ino: stat.ino, settledNs: this.#settledNs },
    };
  }

  #names(path: ByteString): ByteString[] {
    try {
      return readdirSync(bytesOf(path === '' ? '/' : path), { encoding: 'latin1' }).sort((a, b) => (a < b ? -1 : 1));
    } catch (cause) {
      throw readError(path, cause);
    }
  }

  #lstat(path: ByteString): BigIntStats {
    try {
      return lstatSync(bytesOf(path), { bigint: true });
    } catch (cause) {
      throw readError(path, cause);
    }
  }

  #child(path: ByteString, inner: ByteString): { node: TreeNode; enter: boolean } | undefined {
    const limit = this.#options.maxEntries ?? MAX_ENTRIES;
    if (++this.#entries > limit) {
      throw new VmmError('IMAGE_LIMIT', `the directory has more than ${limit} entries`);
    }
    const stat = this.#lstat(path);
    this.#record(inner, stat);
    if (stat.isSocket()) {
      this.#skip(inner, 'socket');
      return undefined;
    }
    const linked = !stat.isDirectory() && stat.nlink > 1n;
    const key = linked ? `${stat.dev}:${stat.ino}` : '';
    const known = linked ? this.#links.get(key) : undefined;
    if (known !== undefined) return { node: known, enter: false };
    const node = this.#node(path, inner, stat);
    if (linked) this.#links.set(key, node);
    const foreign = stat.dev !== this.#rootDev && this.#options.crossMounts !== true;
    if (foreign && node.type === 'dir') this.#skip(inner, 'mount point');
    return { node, enter: !foreign };
  }

  #node(path: ByteString, inner: ByteString, stat: BigIntStats): TreeNode {
    const meta = this.#meta(stat, path, inner);
    if (stat.isDirectory()) return makeDir(meta);
    if (stat.isFile()) return { type: 'file', ...meta, content: this.#content(path, stat) };
    if (stat.isSymbolicLink()) {
      try {
        return { type: 'symlink', ...meta, target: readlinkSync(bytesOf(path), { encoding: 'latin1' }) };
      } catch (cause) {
        throw readError(path, cause);
      }
    }
    if (stat.isFIFO()) return { type: 'fifo', ...meta };
    return { type: stat.isCharacterDevice() ? 'char' : 'block', ...meta, ...splitDevice(stat.rdev) };
  }

  #meta(stat: BigIntStats, path: ByteString, inner: ByteString): NodeMeta {
    const { owner, host } = this.#options;
    let xattrs: Map<ByteString, Uint8Array> | undefined;
    for (const [name, value] of host?.readXattrs?.(bytesOf(path)) ?? []) {
      if (!xattrFits(name, value)) {
        this.#skip(inner, 'attribute');
        continue;
      }
      xattrs ??= new Map();
      xattrs.set(name, value);
    }
    const second = 1_000_000_000n;
    const nsec = ((stat.mtimeNs % second) + second) % second;
    return {
      mode: Number(stat.mode & 0o7777n),
      uid: owner?.uid ?? Number(stat.uid),
      gid: owner?.gid ?? Number(stat.gid),
      mtimeSec: Number((stat.mtimeNs - nsec) / second),
      mtimeNsec: Number(nsec),
      xattrs,
    };
  }

  #content(path: ByteString, stat: BigIntStats): FileContent {
    if (stat.size === 0n) return EMPTY_CONTENT;
    if (stat.size > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new VmmError('IMAGE_LIMIT', `${quoteName(path)} is too large: ${stat.size} bytes`);
    }
    const size = Number(stat.size);
    const { dev, ino, mtimeNs, ctimeNs } = stat;
    const stamp = { dev, ino, size: stat.size, mtimeNs, ctimeNs };
    // st_blocks counts 512 bytes. Fewer than the size needs: there are holes somewhere.
    const dense = stat.blocks * 512n >= stat.size || size <= HOLE_BLOCK;
    const kept = dense ? this.#earlier?.find(stamp) : undefined;
    if (kept !== undefined) return kept;
    const source = new PathSource(path, stamp);
    if (dense) return { size, extents: [{ fileOffset: 0, length: size, source, sourceOffset: 0 }], stamp };
    return { size, extents: this.#sparse(path, size, source) };
  }

  #sparse(path: ByteString, size: number, source: PathSource): FileContent['extents'] {
    let fd: number;
    try {
      fd = openSync(bytesOf(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (cause) {
      throw readError(path, cause);
    }
    const list = new ExtentList();
    try {
      const ranges = this.#options.host?.dataRanges?.(fd, size);
      if (ranges !== undefined) {
        for (const { offset, length } of ranges) list.add(offset, length, source, offset);
      } else {
        findData(fd, size, (offset, length) => list.add(offset, length, source, offset));
      }
    } finally {
      closeSync(fd);
    }
    return list.extents;
  }

  #record(path: ByteString, stat: BigIntStats): void {
    const { dev, ino, mode, uid, gid, size, mtimeNs, ctimeNs, rdev } = stat;
    this.#hash.update(`${path}\0${dev} ${ino} ${mode} ${uid} ${gid} ${size} ${mtimeNs} ${ctimeNs} ${rdev}\0`, 'latin1');
  }

  #skip(path: ByteString, reason: Skipped['reason']): void {
    this.#skippedCount++;
    if (this.#skipped.length < MAX_REPORTED) this.#skipped.push({ path, reason });
  }
}

/** Finds the blocks that are not zero by reading all: slow, but needs no system call that Node lacks. */
function findData(fd: number, size: number, data: (offset: number, length: number) => void): void {
  const buffer = Buffer.allocUnsafe(Math.min(1 << 20, size));
  for (let at = 0; at < size; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, size - at));
    // An early end is found out when the file is copied.
    if (!readFully(fd, part, at)) {
      data(at, size - at);
      return;
    }
    for (let i = 0; i < part.length; i += HOLE_BLOCK) {
      const block = part.subarray(i, i + HOLE_BLOCK);
      if (!isZeroBlock(block)) data(at + i, block.length);
    }
  }
}

/** glibc's gnu_dev_major and gnu_dev_minor: how st_rdev is packed. */
function splitDevice(rdev: bigint): { devMajor: number; devMinor: number } {
  return {
    devMajor: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    devMinor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}

function readError(path: ByteString, cause: unknown): VmmError {
  const code = (cause as NodeJS.ErrnoException).code;
  const denied = code === 'EACCES' || code === 'EPERM';
  return new VmmError('IMAGE_DIR_READ', `cannot read ${quoteName(path === '' ? '/' : path)}: ${code ?? 'unknown error'}`, {
    cause,
    ...(denied ? { hint: 'run as a user who may read all of the directory, or import it as root' } : {}),
  });
}
