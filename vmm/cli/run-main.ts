/**
 * The program of `vmm run`: what a start needs, and nothing else. What is left out (scripts/build.mjs, RARE) is all asked for before a machine is
 * made: where it is, the whole program begins anew in our place.
 */
import type { Worker } from 'node:worker_threads';
import { adoptThread } from '../api/threads.ts';
import { runProgram } from './program.ts';
import { runCommand } from './run.ts';

/** The thread that the door (bin/vmm.js) has started already. */
declare const __thread: Worker | undefined;
/** What is thrown in the place of a module that is left out. */
declare const __LeftOut: abstract new () => Error;
/** Has the door load the whole program. */
declare const __whole: () => void;

void runProgram(async ([, ...rest]) => {
  if (__thread !== undefined) adoptThread(__thread);
  try {
    return await runCommand(rest);
  } catch (error) {
    if (!(error instanceof __LeftOut)) throw error;
    __whole();
    // The status is its own.
    return new Promise<number>(() => {});
  }
});
