import type { DeniedCount } from './record.ts';

/** Of the newest, so many are kept. */
const KEPT = 20;
/** Whoever scans a network is refused thousands of times a second: what is told goes to a disk. */
const TELL_MS = 1000;

/** Counts what a container's network has refused. */
export class Denials {
  readonly #tell: (denied: DeniedCount) => void;
  #count = 0;
  #last: DeniedCount['last'] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `tell` is called for the first one at once, then with what there is each second. */
  constructor(tell: (denied: DeniedCount) => void) {
    this.#tell = tell;
  }

  add({ protocol, target, why }: Omit<DeniedCount['last'][number], 'time'>): void {
    this.#count += 1;
    this.#last = [...this.#last.slice(1 - KEPT), { time: new Date().toISOString(), protocol, target, why }];
    if (this.#timer !== undefined) return;
    const told = this.#count;
    this.#now();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#count > told) this.#now();
    }, TELL_MS).unref();
  }

  #now(): void {
    try {
      this.#tell({ count: this.#count, last: this.#last });
    } catch {
      // A full disk: the count is told again. What the guest asks for must not end its machine.
    }
  }

  /** Tells what has not been told yet. */
  close(): void {
    if (this.#timer !== undefined) this.#now();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
