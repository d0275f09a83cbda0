import { copyFileSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestFile } from './guest-files.ts';

/** A sparse ext4 image of `bytes` for one run, grown by init (EXT4_IOC_RESIZE_FS); it is deleted when the process ends. */
export function makeScratch(bytes: number): string {
  const dir = mkdtempSync(join(process.env['VMM_TMPDIR'] ?? tmpdir(), 'vmm-scratch-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'scratch.ext4');
  copyFileSync(guestFile('scratch.ext4'), path);
  truncateSync(path, Math.ceil(bytes / 4096) * 4096);
  return path;
}
