/**
 * FXSAVE, FXRSTOR, LDMXCSR, STMXCSR and the rest of group 0F AE. Image: Intel SDM Vol. 1, 10.5.1, tables 10-2 and 13-1.
 *
 *   +0 FCW u16, +2 FSW u16, +4 abridged tags u8, +6 FOP u16, +8 FIP u64 (or u32, FCS u16), +16 FDP u64 (or u32, FDS u16),
 *   +24 MXCSR u32, +28 MXCSR_MASK u32, +32 ST0 … ST7 (16 bytes each, 10 used), +160 XMM0 … XMM15
 */
import { CPU_FPR, CPU_SCRATCH, CPU_XMM, Cpu } from '../vcpu/state';
import { MODE_64 } from '../vcpu/modes';
import {
  CPU_FPTMP, CR0_EM, CR0_TS, CR4_OSFXSR, SSE_MEM, SSE_W, VEC_GP, VEC_NM, VEC_UD, copy_in, copy_out, ea, probe_w, ptr_r, raise, u_a, u_imm2,
} from './env';
import { sse_allowed, store4 } from './ssebase';

/** A word of the work area that nothing else uses. */
const T_FENCE: usize = 1020;

/** MXCSR bits that exist here; the image's MXCSR_MASK. Others raise #GP when loaded. */
export const MXCSR_MASK: u32 = 0xffff;

/** Group 0F AE without prefix. `a` is modrm.reg. */
export function fx_group(cpu: usize, u: usize): void {
  const mem = (u_imm2(u) & SSE_MEM) != 0;
  const ext = <u32>u_a(u) & 7;
  if (!mem) {
    // MFENCE: a locked RMW orders everything (asc cannot emit atomic.fence); LFENCE and SFENCE have nothing to order here
    if (ext == 6) atomic.add<u32>(cpu + CPU_FPTMP, 0, T_FENCE);
    else if (ext != 5 && ext != 7) raise(cpu, VEC_UD);
    return;
  }
  switch (ext) {
    case 0: fxsave(cpu, u); return;
    case 1: fxrstor(cpu, u); return;
    case 2: ldmxcsr(cpu, u); return;
    case 3:
      if (sse_allowed(cpu)) store4(cpu, u, changetype<Cpu>(cpu).mxcsr);
      return;
    case 7:
      // CLFLUSH: the access rights of a read, no effect
      ptr_r(cpu, ea(cpu, u), 1);
      return;
    default: raise(cpu, VEC_UD);
  }
}

function ldmxcsr(cpu: usize, u: usize): void {
  if (!sse_allowed(cpu)) return;
  const p = ptr_r(cpu, ea(cpu, u), 4);
  if (!p) return;
  const v = load<u32>(p);
  if (v & ~MXCSR_MASK) raise(cpu, VEC_GP);
  else changetype<Cpu>(cpu).mxcsr = v;
}

/** #NM for CR0.EM or TS, #GP for a misaligned image. */
function fx_allowed(cpu: usize, va: u64): bool {
  if (changetype<Cpu>(cpu).cr0 & (CR0_EM | CR0_TS)) {
    raise(cpu, VEC_NM);
    return false;
  }
  if (va & 15) {
    raise(cpu, VEC_GP);
    return false;
  }
  return true;
}

/** One bit a physical register, 1: not empty. */
export function abridged_tags(ftw: u32): u32 {
  let t: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((ftw >> (i << 1)) & 3) != 3) t |= 1 << i;
  return t;
}

function xmm_count(cpu: usize): u32 {
  return changetype<Cpu>(cpu).mode & MODE_64 ? 16 : 8;
}

export function fxsave(cpu: usize, u: usize): void {
  const va = ea(cpu, u);
  if (!fx_allowed(cpu, va)) return;
  const p = cpu + CPU_SCRATCH;
  const c = changetype<Cpu>(cpu);
  // bytes 464 … 511 and what the mode leaves out stay as they are in memory
  if (!probe_w(cpu, va, 512) || !copy_in(cpu, va, p, 512)) return;
  fx_store(cpu, p, (u_imm2(u) & SSE_W) != 0);
  const n = xmm_count(cpu);
  // without CR4.OSFXSR the XMM part need not be saved; it is, as real CPUs do
  memory.copy(p + 160, cpu + CPU_XMM, n << 4);
  store<u32>(p, c.mxcsr, 24);
  store<u32>(p, MXCSR_MASK, 28);
  copy_out(cpu, va, p, 512);
}

/** The legacy part, without MXCSR. */
function fx_store(cpu: usize, p: usize, wide: bool): void {
  const c = changetype<Cpu>(cpu);
  store<u16>(p, <u16>c.fcw);
  store<u16>(p, <u16>c.fsw, 2);
  store<u8>(p, <u8>abridged_tags(c.ftw), 4);
  store<u8>(p, 0, 5);
  store<u16>(p, <u16>c.fop, 6);
  if (wide) {
    store<u64>(p, c.fip, 8);
    store<u64>(p, c.fdp, 16);
  } else {
    store<u32>(p, <u32>c.fip, 8);
    store<u32>(p, c.fip_sel & 0xffff, 12);
    store<u32>(p, <u32>c.fdp, 16);
    store<u32>(p, c.fdp_sel & 0xffff, 20);
  }
  const top = (c.fsw >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const r = cpu + CPU_FPR + (((top + i) & 7) << 4);
    const q = p + 32 + (i << 4);
    store<u64>(q, load<u64>(r));
    store<u64>(q, <u64>load<u16>(r, 8), 8);
  }
}

export function fxrstor(cpu: usize, u: usize): void {
  const va = ea(cpu, u);
  if (!fx_allowed(cpu, va)) return;
  const p = cpu + CPU_SCRATCH;
  const c = changetype<Cpu>(cpu);
  if (!copy_in(cpu, va, p, 512)) return;
  const mx = load<u32>(p, 24);
  if (c.cr4 & CR4_OSFXSR && mx & ~MXCSR_MASK) {
    raise(cpu, VEC_GP);
    return;
  }
  c.fcw = (<u32>load<u16>(p) & 0x1f3f) | 0x40;
  fsw_load(cpu, <u32>load<u16>(p, 2));
  const tags = <u32>load<u8>(p, 4);
  c.fop = <u32>load<u16>(p, 6) & 0x7ff;
  if (u_imm2(u) & SSE_W) {
    c.fip = load<u64>(p, 8);
    c.fdp = load<u64>(p, 16);
    c.fip_sel = 0;
    c.fdp_sel = 0;
  } else {
    c.fip = <u64>load<u32>(p, 8);
    c.fdp = <u64>load<u32>(p, 16);
    c.fip_sel = load<u16>(p, 12);
    c.fdp_sel = load<u16>(p, 20);
  }
  const top = (c.fsw >> 11) & 7;
  let ftw: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    const r = cpu + CPU_FPR + (((top + i) & 7) << 4);
    const q = p + 32 + (i << 4);
    store<u64>(r, load<u64>(q));
    store<u16>(r, load<u16>(q, 8), 8);
    if (!((tags >> i) & 1)) ftw |= 3 << (i << 1);
  }
  c.ftw = ftw;
  if (c.cr4 & CR4_OSFXSR) {
    c.mxcsr = mx;
    memory.copy(cpu + CPU_XMM, p + 160, xmm_count(cpu) << 4);
  }
}

/** Loads the status word; ES and B follow from flags and masks, whatever the image says. */
export function fsw_load(cpu: usize, v: u32): void {
  const c = changetype<Cpu>(cpu);
  c.fsw = v & 0x7f7f;
  if (v & ~c.fcw & 0x3f) c.fsw |= 0x8080;
}
