import { writeFileSync } from 'node:fs';
import { multibootKernel as image } from '../../scripts/multiboot.mjs';

/** A multiboot 1 kernel by hand, written to `path`: header, then `out 0xf4, al` with AL = 33. */
export function multibootKernel(path: string): string {
  writeFileSync(path, image(33));
  return path;
}
