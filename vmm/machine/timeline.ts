import { monotonicMs } from '../../base/monotonic.ts';
import type { Counts } from '../time/position.ts';

/** A point of the time line: milliseconds since the process started. */
export interface TimelineEntry {
  readonly name: string;
  readonly ms: number;
  /** Pages that the process had touched for the first time by then (getrusage's ru_minflt), all of its threads'. */
  readonly faults: number;
  /** In a counted run, where it was. */
  readonly counts?: Counts | undefined;
}

/** The point at which a machine has its kernel in memory, and no guest instruction has run. */
export const KERNEL_LOADED = 'kernel loaded';
/** The guest runs from here on, beside us. */
export const GUEST_ENTERED = 'first guest entry';

/** Marks of port 0x601 (assembly/core/layout.ts MARK_PORT). */
const MARK_NAMES: Readonly<Record<number, string>> = {
  0x10: 'kernel: start',
  0x40: 'init: main',
  0x41: 'container: command executed',
  0x42: 'container: command ended',
};

/**
 * The phases of a run. Times are milliseconds since the process was created, by the monotonic clock; a guest's mark is
 * stamped when its exit reaches the main thread.
 */
export class Timeline {
  readonly #points: { readonly name: string; readonly at: number; readonly faults: number; readonly counts: Counts | undefined }[] = [];
  readonly #at: ((name: string) => void) | undefined;
  /** In a counted run: where it is. */
  counts: (() => Counts) | undefined;

  /** What the translator did, in a line. */
  translated: string | undefined;
  /** V8's code of the software CPU was an earlier run's. */
  codeKept = false;

  /** `at` is called at each point, after its time is taken. */
  constructor(at?: (name: string) => void) {
    this.#at = at;
  }

  point(name: string): void {
    this.#points.push({ name, at: monotonicMs(), faults: process.resourceUsage().minorPageFault, counts: this.counts?.() });
    this.#at?.(name);
  }

  mark(value: number): void {
    this.point(MARK_NAMES[value] ?? `guest: mark 0x${value.toString(16)}`);
  }

  entries(): readonly TimelineEntry[] {
    // `performance` counts from the process's start; it is asked once, since it has Node load nine modules.
    const start = monotonicMs() - performance.now();
    return this.#points.map(({ name, at, faults, counts }) => ({ name, ms: at - start, faults, counts }));
  }

  /** A table: time since process start, and since the point before; page faults since the point before. */
  text(): string {
    if (this.counts !== undefined) return this.#counted(this.counts());
    let before = { ms: 0, faults: 0 };
    return this.entries()
      .map(({ name, ms, faults }) => {
        const line = `${ms.toFixed(1).padStart(10)} ms  +${(ms - before.ms).toFixed(1).padStart(8)}  ${(faults - before.faults).toString().padStart(6)} page faults  ${name}\n`;
        before = { ms, faults };
        return line;
      })
      .join('')
      .concat(this.codeKept ? "the software CPU's compiled code: kept from an earlier run\n" : '')
      .concat(this.translated === undefined ? '' : `${this.translated}\n`);
  }

  /** A table: instructions since the guest's first and since the point before, REP iterations likewise, virtual time. */
  #counted(end: Counts): string {
    let [count, repetitions] = [0n, 0n];
    const lines = this.#points.map(({ name, counts }) => {
      const at = counts ?? { count: 0n, repetitions: 0n, ns: 0n };
      const line = `${at.count.toString().padStart(14)}  +${(at.count - count).toString().padStart(12)}  REP +${(at.repetitions - repetitions).toString().padStart(10)}  ${(Number(at.ns) / 1e6).toFixed(3).padStart(11)} ms  ${name}\n`;
      [count, repetitions] = [at.count, at.repetitions];
      return line;
    });
    return `${'instructions'.padStart(14)}${' '.repeat(34)}virtual time\n${lines.join('')}${end.count} instructions, ${end.repetitions} REP iterations beyond the first; trace hash ${end.hash.toString(16).padStart(16, '0')}\n${this.translated === undefined ? '' : `${this.translated}\n`}`;
  }
}
