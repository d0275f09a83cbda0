import type { GuestMemory } from './entry.ts';
import type { InitrdPlace } from './initrd.ts';
import { memoryMap } from './memmap.ts';
import { BOOT_PARAMS_GPA, CMDLINE_GPA } from './places.ts';

// Offsets in struct boot_params (Linux Documentation/arch/x86/zero-page.rst).
const ACPI_RSDP_ADDR = 0x070;
const E820_ENTRIES = 0x1e8;
export const SETUP_HEADER = 0x1f1;
const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const E820_TABLE = 0x2d0;
/** "Unknown loader" in boot.rst's table of loader ids. */
const LOADER_UNDEFINED = 0xff;
const LOADED_HIGH = 0x01;

/**
 * Writes `struct boot_params`. `setupHeader` is the bzImage's own header from 0x1f1 on (absent for a vmlinux).
 * Returns its address, which goes to RSI.
 */
export function writeBootParams(memory: GuestMemory, setupHeader: Uint8Array | undefined, initrd: InitrdPlace | undefined, rsdp: number): number {
  const params = new Uint8Array(4096);
  const view = new DataView(params.buffer);
  if (setupHeader) params.set(setupHeader, SETUP_HEADER);
  view.setUint16(BOOT_FLAG, 0xaa55, true);
  view.setUint32(HEADER_MAGIC, 0x5372_6448, true); // "HdrS"
  view.setUint8(TYPE_OF_LOADER, LOADER_UNDEFINED);
  view.setUint8(LOADFLAGS, view.getUint8(LOADFLAGS) | LOADED_HIGH);
  view.setUint32(CMD_LINE_PTR, CMDLINE_GPA, true);
  view.setBigUint64(ACPI_RSDP_ADDR, BigInt(rsdp), true);
  if (initrd) {
    view.setUint32(RAMDISK_IMAGE, initrd.base, true);
    view.setUint32(RAMDISK_SIZE, initrd.size, true);
  }
  const ranges = memoryMap(memory.ramSize);
  view.setUint8(E820_ENTRIES, ranges.length);
  ranges.forEach((range, i) => {
    const at = E820_TABLE + i * 20;
    view.setBigUint64(at, BigInt(range.base), true);
    view.setBigUint64(at + 8, BigInt(range.size), true);
    view.setUint32(at + 16, range.type, true);
  });
  memory.write(BOOT_PARAMS_GPA, params);
  return BOOT_PARAMS_GPA;
}
