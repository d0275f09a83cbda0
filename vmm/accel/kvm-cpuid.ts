/** What CPUID tells the guest: KVM's list, filtered by CPU model, with the machine's topology (SDM Vol. 2A, CPUID; APM Vol. 3 appendix E). */
import { KVM_CPUID_SIGNATURE } from '../host/uapi/kvm.ts';
import type { CpuidEntry } from '../kvm/cpuid.ts';
import type { CpuModel } from './vcpu.ts';

const bits = (...numbers: readonly number[]): number => numbers.reduce((mask, n) => (mask | (1 << n)) >>> 0, 0);

// Leaf 1, EDX: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 HTT
const BASELINE_1_EDX = bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26, 28);
// Leaf 1, ECX: x2APIC TSC-deadline hypervisor
const BASELINE_1_ECX = bits(21, 24, 31);
// x86-64-v2 (psABI): SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT
const V2_1_ECX = bits(0, 9, 13, 19, 20, 23);
// Leaf 0x80000001, EDX: what repeats leaf 1 on AMD, and SYSCALL NX LM
const BASELINE_81_EDX = bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 23, 24) | bits(11, 20, 29);
// Leaf 0x80000001, ECX: CmpLegacy TopologyExtensions; v2: LAHF
const BASELINE_81_ECX = bits(1, 22);
const V2_81_ECX = bits(0);

/** Leaves that a model keeps at most; all others above them go. */
const MODEL_LEAVES = new Set([0, 1, 2, 4, 0xb, 0x8000_0000, 0x8000_0001, 0x8000_0002, 0x8000_0003, 0x8000_0004, 0x8000_0005, 0x8000_0006, 0x8000_0007, 0x8000_0008, 0x8000_001d, 0x8000_001e]);
const PARAVIRTUAL = 0x4000_0000;
const isParavirtual = (leaf: number): boolean => leaf >= PARAVIRTUAL && leaf < PARAVIRTUAL + 0x100;

export interface CpuidOptions {
  readonly model: CpuModel;
  readonly cpus: number;
  /** Local APIC id of the vCPU: 0..cpus-1. */
  readonly apicId: number;
  /** KVM emulates the TSC-deadline timer (KVM_CAP_TSC_DEADLINE_TIMER). */
  readonly tscDeadline: boolean;
  /** The guest's TSC rate, 0 when unknown. */
  readonly tscKhz: number;
}

/** The local APIC timer's input in KVM, kHz (arch/x86/kvm/lapic.h: one cycle a nanosecond). */
const APIC_BUS_KHZ = 1_000_000;
const TIMING_LEAF = 0x4000_0010;

/** The list for one vCPU, made from what KVM supports (KvmSystem.supportedCpuid), which stays as it is. */
export function cpuidFor(supported: readonly CpuidEntry[], options: CpuidOptions): CpuidEntry[] {
  const entries = supported.filter((entry) => keep(entry, options.model)).map((entry) => ({ ...entry }));
  if (options.model !== 'host') for (const entry of entries) reduce(entry, options.model === 'x86-64-v2');
  for (const entry of entries) place(entry, options);
  topologyLeaves(entries, options);
  if (options.tscKhz > 0) {
    entries.push({ function: TIMING_LEAF, index: 0, flags: 0, eax: options.tscKhz, ebx: APIC_BUS_KHZ, ecx: 0, edx: 0 });
    for (const entry of entries) if (entry.function === KVM_CPUID_SIGNATURE) entry.eax = TIMING_LEAF;
  }
  return entries;
}

function keep(entry: CpuidEntry, model: CpuModel): boolean {
  // Leaf 0x1f would need module and die levels that the machine does not have; performance counters are not given.
  if (entry.function === 0x1f || entry.function === 0xb || entry.function === 0xa) return false;
  return model === 'host' || isParavirtual(entry.function) || MODEL_LEAVES.has(entry.function);
}

/** Takes away what a model does not have. */
function reduce(entry: CpuidEntry, v2: boolean): void {
  switch (entry.function) {
    case 0:
      entry.eax = Math.min(entry.eax, 0xb);
      break;
    case 1:
      entry.edx = (entry.edx & BASELINE_1_EDX) >>> 0;
      entry.ecx = (entry.ecx & (BASELINE_1_ECX | (v2 ? V2_1_ECX : 0))) >>> 0;
      break;
    case 0x8000_0001:
      entry.edx = (entry.edx & BASELINE_81_EDX) >>> 0;
      entry.ecx = (entry.ecx & (BASELINE_81_ECX | (v2 ? V2_81_ECX : 0))) >>> 0;
      break;
    case 0x8000_0008:
      entry.ebx = 0;
      break;
    default:
      break;
  }
}

const width = (count: number): number => 32 - Math.clz32(Math.max(1, count) - 1);

/** Writes the vCPU's place and the hypervisor's marks: one socket, `cpus` cores of one thread. */
function place(entry: CpuidEntry, { cpus, apicId, tscDeadline }: CpuidOptions): void {
  switch (entry.function) {
    case 1:
      entry.ebx = ((entry.ebx & 0xffff) | (cpus << 16) | (apicId << 24)) >>> 0;
      entry.ecx = (entry.ecx | bits(31) | (tscDeadline ? bits(24) : 0)) >>> 0;
      // MONITOR, and OSXSAVE, which follows CR4 by itself
      entry.ecx = (entry.ecx & ~bits(3, 27)) >>> 0;
      entry.edx = (cpus > 1 ? entry.edx | bits(28) : entry.edx & ~bits(28)) >>> 0;
      break;
    case 4: {
      const level = (entry.eax >>> 5) & 7;
      const sharing = level >= 3 ? cpus - 1 : 0;
      if ((entry.eax & 0x1f) !== 0) entry.eax = ((entry.eax & 0x3fff) | (sharing << 14) | (((1 << width(cpus)) - 1) << 26)) >>> 0;
      break;
    }
    case 0x8000_0001:
      entry.ecx = (cpus > 1 ? entry.ecx | bits(1) : entry.ecx & ~bits(1)) >>> 0;
      break;
    case 0x8000_0008:
      entry.ecx = ((entry.ecx & ~0xf0ff) | (width(cpus) << 12) | (cpus - 1)) >>> 0;
      break;
    case 0x8000_001d: {
      const level = (entry.eax >>> 5) & 7;
      if ((entry.eax & 0x1f) !== 0) entry.eax = ((entry.eax & 0x3fff) | ((level >= 3 ? cpus - 1 : 0) << 14)) >>> 0;
      break;
    }
    case 0x8000_001e:
      entry.eax = apicId;
      entry.ebx = apicId;
      entry.ecx = 0;
      break;
    default:
      break;
  }
}

/** Leaf 0xb: a thread level of one and a core level of all (SDM Vol. 2A, CPUID leaf 0BH). */
function topologyLeaves(entries: CpuidEntry[], { cpus, apicId }: CpuidOptions): void {
  const basic = entries.find((entry) => entry.function === 0);
  if (basic === undefined || basic.eax < 0xb) return;
  const level = (index: number, shift: number, count: number, type: number): CpuidEntry => ({
    function: 0xb, index, flags: 1, eax: shift, ebx: count, ecx: (type << 8) | index, edx: apicId,
  });
  entries.push(level(0, 0, 1, 1), level(1, width(cpus), cpus, 2), level(2, 0, 0, 0));
}
