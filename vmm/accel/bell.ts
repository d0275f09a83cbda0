import { HOST_KICK_DEVICE, HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { eventfdSignal } from '../host/sys.ts';
import { BELL_MAIN, OWNER_MAIN, type SharedWords } from '../threads/words.ts';
import type { AcceleratorContext, SerialOutput } from './types.ts';

/** Rings the bell of a device's thread, whatever it waits for. */
export function wakeOwner(words: SharedWords, slot: number): void {
  const fd = words.kick(slot, HOST_KICK_DEVICE);
  if (fd >= 0) eventfdSignal(fd);
}

/** The main thread's answer to a vCPU that has rung (SharedWords): kicks of the devices it owns, COM1's output on its way to the user. */
export class Bell implements SerialOutput {
  readonly #context: AcceleratorContext;
  readonly #words: SharedWords;
  readonly #signal: (bell: number) => void;
  /** What the guest has written waits, for as long as its devices stand. */
  held: () => boolean = () => false;

  /** `signal`: has the eventfd of a device thread's bell signalled, where it has one. */
  constructor(context: AcceleratorContext, words: SharedWords, signal: (bell: number) => void = () => {}) {
    this.#signal = signal;
    this.#context = context;
    this.#words = words;
  }

  /** Answers until a ring finds `over`. */
  async answer(over: () => boolean): Promise<void> {
    while (!over()) {
      const seen = this.#words.bell();
      this.pass();
      for (const { slot, queues } of this.#context.devices) {
        if (this.#words.owner(slot) !== OWNER_MAIN) {
          this.#handOn(slot);
          continue;
        }
        const kicks = this.#words.takeKicks(slot);
        if (kicks === 0) continue;
        for (let queue = 0; queue < queues; queue++) if ((kicks & (1 << queue)) !== 0) this.#context.onKick(slot, queue);
        if (kicks < 0) this.#context.onKick(slot, HOST_KICK_DEVICE);
      }
      await this.#words.nextRing(seen);
    }
  }

  /** Whoever rang here saw the owner before: the one of now is told. */
  #handOn(slot: number): void {
    const owner = this.#words.owner(slot);
    if (owner <= BELL_MAIN || !this.#words.kicked(slot)) return;
    this.#words.ring(owner);
    this.#signal(owner);
  }

  put(bytes: Uint8Array): number {
    return this.#words.putSerial(bytes);
  }

  drained(): void {
    this.#words.ring();
  }

  /** Hands over what the ring holds. A byte that found it full waits in the UART until there is room; `last`: none comes any more. */
  pass(last = false): void {
    if (this.held() && !last) return;
    const taken = this.#words.passSerial((bytes) => this.#context.onSerial(bytes, last));
    if (taken > 0 && !last) this.#context.core.console_drained(HOST_SERIAL);
  }
}
