import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';

/** How long the writer of a pipe may write nothing, ms. */
const WRITER_WAIT_MS = 10_000;
/** How long a FIFO may be without a writer, ms. */
const NO_WRITER_MS = 1000;
const SLEEP_MS = 2;
const CHUNK = 64 << 10;
const never = new Int32Array(new SharedArrayBuffer(4));

/** A FIFO has no writer, or a pipe's writer writes nothing. */
export class NothingComes extends Error {}

/**
 * The first `most` bytes of a file, which may be a pipe or a device without end. A pipe is read to its end, as `<(COMMAND)`
 * gives it. Throws as openSync and readSync, and NothingComes.
 */
export function readBounded(path: string, most: number): Uint8Array {
  // Without waiting for a FIFO's writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const named = fstatSync(fd).isFIFO() && !readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:');
    const parts: Buffer[] = [];
    let length = 0;
    let last = performance.now();
    while (length < most) {
      const part = readSome(fd, Math.min(CHUNK, most - length));
      const silentMs = performance.now() - last;
      if (part === 'end' && (!named || length > 0)) break;
      if (part === 'end' || part === 'nothing') {
        if (silentMs >= (part === 'end' ? NO_WRITER_MS : WRITER_WAIT_MS)) throw new NothingComes(path);
        Atomics.wait(never, 0, 0, SLEEP_MS);
        continue;
      }
      parts.push(part);
      length += part.length;
      last = performance.now();
    }
    return Buffer.concat(parts);
  } finally {
    closeSync(fd);
  }
}

function readSome(fd: number, length: number): Buffer | 'end' | 'nothing' {
  const buffer = Buffer.allocUnsafe(length);
  try {
    const n = readSync(fd, buffer, 0, length, null);
    return n === 0 ? 'end' : buffer.subarray(0, n);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 'nothing';
    throw error;
  }
}
