import type { GdtPlace, GuestMemory } from './entry.ts';
import { GDT_GPA, PD_GPA, PDPT_GPA, PML4_GPA } from './places.ts';

/** Flat descriptors at the selectors of entry.ts: null, unused, code, data, TSS. */
function bootGdt(code: bigint): Uint8Array {
  const bytes = new Uint8Array(6 * 8);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0x10, code, true);
  view.setBigUint64(0x18, 0x00cf_9300_0000_ffffn, true);
  view.setBigUint64(0x20, 0x0000_8b00_0000_0067n, true);
  return bytes;
}

/** Writes the GDT for a 32-bit entry: 4 GiB flat code and data (Intel SDM Vol. 3 §3.4.5). */
export function writeGdt32(memory: GuestMemory): GdtPlace {
  const gdt = bootGdt(0x00cf_9b00_0000_ffffn);
  memory.write(GDT_GPA, gdt);
  return { base: GDT_GPA, limit: gdt.length - 1 };
}

/** Writes the GDT for a 64-bit entry (code descriptor with L=1). */
export function writeGdt64(memory: GuestMemory): GdtPlace {
  const gdt = bootGdt(0x00af_9b00_0000_ffffn);
  memory.write(GDT_GPA, gdt);
  return { base: GDT_GPA, limit: gdt.length - 1 };
}

/** Page tables that map the first 4 GiB one to one with 2 MiB pages (SDM Vol. 3 §4.5). Returns CR3. */
export function writeIdentityMap(memory: GuestMemory): number {
  const PRESENT_RW = 0x3n;
  const PAGE_SIZE_BIT = 0x80n;
  const pml4 = new BigUint64Array(512);
  pml4[0] = BigInt(PDPT_GPA) | PRESENT_RW;
  const pdpt = new BigUint64Array(512);
  const pd = new BigUint64Array(4 * 512);
  for (let i = 0; i < 4; i++) pdpt[i] = BigInt(PD_GPA + i * 0x1000) | PRESENT_RW;
  for (let i = 0; i < pd.length; i++) pd[i] = (BigInt(i) << 21n) | PRESENT_RW | PAGE_SIZE_BIT;
  memory.write(PML4_GPA, new Uint8Array(pml4.buffer));
  memory.write(PDPT_GPA, new Uint8Array(pdpt.buffer));
  memory.write(PD_GPA, new Uint8Array(pd.buffer));
  return PML4_GPA;
}
