/** The least multiboot 1 kernel, as an image: mov al, VALUE; out 0xf4, al; hlt. */
export function multibootKernel(value: number): Uint8Array;
