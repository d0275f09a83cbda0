/**
 * A start leaves memory behind that a guest at rest does not need: garbage of JavaScript heaps, free parts of the C library's, decoded code that never runs again, threads
 * without work. Nothing gives it back on its own while nothing more is asked for, so it is given back once, at the guest's first rest.
 */
import type { Accelerator } from '../accel/types.ts';
import { exposeGc, hideGc, shrinkHeap } from '../core/shrink-heap.ts';
import { hasFfi } from '../host/places.ts';
import { mallocTrim } from '../host/sys.ts';
import { threads } from '../threads/pool.ts';

/** How often it is looked whether the guest rests, ms. */
const LOOK_MS = 2000;
/** So often in a row: while a start waits for the host, its guest looks idle, too. */
const LOOKS = 2;

/** False: not now, and it is to be tried again. */
type Step = () => Promise<boolean> | boolean;

/**
 * `own`: the process has nothing to do but this machine's work, so that its heaps and its threads are ours. `stands`: the guest is not allowed to run, which is no
 * rest. Returns what ends the looking.
 */
export function giveBackAtRest(accel: Accelerator, own: boolean, stands: () => boolean): () => void {
  const steps: Step[] = [];
  if (accel.rest !== undefined) steps.push(async () => {
    // Until the next look: by then the threads have collected their garbage.
    if (own) exposeGc();
    return (await accel.rest?.(own)) ?? true;
  });
  // What V8 frees goes to the C library from threads of its own, some time after.
  if (own) steps.push(shrinkOwn, trimHeap);
  let idle = 0;
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    hideGc();
    // KVM does not tell how much its guest does; its threads have nothing to give back.
    idle = stands() || accel.idle?.() === false ? 0 : idle + 1;
    const [step] = steps;
    if (idle < LOOKS || step === undefined) return;
    busy = true;
    let done = true;
    try {
      done = await step();
    } catch {
      // Whatever this host lacks: memory that is kept is no reason to end a machine.
    }
    busy = false;
    if (done) steps.shift();
    if (steps.length === 0) clearInterval(timer);
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    hideGc();
  };
}

function shrinkOwn(): boolean {
  threads.endIdle();
  exposeGc();
  shrinkHeap();
  hideGc();
  return true;
}

/** The C library's. */
function trimHeap(): boolean {
  if (hasFfi()) mallocTrim();
  return true;
}
