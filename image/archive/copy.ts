/** Copies between a container and the host: trees from what comes, and their way into directories that have something already. */
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { treeFromDirectory } from '../rootfs/dir.ts';
import { LayerStack } from '../rootfs/layers.ts';
import { type Unmade, type UnpackOptions, unpackTree } from '../rootfs/unpack.ts';
import { TarReader } from '../tar/reader.ts';
import { PathSource } from '../tree/content.ts';
import { byteString, byteStringOf } from '../tree/names.ts';
import { type DirNode, makeDir, type TreeNode } from '../tree/node.ts';
import { Spool, spoolSink } from '../tree/spool.ts';
import { RecordReader } from './records.ts';

/** A tree that is being received; contents lie in a nameless file of `folder` until `close`. */
export class Received {
  readonly #spool: Spool;
  readonly #stack = new LayerStack();
  readonly #layer;

  constructor(folder: string) {
    this.#spool = new Spool(folder);
    this.#layer = this.#stack.layer(spoolSink(this.#spool), { whiteouts: false });
  }

  /** Takes what init sends. */
  records(): RecordReader {
    return new RecordReader(this.#layer);
  }

  /** Takes an archive. */
  tar(): TarReader {
    return new TarReader(this.#layer);
  }

  /** All has come. Throws IMAGE_*. */
  tree(): DirNode {
    this.#layer.finish();
    return this.#stack.root;
  }

  close(): void {
    this.#spool.close();
  }
}

/** A file or directory of the host. Throws IMAGE_DIR_READ, and HOST_CALL's like of Node. `follow`: a link is what it leads to. */
export function nodeOfHost(path: string, follow: boolean): TreeNode {
  const at = follow ? realpathSync(path) : path;
  const stat = lstatSync(at, { bigint: true });
  if (stat.isDirectory()) return treeFromDirectory(at, { crossMounts: true }).tree;
  const meta = { mode: Number(stat.mode) & 0o7777, uid: Number(stat.uid), gid: Number(stat.gid), mtimeSec: Number(stat.mtimeNs / 1_000_000_000n), mtimeNsec: Number(stat.mtimeNs % 1_000_000_000n), xattrs: undefined };
  if (stat.isSymbolicLink()) return { type: 'symlink', ...meta, target: byteStringOf(readlinkSync(at, 'buffer')) };
  if (!stat.isFile()) throw new VmmError('COPY_SOURCE', `${path} is neither file, directory nor link`, { hint: 'devices, pipes and sockets are not copied by themselves' });
  const size = Number(stat.size);
  return { type: 'file', ...meta, content: { size, extents: size === 0 ? [] : [{ fileOffset: 0, length: size, source: new PathSource(byteString(at), stat), sourceOffset: 0 }] } };
}

/** A tree with this one entry. */
export function treeWith(name: string, node: TreeNode): DirNode {
  const root = makeDir();
  root.children.set(byteString(name), node);
  return root;
}

/**
 * Puts a tree's entries into a directory of the host that may have some of them: files are replaced, directories are joined, and a directory and something
 * else of one name are an error. All is made in a new folder beside them first, so that nothing that comes decides where it goes. Throws COPY_TARGET, IMAGE_*.
 */
export function placeTree(root: DirNode, directory: string, options: UnpackOptions): Unmade {
  let made: string | undefined;
  try {
    made = mkdtempSync(join(directory, '.vmm-cp-'));
    const unmade = unpackTree(root, made, options);
    merge(Buffer.from(made), Buffer.from(directory));
    return unmade;
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const { code = 'error', path = directory } = cause as NodeJS.ErrnoException;
    throw new VmmError('COPY_TARGET', `cannot write ${path}: ${code}`, { cause, hint: code === 'ENOSPC' ? 'the disk is full' : 'check the folder and its permissions' });
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
  }
}

/** Names are bytes. */
function merge(from: Buffer, into: Buffer): void {
  for (const name of readdirSync(from, 'buffer')) {
    const [source, target] = [from, into].map((folder) => Buffer.concat([folder, Buffer.from('/'), name])) as [Buffer, Buffer];
    const there = lstatSync(target, { throwIfNoEntry: false });
    const isDirectory = lstatSync(source).isDirectory();
    if (there !== undefined && there.isDirectory() !== isDirectory) throw new VmmError('COPY_TARGET', `cannot replace ${target.toString()}, ${isDirectory ? 'which is no directory, by one' : 'a directory, by something else'}`);
    if (there === undefined || !isDirectory) renameSync(source, target);
    else {
      chmodSync(source, 0o700); // what is in it has to come out
      merge(source, target);
    }
  }
}
