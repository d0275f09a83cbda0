import { BELL_MAIN, OWNER_MAIN, type SharedWords } from '../threads/words.ts';
import type { AcceleratorContext } from './types.ts';

/** Has the devices of a machine stand whose vCPUs do (Accelerator.holdDevices). */
export class DeviceHold {
  readonly #context: AcceleratorContext;
  readonly #words: SharedWords;
  readonly #signal: (bell: number) => void;
  /** Resolves the wait for the devices' standing when it is taken back. */
  #cancel: () => void = () => {};
  /** Of device threads, the last. */
  #last = BELL_MAIN;
  #number = 0;
  #on = false;

  /** `signal`: has the eventfd of a device thread's bell signalled, where it has one. */
  constructor(context: AcceleratorContext, words: SharedWords, signal: (bell: number) => void) {
    this.#context = context;
    this.#words = words;
    this.#signal = signal;
  }

  /** They stand, or are to. */
  get on(): boolean {
    return this.#on;
  }

  /** The thread of `bell` is about to start, or has: `over` resolves with its end. */
  thread(bell: number, over: Promise<void>): void {
    this.#last = Math.max(this.#last, bell);
    // A driver's notification may have been under way when the vCPUs stood.
    if (this.#on) this.#words.hold(bell, this.#number);
    void over.then(() => this.#words.over(bell));
  }

  /** Resolves when they stand, or when `end` has taken it back: a device's call of the host may never end. */
  async begin(): Promise<void> {
    this.#on = true;
    const number = ++this.#number;
    for (const { slot } of this.#context.devices) this.#context.core.device_quiesce(slot);
    const bells = Array.from({ length: this.#last - BELL_MAIN }, (_, index) => BELL_MAIN + 1 + index);
    for (const bell of bells) {
      this.#words.hold(bell, number);
      this.#signal(bell);
    }
    const cancelled = Promise.withResolvers<void>();
    this.#cancel = cancelled.resolve;
    await Promise.race([cancelled.promise, Promise.all(bells.map((bell) => this.#words.stands(bell, number)))]);
  }

  end(): void {
    if (!this.#on) return;
    this.#on = false;
    this.#cancel();
    for (const { slot } of this.#context.devices) this.#context.core.device_resume(slot);
    // Threads look at all their queues once they go on. The vCPUs still stand, and one that rings works on a queue to its end before it stands.
    for (let bell = BELL_MAIN + 1; bell <= this.#last; bell++) {
      this.#words.hold(bell, 0);
      this.#signal(bell);
    }
    for (const { slot } of this.#context.devices) if (this.#words.owner(slot) === OWNER_MAIN) this.#context.onGoesOn(slot);
  }
}
