/** A driver's side of one virtqueue (virtio 1.2 §2.7), of up to DEPTH requests at a time, in memory that it shares with a device of ours or another's process. */
import { VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE, VIRTQ_USED_F_NO_NOTIFY } from '../../assembly/contract/generated/virtio.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';

/** Requests that can be on the way, and entries of the queue: three for each. */
export const DEPTH = 16;
export const RING_ENTRIES = 64;
const PIECES = 3;
/** Looks at the used ring before this thread gives way. */
const LOOKS = 100_000;

export interface Piece {
  readonly gpa: number;
  readonly len: number;
  readonly write: boolean;
}

export class Ring {
  /** Guest addresses of its three parts. */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #notify: () => void;
  readonly #rest = new Int32Array(new SharedArrayBuffer(4));
  #made = 0;
  #seen = 0;

  /** At `gpa`, 4 KiB. `notify`: the device is told of a request. */
  constructor(buffer: ArrayBufferLike, gpa: number, notify: () => void) {
    [this.desc, this.avail, this.used] = [gpa, gpa + 16 * RING_ENTRIES, gpa + 2048];
    this.#u16 = new Uint16Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#notify = notify;
  }

  /** Request `tag` (below DEPTH, and not on the way), of up to three pieces. */
  submit(tag: number, pieces: readonly Piece[]): void {
    const head = tag * PIECES;
    pieces.forEach(({ gpa, len, write }, i) => {
      const at = (RAM_BASE + this.desc + (head + i) * 16) >>> 2;
      this.#u32[at] = gpa;
      this.#u32[at + 1] = 0;
      this.#u32[at + 2] = len;
      this.#u32[at + 3] = (write ? VIRTQ_DESC_F_WRITE : 0) | (i + 1 < pieces.length ? VIRTQ_DESC_F_NEXT : 0) | ((head + i + 1) << 16);
    });
    const avail = (RAM_BASE + this.avail) >>> 1;
    this.#u16[avail + 2 + (this.#made % RING_ENTRIES)] = head;
    this.#made = (this.#made + 1) & 0xffff;
    Atomics.store(this.#u16, avail + 1, this.#made);
    if ((Atomics.load(this.#u16, (RAM_BASE + this.used) >>> 1) & VIRTQ_USED_F_NO_NOTIFY) === 0) this.#notify();
  }

  /** Waits for a request's end: its tag. */
  take(): number {
    const used = (RAM_BASE + this.used) >>> 1;
    for (let looks = 1; Atomics.load(this.#u16, used + 1) === this.#seen; looks++) if (looks % LOOKS === 0) Atomics.wait(this.#rest, 0, 0, 0.2);
    const head = this.#u32[(RAM_BASE + this.used + 4 + (this.#seen % RING_ENTRIES) * 8) >>> 2] as number;
    this.#seen = (this.#seen + 1) & 0xffff;
    return head / PIECES;
  }
}
