/**
 * The decode mode: everything outside the code bytes that changes what they mean. It is part of a decoded block's key,
 * so whoever changes CS, SS, CR0, EFER or the privilege level calls `update_mode`.
 */
import { MODE_64, MODE_USER } from '../../contract/translator';
export { MODE_64, MODE_STEP, MODE_USER } from '../../contract/translator';
import { SEG_ATTR, SEG_BASE, SEG_LIMIT } from '../../contract/vcpu';
import { Cpu, CPU_SEGS, SEG_CS, SEG_DS, SEG_ES, SEG_SS } from './state';

export const MODE_32: u32 = 1; // CS.D = 1
export const MODE_SS32: u32 = 4; // the stack pointer is ESP (SS.B), in 64-bit mode RSP
export const MODE_FLAT: u32 = 8; // CS, DS, ES and SS have base 0 and no effective limit or access restriction
export const MODE_PE: u32 = 32; // protected mode (CR0.PE)

const ATTR_TYPE_CODE: u32 = 8;
const ATTR_TYPE_WRITE: u32 = 2; // data: writable; code: readable
const ATTR_TYPE_EXPAND: u32 = 4; // data: expand down
const ATTR_P: u32 = 0x80;
const ATTR_L: u32 = 0x2000;
const ATTR_DB: u32 = 0x4000;

function flat(cpu: usize, seg: u32, code: bool): bool {
  const s = cpu + CPU_SEGS + (seg << 5);
  const attr = load<u32>(s, SEG_ATTR);
  if (load<u64>(s, SEG_BASE) != 0 || load<u32>(s, SEG_LIMIT) != 0xffff_ffff || !(attr & ATTR_P)) return false;
  if (code) return (attr & (ATTR_TYPE_CODE | ATTR_TYPE_WRITE)) == (ATTR_TYPE_CODE | ATTR_TYPE_WRITE);
  return (attr & (ATTR_TYPE_CODE | ATTR_TYPE_WRITE | ATTR_TYPE_EXPAND)) == ATTR_TYPE_WRITE;
}

/** Recomputes `cpu.mode`. The running block must be left afterwards (`leave_block`). */
export function update_mode(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const cs = load<u32>(cpu + CPU_SEGS + (SEG_CS << 5), SEG_ATTR);
  let m: u32 = 0;
  if (c.cr0 & 1) m |= MODE_PE;
  if (c.cpl == 3) m |= MODE_USER;
  if (c.efer & 0x400 && cs & ATTR_L) {
    m |= MODE_64 | MODE_SS32 | MODE_FLAT;
  } else {
    if (cs & ATTR_DB) m |= MODE_32;
    if (load<u32>(cpu + CPU_SEGS + (SEG_SS << 5), SEG_ATTR) & ATTR_DB) m |= MODE_SS32;
    if (flat(cpu, SEG_CS, true) && flat(cpu, SEG_DS, false) && flat(cpu, SEG_ES, false) && flat(cpu, SEG_SS, false)) m |= MODE_FLAT;
  }
  c.mode = m;
}
