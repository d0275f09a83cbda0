/** The stack of an inner privilege level, from the TSS (SDM Vol. 3A §6.12.1, 6.14.2, 7.7). */
import { SEG_BASE, SEG_LIMIT } from '../../contract/vcpu';
import { rd16_sys, rd32_sys, rd64_sys } from '../memory/mem';
import { canonical } from '../memory/mmu';
import {
  ATTR_CODE, ATTR_DB, ATTR_P, ATTR_RW, ATTR_S, desc_accessed, desc_attr, desc_base, desc_limit, descriptor, dpl_of, seg_attr, seg_ptr, seg_selector,
} from '../memory/segment';
import { new_stack } from '../memory/stack';
import { tlb_sys, tlb_user } from '../memory/tlb';
import { excepted, raise, X_SS, X_TS } from '../vcpu/fault';
import { SEG_TR } from '../vcpu/state';

/** Offset of IST `n` (1..7) in the 64-bit TSS; RSPn is at 4 + n * 8. */
@inline
export function ist_offset(n: u32): u32 {
  return 0x24 + (n - 1) * 8;
}

/** The stack pointer at `offset` in the 64-bit TSS. Check `cpu.fault`. */
export function tss_pointer(cpu: usize, offset: u32, ext: u32): u64 {
  const tr = seg_ptr(cpu, SEG_TR);
  if (offset + 7 > load<u32>(tr + SEG_LIMIT)) {
    raise(cpu, X_TS, (seg_selector(cpu, SEG_TR) & 0xfffc) | ext);
    return 0;
  }
  const sp = rd64_sys(cpu, load<u64>(tr + SEG_BASE) + offset);
  if (!excepted(cpu) && !canonical(sp)) raise(cpu, X_SS, ext);
  return sp;
}

/** Stack of privilege `cpl` in the 32- or 16-bit TSS: selector << 32 | esp. */
function tss_stack(cpu: usize, cpl: u32, ext: u32): u64 {
  const tr = seg_ptr(cpu, SEG_TR);
  const wide = (seg_attr(cpu, SEG_TR) & 8) != 0;
  const offset: u32 = wide ? 4 + cpl * 8 : 2 + cpl * 4;
  if (offset + (wide ? 5 : 3) > load<u32>(tr + SEG_LIMIT)) {
    raise(cpu, X_TS, (seg_selector(cpu, SEG_TR) & 0xfffc) | ext);
    return 0;
  }
  const base = load<u64>(tr + SEG_BASE) + offset;
  const sp: u64 = wide ? rd32_sys(cpu, base) : rd16_sys(cpu, base);
  return sp | (<u64>rd16_sys(cpu, base + (wide ? 4 : 2)) << 32);
}

/** Outside IA-32e mode: new_stack(cpu) becomes the stack of privilege `cpl`, after all checks. False: the fault is set. */
export function inner_stack(cpu: usize, cpl: u32, ext: u32): bool {
  const s = new_stack(cpu);
  const tss = tss_stack(cpu, cpl, ext);
  if (excepted(cpu)) return false;
  const selector = <u32>(tss >> 32);
  if ((selector & 0xfffc) == 0) {
    raise(cpu, X_TS, ext);
    return false;
  }
  const d = descriptor(cpu, selector, X_TS, ext);
  if (excepted(cpu)) return false;
  const attr = desc_attr(d);
  const bad = (selector & 3) != cpl || dpl_of(attr) != cpl || (attr & (ATTR_S | ATTR_CODE | ATTR_RW)) != (ATTR_S | ATTR_RW);
  if (bad || !(attr & ATTR_P)) {
    raise(cpu, bad ? X_TS : X_SS, (selector & 0xfffc) | ext);
    return false;
  }
  s.base = desc_base(d);
  s.limit = desc_limit(d);
  s.attr = attr;
  s.sp = tss & 0xffff_ffff;
  s.mask = attr & ATTR_DB ? 0xffff_ffff : 0xffff;
  s.table = <u32>(cpl == 3 ? tlb_user(cpu) : tlb_sys(cpu));
  s.selector = selector;
  s.error = (selector & 0xfffc) | ext;
  return desc_accessed(cpu, selector, d);
}
