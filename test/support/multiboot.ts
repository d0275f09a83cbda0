import { writeFileSync } from 'node:fs';

/** A multiboot 1 kernel by hand, written to `path`: header, then `out 0xf4, al` with AL = 33. */
export function multibootKernel(path: string): string {
  const code = [0xb0, 33, 0xe6, 0xf4, 0xf4];
  const LOAD = 0x10_0000;
  const image = new DataView(new ArrayBuffer(64));
  const flags = 0x10000;
  const words = [0x1badb002, flags, -(0x1badb002 + flags), LOAD, LOAD, LOAD + 64, 0, LOAD + 32];
  words.forEach((word, i) => image.setUint32(i * 4, word >>> 0, true));
  code.forEach((byte, i) => image.setUint8(32 + i, byte));
  writeFileSync(path, new Uint8Array(image.buffer));
  return path;
}
