/** The thread of the cards, as a machine on KVM has it, for a benchmark that is its guest's driver. */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { type NetThread, serveNet } from '../../vmm/devices/net/thread.ts';

parentPort?.postMessage({ tid: Number(basename(readlinkSync('/proc/thread-self'))) });
serveNet(workerData as NetThread, (message) => parentPort?.postMessage(message));
