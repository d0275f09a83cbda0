import { closeSync, openSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { ErofsImage } from '../erofs/reader.ts';
import { treeFromErofs } from '../erofs/tree.ts';
import { treeFromExt4 } from '../ext4/tree.ts';
import { makeDir } from '../tree/node.ts';
import { dropStubs, type Overlay, overlayOf } from './merge.ts';

/** Where init keeps a container's changes on its disk (guest-kernel/init/root.c). */
const UPPER = ['kept', 'upper'];

/** What a container sees: its image's disk, and its own over it. Files are read from these, until it is closed. */
export interface KeptFiles extends Overlay, Disposable {}

/** `disk`: of what it has changed; undefined: nothing is kept. Throws KEPT_DISK, IMAGE_*. */
export function openKept(rootfs: string, disk: string | undefined): KeptFiles {
  const image = new ErofsImage(rootfs);
  let fd: number | undefined;
  const close = (): void => {
    image.close();
    if (fd !== undefined) closeSync(fd);
  };
  try {
    const lower = treeFromErofs(image);
    if (disk !== undefined) fd = openDisk(disk);
    // One that never ran has none yet.
    const upper = fd === undefined ? undefined : treeFromExt4(fd, UPPER);
    if (upper !== undefined) dropStubs(upper, lower);
    return { ...overlayOf(lower, upper ?? makeDir(lower)), [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

function openDisk(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new VmmError('KEPT_DISK', `the container’s disk ${path} cannot be opened: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'remove the container: what it had changed is lost' });
  }
}
