import { writeSync } from 'node:fs';
import { monotonicMs } from '../../base/monotonic.ts';

/** How long the reader of a FIFO may take nothing, ms. */
export const READER_WAIT_MS = 2000;
const SLEEP_MS = 1;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes all of `text`, however many calls it takes: a FIFO and a disk that fills take a part of it. Throws as writeSync.
 *
 * A full FIFO (EAGAIN, for the descriptor does not block) is waited for, else no reader would be quick enough for a guest;
 * but only as long as it takes something now and then: this thread stands meanwhile, and on the main thread that is signals
 * and time-outs. Then the EAGAIN is thrown.
 */
export function writeWhole(fd: number, text: string | Uint8Array, patienceMs = READER_WAIT_MS): void {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  let since: number | undefined;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
      since = undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      since ??= monotonicMs();
      if (monotonicMs() - since >= patienceMs) throw error;
      Atomics.wait(never, 0, 0, SLEEP_MS);
    }
  }
}
