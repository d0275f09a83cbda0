import { handleWithNothing, SIGRTMIN, tgkill } from '../../host/sys.ts';
import type { Heartbeat } from './heartbeat.ts';

/** A call of the host that takes longer is given up, and with it the share that it is for. */
const STUCK_MS = 30_000;
const LOOK_MS = 1000;
/** How long the end of a machine waits for a call. */
const END_MS = 80;
const END_LOOK_MS = 10;
/** Ends a system call that waits where it can be interrupted; does nothing else. */
const SIGNAL = SIGRTMIN + 1;

/** Looks after the thread of the shares, from the main thread. */
export class Watchdog {
  readonly #heart: Heartbeat;
  readonly #onDead: (share: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #seen: number | undefined;
  #since = 0;
  #over = false;

  /** `onDead`: a share's call is given up; it gets I/O errors from now on. */
  constructor(heart: Heartbeat, onDead: (share: number) => void) {
    this.#heart = heart;
    this.#onDead = onDead;
    handleWithNothing(SIGNAL, false);
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** How long the work that is on has been so, milliseconds. */
  #age(): number {
    const { turn } = this.#heart;
    if (turn === undefined || turn !== this.#seen) {
      this.#seen = turn;
      this.#since = performance.now();
    }
    return turn === undefined ? 0 : performance.now() - this.#since;
  }

  #look(): void {
    if (this.#age() < STUCK_MS) return;
    const { share } = this.#heart;
    if (share >= 0 && !this.#heart.isDead(share)) {
      this.#heart.setDead(share);
      this.#onDead(share);
    }
    this.#interrupt();
  }

  #interrupt(): void {
    if (this.#heart.tid !== 0) tgkill(this.#heart.tid, SIGNAL);
  }

  /** The machine ends: resolves, with true, when the thread is in a call that does not end; with false once `close` is called. */
  async stuck(): Promise<boolean> {
    clearInterval(this.#timer);
    while (!this.#over) {
      const age = this.#age();
      if (age > END_MS) return true;
      if (age > 0) this.#interrupt();
      await new Promise((resolve) => setTimeout(resolve, END_LOOK_MS));
    }
    return false;
  }

  close(): void {
    this.#over = true;
    clearInterval(this.#timer);
  }
}
