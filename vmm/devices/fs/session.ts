import { EBADF, EROFS, ESTALE } from '../../../assembly/contract/generated/errno.ts';
import { FUSE_ATTR_SUBMOUNT, FUSE_ROOT_ID } from '../../../assembly/contract/generated/fuse.ts';
import { closeFile, statx } from '../../host/files.ts';
import { S_IFDIR, statx as struct } from '../../host/uapi/files.ts';
import { fuse_attr, fuse_attr_out, fuse_entry_out } from '../../host/uapi/fuse.ts';
import { Handles } from './handles.ts';
import { Heartbeat } from './heartbeat.ts';
import { Locks } from './lock-table.ts';
import { Nodes } from './nodes.ts';
import { type Owner, ownerOf } from './owners.ts';
import { Paths } from './paths.ts';
import { Quota } from './quota.ts';
import type { Request } from './request.ts';
import { Raised } from './raised.ts';
import { type Share, validity } from './share.ts';
import { Stat } from './stat.ts';
import { Watches } from './watches.ts';

/** The inode that a device with named shares has for its root: it is in no table. */
export const ROOT = -1;
const TYPE_DIRECTORY = S_IFDIR >> 12;

/** How many of the process's descriptors a guest may have: O_PATH ones of inodes, open files, owners of locks. */
export interface Descriptors {
  readonly paths: number;
  readonly handles?: number | undefined;
  readonly owners?: number | undefined;
}

/** What all operations work with: the shares of one machine, the inodes its guest knows, what it has open. */
export class Session {
  readonly request: Request;
  readonly nodes: Nodes;
  readonly paths: Paths;
  readonly handles: Handles;
  readonly locks: Locks;
  readonly heart: Heartbeat;
  readonly stat = new Stat();
  /** By number. */
  readonly shares: (Share | undefined)[] = [];
  /** By what they are of. */
  readonly #quotas = new Map<string, Quota>();
  /** Where `stat` was filled from. */
  #looked = -1;
  #lookedName = 0;
  /** Device of the request at work. */
  slot = 0;
  /** Where a share asks for it. */
  watches: Watches | undefined;
  readonly raised = new Raised();

  /** `table`: where the inodes are, offset and bytes in the linear memory. */
  constructor(request: Request, table: { readonly base: number; readonly size: number }, { paths, handles, owners }: Descriptors, heart = new Heartbeat()) {
    this.handles = new Handles(handles);
    this.locks = new Locks(owners);
    this.heart = heart;
    this.request = request;
    this.nodes = new Nodes(request.words.buffer, table.base, table.size);
    this.paths = new Paths(request.base, this.nodes, this.stat, this.shares, paths);
  }

  address(offset: number): number {
    return this.request.base + offset;
  }

  // ---- what a request is about -----------------------------------------------------------------------------------

  /** The inode of FUSE's node id; ROOT for a device whose root is no directory of the host; -ESTALE. */
  node(low: number, high: number): number {
    if (low === FUSE_ROOT_ID && high === 0) return this.shares.find((share) => share?.slot === this.slot && share.name === '')?.node ?? ROOT;
    const node = this.nodes.find(low, high);
    return node === 0 || this.shares[this.nodes.share(node)]?.slot !== this.slot ? -ESTALE : node;
  }

  /** The share of an inode that `node` gave. */
  share(node: number): Share {
    return this.shares[this.nodes.share(node)] as Share;
  }

  /** 0, or -EROFS where the guest may write nothing. */
  writable(node: number): number {
    return node === ROOT || this.share(node).readOnly ? -EROFS : 0;
  }

  /** The open file of an argument, as `Handles` counts them; -EBADF. */
  handle(offset: number, node: number): number {
    return node < 0 ? -EBADF : this.handles.find(this.request.argument(offset), this.request.argument(offset + 4), node);
  }

  // ---- files of the host -----------------------------------------------------------------------------------------

  /** Fills `stat` with a name (its linear offset) in an open directory, or with the descriptor itself: 0, -errno. */
  look(dir: number, name = 0): number {
    this.#looked = dir;
    this.#lookedName = name;
    return statx(dir, name === 0 ? 0 : this.address(name), this.stat.address);
  }

  /** What the guest sees of whom `look` looked at. */
  owner({ mapped }: Share): Owner {
    const { bytes } = this.request;
    const name = this.#lookedName;
    return mapped ? ownerOf(this.#looked, name === 0 ? undefined : bytes.subarray(name, bytes.indexOf(0, name)), this.stat.owner) : this.stat.owner;
  }

  /** Fills `stat` with an inode: 0, -errno; -ESTALE when its name is another file's now. */
  statNode(node: number): number {
    const { nodes, paths } = this;
    const share = this.share(node);
    const parent = nodes.parent(node);
    if (node === share.node || nodes.nameless(node) || nodes.type(node) === TYPE_DIRECTORY || parent === 0) {
      const fd = paths.of(node);
      return fd < 0 ? fd : this.look(fd);
    }
    // A file is found by its name: no descriptor of its own.
    const dir = paths.of(parent);
    if (dir < 0) return dir;
    const failed = this.look(dir, nodes.name(node));
    if (failed < 0) return failed;
    return nodes.is(node, share.number, this.stat) ? 0 : -ESTALE;
  }

  /** The inode of what `stat` has, seen as `name` in `parent`, new or known: its index, 0: no room. */
  enter(parent: number, name: number, length: number): number {
    const { nodes, stat } = this;
    const share = this.share(parent);
    const known = nodes.known(share.number, stat);
    const node = known === 0 ? nodes.add(share.number, stat) : known;
    if (node === 0) return 0;
    if (node === share.node) return node;
    const before = nodes.parent(node);
    if (!nodes.setName(node, parent, name, length)) {
      if (known === 0) nodes.free(node);
      return 0;
    }
    if (before !== 0 && before !== parent) this.reap(before);
    return node;
  }

  /** Lets an inode go that nobody needs, and those above it that stayed for it alone. */
  reap(node: number): void {
    for (let at = node; at !== 0 && this.nodes.unused(at); ) {
      this.paths.close(at);
      this.watches?.drop(at);
      at = this.nodes.free(at);
    }
  }

  /** The quota of the directory that `stat` has, which all its exports share: that of the first. */
  quotaOf(limit: number | undefined): Quota | undefined {
    if (limit === undefined) return undefined;
    const key = `${this.stat.dev} ${this.stat.inoHigh} ${this.stat.inoLow}`;
    const quota = this.#quotas.get(key) ?? new Quota(limit);
    this.#quotas.set(key, quota);
    return quota;
  }

  /** A share's own inode, from `stat`. It stays as long as the share. */
  enterRoot(share: Share): void {
    share.node = this.nodes.add(share.number, this.stat);
    this.nodes.pin(share.node, 1);
    if (!share.watch) return;
    this.watches ??= new Watches(this.nodes, share.slot);
    this.watches.add(share.node, () => share.fd);
  }

  /** After a request: what the guest has learnt of in it is watched, if it is to be. */
  watchLearnt(): void {
    const { watches } = this;
    for (const node of watches?.learnt.splice(0) ?? []) watches?.add(node, (each) => this.paths.of(each));
  }

  /** All that the guest has of a share is gone, and every descriptor of it but the share's own; its root is a new inode. */
  forgetAll(share: Share): void {
    const { nodes, handles } = this;
    // Files without a name go with their descriptors.
    share.quota?.forget();
    handles.each((node) => nodes.share(node) === share.number, (handle) => closeFile(handles.remove(handle)));
    this.locks.forget((node) => nodes.share(node) === share.number);
    this.raised.forget((node) => nodes.share(node) === share.number);
    nodes.each(share.number, (node) => {
      this.paths.close(node);
      this.watches?.drop(node);
      nodes.free(node);
    });
    if (this.look(share.fd) === 0) this.enterRoot(share);
  }

  /** A share goes: its own descriptor is the caller's to close. */
  withdraw(share: Share): void {
    this.forgetAll(share);
    if (share.node !== 0) {
      this.watches?.drop(share.node);
      this.nodes.free(share.node);
    }
    this.shares[share.number] = undefined;
  }

  /** The guest forgets an inode `n` times. */
  forget(low: number, high: number, n: number): void {
    const node = this.node(low, high);
    if (node > 0 && this.nodes.forget(node, n)) this.reap(node);
  }

  /** The guest closes a file. */
  release(handle: number, node: number): void {
    closeFile(this.handles.remove(handle));
    // With the file its flock.
    this.locks.freed = true;
    this.nodes.pin(node, -1);
    this.reap(node);
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  /** struct fuse_attr at `offset` of the answer, from `stat`. */
  putAttr(offset: number, share: Share): void {
    const { request, stat: { words, dev } } = this;
    const { uid, gid, mode, rdev } = this.owner(share);
    const at = (request.reply + offset) >>> 2;
    const to = request.words;
    const copy = (field: number, from: number, count: number): void => {
      for (let i = 0; i < count; i++) to[at + field / 4 + i] = words[from / 4 + i] as number;
    };
    copy(fuse_attr.ino, struct.stx_ino, 2);
    copy(fuse_attr.size, struct.stx_size, 2);
    copy(fuse_attr.blocks, struct.stx_blocks, 2);
    copy(fuse_attr.atime, struct.stx_atime, 2);
    copy(fuse_attr.mtime, struct.stx_mtime, 2);
    copy(fuse_attr.ctime, struct.stx_ctime, 2);
    copy(fuse_attr.atimensec, struct.stx_atime + 8, 1);
    copy(fuse_attr.mtimensec, struct.stx_mtime + 8, 1);
    copy(fuse_attr.ctimensec, struct.stx_ctime + 8, 1);
    to[at + fuse_attr.mode / 4] = mode;
    copy(fuse_attr.nlink, struct.stx_nlink, 1);
    to[at + fuse_attr.uid / 4] = uid;
    to[at + fuse_attr.gid / 4] = gid;
    to[at + fuse_attr.rdev / 4] = rdev;
    copy(fuse_attr.blksize, struct.stx_blksize, 1);
    // Another file system of the host is another one of the guest: numbers of inodes are not its parent's.
    to[at + fuse_attr.flags / 4] = mode >>> 12 === TYPE_DIRECTORY && dev !== share.dev ? FUSE_ATTR_SUBMOUNT : 0;
  }

  /** struct fuse_entry_out at `offset` of the answer, for an inode and what `stat` has of it; the guest has learnt of it. */
  putEntry(offset: number, node: number): void {
    const { request, nodes } = this;
    const share = this.share(node);
    nodes.looked(node);
    if (share.watch && nodes.type(node) === TYPE_DIRECTORY) this.watches?.learnt.push(node);
    request.put(offset + fuse_entry_out.nodeid, node);
    request.put(offset + fuse_entry_out.nodeid + 4, nodes.generation(node));
    request.put64(offset + fuse_entry_out.generation, 0);
    request.put64(offset + fuse_entry_out.entry_valid, validity(share));
    request.put64(offset + fuse_entry_out.attr_valid, validity(share));
    request.put64(offset + fuse_entry_out.entry_valid_nsec, 0); // and attr_valid_nsec
    this.putAttr(offset + fuse_entry_out.attr, share);
  }

  /** The answer struct fuse_attr_out, from `stat`. */
  answerAttr(share: Share): number {
    this.request.put64(fuse_attr_out.attr_valid, validity(share));
    this.request.put64(fuse_attr_out.attr_valid_nsec, 0);
    this.putAttr(fuse_attr_out.attr, share);
    return fuse_attr_out.sizeof;
  }

  /** The answer struct fuse_entry_out for `stat`, seen as `name` in `parent`. */
  answerEntry(node: number): number {
    this.putEntry(0, node);
    return fuse_entry_out.sizeof;
  }
}
