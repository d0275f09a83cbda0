/** A driver's side of a network card (virtio 1.2 §2.7, §5.1): one that sends one frame again and again, and counts what comes. */
import { VIRTQ_AVAIL_F_NO_INTERRUPT, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE, VIRTQ_USED_F_NO_NOTIFY } from '../../assembly/contract/generated/virtio.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import { NET_HDR_SIZE } from '../../assembly/contract/devices.ts';
import { type Register, startDevice } from '../virtio-mmio.ts';

const ENTRIES = 256;
const PAGE = 4096;
/** Of a card: its rings, its buffers for what comes, one for what goes. */
const RINGS = 3 * 0x4000;
const FIRST = 0x10_0000;
const CARD = 0x40_0000;

class Queue {
  readonly gpa: number;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #kick: () => void;
  made = 0;
  #seen = 0;

  constructor(buffer: ArrayBufferLike, gpa: number, kick: () => void) {
    this.gpa = gpa;
    this.#u16 = new Uint16Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#kick = kick;
    // It looks by itself.
    this.#u16[(RAM_BASE + this.avail) >>> 1] = VIRTQ_AVAIL_F_NO_INTERRUPT;
  }

  get avail(): number {
    return this.gpa + 16 * ENTRIES;
  }

  get used(): number {
    return this.gpa + 0x2000;
  }

  describe(entry: number, gpa: number, length: number, flags: number, next = 0, table = this.gpa): void {
    const at = (RAM_BASE + table + entry * 16) >>> 2;
    this.#u32[at] = gpa;
    this.#u32[at + 1] = 0;
    this.#u32[at + 2] = length;
    this.#u32[at + 3] = flags | (next << 16);
  }

  /** Makes so many more entries available, one after the other, and tells the device. */
  offer(count: number): void {
    const avail = (RAM_BASE + this.avail) >>> 1;
    for (let i = 0; i < count; i++) this.#u16[avail + 2 + ((this.made + i) % ENTRIES)] = (this.made + i) % ENTRIES;
    this.made = (this.made + count) & 0xffff;
    Atomics.store(this.#u16, avail + 1, this.made);
    if ((Atomics.load(this.#u16, (RAM_BASE + this.used) >>> 1) & VIRTQ_USED_F_NO_NOTIFY) === 0) this.#kick();
  }

  /** How many entries have been used since the last time. The device uses them in order. */
  taken(): number {
    const used = Atomics.load(this.#u16, ((RAM_BASE + this.used) >>> 1) + 1);
    const count = (used - this.#seen) & 0xffff;
    this.#seen = used;
    return count;
  }

  /** num_buffers of the frames whose first buffers those are: `bufferAt` gives an entry's place. */
  frames(last: number, bufferAt: (entry: number) => number): number {
    let [frames, at] = [0, (this.#seen - last) & 0xffff];
    while (at !== this.#seen) {
      const buffers = this.#u16[(RAM_BASE + bufferAt(at % ENTRIES) + 10) >>> 1] as number;
      at = (at + Math.max(1, buffers)) & 0xffff;
      frames++;
    }
    return frames;
  }
}

export class CardDriver {
  readonly #rx: Queue;
  readonly #tx: Queue;
  readonly #register: Register;
  readonly #slot: number;
  readonly #base: number;
  #onTheWay = 0;

  /** In `slot`. `kick`: the card's notification. */
  constructor(buffer: ArrayBufferLike, slot: number, register: Register, kick: () => void) {
    this.#base = FIRST + slot * CARD;
    [this.#rx, this.#tx] = [0, 0x4000].map((at) => new Queue(buffer, this.#base + at, kick)) as [Queue, Queue];
    this.#register = register;
    this.#slot = slot;
  }

  #bufferAt(entry: number): number {
    return this.#base + RINGS + entry * PAGE;
  }

  /** `features`: the low word, beside VERSION_1. */
  start(features: number): void {
    const places = [this.#rx, this.#tx].map(({ gpa, avail, used }) => ({ desc: gpa, avail, used }));
    startDevice(this.#register, this.#slot, features, places, ENTRIES);
  }

  /** Buffers of `length` bytes, a page at most, for what comes. */
  listen(length: number): void {
    for (let entry = 0; entry < ENTRIES; entry++) this.#rx.describe(entry, this.#bufferAt(entry), length, VIRTQ_DESC_F_WRITE);
    this.#rx.offer(ENTRIES);
  }

  /** Frames that have come since the last time; their buffers are the device's again. */
  heard(): number {
    const count = this.#rx.taken();
    if (count === 0) return 0;
    const frames = this.#rx.frames(count, (entry) => this.#bufferAt(entry));
    this.#rx.offer(count);
    return frames;
  }

  /** Each frame that it sends is this one: in one piece, or where it is longer than a page in pages, as Linux has them. */
  carries(memory: Uint8Array, frame: Uint8Array): void {
    const at = this.#base + RINGS + (ENTRIES + 1) * PAGE;
    memory.set(frame, RAM_BASE + at);
    const table = this.#bufferAt(ENTRIES);
    const pieces = Math.ceil(frame.length / PAGE);
    for (let i = 0; i < pieces; i++) {
      const last = i === pieces - 1;
      this.#tx.describe(i, at + i * PAGE, last ? frame.length - i * PAGE : PAGE, last ? 0 : VIRTQ_DESC_F_NEXT, i + 1, table);
    }
    for (let entry = 0; entry < ENTRIES; entry++) {
      if (pieces === 1) this.#tx.describe(entry, at, frame.length, 0);
      else this.#tx.describe(entry, table, pieces * 16, VIRTQ_DESC_F_INDIRECT);
    }
  }

  /** Sends up to `most` frames; how many. */
  send(most: number): number {
    this.#onTheWay -= this.#tx.taken();
    const count = Math.min(most, ENTRIES - this.#onTheWay);
    if (count > 0) this.#tx.offer(count);
    this.#onTheWay += count;
    return count;
  }
}

/** What a frame of `size` bytes needs of a header: those above Ethernet's are segments of TCP that the host's kernel is to cut. */
export function headerFor(size: number): Uint8Array {
  const header = new Uint8Array(NET_HDR_SIZE);
  if (size > 1514) header.set([1, 1, 54, 0, 1460 & 255, 1460 >>> 8, 34, 0, 16, 0]);
  return header;
}
