import { setFlagsFromString } from 'node:v8';

/**
 * For commands that only move data: the space for young objects stays as it begins, so that buffers, which all die young, are given back at once. It would
 * grow while they come, and 100 MB of dead ones lie about. Not for a process that starts a machine: V8 takes kept code with the same flags alone.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
