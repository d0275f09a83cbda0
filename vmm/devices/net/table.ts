/** How a card's descriptor is served. */
export const CABLE_NONE = 0;
/** A frame a call, without and with a virtio_net_hdr before it. */
export const CABLE_PACKETS = 1;
export const CABLE_HEADERS = 2;
/** A stream with QEMU's framing. */
export const CABLE_STREAM = 3;

export interface Cable {
  readonly kind: number;
  readonly fd: number;
}

const SLOTS = 32;
const WORDS = 4;

/**
 * The cables of one machine's cards by device slot, in memory that its threads share: one that is put in or taken out while the guest runs is
 * known to the thread that serves it, once its bell rings.
 */
export class CableTable {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(SLOTS * WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** CABLE_NONE takes it out. */
  set(slot: number, { kind, fd }: Cable): void {
    this.#words[slot * WORDS + 1] = fd;
    this.#words[slot * WORDS + 2] = kind;
    Atomics.add(this.#words, slot * WORDS, 1);
  }

  /** Counts up with each change of the slot's cable. */
  version(slot: number): number {
    return Atomics.load(this.#words, slot * WORDS);
  }

  get(slot: number): Cable {
    return { kind: this.#words[slot * WORDS + 2] as number, fd: this.#words[slot * WORDS + 1] as number };
  }
}
