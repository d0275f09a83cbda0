import { BLOCK_SIZE, SLOT_SIZE } from './format.ts';

const SLOTS_PER_BLOCK = BLOCK_SIZE / SLOT_SIZE;

/**
 * Hands out addresses in the inode area. What fits in a block never crosses one (inline
 * data must not, Linux calls it corruption); the rest of a block that was skipped for that
 * is used for smaller inodes later.
 */
export class SlotAllocator {
  /** First free address behind everything. */
  #end: number;
  /** Addresses of free runs, by their length in slots; a run never crosses a block. */
  readonly #gaps: number[][] = Array.from({ length: SLOTS_PER_BLOCK }, () => []);

  constructor(start: number) {
    this.#end = start;
  }

  get end(): number {
    return this.#end;
  }

  /** Address for `bytes` bytes, a multiple of 32. Areas larger than a block start a block. */
  allocate(bytes: number): number {
    const slots = Math.ceil(bytes / SLOT_SIZE);
    for (let length = slots; length < SLOTS_PER_BLOCK; length++) {
      const address = this.#gaps[length]?.pop();
      if (address === undefined) continue;
      this.#addGap(address + slots * SLOT_SIZE, length - slots);
      return address;
    }
    const free = (SLOTS_PER_BLOCK - ((this.#end / SLOT_SIZE) % SLOTS_PER_BLOCK)) % SLOTS_PER_BLOCK;
    if (free > 0 && slots > free) {
      this.#addGap(this.#end, free);
      this.#end += free * SLOT_SIZE;
    }
    const address = this.#end;
    this.#end += slots * SLOT_SIZE;
    return address;
  }

  #addGap(address: number, slots: number): void {
    if (slots > 0) this.#gaps[slots]?.push(address);
  }
}
