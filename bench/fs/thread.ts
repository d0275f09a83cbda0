/** The thread of the shares, as a machine on KVM has it, for a benchmark that is its guest's kernel. */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { serveShares, type ShareThread } from '../../vmm/devices/fs/thread.ts';

parentPort?.postMessage({ tid: Number(basename(readlinkSync('/proc/thread-self'))) });
serveShares(workerData as ShareThread, (message) => parentPort?.postMessage(message));
