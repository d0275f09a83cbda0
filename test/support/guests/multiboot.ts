import { writeFileSync } from 'node:fs';
import { multibootKernel as image } from '../../../scripts/multiboot.mjs';

/** A multiboot 1 kernel by hand, written to `path`: header, then `out 0xf4, al` with AL = 33, or with AX or EAX whose low byte that is. */
export function multibootKernel(path: string, size: 1 | 2 | 4 = 1): string {
  writeFileSync(path, image(33, size));
  return path;
}
