import { EAGAIN } from '../../../assembly/contract/generated/errno.ts';
import { type Rate, RateLimiter } from '../rate.ts';
import type { NetBackend } from './backend.ts';
import type { Frame } from './frames.ts';

/** Limits of a card, of each direction as the guest sees it. */
export interface CardRate {
  readonly rx?: Rate | undefined;
  readonly tx?: Rate | undefined;
}

/** A cable through which only so much goes. What is held back stays where it is: in the guest's queue, or at the other end. */
export class LimitedBackend implements NetBackend {
  readonly #inner: NetBackend;
  readonly #rx: RateLimiter | undefined;
  readonly #tx: RateLimiter | undefined;
  readonly #again: (ms: number) => void;

  /** `again`: the card's queues have to be looked at after so long. */
  constructor(inner: NetBackend, { rx, tx }: CardRate, again: (ms: number) => void) {
    const now = performance.now();
    this.#inner = inner;
    this.#rx = rx === undefined ? undefined : new RateLimiter(rx, now);
    this.#tx = tx === undefined ? undefined : new RateLimiter(tx, now);
    this.#again = again;
  }

  send(frame: Frame): number {
    if (this.#held(this.#tx)) return -EAGAIN;
    const result = this.#inner.send(frame);
    if (result > 0) this.#tx?.took(result);
    return result;
  }

  receive(frame: Frame, last: boolean): number {
    if (this.#held(this.#rx)) return 0;
    const result = this.#inner.receive(frame, last);
    if (result > 0) this.#rx?.took(result);
    return result;
  }

  #held(limiter: RateLimiter | undefined): boolean {
    const ms = limiter?.wait(performance.now()) ?? 0;
    if (ms > 0) this.#again(ms);
    return ms > 0;
  }

  setOffloads(offloads: number): void {
    this.#inner.setOffloads(offloads);
  }

  close(): void {
    this.#inner.close();
  }
}
