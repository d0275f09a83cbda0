import { VmmError } from '../../base/errors.ts';
import { xattrFits } from '../erofs/xattrs.ts';
import { DEFAULT_LIMITS, type ImportLimits } from '../tree/limits.ts';
import type { TarEntry, TarHandler } from '../tar/reader.ts';
import { EMPTY_CONTENT } from '../tree/content.ts';
import { type ByteString, quoteName } from '../tree/names.ts';
import { copyMeta, type DirNode, type FileNode, makeDir, type TreeNode } from '../tree/node.ts';
import { badPath, splitPath } from '../tree/paths.ts';
import { ContentBuilder, type DataSink } from '../tree/spool.ts';

/** OCI image spec v1.1, layer.md, "Whiteouts" and "Opaque Whiteout". */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Names that AUFS kept for itself in old layers. */
const AUFS_META = '.wh..wh.';
/** As Linux bounds it (path_resolution(7)). */
const MAX_SYMLINKS = 40;
/** Attributes of overlayfs: they would steer the overlay in the guest, and are no image content. */
const OVERLAY_XATTRS = ['trusted.overlay.', 'user.overlay.'];

export interface LayerOptions {
  /** Entries `.wh.*` hide those of lower layers (OCI); false takes them literally. Default true. */
  whiteouts?: boolean;
  /** Only what lies below this directory of the archive counts, and becomes the root ("rootfs" in an ACI). */
  prefix?: ByteString;
  /** A lower layer's symbolic link gives way to whatever has its name on the way (appc); default: it is followed, unless this layer names a directory there (OCI). */
  replaceLinks?: boolean;
  /** Keeps an entry; gets its path below the root, without a leading slash. */
  filter?: (path: ByteString) => boolean;
}

/** What was changed or left out without being an error; printed by the caller if it likes. */
export interface ImportNotes {
  /** Attributes that EROFS cannot hold or that belong to overlayfs. */
  droppedXattrs: number;
  /** Archives without end-of-archive marker. */
  missingEndMarkers: number;
}

/**
 * Applies layers, lowest first, onto a tree in memory (OCI image spec, layer.md). Nothing is
 * ever written to the host's file system by an entry's name, so an entry cannot leave the image.
 *
 * - A whiteout hides what lower layers put there, wherever it stands in its own layer.
 * - A directory over a directory keeps the children and takes the new metadata; anything
 *   else replaces what was there.
 * - A missing parent directory is made: 0755, root, time 0. A lower layer's file in its place gives way.
 * - A parent that is a symbolic link is followed inside the image, as container runtimes do; but a lower layer's
 *   link gives way to what this layer names as a directory, by an entry or an opaque marker, wherever that stands in it.
 */
export class LayerStack {
  readonly root: DirNode = makeDir();
  readonly notes: ImportNotes = { droppedXattrs: 0, missingEndMarkers: 0 };
  readonly #limits: ImportLimits;
  #entries = 0;
  #metadataBytes = 0;

  constructor(limits: Partial<ImportLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** A handler for the next layer's archive: feed it to a TarReader, then call its `finish`. */
  layer(sink: DataSink, options: LayerOptions = {}): LayerHandler {
    return new LayerApplier(this.root, sink, this.#limits, options, this.notes, {
      node: () => this.#countNode(),
      entry: (entry) => this.#countEntry(entry),
    });
  }

  /** Missing parents count too: one short path can ask for a thousand of them. */
  #countNode(): void {
    const { maxEntries } = this.#limits;
    if (++this.#entries > maxEntries) {
      throw new VmmError('IMAGE_LIMIT', `the image has more than ${maxEntries} entries`);
    }
  }

  #countEntry(entry: TarEntry): void {
    this.#countNode();
    const { maxMetadataBytes } = this.#limits;
    let bytes = entry.path.length + entry.linkTarget.length + 24 * (entry.sparse?.length ?? 0);
    for (const [name, value] of entry.xattrs ?? []) bytes += name.length + value.length;
    this.#metadataBytes += bytes;
    if (this.#metadataBytes > maxMetadataBytes) {
      throw new VmmError('IMAGE_LIMIT', `names, links and attributes of the image exceed ${maxMetadataBytes} bytes`);
    }
  }
}

/** Takes a layer's entries; the tree changes when all of them are known. */
export interface LayerHandler extends TarHandler {
  /** Applies the layer. Throws IMAGE_TAR_PATH, IMAGE_LIMIT. */
  finish(): void;
}

/** An entry that waits for the layer's end. */
interface Pending {
  readonly entry: TarEntry;
  readonly path: ByteString[];
  /** What the entry puts there, when that needs no look at the tree. */
  readonly node: TreeNode | undefined;
}

/** Counts against the limits; each throws IMAGE_LIMIT. */
interface Accounts {
  node(): void;
  entry(entry: TarEntry): void;
}

class LayerApplier implements LayerHandler {
  readonly #root: DirNode;
  readonly #sink: DataSink;
  readonly #limits: ImportLimits;
  readonly #whiteouts: boolean;
  readonly #prefix: ByteString[];
  readonly #replaceLinks: boolean;
  readonly #filter: ((path: ByteString) => boolean) | undefined;
  readonly #notes: ImportNotes;
  readonly #accounts: Accounts;
  readonly #pending: Pending[] = [];
  /** Paths that this layer names as directories. */
  readonly #directories = new Set<ByteString>();
  /** Names that this layer put into each directory: whiteouts spare them. */
  readonly #placed = new Map<DirNode, Set<ByteString>>();
  /** Directories that hold nothing of lower layers any more: hiding twice costs nothing. */
  readonly #cleared = new Set<DirNode>();
  /** The file whose data comes next, and how much of it has come. */
  #file: { node: FileNode; content: ContentBuilder; offset: number } | undefined;
  /** The parent of the last entry: archives list a directory's entries in a row. */
  #lastParent: { path: ByteString; dir: DirNode } | undefined;

  constructor(
    root: DirNode,
    sink: DataSink,
    limits: ImportLimits,
    options: LayerOptions,
    notes: ImportNotes,
    accounts: Accounts,
  ) {
    this.#root = root;
    this.#sink = sink;
    this.#limits = limits;
    this.#whiteouts = options.whiteouts !== false;
    this.#prefix = splitPath(options.prefix ?? '', limits);
    this.#replaceLinks = options.replaceLinks ?? false;
    this.#filter = options.filter;
    this.#notes = notes;
    this.#accounts = accounts;
  }

  entry(entry: TarEntry): void {
    this.#file = undefined;
    this.#accounts.entry(entry);
    const path = this.#inner(splitPath(entry.path, this.#limits));
    if (path === undefined) return;
    const name = path[path.length - 1];
    if (name === undefined) {
      this.#setRoot(entry);
      return;
    }
    if (this.#filter?.(path.join('/')) === false) return;
    const whiteout = this.#whiteouts && path.some((part) => part.startsWith(WHITEOUT));
    if (whiteout && name === OPAQUE) this.#directories.add(path.slice(0, -1).join('/'));
    if (!whiteout && entry.type === 'dir') this.#directories.add(path.join('/'));
    const later = whiteout || entry.type === 'dir' || entry.type === 'hardlink';
    this.#pending.push({ entry, path, node: later ? undefined : this.#node(entry) });
  }

  finish(): void {
    for (const { entry, path, node } of this.#pending.splice(0)) {
      const name = path[path.length - 1] as ByteString;
      if (this.#whiteouts && path.some((part) => part.startsWith(WHITEOUT))) {
        this.#whiteout(entry, path, name);
        continue;
      }
      const parent = this.#parent(entry, path);
      if (node !== undefined) this.#put(parent, name, node);
      else if (entry.type === 'dir') this.#putDir(parent, name, entry);
      else this.#putLink(parent, name, entry);
    }
  }

  data(chunk: Uint8Array, entry: TarEntry): void {
    const file = this.#file;
    if (file === undefined) return;
    file.content.push(chunk, entry.dataOffset + file.offset);
    file.offset += chunk.length;
  }

  end(): void {
    if (this.#file !== undefined) this.#file.node.content = this.#file.content.finish();
    this.#file = undefined;
  }

  /** The path below the prefix; undefined when the entry lies elsewhere. */
  #inner(path: ByteString[]): ByteString[] | undefined {
    if (this.#prefix.length === 0) return path;
    if (path.length < this.#prefix.length || this.#prefix.some((part, i) => path[i] !== part)) return undefined;
    return path.slice(this.#prefix.length);
  }

  #setRoot(entry: TarEntry): void {
    if (entry.type !== 'dir') throw badPath(entry.path, `names the root of the image but is a ${entry.type}`);
    Object.assign(this.#root, this.#meta(entry));
  }

  #putDir(parent: DirNode, name: ByteString, entry: TarEntry): void {
    const present = parent.children.get(name);
    if (present?.type === 'dir') {
      Object.assign(present, this.#meta(entry));
      this.#mark(parent, name);
    } else {
      this.#put(parent, name, makeDir(this.#meta(entry)));
    }
  }

  #putLink(parent: DirNode, name: ByteString, entry: TarEntry): void {
    const targetPath = this.#inner(splitPath(entry.linkTarget, this.#limits));
    const targetName = targetPath?.[targetPath.length - 1];
    const targetDir = targetName === undefined ? undefined : this.#find((targetPath as ByteString[]).slice(0, -1), entry);
    const target = targetName === undefined ? undefined : targetDir?.children.get(targetName);
    if (target === undefined) {
      throw badPath(entry.path, `is a hard link to ${quoteName(entry.linkTarget)}, which is not in the image`);
    }
    if (target.type === 'dir') {
      throw badPath(entry.path, `is a hard link to the directory ${quoteName(entry.linkTarget)}`);
    }
    this.#put(parent, name, target);
  }

  #put(parent: DirNode, name: ByteString, node: TreeNode): void {
    // The remembered parent may lie below what is replaced.
    if (parent.children.has(name)) this.#lastParent = undefined;
    parent.children.set(name, node);
    this.#mark(parent, name);
  }

  #mark(parent: DirNode, name: ByteString): void {
    const names = this.#placed.get(parent);
    if (names === undefined) this.#placed.set(parent, new Set([name]));
    else names.add(name);
  }

  #node(entry: TarEntry): TreeNode {
    const meta = this.#meta(entry);
    switch (entry.type) {
      case 'file': {
        const node: FileNode = { type: 'file', ...meta, content: EMPTY_CONTENT };
        this.#file = { node, content: new ContentBuilder(this.#sink, entry.size, entry.sparse), offset: 0 };
        return node;
      }
      case 'symlink':
        if (entry.linkTarget === '' || entry.linkTarget.includes('\0') || entry.linkTarget.length > this.#limits.maxPathBytes) {
          throw badPath(entry.path, `is a symbolic link with an unusable target of ${entry.linkTarget.length} bytes`);
        }
        return { type: 'symlink', ...meta, target: entry.linkTarget };
      case 'char':
      case 'block':
        return { type: entry.type, ...meta, devMajor: entry.devMajor, devMinor: entry.devMinor };
      case 'fifo':
        return { type: 'fifo', ...meta };
      default:
        throw new Error(`${entry.type} is handled elsewhere`);
    }
  }

  #meta(entry: TarEntry): ReturnType<typeof copyMeta> {
    const meta = copyMeta(entry);
    for (const [name, value] of entry.xattrs ?? []) {
      if (xattrFits(name, value) && !OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix))) continue;
      meta.xattrs?.delete(name);
      this.#notes.droppedXattrs++;
    }
    if (meta.xattrs?.size === 0) meta.xattrs = undefined;
    return meta;
  }

  /** The directory that holds the entry; missing ones are made. */
  #parent(entry: TarEntry, path: ByteString[]): DirNode {
    const parts = path.slice(0, -1);
    const key = parts.join('/');
    if (this.#lastParent?.path === key) return this.#lastParent.dir;
    const dir = this.#descend(parts, entry, true) as DirNode;
    this.#lastParent = { path: key, dir };
    return dir;
  }

  /** A directory if it exists; undefined when something is missing or is no directory. */
  #find(parts: ByteString[], entry: TarEntry): DirNode | undefined {
    return this.#descend(parts, entry, false);
  }

  /**
   * Walks down from the root, following symbolic links inside the image: an absolute target
   * starts at its root and ".." stops there. `depth` of links is bounded as in Linux.
   */
  #descend(parts: ByteString[], entry: TarEntry, make: boolean): DirNode | undefined {
    const stack: DirNode[] = [this.#root];
    // Reversed: the next component is the last element.
    const todo = [...parts].reverse();
    let links = 0;
    // Components of `parts` that are done, and components of links' targets that lie above the rest of them.
    let taken = 0;
    let ofLinks = 0;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      const own = ofLinks === 0;
      if (own) taken++;
      else ofLinks--;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (stack.length > 1) stack.pop();
        continue;
      }
      const dir = stack[stack.length - 1] as DirNode;
      const child = dir.children.get(name);
      if (child?.type === 'dir') {
        stack.push(child);
      } else if (child === undefined || (own && this.#givesWay(dir, name, child, parts, taken))) {
        if (!make) return undefined;
        if (stack.length > this.#limits.maxDepth) throw badPath(entry.path, 'leads too deep through symbolic links');
        this.#accounts.node();
        const made = makeDir();
        this.#put(dir, name, made);
        stack.push(made);
      } else if (child.type === 'symlink') {
        if (++links > MAX_SYMLINKS) throw badPath(entry.path, 'lies below a loop of symbolic links');
        if (child.target.startsWith('/')) stack.length = 1;
        const target = child.target.split('/');
        for (let i = target.length - 1; i >= 0; i--) todo.push(target[i] as ByteString);
        ofLinks += target.length;
      } else if (!make) {
        return undefined;
      } else {
        throw badPath(entry.path, `lies below ${quoteName(name)}, which is no directory but a ${child.type}`);
      }
    }
    return stack[stack.length - 1] as DirNode;
  }

  /** True for what a lower layer put in the place of a directory of this one. */
  #givesWay(dir: DirNode, name: ByteString, child: TreeNode, parts: readonly ByteString[], taken: number): boolean {
    if (this.#placed.get(dir)?.has(name) === true) return false;
    return child.type !== 'symlink' || this.#replaceLinks || this.#directories.has(parts.slice(0, taken).join('/'));
  }

  #whiteout(entry: TarEntry, path: ByteString[], name: ByteString): void {
    const parts = path.slice(0, -1);
    if (parts.some((part) => part.startsWith(AUFS_META))) return;
    if (parts.some((part) => part.startsWith(WHITEOUT))) throw badPath(entry.path, 'lies below a whiteout');
    const hidden = name.slice(WHITEOUT.length);
    if (name !== OPAQUE && name.startsWith(AUFS_META)) return;
    if (hidden === '' || hidden === '.' || hidden === '..') throw badPath(entry.path, 'is a whiteout of nothing');
    const dir = this.#find(parts, entry);
    if (dir === undefined) return;
    this.#lastParent = undefined;
    if (name === OPAQUE) this.#clear(dir);
    else this.#hideLower(dir, hidden);
  }

  /** Removes all that lower layers put into `dir`. */
  #clear(dir: DirNode): void {
    if (this.#cleared.has(dir)) return;
    for (const child of [...dir.children.keys()]) this.#hideLower(dir, child);
    this.#cleared.add(dir);
  }

  /** Removes what lower layers put at `name` of `dir`, and keeps what this layer put there or below. */
  #hideLower(dir: DirNode, name: ByteString): void {
    const child = dir.children.get(name);
    if (child === undefined) return;
    const placed = this.#placed.get(dir)?.has(name) === true;
    if (child.type !== 'dir') {
      if (!placed) dir.children.delete(name);
      return;
    }
    this.#clear(child);
    if (placed) return;
    if (child.children.size === 0) {
      dir.children.delete(name);
      return;
    }
    // Only a missing parent of this layer's entries is left of it.
    Object.assign(child, copyMeta(makeDir()));
    this.#mark(dir, name);
  }
}
