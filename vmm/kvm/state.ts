/** Registers of a vCPU: the entry states of boot protocols, and a readable form for dumps and the debugger. */
import {
  CODE_SELECTOR, CR0_ET, CR0_PE, CR0_PG, CR4_PAE, DATA_SELECTOR, EFER_LMA, EFER_LME, IA32_KERNEL_GS_BASE, TSS_SELECTOR,
} from '../../assembly/contract/x86.ts';
import type { EntryState, GdtPlace } from '../boot/entry.ts';
import { kvm_regs, kvm_segment, kvm_sregs } from '../host/uapi/kvm.ts';
import type { KvmVcpu } from './vcpu.ts';

const RFLAGS_RESERVED = 2n;

const CODE_TYPE = 0xb; // execute, read, accessed
const DATA_TYPE = 0x3; // read, write, accessed
const TSS_TYPE = 0xb; // busy 32- or 64-bit TSS

/** Sets what the boot protocol wants (vmm/boot/entry.ts); everything else stays as after reset. */
export function setEntryState(vcpu: KvmVcpu, entry: EntryState): void {
  const long = entry.kind === 'long64';
  const sregs = vcpu.sregs();
  segment(sregs, kvm_sregs.cs, CODE_SELECTOR, CODE_TYPE, { s: 1, l: long ? 1 : 0, db: long ? 0 : 1, limit: 0xffff_ffff });
  for (const at of [kvm_sregs.ds, kvm_sregs.es, kvm_sregs.fs, kvm_sregs.gs, kvm_sregs.ss]) segment(sregs, at, DATA_SELECTOR, DATA_TYPE, { s: 1, l: 0, db: 1, limit: 0xffff_ffff });
  segment(sregs, kvm_sregs.tr, TSS_SELECTOR, TSS_TYPE, { s: 0, l: 0, db: 0, limit: 0x67 });
  table(sregs, entry.gdt);
  sregs.setBigUint64(kvm_sregs.idt_base, 0n, true);
  sregs.setUint16(kvm_sregs.idt_limit, 0, true);
  sregs.setBigUint64(kvm_sregs.cr0, BigInt(CR0_PE + CR0_ET + (long ? CR0_PG : 0)), true);
  sregs.setBigUint64(kvm_sregs.cr4, BigInt(long ? CR4_PAE : 0), true);
  sregs.setBigUint64(kvm_sregs.cr3, long ? BigInt(entry.cr3) : 0n, true);
  sregs.setBigUint64(kvm_sregs.efer, BigInt(long ? EFER_LME | EFER_LMA : 0), true);
  vcpu.setSregs(sregs);

  const regs = new DataView(new ArrayBuffer(kvm_regs.sizeof));
  regs.setBigUint64(kvm_regs.rflags, RFLAGS_RESERVED, true);
  if (entry.kind === 'long64') {
    regs.setBigUint64(kvm_regs.rip, entry.rip, true);
    regs.setBigUint64(kvm_regs.rsi, BigInt(entry.rsi), true);
  } else {
    regs.setBigUint64(kvm_regs.rip, BigInt(entry.eip), true);
    regs.setBigUint64(kvm_regs.rax, BigInt(entry.eax), true);
    regs.setBigUint64(kvm_regs.rbx, BigInt(entry.ebx), true);
  }
  vcpu.setRegs(regs);
}

function segment(sregs: DataView, at: number, selector: number, type: number, { s, l, db, limit }: { s: number; l: number; db: number; limit: number }): void {
  sregs.setBigUint64(at + kvm_segment.base, 0n, true);
  sregs.setUint32(at + kvm_segment.limit, limit, true);
  sregs.setUint16(at + kvm_segment.selector, selector, true);
  sregs.setUint8(at + kvm_segment.type, type);
  sregs.setUint8(at + kvm_segment.present, 1);
  sregs.setUint8(at + kvm_segment.dpl, 0);
  sregs.setUint8(at + kvm_segment.db, db);
  sregs.setUint8(at + kvm_segment.s, s);
  sregs.setUint8(at + kvm_segment.l, l);
  sregs.setUint8(at + kvm_segment.g, limit > 0xf_ffff ? 1 : 0);
  sregs.setUint8(at + kvm_segment.avl, 0);
  sregs.setUint8(at + kvm_segment.unusable, 0);
}

function table(sregs: DataView, { base, limit }: GdtPlace): void {
  sregs.setBigUint64(kvm_sregs.gdt_base, BigInt(base), true);
  sregs.setUint16(kvm_sregs.gdt_limit, limit, true);
}

const GENERAL = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'rflags'] as const;
const CONTROL = ['cr0', 'cr2', 'cr3', 'cr4', 'cr8', 'efer', 'apic_base'] as const;
const SEGMENTS = ['cs', 'ds', 'es', 'fs', 'gs', 'ss', 'tr', 'ldt'] as const;

/** All registers by name; segments as selector (`cs`) and base (`cs_base`). The vCPU must not be running. */
export function readRegisters(vcpu: KvmVcpu): Map<string, bigint> {
  const found = new Map<string, bigint>();
  const regs = vcpu.regs();
  for (const name of GENERAL) found.set(name, regs.getBigUint64(kvm_regs[name], true));
  const sregs = vcpu.sregs();
  for (const name of CONTROL) found.set(name, sregs.getBigUint64(kvm_sregs[name], true));
  for (const name of SEGMENTS) {
    found.set(name, BigInt(sregs.getUint16(kvm_sregs[name] + kvm_segment.selector, true)));
    found.set(`${name}_base`, sregs.getBigUint64(kvm_sregs[name] + kvm_segment.base, true));
  }
  found.set('cpl', BigInt(sregs.getUint8(kvm_sregs.ss + kvm_segment.dpl)));
  for (const name of ['gdt', 'idt'] as const) {
    found.set(`${name}r`, sregs.getBigUint64(kvm_sregs[`${name}_base`], true));
    found.set(`${name}r_limit`, BigInt(sregs.getUint16(kvm_sregs[`${name}_limit`], true)));
  }
  const [gs] = vcpu.msrs([IA32_KERNEL_GS_BASE]);
  if (gs !== undefined) found.set('kernel_gs_base', gs[1]);
  return found;
}
