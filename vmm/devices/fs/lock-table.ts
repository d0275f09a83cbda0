import { EBADF, ENOLCK } from '../../../assembly/contract/generated/errno.ts';
import { closeFile } from '../../host/files.ts';

/** Most owners with a descriptor. */
const OWNERS_MAX = 4096;

interface Owner {
  readonly fd: number;
  readonly node: number;
}

/** A request that waits for a lock: its tag in the core, which has its arguments. */
interface Waiting {
  readonly slot: number;
  readonly tag: number;
  readonly unique: string;
}

/** Who has locks of fcntl's kind, and who waits for a lock of either kind. */
export class Locks {
  /** By inode and owner. */
  readonly #owners = new Map<string, Owner>();
  /** In the order in which they came. */
  waiting: Waiting[] = [];
  /** Something was let go: who waits may have it. */
  freed = false;

  /** The owner's descriptor for an inode; -EBADF where it has none. */
  known(key: string): number {
    return this.#owners.get(key)?.fd ?? -EBADF;
  }

  /** As `known`, opened at the owner's first lock; -errno. */
  owner(key: string, node: number, open: () => number): number {
    const known = this.#owners.get(key);
    if (known !== undefined) return known.fd;
    if (this.#owners.size >= OWNERS_MAX) return -ENOLCK;
    const fd = open();
    if (fd >= 0) this.#owners.set(key, { fd, node });
    return fd;
  }

  /** The owner has closed the file: all its locks there go. False when it had none. */
  release(key: string): boolean {
    const owner = this.#owners.get(key);
    if (owner === undefined) return false;
    this.#owners.delete(key);
    closeFile(owner.fd);
    this.freed = true;
    return true;
  }

  /** Inodes that go, with all that is locked there. */
  forget(which: (node: number) => boolean): void {
    for (const [key, { fd, node }] of this.#owners) {
      if (!which(node)) continue;
      this.#owners.delete(key);
      closeFile(fd);
    }
    this.freed = true;
  }
}
