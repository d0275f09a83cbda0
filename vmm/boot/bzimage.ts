import { VmmError } from '../../base/errors.ts';
import type { ReadAt } from './elf.ts';
import { SETUP_HEADER } from './bootparams.ts';

/** What the 64-bit boot protocol needs of a bzImage (Linux Documentation/arch/x86/boot.rst). */
export interface BzImage {
  /** Bytes of the setup header, from 0x1f1 to its end. */
  readonly setupHeader: Uint8Array;
  /** Where the protected-mode kernel lies in the file. */
  readonly kernelOffset: number;
  readonly kernelSize: number;
  readonly loadAddress: number;
  /** Memory the kernel needs from loadAddress on before it finds its own feet. */
  readonly initSize: number;
  readonly initrdAddrMax: number;
  readonly cmdlineSize: number;
}

const PARAGRAPH = 16;
const MIN_VERSION = 0x020c;
const XLF_KERNEL_64 = 1;

export function isBzImage(head: Uint8Array): boolean {
  return head.length >= 0x260 && head[0x1fe] === 0x55 && head[0x1ff] === 0xaa && Buffer.from(head.subarray(0x202, 0x206)).toString('latin1') === 'HdrS';
}

/** Checks a bzImage's setup header. Throws KERNEL_BAD or KERNEL_UNSUPPORTED. */
export function parseBzImage(read: ReadAt, fileSize: number, path: string): BzImage {
  const head = read(0, 0x300);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (!isBzImage(head)) throw new VmmError('KERNEL_BAD', `${path}: not a bzImage`, { hint: 'give a vmlinux, a bzImage or a multiboot ELF' });
  const version = view.getUint16(0x206, true);
  const xloadflags = view.getUint16(0x236, true);
  if (version < MIN_VERSION || (xloadflags & XLF_KERNEL_64) === 0) {
    throw new VmmError('KERNEL_UNSUPPORTED', `${path}: boot protocol ${version >> 8}.${version & 0xff} without a 64-bit entry`, { hint: 'use an x86-64 kernel, 3.8 or newer' });
  }
  const setupSects = head[SETUP_HEADER] || 4;
  const kernelOffset = (setupSects + 1) * 512;
  // The header's end is told by the jump at 0x200 over it.
  const headerEnd = Math.min(0x202 + (head[0x201] ?? 0), 0x290);
  if (kernelOffset >= fileSize) throw new VmmError('KERNEL_BAD', `${path}: the file ends inside its setup code`, { hint: 'the file is cut off' });
  const kernelSize = fileSize - kernelOffset;
  // `syssize` counts paragraphs, the last of which may be in part beyond the file's end.
  const declared = view.getUint32(0x1f4, true) * PARAGRAPH;
  if (declared - kernelSize >= PARAGRAPH) {
    throw new VmmError('KERNEL_BAD', `${path}: ${declared} bytes of kernel are declared, ${kernelSize} are there`, { hint: 'the file is cut off' });
  }
  return {
    setupHeader: head.slice(SETUP_HEADER, Math.max(headerEnd, 0x250)),
    kernelOffset,
    kernelSize,
    loadAddress: Number(view.getBigUint64(0x258, true)),
    initSize: view.getUint32(0x260, true),
    initrdAddrMax: view.getUint32(0x22c, true),
    cmdlineSize: view.getUint32(0x238, true),
  };
}
