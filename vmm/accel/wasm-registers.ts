import {
  FIELD_CPL, FIELD_CR0, FIELD_CR2, FIELD_CR3, FIELD_CR4, FIELD_EFER, FIELD_GDTR, FIELD_ICOUNT, FIELD_IDTR, FIELD_KERNEL_GS, FIELD_REP, FIELD_RIP,
  FIELD_SEGS, PROFILE_BASELINE, PROFILE_V2, SEG_BASE, SEG_SELECTOR, SEG_SIZE,
} from '../../assembly/contract/vcpu.ts';
import { CPU_BASE, CPU_STRIDE } from '../../assembly/core/layout.ts';
import type { EntryState } from '../boot/entry.ts';
import { VmmError } from '../../base/errors.ts';
import type { CpuModel, Registers } from './vcpu.ts';
import type { CoreExports } from '../core/exports.ts';

export function cpuAddress(index: number): number {
  return CPU_BASE + index * CPU_STRIDE;
}

/** Power-up of interrupt controllers and all vCPUs. `timeMode`: 0, or virtual nanoseconds an instruction counts for. */
export function resetCpus(core: CoreExports, cpus: number, model: CpuModel, timeMode = 0): void {
  core.irqchip_reset(cpus);
  resetVcpus(core, cpus, model, timeMode);
}

/** Of all vCPUs alone. */
export function resetVcpus(core: CoreExports, cpus: number, model: CpuModel, timeMode = 0): void {
  if (model === 'host') throw new VmmError('USAGE', '--cpu host needs KVM: the software CPU is its own', { hint: 'use baseline or x86-64-v2' });
  for (let index = 0; index < cpus; index++) {
    const result = core.cpu_reset(index, model === 'x86-64-v2' ? PROFILE_V2 : PROFILE_BASELINE, timeMode);
    if (result !== 0) throw new VmmError('INTERNAL', `the core refuses vCPU ${index}: ${result}`);
  }
}

/** Puts vCPU 0 before the guest's first instruction. */
export function setEntry(core: CoreExports, entry: EntryState): void {
  const { base, limit } = entry.gdt;
  if (entry.kind === 'protected32') core.enter_protected32(0, entry.eip, entry.eax, entry.ebx, base, limit);
  else core.enter_long64(0, entry.rip, BigInt(entry.rsi), entry.cr3, base, limit);
}

const GPRS = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];
/** Fields of 64 bits. */
const FIELDS: readonly (readonly [string, number])[] = [
  ['rip', FIELD_RIP], ['cr0', FIELD_CR0], ['cr2', FIELD_CR2], ['cr3', FIELD_CR3], ['cr4', FIELD_CR4], ['efer', FIELD_EFER], ['icount', FIELD_ICOUNT],
  ['kernel_gs_base', FIELD_KERNEL_GS], ['gdtr', FIELD_GDTR], ['idtr', FIELD_IDTR], ['rep_count', FIELD_REP],
];

/** Registers of a vCPU that does not run. */
export function readRegisters(core: CoreExports, memory: WebAssembly.Memory, index: number): Registers {
  const cpu = cpuAddress(index);
  const view = new DataView(memory.buffer, cpu, CPU_STRIDE);
  const registers = new Map<string, bigint>();
  GPRS.forEach((name, i) => registers.set(name, view.getBigUint64(i * 8, true)));
  for (const [name, field] of FIELDS) registers.set(name, view.getBigUint64(core.cpu_field(field), true));
  registers.set('cpl', BigInt(view.getUint32(core.cpu_field(FIELD_CPL), true)));
  registers.set('rflags', BigInt(core.cpu_flags(cpu) >>> 0));
  const segments = core.cpu_field(FIELD_SEGS);
  SEGMENTS.forEach((name, i) => {
    registers.set(name, BigInt(view.getUint16(segments + i * SEG_SIZE + SEG_SELECTOR, true)));
    registers.set(`${name}_base`, view.getBigUint64(segments + i * SEG_SIZE + SEG_BASE, true));
  });
  return registers;
}
