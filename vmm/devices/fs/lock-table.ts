import { EBADF, ENOLCK } from '../../../assembly/contract/generated/errno.ts';
import { closeFile } from '../../host/files.ts';
import { conflict, type Range, withRange } from './lock-ranges.ts';

/** Most owners with a descriptor. */
const OWNERS_MAX = 4096;
/** Most ranges of all owners: the host's kernel keeps them too, and counts them nowhere. */
const RANGES_MAX = 65536;

interface Owner {
  readonly fd: number;
  /** As the host's kernel has them for the descriptor. */
  ranges: readonly Range[];
}

/** A lock that somebody would like to have: who, of which inode, what. */
export interface Asked {
  /** Of one device: FUSE numbers its guest's owners. */
  readonly owner: string;
  readonly node: number;
  readonly range: Range;
}

/** A request that waits for a lock: its tag in the core, which has its arguments. */
interface Waiting {
  readonly slot: number;
  readonly tag: number;
  readonly unique: string;
  /** Undefined: flock's, which nobody's deadlock is made of. */
  readonly asked: Asked | undefined;
}

/** Who has locks of fcntl's kind, and who waits for a lock of either kind. */
export class Locks {
  /** By inode, then by owner. */
  readonly #owners = new Map<number, Map<string, Owner>>();
  #count = 0;
  #ranges = 0;
  /** In the order in which they came. */
  readonly waiting: Waiting[] = [];
  /** Something was let go: who waits may have it. */
  freed = false;
  /** What the request that is at work has asked for. */
  asked: Asked | undefined;
  readonly #max: number;

  /** `max`: owners, each of which takes one of the process's descriptors. */
  constructor(max = OWNERS_MAX) {
    this.#max = Math.min(max, OWNERS_MAX);
  }

  /** The owner's descriptor for an inode; -EBADF where it has none. */
  known(node: number, owner: string): number {
    return this.#owners.get(node)?.get(owner)?.fd ?? -EBADF;
  }

  /** As `known`, opened at the owner's first lock; -errno. */
  owner(node: number, owner: string, open: () => number): number {
    const known = this.known(node, owner);
    if (known >= 0) return known;
    if (this.#count >= this.#max) return -ENOLCK;
    const fd = open();
    if (fd < 0) return fd;
    const owners = this.#owners.get(node) ?? new Map<string, Owner>();
    this.#owners.set(node, owners.set(owner, { fd, ranges: [] }));
    this.#count++;
    return fd;
  }

  /** Is there room for what a lock makes of an owner's ranges? */
  get room(): boolean {
    return this.#ranges < RANGES_MAX;
  }

  /** The host's kernel has given the owner a range, or taken it (F_UNLCK). */
  give({ owner, node, range }: Asked): void {
    const found = this.#owners.get(node)?.get(owner);
    if (found === undefined) return;
    const ranges = withRange(found.ranges, range);
    this.#ranges += ranges.length - found.ranges.length;
    found.ranges = ranges;
  }

  /** Owners whose ranges keep another from what it asks for, each with one of those. */
  #inTheWay({ owner, node, range }: Asked): { readonly owner: string; readonly range: Range }[] {
    const found: { owner: string; range: Range }[] = [];
    for (const [other, { ranges }] of this.#owners.get(node) ?? []) {
      const has = other === owner ? undefined : ranges.find((each) => conflict(each, range));
      if (has !== undefined) found.push({ owner: other, range: has });
    }
    return found;
  }

  /** The guest's process that has `range` of an inode, as the host's kernel names it; 0: none of this guest's. */
  holder(asked: Asked, range: Omit<Range, 'pid'>): number {
    const same = this.#inTheWay(asked).find(({ range: has }) => has.start === range.start && has.end === range.end && has.type === range.type);
    return (same ?? this.#inTheWay({ ...asked, range: { ...range, pid: 0 } })[0])?.range.pid ?? 0;
  }

  /** Would who waits for this wait for somebody who waits for it, by whatever way (fcntl(2): EDEADLK)? */
  deadlock(asked: Asked): boolean {
    const seen = new Set<string>();
    const next = [asked];
    for (let wanted = next.pop(); wanted !== undefined; wanted = next.pop()) {
      for (const { owner } of this.#inTheWay(wanted)) {
        if (owner === asked.owner) return true;
        if (seen.has(owner)) continue;
        seen.add(owner);
        for (const { asked: other } of this.waiting) if (other?.owner === owner) next.push(other);
      }
    }
    return false;
  }

  /** The owner has closed the file: all its locks there go. False when it had none. */
  release(node: number, owner: string): boolean {
    const owners = this.#owners.get(node);
    const found = owners?.get(owner);
    if (owners === undefined || found === undefined) return false;
    owners.delete(owner);
    if (owners.size === 0) this.#owners.delete(node);
    this.#close(found);
    this.freed = true;
    return true;
  }

  /** Inodes that go, with all that is locked there. */
  forget(which: (node: number) => boolean): void {
    for (const [node, owners] of this.#owners) {
      if (!which(node)) continue;
      this.#owners.delete(node);
      for (const owner of owners.values()) this.#close(owner);
    }
    this.freed = true;
  }

  #close({ fd, ranges }: Owner): void {
    this.#count--;
    this.#ranges -= ranges.length;
    closeFile(fd);
  }

  /** Takes those out that do not wait any more. */
  end(which: (waiting: Waiting) => boolean): Waiting[] {
    const ended = this.waiting.filter(which);
    for (const each of ended) this.waiting.splice(this.waiting.indexOf(each), 1);
    return ended;
  }
}
