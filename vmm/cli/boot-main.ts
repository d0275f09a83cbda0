/** The program of `vmm boot`. */
import type { Worker } from 'node:worker_threads';
import { adoptThread } from '../api/threads.ts';
import { bootCommand } from './boot.ts';
import { runProgram } from './program.ts';

/** The thread that the door (bin/vmm.js) has started already. */
declare const __thread: Worker | undefined;

void runProgram(([, ...rest]) => {
  if (__thread !== undefined) adoptThread(__thread);
  return bootCommand(rest);
});
