/**
 * System instructions: control and debug registers, interrupt flag, HLT, fast system calls, time, hypercalls.
 *
 * Functions that return bool: false means a fault is set and nothing changed. Those that transfer control (syscall,
 * sysret, sysenter, sysexit) set `cpu.rip` themselves. Those that change what code means or where memory is end with
 * FAULT_LEAVE in `cpu.fault`: the instruction commits, then its block is left.
 */
import { CR0_ET, CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME } from '../../contract/x86';
import { host_random } from '../../core/host';
import { guest_debug_update } from '../debug/guest';
import { irq_recheck } from './exception';
import { align_update } from '../memory/watch';
import { leave_block, raise, raise_gp, raise_ud, X_DB, X_GP } from '../vcpu/fault';
import { flags_get, flags_set } from '../vcpu/flags';
import { APIC_TPR, lapic_accept } from '../chips/apic';
import { lapic_read, lapic_write } from '../chips/lapic';
import { canonical, update_paging } from '../memory/mmu';
import { update_mode } from '../vcpu/modes';
import { EFER_SCE } from './msr';
import { ATTR_L, is64, long_mode, protected_mode, seg_attr, seg_set, set_cpl } from '../memory/segment';
import { cpu_at, cpu_count, cpu_signal } from '../vcpu/smp';
import { Cpu, CPU_SCRATCH, FAULT_HALT, PEND_TIMER, SEG_CS, SEG_SS, SHADOW_STI } from '../vcpu/state';
import { count_stat, STAT_HYPERCALLS, STAT_TLB_FLUSHES } from '../vcpu/stats';
import { tsc_now } from '../chips/tsc';
import { tlb_flush_all, tlb_flush_page } from '../memory/tlb';

const CR0_TS: u64 = 8;
const CR0_WP: u64 = 0x1_0000;
const CR0_NW: u64 = 0x2000_0000;
const CR0_CD: u64 = 0x4000_0000;
const CR0_KNOWN: u64 = 0xe005_003f;
const CR4_TSD: u64 = 4;
const CR4_DE: u64 = 8;
/** TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT: the others belong to features that the model hides. */
const CR4_KNOWN: u64 = 0x7fc;
const CR4_PAGING: u64 = 0xb0; // PSE PAE PGE
const CR3_HIGH: u64 = 0xffff_ff00_0000_0000; // above MAXPHYADDR 40

function user_gp(cpu: usize): bool {
  if (changetype<Cpu>(cpu).cpl == 0) return false;
  raise(cpu, X_GP, 0);
  return true;
}

function gp(cpu: usize): bool {
  raise(cpu, X_GP, 0);
  return false;
}

// ---- control registers -----------------------------------------------------------------------------------------------

/** MOV from CRn. Check `cpu.fault`. */
export function cr_read(cpu: usize, n: u32): u64 {
  const c = changetype<Cpu>(cpu);
  if (n != 0 && n != 2 && n != 3 && n != 4 && n != 8) return raise_ud(cpu);
  if (user_gp(cpu)) return 0;
  switch (n) {
    case 0: return c.cr0;
    case 2: return c.cr2;
    case 3: return c.cr3;
    case 4: return c.cr4;
    default: return lapic_read(cpu, APIC_TPR) >> 4;
  }
}

/** MOV to CRn. */
export function cr_write(cpu: usize, n: u32, v: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (n != 0 && n != 2 && n != 3 && n != 4 && n != 8) {
    raise_ud(cpu);
    return false;
  }
  if (user_gp(cpu)) return false;
  if (!is64(cpu)) v &= 0xffff_ffff;
  switch (n) {
    case 0: return write_cr0(cpu, v);
    case 2:
      c.cr2 = v;
      return true;
    case 3:
      if (long_mode(cpu) && v & CR3_HIGH) return gp(cpu);
      c.cr3 = v;
      count_stat(cpu, STAT_TLB_FLUSHES);
      tlb_flush_all(cpu, true);
      leave_block(cpu);
      return true;
    case 4: return write_cr4(cpu, v);
    default:
      if (v > 15) return gp(cpu);
      lapic_write(cpu, APIC_TPR, <u32>v << 4);
      return true;
  }
}

function write_cr0(cpu: usize, v: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (v >> 32 || (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD))) return gp(cpu);
  v = (v & CR0_KNOWN) | CR0_ET;
  const changed = v ^ c.cr0;
  if (changed & CR0_PG) {
    if (v & CR0_PG) {
      if (c.efer & EFER_LME) {
        if (!(c.cr4 & CR4_PAE) || seg_attr(cpu, SEG_CS) & ATTR_L) return gp(cpu);
        c.efer |= EFER_LMA;
      }
    } else {
      if (is64(cpu)) return gp(cpu);
      c.efer &= ~EFER_LMA;
    }
  }
  c.cr0 = v;
  if (changed & (CR0_PG | CR0_PE | CR0_WP)) tlb_flush_all(cpu, false);
  if (changed & CR0_PE && !(v & CR0_PE)) set_cpl(cpu, 0);
  update_paging(cpu);
  update_mode(cpu);
  align_update(cpu);
  leave_block(cpu);
  return true;
}

function write_cr4(cpu: usize, v: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (v & ~CR4_KNOWN || (long_mode(cpu) && !(v & CR4_PAE))) return gp(cpu);
  const changed = v ^ c.cr4;
  c.cr4 = v;
  if (changed & CR4_PAGING) tlb_flush_all(cpu, false);
  if (changed & CR4_DE) guest_debug_update(cpu);
  update_paging(cpu);
  leave_block(cpu);
  return true;
}

export function clts(cpu: usize): bool {
  if (user_gp(cpu)) return false;
  changetype<Cpu>(cpu).cr0 &= ~CR0_TS;
  leave_block(cpu);
  return true;
}

/** SMSW: not privileged without UMIP. */
export function smsw(cpu: usize): u64 {
  return changetype<Cpu>(cpu).cr0;
}

/** LMSW: PE can be set, not cleared. */
export function lmsw(cpu: usize, v: u32): bool {
  const c = changetype<Cpu>(cpu);
  if (user_gp(cpu)) return false;
  return write_cr0(cpu, (c.cr0 & ~(<u64>0xe)) | (v & 0xf));
}

export function invlpg(cpu: usize, va: u64): bool {
  if (user_gp(cpu)) return false;
  tlb_flush_page(cpu, va);
  leave_block(cpu);
  return true;
}

/** INVD and WBINVD: memory is coherent. */
export function wbinvd(cpu: usize): bool {
  return !user_gp(cpu);
}

// ---- debug registers (what they do: debug/guest.ts) ---------------------------------------------------------------------------

const DR7_GD: u64 = 0x2000;
const DR6_BD: u64 = 0x2000;

function dr_ok(cpu: usize, n: u32): bool {
  const c = changetype<Cpu>(cpu);
  if ((n == 4 || n == 5) && c.cr4 & CR4_DE) {
    raise_ud(cpu);
    return false;
  }
  if (n > 7) {
    raise_ud(cpu);
    return false;
  }
  if (user_gp(cpu)) return false;
  if (c.dr7 & DR7_GD) {
    c.dr6 |= DR6_BD;
    raise(cpu, X_DB, 0);
    return false;
  }
  return true;
}

/** MOV from DRn. Check `cpu.fault`. */
export function dr_read(cpu: usize, n: u32): u64 {
  const c = changetype<Cpu>(cpu);
  if (!dr_ok(cpu, n)) return 0;
  switch (n) {
    case 0: return c.dr0;
    case 1: return c.dr1;
    case 2: return c.dr2;
    case 3: return c.dr3;
    case 4:
    case 6: return c.dr6;
    default: return c.dr7;
  }
}

export function dr_write(cpu: usize, n: u32, v: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (!dr_ok(cpu, n)) return false;
  if (!is64(cpu)) v &= 0xffff_ffff;
  switch (n) {
    case 0: c.dr0 = v; break;
    case 1: c.dr1 = v; break;
    case 2: c.dr2 = v; break;
    case 3: c.dr3 = v; break;
    case 4:
    case 6:
      if (v >> 32) return gp(cpu);
      c.dr6 = (v & 0xe00f) | 0xffff_0ff0;
      break;
    default:
      if (v >> 32) return gp(cpu);
      c.dr7 = (v & 0xffff_2bff) | 0x400;
  }
  // An address of a breakpoint that is off changes nothing
  if (n == 5 || n == 7 || (n < 4 && (c.dr7 >> (2 * n)) & 3)) guest_debug_update(cpu);
  return true;
}

// ---- interrupt flag, HLT -------------------------------------------------------------------------------------------------

const IF: u32 = 0x200;

function iopl_ok(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (!protected_mode(cpu) || c.cpl <= ((c.eflags >> 12) & 3)) return true;
  raise(cpu, X_GP, 0);
  return false;
}

export function cli(cpu: usize): bool {
  if (!iopl_ok(cpu)) return false;
  changetype<Cpu>(cpu).eflags &= ~IF;
  return true;
}

/** STI: interrupts wait for one more instruction when IF was 0. */
export function sti(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (!iopl_ok(cpu)) return false;
  if (!(c.eflags & IF)) {
    c.eflags |= IF;
    c.intr_shadow = SHADOW_STI;
    irq_recheck(cpu);
  }
  return true;
}

/** POPF of the value `v` by operand size 2, 4 or 8: what may not change stays, no fault comes of it. */
export function popf(cpu: usize, v: u32, opsize: u32): void {
  const c = changetype<Cpu>(cpu);
  // CF PF AF ZF SF TF DF OF NT, and with 32 bits AC ID
  let may: u32 = 0x4dd5 | (opsize == 2 ? 0 : 0x24_0000);
  const pe = protected_mode(cpu);
  if (!pe || c.cpl == 0) may |= 0x3000;
  if (!pe || c.cpl <= ((c.eflags >> 12) & 3)) may |= IF;
  const old = flags_get(cpu);
  flags_set(cpu, (old & ~may) | (v & may));
  align_update(cpu);
  if (c.eflags & ~old & IF) irq_recheck(cpu);
}

/** HLT: ends with FAULT_HALT. */
export function hlt(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (user_gp(cpu)) return false;
  c.halted = 1;
  c.fault = FAULT_HALT;
  return true;
}

// ---- SYSCALL, SYSRET, SYSENTER, SYSEXIT -----------------------------------------------------------------------------------

// Flat segments as these instructions load them (attr as in segment.ts).
const CODE64: u32 = 0xa09b;
const CODE32: u32 = 0xc09b;
const DATA32: u32 = 0xc093;
const DPL3: u32 = 0x60;

function flat(cpu: usize, seg: u32, selector: u32, attr: u32): void {
  seg_set(cpu, seg, selector & 0xffff, 0, 0xffff_ffff, attr);
}

/** SYSCALL, 64-bit mode only as on Intel. `next`: address behind it. */
export function syscall(cpu: usize, next: u64): bool {
  const c = changetype<Cpu>(cpu);
  if (!(c.efer & EFER_SCE) || !is64(cpu)) {
    raise_ud(cpu);
    return false;
  }
  const flags = flags_get(cpu);
  c.r1 = next;
  c.r11 = flags & ~0x1_0000;
  const selector = <u32>(c.star >> 32) & 0xfffc;
  flat(cpu, SEG_CS, selector, CODE64);
  flat(cpu, SEG_SS, selector + 8, DATA32);
  flags_set(cpu, flags & ~<u32>c.fmask & ~0x1_0000);
  align_update(cpu);
  c.rip = c.lstar;
  set_cpl(cpu, 0);
  update_mode(cpu);
  return true;
}

/** SYSRET; `opsize` 8 returns to 64-bit code, 4 to compatibility mode. */
export function sysret(cpu: usize, opsize: u32): bool {
  const c = changetype<Cpu>(cpu);
  if (!(c.efer & EFER_SCE) || !is64(cpu)) {
    raise_ud(cpu);
    return false;
  }
  if (user_gp(cpu)) return false;
  if (opsize == 8 && !canonical(c.r1)) return gp(cpu);
  const base = <u32>(c.star >> 48) & 0xffff;
  if (opsize == 8) {
    flat(cpu, SEG_CS, (base + 16) | 3, CODE64 | DPL3);
    c.rip = c.r1;
  } else {
    flat(cpu, SEG_CS, base | 3, CODE32 | DPL3);
    c.rip = c.r1 & 0xffff_ffff;
  }
  flat(cpu, SEG_SS, (base + 8) | 3, DATA32 | DPL3);
  flags_set(cpu, <u32>c.r11 & 0x3c_7fd7 & ~0x1_0000);
  align_update(cpu);
  set_cpl(cpu, 3);
  update_mode(cpu);
  if (c.eflags & IF) irq_recheck(cpu);
  return true;
}

export function sysenter(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  if (!protected_mode(cpu) || (c.sysenter_cs & 0xfffc) == 0) return gp(cpu);
  const long = long_mode(cpu);
  const selector = <u32>c.sysenter_cs & 0xfffc;
  c.eflags &= ~(IF | 0x3_0000);
  flat(cpu, SEG_CS, selector, long ? CODE64 : CODE32);
  flat(cpu, SEG_SS, selector + 8, DATA32);
  c.r4 = long ? c.sysenter_esp : c.sysenter_esp & 0xffff_ffff;
  c.rip = long ? c.sysenter_eip : c.sysenter_eip & 0xffff_ffff;
  set_cpl(cpu, 0);
  update_mode(cpu);
  return true;
}

export function sysexit(cpu: usize, opsize: u32): bool {
  const c = changetype<Cpu>(cpu);
  if (!protected_mode(cpu) || c.cpl != 0 || (c.sysenter_cs & 0xfffc) == 0) return gp(cpu);
  const base = <u32>c.sysenter_cs & 0xfffc;
  if (opsize == 8) {
    if (!canonical(c.r1) || !canonical(c.r2)) return gp(cpu);
    flat(cpu, SEG_CS, (base + 32) | 3, CODE64 | DPL3);
    flat(cpu, SEG_SS, (base + 40) | 3, DATA32 | DPL3);
    c.r4 = c.r1;
    c.rip = c.r2;
  } else {
    flat(cpu, SEG_CS, (base + 16) | 3, CODE32 | DPL3);
    flat(cpu, SEG_SS, (base + 24) | 3, DATA32 | DPL3);
    c.r4 = c.r1 & 0xffff_ffff;
    c.rip = c.r2 & 0xffff_ffff;
  }
  set_cpl(cpu, 3);
  update_mode(cpu);
  return true;
}

// ---- time, random numbers, hypercalls ---------------------------------------------------------------------------------------

/** RDTSC (and RDTSCP, whose ECX is `tsc_aux`). Check `cpu.fault`. */
export function rdtsc(cpu: usize): u64 {
  const c = changetype<Cpu>(cpu);
  if (c.cr4 & CR4_TSD && c.cpl != 0) return raise_gp(cpu);
  return tsc_now(cpu);
}

/** RDPMC: no counters. */
export function rdpmc(cpu: usize): bool {
  return gp(cpu);
}

/** XGETBV, XSETBV, MONITOR, MWAIT and whatever else the model hides. */
export function hidden(cpu: usize): bool {
  raise_ud(cpu);
  return false;
}

/** 64 random bits for RDRAND; it always succeeds (CF = 1). */
export function rdrand(cpu: usize): u64 {
  host_random(<u32>(cpu + CPU_SCRATCH), 8);
  return load<u64>(cpu + CPU_SCRATCH);
}

const KVM_HC_KICK_CPU: u64 = 5;
const KVM_HC_SEND_IPI: u64 = 10;
const KVM_ENOSYS: u64 = <u64>-1000;
const KVM_EPERM: u64 = <u64>-1;

/** VMCALL with KVM's numbers (Linux Documentation/virt/kvm/x86/hypercalls.rst): RAX number, RBX RCX RDX RSI arguments. */
export function vmcall(cpu: usize): bool {
  const c = changetype<Cpu>(cpu);
  count_stat(cpu, STAT_HYPERCALLS);
  if (c.cpl != 0) {
    c.r0 = KVM_EPERM;
    return true;
  }
  switch (c.r0) {
    case KVM_HC_KICK_CPU: {
      if (c.r1 < cpu_count()) {
        const target = cpu_at(<u32>c.r1);
        atomic.store<u32>(target + offsetof<Cpu>('pv_unhalt'), 1);
        cpu_signal(target, PEND_TIMER);
      }
      c.r0 = 0;
      return true;
    }
    case KVM_HC_SEND_IPI:
      c.r0 = send_ipis(c.r3, c.r1, <u32>c.r2, <u32>c.r6);
      return true;
    default:
      c.r0 = KVM_ENOSYS;
      return true;
  }
}

/** The ICR value `icr` goes to APIC ids `min` + n for each bit n; how many there were. */
function send_ipis(low: u64, high: u64, min: u32, icr: u32): u64 {
  const n = cpu_count();
  let sent: u64 = 0;
  for (let i: u32 = 0; i < 128; i++) {
    const bit = i < 64 ? (low >> i) & 1 : (high >> (i - 64)) & 1;
    if (!bit || <u64>min + i >= n) continue;
    lapic_accept(cpu_at(min + i), (icr >> 8) & 7, icr & 0xff, false);
    sent++;
  }
  return sent;
}
