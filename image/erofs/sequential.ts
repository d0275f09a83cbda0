import type { Hash } from 'node:crypto';
import { writeFully } from '../tree/content.ts';

/** Large writes and hash updates; a view may take at most a quarter of it. */
const BUFFER_SIZE = 4 << 20;
export const MAX_VIEW = BUFFER_SIZE / 4;

/**
 * Writes a file from start to end through one large buffer, and hashes it on the way if asked to.
 * Callers fill views of the buffer in place, so file data is copied once: from the source
 * file into it.
 */
export class SequentialWriter {
  readonly #fd: number;
  readonly #hash: Hash | undefined;
  readonly #what: string;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #used = 0;
  #flushed = 0;
  #beforeFirstFlush: ((start: Buffer) => void) | undefined;
  readonly #flushedTo: (position: number) => void;

  /** `beforeFirstFlush` may still change the file's first bytes: at least 3 MiB of it, or all. `flushedTo` is told how much is written. */
  constructor(fd: number, hash: Hash | undefined, what: string, beforeFirstFlush: (start: Buffer) => void, flushedTo: (position: number) => void) {
    this.#flushedTo = flushedTo;
    this.#fd = fd;
    this.#hash = hash;
    this.#what = what;
    this.#beforeFirstFlush = beforeFirstFlush;
  }

  /** Bytes so far. */
  get position(): number {
    return this.#flushed + this.#used;
  }

  /** The next `length` bytes of the file (at most MAX_VIEW), to be filled before the next call. */
  view(length: number): Buffer {
    if (length > MAX_VIEW) throw new RangeError(`view of ${length} bytes`);
    if (this.#used + length > BUFFER_SIZE) this.flush();
    const view = this.#buffer.subarray(this.#used, this.#used + length);
    this.#used += length;
    return view;
  }

  /** Like `view`, zeroed. */
  zeroed(length: number): Buffer {
    return this.view(length).fill(0);
  }

  /** Zeros up to `position`. */
  padTo(position: number): void {
    if (position < this.position) throw new RangeError(`pad back to ${position} from ${this.position}`);
    while (this.position < position) this.zeroed(Math.min(position - this.position, MAX_VIEW));
  }

  flush(): void {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#beforeFirstFlush?.(bytes);
    this.#beforeFirstFlush = undefined;
    this.#hash?.update(bytes);
    writeFully(this.#fd, bytes, this.#flushed, this.#what);
    this.#flushed += this.#used;
    this.#used = 0;
    this.#flushedTo(this.#flushed);
  }
}
