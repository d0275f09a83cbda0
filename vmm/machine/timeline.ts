import type { TimelineEntry } from './config.ts';

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
  readonly #entries: TimelineEntry[] = [];

  point(name: string): void {
    this.#entries.push({ name, ms: performance.now() });
  }

  mark(value: number): void {
    this.point(MARK_NAMES[value] ?? `guest: mark 0x${value.toString(16)}`);
  }

  entries(): readonly TimelineEntry[] {
    return this.#entries;
  }

  /** A table: time since process start, and since the point before. */
  text(): string {
    let previous = 0;
    return this.#entries
      .map(({ name, ms }) => {
        const line = `${ms.toFixed(1).padStart(10)} ms  +${(ms - previous).toFixed(1).padStart(8)}  ${name}\n`;
        previous = ms;
        return line;
      })
      .join('');
  }
}
