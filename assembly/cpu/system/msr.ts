/**
 * RDMSR and WRMSR. An MSR that the CPU model does not have is #GP(0) and counted by number; a short list of what
 * kernels touch without asking reads as fixed and ignores writes.
 */
import { CR0_PG, EFER_LMA, EFER_LME, IA32_KERNEL_GS_BASE, IA32_MISC_ENABLE, IA32_MTRR_DEF_TYPE } from '../../contract/x86';
import { SEG_BASE } from '../../contract/vcpu';
import { leave_block, raise, X_GP } from '../vcpu/fault';
import { lapic_deadline } from '../chips/lapic';
import { canonical, update_paging } from '../memory/mmu';
import { update_mode } from '../vcpu/modes';
import { seg_ptr } from '../memory/segment';
import { Cpu, SEG_FS, SEG_GS } from '../vcpu/state';
import { count_msr } from '../vcpu/stats';
import { tsc_now } from '../chips/tsc';
import { tsc_write } from '../chips/timer';
import { tlb_flush_all } from '../memory/tlb';

// Names and numbers: SDM Vol. 4, chapter 2.
const IA32_TSC: u32 = 0x10;
const IA32_PLATFORM_ID: u32 = 0x17;
const IA32_APIC_BASE: u32 = 0x1b;
const IA32_FEATURE_CONTROL: u32 = 0x3a;
const IA32_BIOS_UPDT_TRIG: u32 = 0x79;
const IA32_BIOS_SIGN_ID: u32 = 0x8b;
const MSR_PLATFORM_INFO: u32 = 0xce;
const IA32_MTRRCAP: u32 = 0xfe;
const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
const MSR_BBL_CR_CTL: u32 = 0x119;
const MSR_MISC_FEATURES_ENABLES: u32 = 0x140;
const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_SYSENTER_ESP: u32 = 0x175;
const IA32_SYSENTER_EIP: u32 = 0x176;
const IA32_DEBUGCTL: u32 = 0x1d9;
const IA32_PAT: u32 = 0x277;
const IA32_TSC_DEADLINE: u32 = 0x6e0;
const IA32_EFER: u32 = 0xc000_0080;
const IA32_STAR: u32 = 0xc000_0081;
const IA32_LSTAR: u32 = 0xc000_0082;
const IA32_CSTAR: u32 = 0xc000_0083;
const IA32_FMASK: u32 = 0xc000_0084;
const IA32_FS_BASE: u32 = 0xc000_0100;
const IA32_GS_BASE: u32 = 0xc000_0101;
const IA32_TSC_AUX: u32 = 0xc000_0103;

export const EFER_SCE: u64 = 1;
export const EFER_NXE: u64 = 0x800;

/** Fast strings on; no BTS, no PEBS. Linux drops REP MOVSB when the first bit is 0. */
export const MISC_ENABLE_RESET: u64 = 0x1801;

/**
 * RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, GDS_NO,
 * RFDS_NO, ITS_NO: an interpreter has none of these flaws.
 */
const ARCH_CAPABILITIES: u64 = 0x4000_0000_0c10_e179;

function unknown(cpu: usize, msr: u32): u64 {
  count_msr(cpu, msr);
  raise(cpu, X_GP, 0);
  return 0;
}

/** Value of `msr`; #GP(0) when there is none. Privilege is the caller's. */
export function msr_read(cpu: usize, msr: u32): u64 {
  const c = changetype<Cpu>(cpu);
  switch (msr) {
    case IA32_TSC: return tsc_now(cpu);
    case IA32_APIC_BASE: return c.apic_base;
    case IA32_SYSENTER_CS: return c.sysenter_cs;
    case IA32_SYSENTER_ESP: return c.sysenter_esp;
    case IA32_SYSENTER_EIP: return c.sysenter_eip;
    case IA32_MISC_ENABLE: return c.misc_enable;
    case IA32_PAT: return c.pat;
    case IA32_MTRRCAP: return 0; // CPUID has no MTRR; who reads it all the same learns that there are no ranges
    case IA32_MTRR_DEF_TYPE: return c.mtrr_def_type;
    case IA32_TSC_DEADLINE: return c.tsc_deadline;
    case IA32_EFER: return c.efer;
    case IA32_STAR: return c.star;
    case IA32_LSTAR: return c.lstar;
    case IA32_CSTAR: return c.cstar;
    case IA32_FMASK: return c.fmask;
    case IA32_FS_BASE: return load<u64>(seg_ptr(cpu, SEG_FS) + SEG_BASE);
    case IA32_GS_BASE: return load<u64>(seg_ptr(cpu, SEG_GS) + SEG_BASE);
    case IA32_KERNEL_GS_BASE: return c.kernel_gs_base;
    case IA32_TSC_AUX: return c.tsc_aux;
    case IA32_FEATURE_CONTROL: return 1; // locked: no VMX
    case IA32_ARCH_CAPABILITIES: return ARCH_CAPABILITIES;
    case IA32_BIOS_SIGN_ID: return 0x1_0000_0000; // microcode revision 1
    case IA32_PLATFORM_ID:
    case MSR_PLATFORM_INFO:
    case MSR_BBL_CR_CTL:
    case MSR_MISC_FEATURES_ENABLES:
    case IA32_DEBUGCTL: return 0;
    default: return unknown(cpu, msr);
  }
}

function base_ok(cpu: usize, v: u64): bool {
  if (canonical(v)) return true;
  raise(cpu, X_GP, 0);
  return false;
}

function write_efer(cpu: usize, v: u64): bool {
  const c = changetype<Cpu>(cpu);
  const old = c.efer;
  if (v & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) || (c.cr0 & CR0_PG && (v ^ old) & EFER_LME)) {
    raise(cpu, X_GP, 0);
    return false;
  }
  c.efer = (v & ~EFER_LMA) | (old & EFER_LMA);
  if ((v ^ old) & EFER_NXE) tlb_flush_all(cpu, false);
  update_paging(cpu);
  update_mode(cpu);
  leave_block(cpu);
  return true;
}

/** A memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB; IA32_PAT has 7 (UC-) too. */
@inline
function memory_type(t: u32): bool {
  return t < 2 || (t > 3 && t < 7);
}

/** Each byte of IA32_PAT is a memory type. */
function pat_ok(v: u64): bool {
  for (let i: u64 = 0; i < 64; i += 8) {
    const t = <u32>(v >> i) & 0xff;
    if (!memory_type(t) && t != 7) return false;
  }
  return true;
}

/** Writes `msr`. False: #GP(0). */
export function msr_write(cpu: usize, msr: u32, v: u64): bool {
  const c = changetype<Cpu>(cpu);
  switch (msr) {
    case IA32_TSC:
      tsc_write(cpu, v);
      return true;
    case IA32_APIC_BASE:
      // x2APIC mode (bit 10) is not offered; BSP (bit 8) is read-only
      if (v & ~(<u64>0xff_ffff_f900)) break;
      c.apic_base = (v & ~0x100) | (c.apic_base & 0x100);
      return true;
    case IA32_SYSENTER_CS:
      c.sysenter_cs = v & 0xffff_ffff;
      return true;
    case IA32_SYSENTER_ESP:
      if (base_ok(cpu, v)) c.sysenter_esp = v;
      return canonical(v);
    case IA32_SYSENTER_EIP:
      if (base_ok(cpu, v)) c.sysenter_eip = v;
      return canonical(v);
    case IA32_MISC_ENABLE:
      c.misc_enable = (v & 0x40_0001) | 0x1800; // fast strings and the CPUID limit, which has no effect
      return true;
    case IA32_PAT:
      if (!pat_ok(v)) break;
      c.pat = v;
      return true;
    case IA32_MTRR_DEF_TYPE:
      // type, FE (bit 10) and E (bit 11); memory is the host's whatever it says
      if (v & ~(<u64>0xcff) || !memory_type(<u32>v & 0xff)) break;
      c.mtrr_def_type = v;
      return true;
    case IA32_TSC_DEADLINE:
      lapic_deadline(cpu, v);
      return true;
    case IA32_EFER: return write_efer(cpu, v);
    case IA32_STAR:
      c.star = v;
      return true;
    case IA32_LSTAR:
      if (base_ok(cpu, v)) c.lstar = v;
      return canonical(v);
    case IA32_CSTAR:
      if (base_ok(cpu, v)) c.cstar = v;
      return canonical(v);
    case IA32_FMASK:
      c.fmask = v & 0xffff_ffff;
      return true;
    case IA32_FS_BASE:
      if (base_ok(cpu, v)) store<u64>(seg_ptr(cpu, SEG_FS) + SEG_BASE, v);
      return canonical(v);
    case IA32_GS_BASE:
      if (base_ok(cpu, v)) store<u64>(seg_ptr(cpu, SEG_GS) + SEG_BASE, v);
      return canonical(v);
    case IA32_KERNEL_GS_BASE:
      if (base_ok(cpu, v)) c.kernel_gs_base = v;
      return canonical(v);
    case IA32_TSC_AUX:
      if (v > 0xffff_ffff) break;
      c.tsc_aux = v;
      return true;
    case IA32_BIOS_UPDT_TRIG:
    case IA32_BIOS_SIGN_ID:
    case MSR_BBL_CR_CTL:
    case MSR_MISC_FEATURES_ENABLES:
    case IA32_DEBUGCTL: return true;
    default:
      count_msr(cpu, msr);
  }
  raise(cpu, X_GP, 0);
  return false;
}

/** RDMSR. False: #GP(0), also above CPL 0. */
export function rdmsr(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (c.cpl != 0) {
    raise(cpu, X_GP, 0);
    return false;
  }
  const v = msr_read(cpu, <u32>c.r1);
  if (c.fault == 1) return false;
  c.r0 = v & 0xffff_ffff;
  c.r2 = v >> 32;
  return true;
}

/** WRMSR. */
export function wrmsr(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (c.cpl != 0) {
    raise(cpu, X_GP, 0);
    return false;
  }
  return msr_write(cpu, <u32>c.r1, (c.r0 & 0xffff_ffff) | (c.r2 << 32));
}
