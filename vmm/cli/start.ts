import { GUEST_ENTERED, guestFilesNote, KERNEL_LOADED, Timeline } from '../api/machine.ts';

/** Keeps V8's code of what has run so far, where the door (bin/vmm.js) has found none. */
declare const __keepCode: (() => void) | undefined;

/**
 * The time line of a run. Once the kernel is loaded, the functions that a start needs have run, and the process may still write files: their code
 * is kept then for runs to come. `detail` is told then where the guest's files lie, if not where they should; `entered` once its first instruction is to run.
 */
export function startTimeline(detail: (note: string) => void, entered: () => void): Timeline {
  return new Timeline((name) => {
    if (name === GUEST_ENTERED) entered();
    if (name !== KERNEL_LOADED) return;
    if (__keepCode !== undefined) __keepCode();
    const note = guestFilesNote();
    if (note !== undefined) detail(note);
  });
}
