/** Limits of a device: so many bytes and operations a second, and how much may come at once. */
export interface Rate {
  /** Bytes a second. */
  readonly bytes?: Limit | undefined;
  readonly operations?: Limit | undefined;
}

export interface Limit {
  readonly perSecond: number;
  /** What may come at once after a quiet time; a tenth of a second's when not given. */
  readonly burst?: number | undefined;
}

/** Limits of a disk: of all it does, and of each way as the guest sees it. */
export interface DiskRate extends Rate {
  readonly read?: Rate | undefined;
  readonly write?: Rate | undefined;
}

/**
 * A token bucket. What is larger than the bucket may go as soon as there is a token, and is paid off afterwards: so each request goes
 * through in the end, and the mean holds.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #size: number;
  #tokens: number;
  #at: number;

  constructor({ perSecond, burst }: Limit, now: number) {
    this.#perMs = perSecond / 1000;
    this.#size = Math.max(burst ?? perSecond / 10, 1);
    this.#tokens = this.#size;
    this.#at = now;
  }

  /** Milliseconds until something may go; 0: now. `now`: milliseconds of a clock that does not go back. */
  wait(now: number): number {
    this.#tokens = Math.min(this.#size, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - this.#tokens) / this.#perMs));
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}

/** Both limits of one device, or of one direction. */
export class RateLimiter {
  readonly #bytes: TokenBucket | undefined;
  readonly #operations: TokenBucket | undefined;

  constructor({ bytes, operations }: Rate, now: number) {
    this.#bytes = bytes === undefined ? undefined : new TokenBucket(bytes, now);
    this.#operations = operations === undefined ? undefined : new TokenBucket(operations, now);
  }

  wait(now: number): number {
    return Math.max(this.#bytes?.wait(now) ?? 0, this.#operations?.wait(now) ?? 0);
  }

  took(bytes: number): void {
    this.#bytes?.take(bytes);
    this.#operations?.take(1);
  }
}
