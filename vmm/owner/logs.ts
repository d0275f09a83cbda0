/** A container's output as Docker's json-file driver writes it: a line of JSON each, in files log.0, log.1 … of 10 MiB. */
import { closeSync, fstatSync, ftruncateSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { RotatedFile } from '../../base/rotated-file.ts';
import { Lines } from './lines.ts';

const ROTATE = 10 * 2 ** 20;
/** A longer line is kept in pieces, as Docker does. */
const MAX_PIECE = 16384;
/** Of a piece as JSON, each character escaped, and what is around it. */
const MAX_LINE = 6 * MAX_PIECE + 256;
const CHUNK = 64 << 10;
/** Bytes of no line's JSON are more: each character may be escaped. */
const LONGEST = 8 * MAX_PIECE;

export interface LogLine {
  readonly log: string;
  readonly stream: 'stdout' | 'stderr';
  readonly time: string;
}

/** Where output is kept. */
export interface LogSink {
  write(stream: LogLine['stream'], bytes: Uint8Array): void;
  close(): void;
}

/** Nowhere. */
export const NO_LOG: LogSink = { write: () => {}, close: () => {} };

export class LogWriter implements LogSink {
  readonly #streams = { stdout: new Pieces(), stderr: new Pieces() };
  readonly #file: RotatedFile;
  /** Lines that could not be written, since the last that could: a full disk. */
  #lost = 0;

  /** Goes on where an earlier start has ended. `rotate`: bytes of a file; `files`: so many are kept. */
  constructor(folder: string, rotate = ROTATE, files = Number.POSITIVE_INFINITY) {
    let number = Math.max(newest(folder), 0);
    const fd = openSync(join(folder, `log.${number}`), 'a+', 0o600);
    const next = (): number => {
      const newer = openSync(join(folder, `log.${number + 1}`), 'ax', 0o600);
      number += 1;
      if (number >= files) rmSync(join(folder, `log.${number - files}`), { force: true });
      return newer;
    };
    this.#file = new RotatedFile({ fd, size: wholeLines(fd), most: rotate, next });
  }

  write(stream: LogLine['stream'], bytes: Uint8Array): void {
    for (const piece of this.#streams[stream].push(bytes)) this.#put({ log: piece, stream, time: new Date().toISOString() });
  }

  close(): void {
    for (const stream of ['stdout', 'stderr'] as const) for (const piece of this.#streams[stream].rest()) this.#put({ log: piece, stream, time: new Date().toISOString() });
    this.#file.close();
  }

  /** What is lost is told before the next line that is not. */
  #put(line: LogLine): void {
    const note: LogLine = { log: `vmm: ${this.#lost} lines of the log are lost: they could not be written\n`, stream: 'stderr', time: line.time };
    if (this.#lost > 0 && this.#append(note)) this.#lost = 0;
    if (this.#lost > 0 || !this.#append(line)) this.#lost += 1;
  }

  #append(line: LogLine): boolean {
    try {
      this.#file.append(Buffer.from(`${JSON.stringify(line)}\n`));
      return true;
    } catch {
      return false;
    }
  }
}

/** Bytes up to the end of the last line: of an owner that was killed there may be a piece of one, which goes. */
function wholeLines(fd: number): number {
  const { size } = fstatSync(fd);
  const tail = Buffer.alloc(Math.min(size, LONGEST));
  const end = size - tail.length + tail.lastIndexOf(10, readSync(fd, tail, 0, tail.length, size - tail.length)) + 1;
  if (end < size) ftruncateSync(fd, end);
  return end;
}

/** Bytes to lines with their ends. */
class Pieces {
  readonly #decoder = new StringDecoder('utf8');
  #left = '';

  *push(bytes: Uint8Array): Generator<string> {
    yield* this.#cut(this.#decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)));
  }

  *rest(): Generator<string> {
    yield* this.#cut(this.#decoder.end());
    if (this.#left !== '') yield this.#left;
    this.#left = '';
  }

  *#cut(text: string): Generator<string> {
    this.#left += text;
    for (;;) {
      const end = this.#left.indexOf('\n') + 1;
      const length = end > 0 && end <= MAX_PIECE ? end : this.#left.length >= MAX_PIECE ? MAX_PIECE : 0;
      if (length === 0) return;
      yield this.#left.slice(0, length);
      this.#left = this.#left.slice(length);
    }
  }
}

/** The lines that there are, the oldest first; then, as long as `more` gives true, those that come. */
export async function* readLogs(folder: string, more: () => Promise<boolean> = async () => false): AsyncGenerator<LogLine> {
  let number = Math.max(numbers(folder)[0] ?? 0, 0);
  let offset = 0;
  const lines = new Lines(MAX_LINE);
  let last = false;
  for (;;) {
    // Looked for before the file is read: the writer goes on to the next one after its last line here.
    const newer = newest(folder) > number;
    for (const chunk of chunksOf(join(folder, `log.${number}`), offset)) {
      offset += chunk.length;
      for (const text of lines.push(chunk)) {
        const line = lineOf(text);
        if (line !== undefined) yield line;
      }
    }
    if (newer) {
      number += 1;
      offset = 0;
      continue;
    }
    if (last) return;
    // What came between the last look and the end is read once more.
    last = !(await more());
  }
}

/** What a file has from `offset` on; nothing of one that is not there. */
function* chunksOf(path: string, offset: number): Generator<Buffer> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return;
  }
  try {
    const buffer = Buffer.alloc(CHUNK);
    for (let at = offset, length = 1; length > 0; at += length) {
      length = readSync(fd, buffer, 0, CHUNK, at);
      if (length > 0) yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}

/** Undefined for what no LogWriter has written. */
function lineOf(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text) as LogLine;
    return typeof line.log === 'string' && typeof line.time === 'string' ? line : undefined;
  } catch {
    return undefined;
  }
}

/** The highest number of a log file; -1 for none. */
function newest(folder: string): number {
  return numbers(folder).at(-1) ?? -1;
}

/** Numbers of the log files that there are, in order. */
function numbers(folder: string): number[] {
  try {
    return readdirSync(folder).flatMap((name) => /^log\.(\d+)$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
  } catch {
    return [];
  }
}
