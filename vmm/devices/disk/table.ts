import { BLK_READ_ONLY } from '../../../assembly/contract/devices.ts';

/** What a thread needs to serve a disk. Descriptors are the process's. */
export interface ServedDisk {
  readonly fd: number;
  /** Whole sectors, in bytes. */
  readonly size: number;
  readonly readOnly: boolean;
}

const SLOTS = 32;
/** A slot's word: the descriptor plus one, 0 for none; above it a number that is another for each disk. */
const TURN_SHIFT = 24;
const FD_MASK = (1 << TURN_SHIFT) - 1;
const TURNS = 128;

/**
 * The disks of one machine by device slot, in memory that its threads share: one that is put into a slot while the guest
 * runs is known to all of them, and so is that it is gone.
 */
export class DiskTable {
  readonly buffer: SharedArrayBuffer;
  readonly #sizes: Float64Array;
  /** Of each slot a word, then flags of each. */
  readonly #words: Int32Array;
  readonly #seen = new Array<{ readonly word: number; readonly disk: ServedDisk } | undefined>(SLOTS).fill(undefined);

  constructor(buffer = new SharedArrayBuffer(SLOTS * 16)) {
    this.buffer = buffer;
    this.#sizes = new Float64Array(buffer, 0, SLOTS);
    this.#words = new Int32Array(buffer, SLOTS * 8, SLOTS * 2);
  }

  set(slot: number, { fd, size, readOnly }: ServedDisk): void {
    this.#sizes[slot] = size;
    this.#words[SLOTS + slot] = readOnly ? BLK_READ_ONLY : 0;
    // Last: whoever sees the descriptor sees the rest.
    Atomics.store(this.#words, slot, this.#turn(slot) | (fd + 1));
  }

  /** There is no disk any more. */
  clear(slot: number): void {
    Atomics.store(this.#words, slot, this.#turn(slot));
  }

  #turn(slot: number): number {
    return (((Atomics.load(this.#words, slot) >> TURN_SHIFT) + 1) % TURNS) << TURN_SHIFT;
  }

  /** The disk in `slot`; undefined while there is none. */
  get(slot: number): ServedDisk | undefined {
    const word = slot < SLOTS ? Atomics.load(this.#words, slot) : 0;
    const seen = this.#seen[slot];
    if (seen?.word === word) return seen.disk;
    const fd = (word & FD_MASK) - 1;
    if (fd < 0) return undefined;
    const disk = { fd, size: this.#sizes[slot] as number, readOnly: this.#words[SLOTS + slot] === BLK_READ_ONLY };
    this.#seen[slot] = { word, disk };
    return disk;
  }
}
