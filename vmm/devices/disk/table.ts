import { BLK_READ_ONLY } from '../../../assembly/contract/devices.ts';

/** What a thread needs to serve a disk. Descriptors are the process's. */
export interface ServedDisk {
  readonly fd: number;
  /** Whole sectors, in bytes. */
  readonly size: number;
  readonly readOnly: boolean;
}

const SLOTS = 32;

/**
 * The disks of one machine by device slot, in memory that its threads share: one that is put into a slot while the guest
 * runs is known to all of them. A slot is filled once and stays so.
 */
export class DiskTable {
  readonly buffer: SharedArrayBuffer;
  readonly #sizes: Float64Array;
  /** Descriptor plus one, 0 for none; flags. */
  readonly #words: Int32Array;
  readonly #seen: (ServedDisk | undefined)[] = new Array<ServedDisk | undefined>(SLOTS).fill(undefined);

  constructor(buffer = new SharedArrayBuffer(SLOTS * 16)) {
    this.buffer = buffer;
    this.#sizes = new Float64Array(buffer, 0, SLOTS);
    this.#words = new Int32Array(buffer, SLOTS * 8, SLOTS * 2);
  }

  set(slot: number, { fd, size, readOnly }: ServedDisk): void {
    this.#sizes[slot] = size;
    this.#words[SLOTS + slot] = readOnly ? BLK_READ_ONLY : 0;
    // Last: whoever sees the descriptor sees the rest.
    Atomics.store(this.#words, slot, fd + 1);
  }

  /** The disk in `slot`; undefined while there is none. */
  get(slot: number): ServedDisk | undefined {
    return this.#seen[slot] ?? this.#look(slot);
  }

  #look(slot: number): ServedDisk | undefined {
    const fd = slot < SLOTS ? Atomics.load(this.#words, slot) - 1 : -1;
    if (fd < 0) return undefined;
    const disk = { fd, size: this.#sizes[slot] as number, readOnly: this.#words[SLOTS + slot] === BLK_READ_ONLY };
    this.#seen[slot] = disk;
    return disk;
  }
}
