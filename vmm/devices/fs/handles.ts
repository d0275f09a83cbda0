import { EBADF, ENFILE } from '../../../assembly/contract/generated/errno.ts';

/** Most files that the guests of one thread have open at a time. */
const HANDLES_MAX = 65536;

/** What a guest has open: descriptors by FUSE file handles, which say a second time whose they are. */
export class Handles {
  readonly #fds = new Int32Array(HANDLES_MAX).fill(-1);
  readonly #nodes = new Uint32Array(HANDLES_MAX);
  readonly #turns = new Uint32Array(HANDLES_MAX);
  /** Directories: where the descriptor stands, as the kernel numbers it. */
  readonly positions = new Map<number, bigint>();
  readonly #free: number[] = [];
  #next = 0;
  readonly #max: number;

  /** `max`: of the process's descriptors, so that a guest cannot take them all. */
  constructor(max = HANDLES_MAX) {
    this.#max = Math.min(max, HANDLES_MAX);
  }

  /** The new handle's number, -ENFILE. */
  add(node: number, fd: number): number {
    const handle = this.#free.pop() ?? (this.#next < this.#max ? this.#next++ : -ENFILE);
    if (handle < 0) return handle;
    this.#fds[handle] = fd;
    this.#nodes[handle] = node;
    return handle;
  }

  /** High half of its FUSE handle: another one each time the number is used. */
  turn(handle: number): number {
    return this.#turns[handle] as number;
  }

  /** The number of the handle that FUSE's halves mean, of this inode; -EBADF. */
  find(low: number, high: number, node: number): number {
    return low < this.#next && this.#fds[low] !== -1 && this.#turns[low] === high && this.#nodes[low] === node ? low : -EBADF;
  }

  fd(handle: number): number {
    return this.#fds[handle] as number;
  }

  /** Its descriptor, for the caller to close. */
  remove(handle: number): number {
    const fd = this.#fds[handle] as number;
    this.#fds[handle] = -1;
    this.#turns[handle] = (this.#turns[handle] as number) + 1;
    this.positions.delete(handle);
    this.#free.push(handle);
    return fd;
  }

  /** All handles whose inode `which` says; of an inode that goes. */
  each(which: (node: number) => boolean, found: (handle: number) => void): void {
    for (let handle = 0; handle < this.#next; handle++) if (this.#fds[handle] !== -1 && which(this.#nodes[handle] as number)) found(handle);
  }
}
