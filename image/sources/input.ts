import { closeSync } from 'node:fs';
import { changeStore } from '../store/change.ts';
import type { ImageStore } from '../store/store.ts';
import { writeFully } from '../tree/content.ts';
import type { Progress } from '../tree/progress.ts';
import { openNameless } from '../tree/nameless.ts';

/** A stream's bytes in a nameless file of the store, to be read in any order. Throws IMAGE_WRITE, STORE_*. */
export async function spoolInput(store: ImageStore, input: AsyncIterable<Uint8Array>, progress: Progress | undefined): Promise<{ path: string; close(): void }> {
  const fd = await changeStore(store, () => openNameless(store.paths.tmp));
  try {
    let at = 0;
    for await (const chunk of input) {
      writeFully(fd, chunk, at, 'standard input to the store');
      at += chunk.length;
      progress?.({ stage: 'fetching', done: at, total: undefined });
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { path: `/proc/self/fd/${fd}`, close: () => closeSync(fd) };
}
