import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';

const { O_DIRECTORY, O_NOFOLLOW } = constants;
/** linux/fcntl.h */
const O_PATH = 0o10000000;

/**
 * A path of what lies at `below` ('': itself) in the directory `path`, good while this process lives. What is in a volume is a guest's, which may be changing it:
 * one name is opened at a time, no link is followed, and what was opened is what is used. Throws MOUNT_SOURCE.
 */
export function openBelow(path: string, below: string): string {
  let fd: number;
  try {
    fd = openSync(path, O_PATH | O_DIRECTORY);
  } catch (cause) {
    throw cannotAccess(path, below, (cause as NodeJS.ErrnoException).code ?? 'error', cause);
  }
  for (const name of below.split('/').filter((each) => each !== '' && each !== '.')) {
    const from = fd;
    // A directory may be moved between two opens: its parent then is anywhere.
    if (name === '..') {
      closeSync(from);
      throw cannotAccess(path, below, 'it leads out of the volume');
    }
    try {
      fd = openSync(`/proc/self/fd/${from}/${name}`, O_PATH | O_NOFOLLOW);
    } catch (cause) {
      throw cannotAccess(path, below, (cause as NodeJS.ErrnoException).code ?? 'error', cause);
    } finally {
      closeSync(from);
    }
    if (!fstatSync(fd).isSymbolicLink()) continue;
    closeSync(fd);
    throw cannotAccess(path, below, `${name} is a symbolic link`);
  }
  return `/proc/self/fd/${fd}`;
}

function cannotAccess(path: string, below: string, why: string, cause?: unknown): VmmError {
  if (below === '') return new VmmError('MOUNT_SOURCE', `failed to mount local volume: ${path}: ${why}`, { cause, hint: 'make the directory first' });
  return new VmmError('MOUNT_SOURCE', `cannot access path ${path}/${below}: ${why}`, { cause, hint: 'a subpath has to be there before, and no link may lead to it' });
}
