import type { Limit } from '../rate.ts';
import type { CardRate } from './limited.ts';

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
  /** Of its capture; -1: none. */
  readonly capture: number;
  readonly rate: CardRate | undefined;
}

/** Each limit in the table: a second's, and the burst; 0: none. */
const LIMITS = 8;

const SLOTS = 32;
/** Version, descriptor, kind, capture, and the version that the thread serves. */
const WORDS = 5;

/**
 * The cables of one machine's cards by device slot, in memory that its threads share: one that is put in or taken out while the guest runs is
 * known to the thread that serves it, once its bell rings.
 */
export class CableTable {
  readonly buffer: SharedArrayBuffer;
  readonly #limits: Float64Array;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(SLOTS * (LIMITS * 8 + WORDS * 4))) {
    this.buffer = buffer;
    this.#limits = new Float64Array(buffer, 0, SLOTS * LIMITS);
    this.#words = new Int32Array(buffer, SLOTS * LIMITS * 8);
  }

  /** CABLE_NONE takes it out. */
  set(slot: number, { kind, fd, capture, rate }: Cable): void {
    const limits = [rate?.rx?.bytes, rate?.rx?.operations, rate?.tx?.bytes, rate?.tx?.operations];
    limits.forEach((limit, i) => this.#limits.set([limit?.perSecond ?? 0, limit?.burst ?? 0], slot * LIMITS + 2 * i));
    this.#words[slot * WORDS + 3] = capture;
    this.#words[slot * WORDS + 1] = fd;
    this.#words[slot * WORDS + 2] = kind;
    Atomics.add(this.#words, slot * WORDS, 1);
  }

  /** Counts up with each change of the slot's cable. */
  version(slot: number): number {
    return Atomics.load(this.#words, slot * WORDS);
  }

  /** The thread serves this version now, and makes no use of the cable before. */
  served(slot: number, version: number): void {
    Atomics.store(this.#words, slot * WORDS + 4, version);
    Atomics.notify(this.#words, slot * WORDS + 4);
  }

  /** Resolves once the thread serves the slot's cable as it is now. */
  async settled(slot: number): Promise<void> {
    const at = slot * WORDS + 4;
    for (let seen = Atomics.load(this.#words, at); seen !== this.version(slot); seen = Atomics.load(this.#words, at)) {
      const wait = Atomics.waitAsync(this.#words, at, seen);
      if (wait.async) await wait.value;
    }
  }

  get(slot: number): Cable {
    const [, fd = -1, kind = CABLE_NONE, capture = -1] = this.#words.subarray(slot * WORDS, slot * WORDS + WORDS);
    const limit = (which: number): Limit | undefined => {
      const [perSecond = 0, burst = 0] = this.#limits.subarray(slot * LIMITS + 2 * which);
      return perSecond === 0 ? undefined : { perSecond, burst: burst === 0 ? undefined : burst };
    };
    const rate = { rx: { bytes: limit(0), operations: limit(1) }, tx: { bytes: limit(2), operations: limit(3) } };
    return { fd, kind, capture, rate: Object.values(rate).some(({ bytes, operations }) => bytes !== undefined || operations !== undefined) ? rate : undefined };
  }
}
