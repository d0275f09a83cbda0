import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it. Node's own recursive mkdir never returns where a file system answers ENOENT for a name that
 * it will not make, as /proc does. Throws the file system's error: ENOTDIR where something else is in the way.
 */
export function makeFolders(path: string, mode = 0o777): void {
  const parent = dirname(path);
  try {
    mkdirSync(path, mode);
    return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || parent === path) throw error;
  }
  makeFolders(parent, mode);
  try {
    mkdirSync(path, mode);
  } catch (error) {
    // Somebody else was quicker.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}
