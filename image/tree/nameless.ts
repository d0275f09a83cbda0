import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** <fcntl.h>, x86-64: __O_TMPFILE and O_DIRECTORY. Node's constants lack it. */
const O_TMPFILE = 0o20200000;

/**
 * Opens a new file without a name in `folder`, for reading and writing: it is gone with its descriptor, however the process
 * ends. Throws the file system's error.
 */
export function openNameless(folder: string): number {
  try {
    return openSync(folder, O_TMPFILE | constants.O_RDWR, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Kernels and file systems without it: ENOTSUP by open(2), EISDIR by those that do not know the flag.
    if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EISDIR' && code !== 'EINVAL') throw error;
  }
  const path = join(folder, randomBytes(8).toString('hex'));
  const fd = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
  } catch (error) {
    // Somebody cleared it away, as a leaving.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return fd;
    closeSync(fd);
    throw error;
  }
  return fd;
}
