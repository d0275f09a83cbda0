/** The least multiboot 1 kernel, as an image: mov al, VALUE; out 0xf4, al; hlt; or with `size` 2 or 4 AX or EAX. */
export function multibootKernel(value, size = 1) {
  const LOAD = 0x10_0000;
  const FLAGS = 0x1_0000;
  const image = Buffer.alloc(64);
  [0x1bad_b002, FLAGS, -(0x1bad_b002 + FLAGS), LOAD, LOAD, LOAD + 64, 0, LOAD + 32].forEach((word, i) => image.writeUInt32LE(word >>> 0, i * 4));
  if (size === 1) image.set([0xb0, value, 0xe6, 0xf4, 0xf4], 32);
  else image.set([0xb8, value, 0xff, 0xff, 0xff, ...(size === 2 ? [0x66] : []), 0xe7, 0xf4, 0xf4], 32);
  return image;
}
