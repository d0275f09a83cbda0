import { closeSync, copyFileSync, fstatSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { dataRanges } from '../host/sys.ts';
import { guestFile } from './guest-files.ts';

/** A sparse ext4 image of `bytes` for one run, grown by init (EXT4_IOC_RESIZE_FS); it is deleted when the process ends. Throws SCRATCH_MAKE. */
export function makeScratch(bytes: number): string {
  const parent = process.env['VMM_TMPDIR'] ?? tmpdir();
  try {
    const dir = mkdtempSync(join(parent, 'vmm-scratch-'));
    process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
    const path = join(dir, 'scratch.ext4');
    copySparse(guestFile('scratch.ext4'), path);
    truncateSync(path, Math.ceil(bytes / 4096) * 4096);
    return path;
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('SCRATCH_MAKE', `a scratch disk cannot be made in ${parent}: ${code}`, { cause, hint: 'name a folder with space in $VMM_TMPDIR' });
  }
}

/** Copies a file's data and leaves its holes; without the FFI, which finds them, all of it. */
function copySparse(from: string, to: string): void {
  const source = openSync(from, 'r');
  const { size } = fstatSync(source);
  let ranges: [number, number][];
  try {
    ranges = dataRanges(source, size);
  } catch (error) {
    closeSync(source);
    if (!(error instanceof VmmError)) throw error;
    copyFileSync(from, to);
    return;
  }
  const target = openSync(to, 'wx');
  try {
    const buffer = Buffer.allocUnsafe(1 << 18);
    for (const [start, end] of ranges) {
      for (let at = start; at < end; ) {
        const n = readSync(source, buffer, 0, Math.min(buffer.length, end - at), at);
        if (n === 0) break;
        for (let done = 0; done < n; ) done += writeSync(target, buffer, done, n - done, at + done);
        at += n;
      }
    }
    ftruncateSync(target, size);
  } finally {
    closeSync(target);
    closeSync(source);
  }
}
