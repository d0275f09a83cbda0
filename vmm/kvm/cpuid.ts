/** KVM's lists of CPUID leaves (api.rst, KVM_GET_SUPPORTED_CPUID). */
import { kvm_cpuid2, kvm_cpuid_entry2 } from '../host/uapi/kvm.ts';

export interface CpuidEntry {
  readonly function: number;
  readonly index: number;
  /** KVM_CPUID_FLAG_*: bit 0 when `index` counts. */
  readonly flags: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

export function readCpuid(buffer: DataView): CpuidEntry[] {
  const entries: CpuidEntry[] = [];
  const count = buffer.getUint32(kvm_cpuid2.nent, true);
  for (let i = 0; i < count; i++) {
    const at = kvm_cpuid2.entries + i * kvm_cpuid_entry2.sizeof;
    const word = (offset: number): number => buffer.getUint32(at + offset, true);
    entries.push({
      function: word(kvm_cpuid_entry2.function),
      index: word(kvm_cpuid_entry2.index),
      flags: word(kvm_cpuid_entry2.flags),
      eax: word(kvm_cpuid_entry2.eax),
      ebx: word(kvm_cpuid_entry2.ebx),
      ecx: word(kvm_cpuid_entry2.ecx),
      edx: word(kvm_cpuid_entry2.edx),
    });
  }
  return entries;
}

export function writeCpuid(entries: readonly CpuidEntry[]): DataView {
  const buffer = new DataView(new ArrayBuffer(kvm_cpuid2.sizeof + entries.length * kvm_cpuid_entry2.sizeof));
  buffer.setUint32(kvm_cpuid2.nent, entries.length, true);
  entries.forEach((entry, i) => {
    const at = kvm_cpuid2.entries + i * kvm_cpuid_entry2.sizeof;
    for (const name of ['function', 'index', 'flags', 'eax', 'ebx', 'ecx', 'edx'] as const) buffer.setUint32(at + kvm_cpuid_entry2[name], entry[name], true);
  });
  return buffer;
}
