import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { dataRanges } from '../host/sys.ts';
import { guestFile } from './files.ts';

/** open(2): a file without a name in a folder (asm-generic/fcntl.h), O_DIRECTORY included. */
const O_TMPFILE = 0o20200000;
/** Of file systems and kernels that cannot. */
const NO_TMPFILE = new Set(['EOPNOTSUPP', 'EISDIR', 'ENOENT', 'EINVAL']);

/** A file that lasts as long as it is open, however this process ends. */
export interface ScratchDisk {
  /** A path for this process only, as long as `close` was not called. */
  readonly path: string;
  close(): void;
}

/** Where scratch disks lie. */
export function scratchFolder(): string {
  return process.env['VMM_TMPDIR'] ?? tmpdir();
}

/** A sparse ext4 image of `bytes`, which init grows to its device (EXT4_IOC_RESIZE_FS), in $VMM_TMPDIR or the system's folder. Throws SCRATCH_MAKE. */
export function openScratch(bytes: number): ScratchDisk {
  const parent = scratchFolder();
  let fd: number | undefined;
  try {
    const file = openNameless(parent);
    fd = file;
    copySparse(guestFile('scratch.ext4'), file);
    ftruncateSync(file, Math.ceil(bytes / 4096) * 4096);
    return { path: `/proc/self/fd/${file}`, close: () => closeSync(file) };
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    if (cause instanceof VmmError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('SCRATCH_MAKE', `a scratch disk cannot be made in ${parent}: ${code}`, { cause, hint: 'name a folder with space in $VMM_TMPDIR' });
  }
}

function openNameless(folder: string): number {
  try {
    return openSync(folder, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    if (!NO_TMPFILE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    const path = join(folder, `vmm-scratch-${randomBytes(8).toString('hex')}`);
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return fd;
  }
}

/** Where a file has data; without the FFI, which finds holes, all of it. */
function rangesOf(fd: number, size: number): readonly (readonly [number, number])[] {
  try {
    return dataRanges(fd, size);
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    return [[0, size]];
  }
}

/** Copies a file's data and leaves its holes. */
function copySparse(from: string, target: number): void {
  const source = openSync(from, 'r');
  try {
    const { size } = fstatSync(source);
    const buffer = Buffer.allocUnsafe(1 << 18);
    for (const [start, end] of rangesOf(source, size)) {
      for (let at = start; at < end; ) {
        const n = readSync(source, buffer, 0, Math.min(buffer.length, end - at), at);
        if (n === 0) break;
        for (let done = 0; done < n; ) done += writeSync(target, buffer, done, n - done, at + done);
        at += n;
      }
    }
    ftruncateSync(target, size);
  } finally {
    closeSync(source);
  }
}
