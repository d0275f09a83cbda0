import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import type { GuestMemory } from './entry.ts';

export interface InitrdPlace {
  readonly base: number;
  readonly size: number;
}

/**
 * Loads an initial RAM disk as high as RAM (and `limit`, the highest address the kernel's protocol allows)
 * permits, page aligned, above `floor`, the end of the kernel in memory.
 */
export function loadInitrd(memory: GuestMemory, path: string, floor: number, limit = 0xffff_ffff): InitrdPlace {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new VmmError('INITRD_OPEN', `cannot open initrd ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the path of --initrd' });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new VmmError('INITRD_OPEN', `initrd ${path} is not a regular file`, { hint: 'give a cpio archive' });
    const size = stat.size;
    if (size === 0) throw new VmmError('INITRD_BAD', `initrd ${path} is empty`, { hint: 'give a cpio archive' });
    const top = Math.min(memory.ramSize, limit + 1);
    const base = Math.floor((top - size) / 4096) * 4096;
    if (base < floor) {
      throw new VmmError('MEMORY_SMALL', `initrd ${path} of ${size} bytes does not fit into ${memory.ramSize >>> 20} MiB beside the kernel`, { hint: 'raise --memory' });
    }
    memory.readFile(fd, 0, base, size);
    return { base, size };
  } finally {
    closeSync(fd);
  }
}
