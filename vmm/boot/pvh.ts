import type { GuestMemory } from './entry.ts';
import type { ElfFile } from './elf.ts';
import type { InitrdPlace } from './initrd.ts';
import { memoryMap } from './memmap.ts';
import { CMDLINE_GPA, PVH_MEMMAP_GPA, PVH_MODULES_GPA, PVH_START_INFO_GPA } from './places.ts';

/** Note type of the 32-bit physical entry point (xen/include/public/elfnote.h). */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;

/** The PVH entry of a kernel, if its notes name one. */
export function pvhEntry(elf: ElfFile): number | undefined {
  for (const note of elf.notes) {
    if (note.name !== 'Xen' || note.type !== XEN_ELFNOTE_PHYS32_ENTRY) continue;
    if (note.desc.length !== 4 && note.desc.length !== 8) continue;
    return new DataView(note.desc.buffer, note.desc.byteOffset).getUint32(0, true);
  }
  return undefined;
}

/**
 * Writes `struct hvm_start_info` version 1 with module list and memory map
 * (xen/include/public/arch-x86/hvm/start_info.h). Returns its address, which goes to EBX.
 */
export function writeStartInfo(memory: GuestMemory, initrd: InitrdPlace | undefined, rsdp: number): number {
  const info = new DataView(new ArrayBuffer(56));
  const ranges = memoryMap(memory.ramSize);
  info.setUint32(0, XEN_HVM_START_MAGIC_VALUE, true);
  info.setUint32(4, 1, true); // version
  info.setUint32(12, initrd ? 1 : 0, true); // nr_modules
  info.setBigUint64(16, BigInt(initrd ? PVH_MODULES_GPA : 0), true);
  info.setBigUint64(24, BigInt(CMDLINE_GPA), true);
  info.setBigUint64(32, BigInt(rsdp), true);
  info.setBigUint64(40, BigInt(PVH_MEMMAP_GPA), true);
  info.setUint32(48, ranges.length, true);
  memory.write(PVH_START_INFO_GPA, new Uint8Array(info.buffer));

  if (initrd) {
    const module = new BigUint64Array(4);
    module[0] = BigInt(initrd.base);
    module[1] = BigInt(initrd.size);
    memory.write(PVH_MODULES_GPA, new Uint8Array(module.buffer));
  }

  const map = new DataView(new ArrayBuffer(24 * ranges.length));
  ranges.forEach((range, i) => {
    map.setBigUint64(i * 24, BigInt(range.base), true);
    map.setBigUint64(i * 24 + 8, BigInt(range.size), true);
    map.setUint32(i * 24 + 16, range.type, true);
  });
  memory.write(PVH_MEMMAP_GPA, new Uint8Array(map.buffer));
  return PVH_START_INFO_GPA;
}
