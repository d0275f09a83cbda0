/**
 * What has happened to the containers of a user: a file of lines of JSON in the folder where they are kept, to which whoever does something appends. A process that owns a
 * container has it open from before it gave up its rights. It is cut in place when it is large, so that they all go on with the same one.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { Lines } from './lines.ts';
import type { ContainerRecord } from './record.ts';

/** From so many bytes on the older half goes. */
const MOST_BYTES = 4 << 20;
const MAX_LINE = 64 << 10;
const CHUNK = 64 << 10;

export interface ContainerEvent {
  /** Ms since 1970. */
  readonly time: number;
  /** Docker's word: create, start, die … */
  readonly action: string;
  readonly id: string;
  /** Of the container: image, name, labels; and of the event: exitCode, signal … */
  readonly attributes: Readonly<Record<string, string>>;
}

export function eventOf({ id, name, image, labels }: ContainerRecord, action: string, more: Readonly<Record<string, string>> = {}, time = Date.now()): ContainerEvent {
  return { time, action, id, attributes: { ...labels, image, name, ...more } };
}

/** Appends events; without a word where that cannot be: what happens does not depend on it. */
export class EventWriter {
  readonly #fd: number | undefined;

  constructor(path: string) {
    try {
      this.#fd = openSync(path, 'a+', 0o600);
    } catch {
      this.#fd = undefined;
    }
  }

  write(event: ContainerEvent): void {
    if (this.#fd === undefined) return;
    // One call a line. The break before it ends a piece that a full disk has left.
    const line = `\n${JSON.stringify(event)}\n`;
    try {
      writeSync(this.#fd, line.length > MAX_LINE ? `\n${JSON.stringify({ ...event, attributes: {} })}\n` : line);
    } catch {
      // a full disk
    }
  }

  /** By who changes names: the older half of a file that has become large goes. */
  cut(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    try {
      if (fstatSync(fd).size < MOST_BYTES) return;
      const all = readFileSync(`/proc/self/fd/${fd}`);
      const half = all.subarray(all.indexOf(10, all.length >> 1) + 1);
      ftruncateSync(fd);
      writeSync(fd, half);
    } catch {
      // a full disk
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** Reads what is appended, from the beginning. */
export class EventReader {
  readonly #fd: number;
  #offset = 0;
  readonly #lines = new Lines(4 * MAX_LINE);
  /** Of the last event that was given, ms: after a cut what stands before is known. */
  #last = 0;

  /** Throws the file system's error. */
  constructor(path: string) {
    this.#fd = openSync(path, 'a+', 0o600);
  }

  /** What has come since the last call. */
  *next(): Generator<ContainerEvent> {
    const known = fstatSync(this.#fd).size < this.#offset ? this.#last : undefined;
    if (known !== undefined) {
      this.#offset = 0;
      this.#lines.clear();
    }
    const buffer = Buffer.alloc(CHUNK);
    for (let length = 1; length > 0; ) {
      length = readSync(this.#fd, buffer, 0, CHUNK, this.#offset);
      this.#offset += length;
      for (const line of this.#lines.push(buffer.subarray(0, length))) {
        const event = parsed(line);
        if (event === undefined || (known !== undefined && event.time <= known)) continue;
        this.#last = Math.max(this.#last, event.time);
        yield event;
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Undefined for what is no event. */
function parsed(line: string): ContainerEvent | undefined {
  try {
    const event = JSON.parse(line) as ContainerEvent;
    const whole = typeof event.time === 'number' && typeof event.action === 'string' && typeof event.id === 'string' && typeof event.attributes === 'object' && event.attributes !== null;
    return whole ? event : undefined;
  } catch {
    return undefined;
  }
}
