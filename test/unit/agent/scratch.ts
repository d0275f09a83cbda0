import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { writeSeed } from '../../../vmm/guest/scratch.ts';
import { PROJECT } from './harness.ts';

/** The scratch disk that can grow, from the checked-in artifacts, as a file. */
export function makeScratch(path: string): void {
  const fd = openSync(path, 'w');
  writeSeed(zstdDecompressSync(readFileSync(join(PROJECT, 'guest-kernel/artifacts/scratch-64m.seed.zst'))), fd);
  closeSync(fd);
}
