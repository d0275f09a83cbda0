/** What a status does not say: that a machine had too little of something, and what to do. */
import { type ContainerRun, DEFAULT_MEMORY_MIB, type ExitStatus } from '../api/containers.ts';
import { MIB } from './sizes.ts';

/** A line each. `memory`: of the machine, bytes. */
export function shortages({ outOfMemory, rootFull }: ExitStatus, space: ContainerRun['space'], memory = DEFAULT_MEMORY_MIB * MIB): string[] {
  const lines: string[] = [];
  if (outOfMemory) lines.push(`the kernel killed a process for lack of memory: the guest has ${Math.floor(memory / MIB)}m (give more with --memory)`);
  if (rootFull && space === undefined) lines.push('the container’s root is full: its changes are kept in half of the guest’s memory (keep them on a disk with --scratch SIZE)');
  else if (rootFull) lines.push(`the container’s root is full: its changes are on a disk of ${Math.floor((space?.bytes ?? 0) / MIB)}m in ${space?.folder} (give a larger --scratch SIZE)`);
  return lines;
}
