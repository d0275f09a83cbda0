import { chmodSync, closeSync, constants, ftruncateSync, lchownSync, linkSync, lutimesSync, mkdirSync, openSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { type FileContent, readContent, releaseContent, writeFully } from '../tree/content.ts';
import type { HostFs } from '../tree/host.ts';
import { bytesOf, type ByteString, byteString, quoteName } from '../tree/names.ts';
import { type DirNode, type TreeNode, walk } from '../tree/node.ts';

export interface UnpackOptions {
  readonly host: HostFs | undefined;
  /** Owners as the tree has them: only root may. */
  readonly owners: boolean;
  /** Remove what is there first. */
  readonly overwrite: boolean;
}

/** What could not be made, by its reason; how often, and where first. */
export type Unmade = ReadonlyMap<'device' | 'attribute' | 'socket', { count: number; first: ByteString }>;

const CHUNK = 1 << 20;
const FILE_TYPE = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO } as const;

/**
 * Writes a tree into a new or empty directory of the host. Every name is made anew (O_EXCL, mkdir, link), so nothing that is
 * made leads out of it. Attributes: `user.*` and capabilities, on files, as rkt has it. Throws IMAGE_WRITE, IMAGE_TAR_PATH.
 */
export function unpackTree(tree: DirNode, path: string, options: UnpackOptions): Unmade {
  const root = byteString(path.length > 1 ? path.replace(/\/+$/, '') : path);
  try {
    prepare(path, options.overwrite);
    return new Unpacker(root, options).run(tree);
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const { code = 'error', path: at } = cause as NodeJS.ErrnoException;
    throw new VmmError('IMAGE_WRITE', `cannot write ${at === undefined ? path : Buffer.from(at).toString('utf8')}: ${code}`, { cause, hint: code === 'ENOSPC' ? 'the disk is full' : 'check the folder and its permissions' });
  }
}

function prepare(path: string, overwrite: boolean): void {
  if (overwrite) rmSync(path, { recursive: true, force: true });
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) mkdirSync(path, 0o755);
  else if (!found.isDirectory() || readdirSync(path).length > 0) throw new VmmError('IMAGE_WRITE', `${path} is there already, and not an empty directory`, { hint: 'give --overwrite to replace it' });
}

class Unpacker {
  readonly #root: ByteString;
  readonly #options: UnpackOptions;
  readonly #first = new Map<TreeNode, Buffer>();
  readonly #unmade = new Map<'device' | 'attribute' | 'socket', { count: number; first: ByteString }>();

  constructor(root: ByteString, options: UnpackOptions) {
    this.#root = root;
    this.#options = options;
  }

  run(tree: DirNode): Unmade {
    const dirs: { path: Buffer; node: TreeNode }[] = [];
    for (const { path, node } of walk(tree)) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (name === '..' || name === '.' || name.includes('\0')) throw new VmmError('IMAGE_TAR_PATH', `${quoteName(path)} is no name of a file`);
      const at = bytesOf(path === '' ? this.#root : `${this.#root}/${path}`);
      if (node.type !== 'dir') this.#make(at, path, node);
      else {
        // Its own mode may keep us out: that comes last, as its time does.
        if (path !== '') mkdirSync(at, 0o700);
        dirs.push({ path: at, node });
      }
    }
    for (const { path, node } of dirs.reverse()) this.#settle(path, node);
    return this.#unmade;
  }

  #make(at: Buffer, path: ByteString, node: Exclude<TreeNode, DirNode>): void {
    const first = this.#first.get(node);
    if (first !== undefined) {
      linkSync(first, at);
      return;
    }
    switch (node.type) {
      case 'file':
        writeContent(at, node.content, path);
        break;
      case 'symlink':
        symlinkSync(bytesOf(node.target), at);
        break;
      case 'socket':
        this.#note('socket', path);
        return;
      default:
        if (!this.#makeNode(at, node)) {
          this.#note('device', path);
          return;
        }
    }
    this.#first.set(node, at);
    this.#settle(at, node);
    if (node.type === 'file') this.#attributes(at, path, node);
  }

  #makeNode(at: Buffer, node: Exclude<TreeNode, DirNode>): boolean {
    const { makeNode } = this.#options.host ?? {};
    if (makeNode === undefined || node.type === 'file' || node.type === 'symlink' || node.type === 'socket') return false;
    const [major, minor] = 'devMajor' in node ? [node.devMajor, node.devMinor] : [0, 0];
    try {
      makeNode(at, FILE_TYPE[node.type] | 0o600, major, minor);
      return true;
    } catch {
      return false; // only root may
    }
  }

  /** Owner, then mode (a change of the owner takes setuid away), then time. */
  #settle(at: Buffer, node: TreeNode): void {
    if (this.#options.owners) lchownSync(at, node.uid, node.gid);
    if (node.type !== 'symlink') chmodSync(at, node.mode);
    const time = node.mtimeSec + node.mtimeNsec / 1e9;
    lutimesSync(at, time, time);
  }

  #attributes(at: Buffer, path: ByteString, { xattrs }: TreeNode): void {
    for (const [name, value] of xattrs ?? []) {
      if (!name.startsWith('user.') && name !== 'security.capability') continue;
      try {
        if (this.#options.host?.setXattr?.(at, name, value) === true) continue;
      } catch {
        // not root, or what this file system refuses
      }
      this.#note('attribute', path);
    }
  }

  #note(reason: 'device' | 'attribute' | 'socket', path: ByteString): void {
    const known = this.#unmade.get(reason);
    this.#unmade.set(reason, { count: (known?.count ?? 0) + 1, first: known?.first ?? path });
  }
}

function writeContent(at: Buffer, content: FileContent, path: ByteString): void {
  const fd = openSync(at, 'wx', 0o600);
  try {
    for (const { fileOffset, length } of content.extents) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, length));
      for (let done = 0; done < length; done += CHUNK) {
        const part = buffer.subarray(0, Math.min(CHUNK, length - done));
        readContent(content, part, fileOffset + done);
        writeFully(fd, part, fileOffset + done, quoteName(path));
      }
    }
    ftruncateSync(fd, content.size);
  } finally {
    closeSync(fd);
    releaseContent(content);
  }
}
