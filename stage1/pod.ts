/** The program of the entry point `run`, loaded by its door. */
import type { Worker } from 'node:worker_threads';
import { adoptThread } from '../vmm/api/threads.ts';
import { start } from './common/start.ts';
import { run } from './run/main.ts';

declare const __thread: Worker | undefined;
declare const __keepCode: (() => void) | undefined;

if (__thread !== undefined) adoptThread(__thread);
start((argv) => run(argv, () => __keepCode?.()));
