/**
 * Power-up, INIT and start-up states (Intel SDM Vol. 3A §9.1, tables 9-1), and the entry states of the boot protocols.
 * `*_reset` and `enter_*` are called by the host while the vCPU does not run.
 */
import { EINVAL } from '../../contract/generated/errno';
import { CODE_SELECTOR, DATA_SELECTOR, TSS_SELECTOR } from '../../contract/x86';
import {
  FIELD_CPL, FIELD_CR0, FIELD_CR2, FIELD_CR3, FIELD_CR4, FIELD_DR, FIELD_EFER, FIELD_FAULT, FIELD_FCW, FIELD_FPR, FIELD_GDTR, FIELD_GPR,
  FIELD_HALTED, FIELD_ICOUNT, FIELD_IDTR, FIELD_KERNEL_GS, FIELD_LAPIC, FIELD_MXCSR, FIELD_PENDING, FIELD_REP, FIELD_RIP, FIELD_SEGS,
  FIELD_STATS, FIELD_WAIT_SIPI, FIELD_WAKE, FIELD_XMM, PROFILE_V2,
} from '../../contract/vcpu';
import { guest_debug_update } from '../debug/guest';
import { align_update } from '../memory/watch';
import { block_vars } from '../uop/blocks';
import { CPU_STRIDE } from '../../core/layout';
import { machine } from '../../core/machine';
import { CPU_SIGNATURE } from './cpuid';
import { ioapic_reset } from '../chips/ioapic';
import { lapic_reset } from '../chips/lapic';
import { update_paging } from '../memory/mmu';
import { update_mode } from '../vcpu/modes';
import { MISC_ENABLE_RESET } from './msr';
import { pic_reset } from '../chips/pic';
import { pit_reset } from '../chips/pit';
import { seg_set, set_cpl } from '../memory/segment';
import { CHIP_CPUS, CHIP_LOCK, CHIP_TIME, cpu_at, cpu_signal } from '../vcpu/smp';
import {
  Cpu, CPU_FPR, CPU_LAPIC, CPU_SEGS, CPU_STATS, CPU_XMM, PEND_KICK, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_LDTR, SEG_SS, SEG_TR,
} from '../vcpu/state';
import { IRQCHIP_SIZE, VCPU_MAX } from '../../core/layout';
import { tlb_flush_all, tlb_init } from '../memory/tlb';
import { host_now } from '../../core/host';

const REAL_DATA: u32 = 0x93;
const REAL_CODE: u32 = 0x9b;
const CODE64: u32 = 0xa09b;
const CODE32: u32 = 0xc09b;
const DATA32: u32 = 0xc093;

/** Interrupt controllers and the machine's clock; once, before the vCPUs. `cpus`: number of vCPUs. */
export function irqchip_reset(cpus: u32): void {
  memory.fill(CHIP_LOCK, 0, IRQCHIP_SIZE);
  store<u32>(CHIP_CPUS, cpus < VCPU_MAX ? cpus : VCPU_MAX);
  store<f64>(CHIP_TIME, host_now());
  ioapic_reset();
  pic_reset();
  pit_reset();
}

/** Registers of real mode at reset; CS:IP is F000:FFF0 with CS based at the top of 4 GiB. */
function real_mode(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  for (let seg: u32 = 0; seg <= SEG_GS; seg++) seg_set(cpu, seg, 0, 0, 0xffff, REAL_DATA);
  seg_set(cpu, SEG_CS, 0xf000, 0xffff_0000, 0xffff, REAL_CODE);
  seg_set(cpu, SEG_LDTR, 0, 0, 0xffff, 0x82);
  seg_set(cpu, SEG_TR, 0, 0, 0xffff, 0x8b);
  c.rip = 0xfff0;
  c.eflags = 2;
  c.flag_op = 0;
  c.gdtr_base = 0;
  c.gdtr_limit = 0xffff;
  c.idtr_base = 0;
  c.idtr_limit = 0xffff;
  c.cr2 = 0;
  c.cr3 = 0;
  c.cr4 = 0;
  c.efer = 0;
  c.dr0 = 0;
  c.dr1 = 0;
  c.dr2 = 0;
  c.dr3 = 0;
  c.dr6 = 0xffff_0ff0;
  c.dr7 = 0x400;
  set_cpl(cpu, 0);
}

/**
 * Power-up of vCPU `index`. `profile`: PROFILE_* of cpuid.ts; `time_mode`: 0, or nanoseconds an instruction counts for.
 * vCPU 0 is in real mode at the reset vector, the others wait for a start-up IPI. 0, or -22 for an index out of range.
 */
export function cpu_reset(index: u32, profile: u32, time_mode: u32): i32 {
  const m = machine();
  if (index >= VCPU_MAX || index >= m.vcpu_count) return -EINVAL;
  const cpu = cpu_at(index);
  const c = changetype<Cpu>(cpu);
  const gen = c.tlb_gen;
  const high = c.tlb_gen_high;
  memory.fill(cpu, 0, CPU_STRIDE);
  c.tlb_gen = gen;
  c.tlb_gen_high = high;
  c.index = index;
  c.cpus = m.vcpu_count;
  c.ram_size = m.ram_bytes;
  c.profile = profile > PROFILE_V2 ? 0 : profile;
  c.time_mode = time_mode;
  c.tsc_offset = time_mode ? 0 : <u64>-<i64>load<f64>(CHIP_TIME);
  tlb_init(cpu);
  real_mode(cpu);
  c.r2 = CPU_SIGNATURE;
  c.cr0 = 0x6000_0010;
  c.apic_base = 0xfee0_0800 | (index == 0 ? 0x100 : 0);
  c.pat = 0x0007_0406_0007_0406;
  c.misc_enable = MISC_ENABLE_RESET;
  c.mxcsr = 0x1f80;
  c.fcw = 0x40;
  c.ftw = 0x5555;
  lapic_reset(cpu);
  c.wait_sipi = index != 0 ? 1 : 0;
  update_paging(cpu);
  update_mode(cpu);
  return 0;
}

/** INIT: back to real mode; FPU, SSE, MSRs and TSC stay, CR0.CD and NW stay. vCPU 0 starts at the reset vector, others wait. */
export function init_cpu(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  for (let r: usize = 0; r < 16; r++) store<u64>(cpu + (r << 3), 0);
  const cache = c.cr0 & 0x6000_0000;
  real_mode(cpu);
  c.r2 = CPU_SIGNATURE;
  c.cr0 = 0x10 | cache;
  c.halted = 0;
  c.intr_shadow = 0;
  block_vars(cpu).dr_hit = 0;
  guest_debug_update(cpu);
  align_update(cpu);
  c.nmi_blocked = 0;
  c.fault = 0;
  lapic_reset(cpu);
  c.wait_sipi = c.index != 0 ? 1 : 0;
  tlb_flush_all(cpu, false);
  update_paging(cpu);
  update_mode(cpu);
}

/** Start-up IPI: real mode at vector × 4 KiB. */
export function start_cpu(cpu: usize, vector: u32): void {
  const c = changetype<Cpu>(cpu);
  seg_set(cpu, SEG_CS, (vector & 0xff) << 8, <u64>(vector & 0xff) << 12, 0xffff, REAL_CODE);
  c.rip = 0;
  c.wait_sipi = 0;
  c.halted = 0;
  update_mode(cpu);
}

// ---- entry states ---------------------------------------------------------------------------------------------------------

function flat_data(cpu: usize): void {
  seg_set(cpu, SEG_ES, DATA_SELECTOR, 0, 0xffff_ffff, DATA32);
  seg_set(cpu, SEG_SS, DATA_SELECTOR, 0, 0xffff_ffff, DATA32);
  seg_set(cpu, SEG_DS, DATA_SELECTOR, 0, 0xffff_ffff, DATA32);
  seg_set(cpu, SEG_FS, DATA_SELECTOR, 0, 0xffff_ffff, DATA32);
  seg_set(cpu, SEG_GS, DATA_SELECTOR, 0, 0xffff_ffff, DATA32);
  seg_set(cpu, SEG_TR, TSS_SELECTOR, 0, 0x67, 0x8b);
}

function entered(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  c.wait_sipi = 0;
  tlb_flush_all(cpu, false);
  update_paging(cpu);
  update_mode(cpu);
}

/**
 * 32-bit protected mode, paging and interrupts off, flat segments 0x10 and 0x18: PVH (EBX = start info), multiboot
 * (EAX = magic, EBX = information).
 */
export function enter_protected32(index: u32, eip: u32, eax: u32, ebx: u32, gdt_base: u32, gdt_limit: u32): void {
  const cpu = cpu_at(index);
  const c = changetype<Cpu>(cpu);
  flat_data(cpu);
  seg_set(cpu, SEG_CS, CODE_SELECTOR, 0, 0xffff_ffff, CODE32);
  c.gdtr_base = gdt_base;
  c.gdtr_limit = gdt_limit;
  c.idtr_limit = 0;
  c.cr0 = 0x11;
  c.r0 = eax;
  c.r3 = ebx;
  c.r2 = 0;
  c.rip = eip;
  entered(cpu);
}

/** Long mode with the given page tables, flat segments, interrupts off: Linux's 64-bit boot protocol. */
export function enter_long64(index: u32, rip: u64, rsi: u64, cr3: u32, gdt_base: u32, gdt_limit: u32): void {
  const cpu = cpu_at(index);
  const c = changetype<Cpu>(cpu);
  flat_data(cpu);
  seg_set(cpu, SEG_CS, CODE_SELECTOR, 0, 0xffff_ffff, CODE64);
  c.gdtr_base = gdt_base;
  c.gdtr_limit = gdt_limit;
  c.idtr_limit = 0;
  c.cr0 = 0x8000_0011;
  c.cr3 = cr3;
  c.cr4 = 0x20;
  c.efer = 0x500;
  c.r6 = rsi;
  c.r2 = 0;
  c.rip = rip;
  entered(cpu);
}

/** Real mode at `cs`:`ip` with DS = ES = SS = `cs` and the stack pointer `sp`. */
export function enter_real(index: u32, cs: u32, ip: u32, sp: u32): void {
  const cpu = cpu_at(index);
  const c = changetype<Cpu>(cpu);
  for (let seg: u32 = 0; seg <= SEG_GS; seg++) {
    seg_set(cpu, seg, cs, <u64>(cs & 0xffff) << 4, 0xffff, seg == SEG_CS ? REAL_CODE : REAL_DATA);
  }
  c.idtr_limit = 0x3ff;
  c.rip = ip;
  c.r4 = sp;
  entered(cpu);
}

/** Asks vCPU `index` out of cpu_run and out of its HLT wait, from any thread. */
export function cpu_kick(index: u32): void {
  if (index < VCPU_MAX) cpu_signal(cpu_at(index), PEND_KICK);
}

// ---- registers for the host and debuggers ------------------------------------------------------------------------------------

/** Offset of field `id` from the vCPU's state, for the host's own loads and stores; 0xffffffff for none. */
export function cpu_field(id: u32): u32 {
  switch (id) {
    case FIELD_GPR: return 0;
    case FIELD_RIP: return <u32>offsetof<Cpu>('rip');
    case FIELD_SEGS: return CPU_SEGS;
    case FIELD_XMM: return CPU_XMM;
    case FIELD_FPR: return CPU_FPR;
    case FIELD_CR0: return <u32>offsetof<Cpu>('cr0');
    case FIELD_CR2: return <u32>offsetof<Cpu>('cr2');
    case FIELD_CR3: return <u32>offsetof<Cpu>('cr3');
    case FIELD_CR4: return <u32>offsetof<Cpu>('cr4');
    case FIELD_EFER: return <u32>offsetof<Cpu>('efer');
    case FIELD_ICOUNT: return <u32>offsetof<Cpu>('icount');
    case FIELD_CPL: return <u32>offsetof<Cpu>('cpl');
    case FIELD_PENDING: return <u32>offsetof<Cpu>('pending');
    case FIELD_WAKE: return <u32>offsetof<Cpu>('wake');
    case FIELD_STATS: return CPU_STATS;
    case FIELD_HALTED: return <u32>offsetof<Cpu>('halted');
    case FIELD_KERNEL_GS: return <u32>offsetof<Cpu>('kernel_gs_base');
    case FIELD_GDTR: return <u32>offsetof<Cpu>('gdtr_base');
    case FIELD_IDTR: return <u32>offsetof<Cpu>('idtr_base');
    case FIELD_MXCSR: return <u32>offsetof<Cpu>('mxcsr');
    case FIELD_FCW: return <u32>offsetof<Cpu>('fcw');
    case FIELD_DR: return <u32>offsetof<Cpu>('dr0');
    case FIELD_FAULT: return <u32>offsetof<Cpu>('fault');
    case FIELD_REP: return <u32>offsetof<Cpu>('rep_count');
    case FIELD_LAPIC: return CPU_LAPIC;
    case FIELD_WAIT_SIPI: return <u32>offsetof<Cpu>('wait_sipi');
    default: return 0xffff_ffff;
  }
}
