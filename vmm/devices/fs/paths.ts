import { ENFILE, EMFILE, ESTALE } from '../../../assembly/contract/generated/errno.ts';
import { closeFile, openBeneath, statx } from '../../host/files.ts';
import { RESOLVE_NO_XDEV } from '../../host/uapi/files.ts';
import { O_PATH } from '../../host/uapi/linux.ts';
import type { Nodes } from './nodes.ts';
import type { Share } from './share.ts';
import type { Stat } from './stat.ts';

/** Most O_PATH descriptors that are kept. */
const PATHS_MAX = 4096;

/**
 * O_PATH descriptors of inodes, those used last: one that is missing is opened again by its name in its parent, and is the same file or
 * ESTALE. Those of inodes without a name cannot be, and go last.
 */
export class Paths {
  readonly #base: number;
  readonly #nodes: Nodes;
  readonly #stat: Stat;
  /** Inode → descriptor, the one used longest ago first. */
  readonly #open = new Map<number, number>();
  readonly #shares: readonly (Share | undefined)[];
  #max: number;

  /** `base`: host address of the linear memory. */
  constructor(base: number, nodes: Nodes, stat: Stat, shares: readonly (Share | undefined)[], max: number) {
    this.#base = base;
    this.#nodes = nodes;
    this.#stat = stat;
    this.#shares = shares;
    this.#max = Math.min(max, PATHS_MAX);
  }

  /** The inode's descriptor, or -errno. It is good until the next call. */
  of(index: number): number {
    const root = this.#shares[this.#nodes.share(index)];
    if (root === undefined) return -ESTALE;
    if (root.node === index) return root.fd;
    const fd = this.#open.get(index);
    if (fd !== undefined) {
      this.#open.delete(index);
      this.#open.set(index, fd);
      return fd;
    }
    return this.#reopen(index, root);
  }

  /** Opens what lies between an inode and the nearest of its parents that is open. */
  #reopen(index: number, root: Share): number {
    const nodes = this.#nodes;
    const way = [index];
    for (let at = index; ; ) {
      if (nodes.nameless(at)) return -ESTALE;
      at = nodes.parent(at);
      if (at === 0) return -ESTALE;
      if (at === root.node || this.#open.has(at)) break;
      way.push(at);
    }
    let fd = this.of(nodes.parent(way.at(-1) as number));
    for (const each of way.reverse()) {
      if (fd < 0) return fd;
      fd = this.#openOne(fd, each, root);
    }
    return fd;
  }

  #openOne(parent: number, index: number, root: Share): number {
    const fd = this.open(parent, this.#base + this.#nodes.name(index), O_PATH, root);
    if (fd < 0) return fd;
    const failed = statx(fd, 0, this.#stat.address);
    if (failed < 0 || !this.#nodes.is(index, this.#nodes.share(index), this.#stat)) {
      closeFile(fd);
      return failed < 0 ? failed : -ESTALE;
    }
    this.keep(index, fd);
    return fd;
  }

  /** Opens a name (its address) in a directory; makes room where there are too many descriptors. */
  open(dir: number, name: number, flags: number, root: Share, mode = 0): number {
    return this.withRoom(() => openBeneath(dir, name, flags, mode, root.crossing ? 0 : RESOLVE_NO_XDEV));
  }

  withRoom(open: () => number): number {
    const fd = open();
    if (fd !== -EMFILE && fd !== -ENFILE) return fd;
    if (this.#open.size === 0) return -ENFILE;
    this.#max = Math.max(16, this.#open.size >> 1);
    this.#shrink(this.#max);
    return open();
  }

  /** The inode's descriptor from now on. */
  keep(index: number, fd: number): void {
    if (this.#open.size >= this.#max) this.#shrink(this.#max - 1);
    this.#open.set(index, fd);
  }

  #shrink(most: number): void {
    for (const hard of [false, true]) {
      for (const index of this.#open.keys()) {
        if (this.#open.size <= most) return;
        if (hard || !this.#nodes.nameless(index)) this.close(index);
      }
    }
  }

  close(index: number): void {
    const fd = this.#open.get(index);
    if (fd === undefined) return;
    this.#open.delete(index);
    closeFile(fd);
  }

  closeAll(): void {
    for (const index of [...this.#open.keys()]) this.close(index);
  }
}
