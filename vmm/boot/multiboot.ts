import { VmmError } from '../../base/errors.ts';
import type { ReadAt } from './elf.ts';
import type { GuestMemory } from './entry.ts';
import type { InitrdPlace } from './initrd.ts';
import { memoryMap } from './memmap.ts';
import { BDA_BASE_MEMORY, BDA_EBDA_SEGMENT, CMDLINE_GPA, LOW_RAM_END, MULTIBOOT_INFO_GPA, MULTIBOOT_MMAP_GPA, MULTIBOOT_MODULES_GPA } from './places.ts';

const MULTIBOOT_HEADER_MAGIC = 0x1badb002;
/** In EAX at entry (Multiboot 0.6.96 §3.2). */
export const MULTIBOOT_BOOTLOADER_MAGIC = 0x2badb002;
const SEARCH_BYTES = 8192;
const FLAG_ADDRESSES = 0x10000;
/** Bits 0..15 must be understood by the loader: page-aligned modules, memory information. */
const KNOWN_REQUIRED = 0x3;

export interface MultibootHeader {
  /** Load addresses when the a.out kludge (bit 16) is set. */
  readonly kludge?: { readonly fileOffset: number; readonly loadAddr: number; readonly loadEnd: number; readonly bssEnd: number; readonly entry: number };
}

/** Finds a multiboot 1 header (§3.1.1: 32-bit aligned, in the first 8192 bytes). */
export function findMultiboot(read: ReadAt, path: string): MultibootHeader | undefined {
  const head = read(0, SEARCH_BYTES);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = 0; at + 12 <= head.length; at += 4) {
    if (view.getUint32(at, true) !== MULTIBOOT_HEADER_MAGIC) continue;
    const flags = view.getUint32(at + 4, true);
    if (((MULTIBOOT_HEADER_MAGIC + flags + view.getUint32(at + 8, true)) & 0xffff_ffff) !== 0) continue;
    if ((flags & 0xffff & ~KNOWN_REQUIRED) !== 0) {
      throw new VmmError('KERNEL_UNSUPPORTED', `${path}: multiboot flags 0x${(flags & 0xffff).toString(16)} ask for what this loader does not give`, { hint: 'video modes are not offered' });
    }
    if ((flags & FLAG_ADDRESSES) === 0) return {};
    if (at + 32 > head.length) return undefined;
    const headerAddr = view.getUint32(at + 12, true);
    const loadAddr = view.getUint32(at + 16, true);
    const fileOffset = at - (headerAddr - loadAddr);
    if (loadAddr > headerAddr || fileOffset < 0) throw new VmmError('KERNEL_BAD', `${path}: multiboot header and load addresses disagree`);
    return {
      kludge: { fileOffset, loadAddr, loadEnd: view.getUint32(at + 20, true), bssEnd: view.getUint32(at + 24, true), entry: view.getUint32(at + 28, true) },
    };
  }
  return undefined;
}

/**
 * Writes the multiboot information structure (§3.3): memory, command line, module, map, loader name; and what a BIOS, which
 * such kernels expect to have run, would leave in its data area. Returns the structure's address for EBX.
 */
export function writeMultibootInfo(memory: GuestMemory, initrd: InitrdPlace | undefined): number {
  const FLAG_MEM = 1;
  const FLAG_CMDLINE = 4;
  const FLAG_MODS = 8;
  const FLAG_MMAP = 64;
  const FLAG_LOADER = 512;
  const ranges = memoryMap(memory.ramSize);
  const info = new DataView(new ArrayBuffer(128));
  info.setUint32(0, FLAG_MEM | FLAG_CMDLINE | FLAG_MMAP | FLAG_LOADER | (initrd ? FLAG_MODS : 0), true);
  info.setUint32(4, LOW_RAM_END >>> 10, true);
  info.setUint32(8, (memory.ramSize - 0x100000) >>> 10, true);
  info.setUint32(16, CMDLINE_GPA, true);
  if (initrd) {
    info.setUint32(20, 1, true);
    info.setUint32(24, MULTIBOOT_MODULES_GPA, true);
    const module = new Uint32Array([initrd.base, initrd.base + initrd.size, 0, 0]);
    memory.write(MULTIBOOT_MODULES_GPA, new Uint8Array(module.buffer));
  }
  info.setUint32(44, ranges.length * 24, true);
  info.setUint32(48, MULTIBOOT_MMAP_GPA, true);
  const nameAt = 0x78;
  info.setUint32(64, MULTIBOOT_INFO_GPA + nameAt, true);
  new Uint8Array(info.buffer).set(Buffer.from('vmm\0', 'latin1'), nameAt);
  memory.write(MULTIBOOT_INFO_GPA, new Uint8Array(info.buffer));

  const map = new DataView(new ArrayBuffer(24 * ranges.length));
  ranges.forEach((range, i) => {
    map.setUint32(i * 24, 20, true); // size of the rest of this entry
    map.setBigUint64(i * 24 + 4, BigInt(range.base), true);
    map.setBigUint64(i * 24 + 12, BigInt(range.size), true);
    map.setUint32(i * 24 + 20, range.type, true);
  });
  memory.write(MULTIBOOT_MMAP_GPA, new Uint8Array(map.buffer));
  memory.write(BDA_EBDA_SEGMENT, Uint8Array.of((LOW_RAM_END >>> 4) & 0xff, LOW_RAM_END >>> 12));
  memory.write(BDA_BASE_MEMORY, Uint8Array.of((LOW_RAM_END >>> 10) & 0xff, LOW_RAM_END >>> 18));
  return MULTIBOOT_INFO_GPA;
}
