/** Less than this left is kept for what is on its way already. */
const RESERVE = 8 << 20;
/** And this is not touched by reading at all. */
const LAST = 1 << 20;

/** Bytes that all connections of a gateway hold together, and may. */
export class Budget {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get left(): number {
    return this.limit - this.used;
  }

  /** No more should be read for those who have something already. */
  get tight(): boolean {
    return this.left < RESERVE;
  }

  /** Nor for anybody. */
  get spent(): boolean {
    return this.left < LAST;
  }

  /** What one connection may hold of what is left, so that many are needed to use it up. */
  share(least: number, most: number): number {
    return Math.max(least, Math.min(most, this.left / 4));
  }

  /** False: there is not so much left, and nothing is taken. */
  take(bytes: number): boolean {
    if (bytes > this.left) return false;
    this.used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
  }
}
