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

  /** To be called before the thread waits. `forget`: lets go what is kept for work. */
  look(forget = (): void => {}): void {
    const rests = this.#rests();
    if (rests === this.#seen) return;
    this.#seen = rests;
    forget();
    shrinkHeap();
  }
}

let exposed = false;

/**
 * From here to `hideGc` all threads may shrink their heaps. V8's `gc` is in contexts that are made under its flag alone; flags are the process's, without a lock, and code
 * is kept under the same ones (kept-code.ts), so the main thread alone sets this one, for a short time, in a process that is ours.
 */
export function exposeGc(): void {
  // Node may have been started with it.
  if (exposed || 'gc' in globalThis) return;
  setFlagsFromString('--expose-gc');
  exposed = true;
}

export function hideGc(): void {
  if (exposed) setFlagsFromString('--no-expose-gc');
  exposed = false;
}

/** Collects this thread's garbage and gives free pages of its heap back to the system: of the main thread's 13 MB after a start 5, in 15 ms. Outside of `exposeGc` nothing is done. */
export function shrinkHeap(): void {
  const collect = runInNewContext('globalThis.gc') as ((how: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void) | undefined;
  collect?.({ type: 'major', flavor: 'last-resort' });
}
