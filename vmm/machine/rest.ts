/**
 * A start leaves memory behind that a guest at rest does not need: garbage of JavaScript heaps, free parts of the C library's, decoded code that never runs again, threads
 * without work. Nothing gives it back on its own while nothing more is asked for, so it is given back once, at the guest's first rest.
 */
import type { Accelerator } from '../accel/types.ts';
import { VmmError } from '../../base/errors.ts';
import { shrinkHeap } from '../core/shrink-heap.ts';
import { mallocTrim } from '../host/sys.ts';
import { threads } from '../threads/pool.ts';

/** How often it is looked whether the guest rests, ms. */
const LOOK_MS = 2000;
/** So often in a row: while a start waits for the host, its guest looks idle, too. */
const LOOKS = 2;

/** `own`: the process has nothing to do but this machine's work, so that its heap and its threads are ours. Returns what ends the looking. */
export function giveBackAtRest(accel: Accelerator, own: boolean): () => void {
  const steps: (() => Promise<void> | void)[] = [async () => accel.rest?.()];
  // What V8 frees goes to the C library from threads of its own, some time after.
  if (own) steps.push(shrinkOwn, trimHeap);
  let idle = 0;
  let busy = false;
  const look = async (): Promise<void> => {
    // KVM does not tell how much its guest does; its threads have nothing to give back.
    idle = accel.idle?.() === false ? 0 : idle + 1;
    if (busy || idle < LOOKS) return;
    busy = true;
    await steps.shift()?.();
    busy = false;
    if (steps.length === 0) clearInterval(timer);
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function shrinkOwn(): void {
  threads.endIdle();
  shrinkHeap();
}

/** The C library's. */
function trimHeap(): void {
  try {
    mallocTrim();
  } catch (error) {
    // no FFI library here, or another C library
    if (!(error instanceof VmmError)) throw error;
  }
}
