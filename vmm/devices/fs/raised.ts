/** One name of the lot that the guest has. */
export interface RaisedName {
  /** It is to be removed next; with `create`: made after that. */
  remove: boolean;
  create: boolean;
  /** The inode that the guest had by that name, 0: none; and which of its lives. */
  readonly before: number;
  readonly generation: number;
  /** S_IFMT >> 12, of what it was where it is removed. */
  readonly type: number;
}

/** What the guest is told at the moment of what the host has changed. */
export class Raised {
  /** The guest's process that raises; 0: none yet. */
  raiser = 0;
  /** What it is at, by keyOf; undefined: nothing, and the next lot may go. A lot is in flight until the main thread says that it is done: until then its box is full. */
  lot: Map<string, RaisedName> | undefined;
  /** Files that are nowhere, so far. */
  ghosts = 0;

  get idle(): boolean {
    return this.lot === undefined;
  }

  /** Nothing more is answered for names in directories that the guest has no more; the lot stays in flight. */
  forget(gone: (dir: number) => boolean): void {
    for (const key of this.lot?.keys() ?? []) if (gone(Number.parseInt(key, 10))) this.lot?.delete(key);
  }

  /** The main thread has heard of the lot's end. */
  done(): void {
    this.lot = undefined;
  }
}
