import { closeSync, constants, openSync, readSync } from 'node:fs';
import { isBzImage } from './bzimage.ts';
import { isElf } from './elf.ts';

/** What kind of kernel a file holds, by its first bytes; `other` when it cannot be read (the loader then says why). */
export function kernelFormat(path: string): 'elf' | 'bzimage' | 'other' {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return 'other';
  }
  try {
    const head = new Uint8Array(0x300);
    const bytes = head.subarray(0, readSync(fd, head, 0, head.length, 0));
    return isElf(bytes) ? 'elf' : isBzImage(bytes) ? 'bzimage' : 'other';
  } catch {
    return 'other';
  } finally {
    closeSync(fd);
  }
}
