import { EAGAIN, EMFILE, ENFILE, ENOMEM, ENOSPC } from '../../../assembly/contract/generated/errno.ts';
import { changesAdd, changesDrop, changesOpen, changesRead, closeFile } from '../../host/files.ts';
import { placeOf } from '../../host/places.ts';
import * as C from '../../host/uapi/files.ts';
import type { Nodes } from './nodes.ts';

/** What is told of; a rename is an end of one name and a beginning of another. */
const MASK = C.IN_CREATE | C.IN_DELETE | C.IN_MODIFY | C.IN_ATTRIB | C.IN_MOVED_FROM | C.IN_MOVED_TO | C.IN_CLOSE_WRITE;
export const GONE = C.IN_DELETE | C.IN_MOVED_FROM;
export const CAME = C.IN_CREATE | C.IN_MOVED_TO;
/** Most directories of a guest's; a host's user has some more (fs.inotify.max_user_watches). */
const WATCHES_MAX = 8192;
/** Names that wait to be told of; a host that changes more at once is told by directory. */
const PENDING_MAX = 4096;
/** A read's: some hundred events. */
const BUFFER_BYTES = 32768;
const LIMITS: ReadonlySet<number> = new Set([EMFILE, ENFILE, ENOMEM, ENOSPC]);
const { inotify_event: event } = C;
const TYPE_DIRECTORY = C.S_IFDIR >> 12;

/** What has happened to one name since it was told of last. */
export interface Pending {
  /** Inode of its directory, or of the file that a share is. */
  readonly node: number;
  readonly generation: number;
  /** Empty: the node itself. */
  readonly name: Buffer;
  /** IN_*. */
  mask: number;
}

/** A name in a directory. */
export const keyOf = (node: number, name: Buffer): string => `${node} ${name.toString('latin1')}`;

/**
 * What programs of the host change in directories that the guest knows, collapsed by name: a guest's own inotify(7) can only be on what its kernel
 * has looked up, so nothing else has to be watched, and nothing of the host's tree is walked.
 */
export class Watches {
  /** Readable when something has happened. */
  readonly fd: number;
  readonly #nodes: Nodes;
  /** The device whose shares they are: there is one that watches. */
  readonly slot: number;
  /** Inodes by the kernel's number of the watch: two exports of one directory have one. */
  readonly #byWatch = new Map<number, number[]>();
  readonly #byNode = new Map<number, number>();
  readonly #buffer = Buffer.from(new ArrayBuffer(BUFFER_BYTES));
  readonly #at: number;
  readonly pending = new Map<string, Pending>();
  /** How many directories the last storm left in it: as many names as ever fit beside them, so that the next look at all is far. */
  #byDirectory = 0;
  /** Errno of the first that could not be watched for a limit's sake; 0. */
  refused = 0;
  /** Directories and files that the guest has learnt of in the request that is on. */
  readonly learnt: number[] = [];

  constructor(nodes: Nodes, slot: number) {
    this.#nodes = nodes;
    this.slot = slot;
    this.fd = changesOpen();
    if (this.fd < 0) this.refused = -this.fd;
    this.#at = placeOf(this.#buffer);
  }

  /** From now on; `path`: gives its O_PATH descriptor. Beyond what can be watched nothing is told. */
  add(node: number, path: (node: number) => number): void {
    if (this.fd < 0 || this.#byNode.has(node)) return;
    if (this.#byNode.size >= WATCHES_MAX) {
      this.refused = ENOSPC;
      return;
    }
    const fd = path(node);
    const watch = fd < 0 ? fd : changesAdd(this.fd, fd, MASK);
    // One that is gone, or may not be read, is no limit.
    if (LIMITS.has(-watch)) this.refused = -watch;
    if (watch < 0) return;
    this.#byNode.set(node, watch);
    this.#byWatch.set(watch, [...(this.#byWatch.get(watch) ?? []), node]);
  }

  /** An inode that the guest has forgotten. */
  drop(node: number): void {
    const watch = this.#byNode.get(node);
    if (watch === undefined) return;
    this.#byNode.delete(node);
    const left = (this.#byWatch.get(watch) ?? []).filter((each) => each !== node);
    if (left.length > 0) this.#byWatch.set(watch, left);
    else {
      this.#byWatch.delete(watch);
      changesDrop(this.fd, watch);
    }
  }

  /** Reads what has happened. `own`: is it what we have done just now for the guest, whose kernel has told of it itself? */
  take(own?: (node: number, name: Buffer) => boolean): void {
    for (;;) {
      const length = this.fd < 0 ? -EAGAIN : changesRead(this.fd, this.#at, BUFFER_BYTES);
      if (length <= 0) return;
      for (let at = 0; at < length; ) {
        const size = this.#buffer.readUInt32LE(at + event.len);
        const raw = this.#buffer.subarray(at + event.name, at + event.name + size);
        const end = raw.indexOf(0);
        this.#one(this.#buffer.readInt32LE(at + event.wd), this.#buffer.readUInt32LE(at + event.mask), end < 0 ? raw : raw.subarray(0, end), own);
        at += event.sizeof + size;
      }
    }
  }

  #one(watch: number, mask: number, name: Buffer, own: ((node: number, name: Buffer) => boolean) | undefined): void {
    if ((mask & C.IN_Q_OVERFLOW) !== 0) {
      this.#overflow();
      return;
    }
    const nodes = this.#byWatch.get(watch) ?? [];
    if ((mask & C.IN_IGNORED) !== 0) {
      for (const node of nodes) this.#byNode.delete(node);
      this.#byWatch.delete(watch);
      return;
    }
    for (const node of nodes) {
      // What happens to a directory itself its parent tells, too.
      if (name.length === 0 && this.#nodes.type(node) === TYPE_DIRECTORY) continue;
      if (own?.(node, name) !== true) this.#note(node, name, mask & (MASK | C.IN_ISDIR));
    }
  }

  #note(node: number, name: Buffer, mask: number): void {
    const key = keyOf(node, name);
    const generation = this.#nodes.generation(node);
    const there = this.pending.get(key);
    if (there?.generation === generation) there.mask |= mask;
    // One of another generation is of a directory that the guest has no more: its place is taken.
    else if (there !== undefined || this.pending.size < PENDING_MAX + this.#byDirectory) this.pending.set(key, { node, generation, name: Buffer.from(name), mask });
    else this.#overflow();
  }

  /** Too much at once: what is told is that each directory is to be looked at anew. Those that wait for it keep their place: none waits for ever. */
  #overflow(): void {
    const { pending } = this;
    for (const [key, { name }] of pending) if (name.length > 0) pending.delete(key);
    for (const node of this.#byNode.keys()) {
      const key = keyOf(node, EMPTY);
      const generation = this.#nodes.generation(node);
      const there = pending.get(key);
      if (there?.generation === generation) there.mask |= C.IN_ATTRIB;
      else pending.set(key, { node, generation, name: EMPTY, mask: C.IN_ATTRIB });
    }
    this.#byDirectory = pending.size;
  }

  close(): void {
    if (this.fd >= 0) closeFile(this.fd);
  }
}

const EMPTY = Buffer.alloc(0);
