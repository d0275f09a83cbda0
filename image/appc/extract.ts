import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { ErofsImage } from '../erofs/reader.ts';
import { treeFromErofs } from '../erofs/tree.ts';
import { type Unmade, type UnpackOptions, unpackTree } from '../rootfs/unpack.ts';
import { Archive } from '../sources/archive.ts';
import { rootfsOf } from './contents.ts';

/** Unpacks an ACI into a directory: `manifest` and `rootfs`, or what is in rootfs alone. Nothing of its dependencies. Throws ACI_*, IMAGE_*. */
export async function extractAci(file: string, dir: string, tempDir: string, options: UnpackOptions & { readonly rootfsOnly: boolean }): Promise<Unmade> {
  const archive = await Archive.open(file, tempDir);
  try {
    if (!archive.has('manifest') || !archive.hasTop('rootfs')) throw new VmmError('ACI_LAYOUT', `${file}: has no manifest or no rootfs`, { hint: 'the archive is not an ACI' });
    const manifest = archive.read('manifest');
    const tree = await rootfsOf(archive);
    if (options.rootfsOnly) return unpackTree(tree, dir, options);
    if (options.overwrite) rmSync(dir, { recursive: true, force: true });
    makeEmpty(dir);
    writeFileSync(join(dir, 'manifest'), manifest, { mode: 0o644, flag: 'wx' });
    return unpackTree(tree, join(dir, 'rootfs'), { ...options, overwrite: false });
  } finally {
    archive.close();
  }
}

/** Writes the root file system of an image of the store, dependencies and all, into a directory. Throws IMAGE_*. */
export function renderDisk(disk: string, dir: string, options: UnpackOptions): Unmade {
  const image = new ErofsImage(disk);
  try {
    return unpackTree(treeFromErofs(image), dir, options);
  } finally {
    image.close();
  }
}

function makeEmpty(dir: string): void {
  try {
    mkdirSync(dir, 0o755);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('IMAGE_WRITE', code === 'EEXIST' ? `${dir} is there already` : `cannot make ${dir}: ${code}`, { cause, hint: code === 'EEXIST' ? 'give --overwrite to replace it' : 'check the folder above' });
  }
}
