/** What a thread's JavaScript heap holds after a start: V8 collects when a heap grows, and that of a process which waits for a guest does not. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Shrinks the heap of its thread when the guest is told to rest. `rests`: how often it was (vmm/threads/words.ts). */
export class HeapAtRest {
  readonly #rests: () => number;
  #seen: number;

  constructor(rests: () => number) {
    this.#rests = rests;
    this.#seen = rests();
  }

  /** To be called before the thread waits. */
  look(): void {
    const rests = this.#rests();
    if (rests === this.#seen) return;
    this.#seen = rests;
    shrinkHeap();
  }
}

/**
 * Collects this thread's garbage and gives free pages of its heap back to the system: of the main thread's 13 MB after a start 5, in 15 ms. V8's `gc` is in contexts that
 * are made under its flag alone. Flags are the process's: another thread may have taken this one back meanwhile (v8-flags.ts), and nothing is collected then.
 */
export function shrinkHeap(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('globalThis.gc') as ((how: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void) | undefined;
  collect?.({ type: 'major', flavor: 'last-resort' });
}
