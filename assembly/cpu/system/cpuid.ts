/**
 * CPUID of the two CPU models (Intel SDM Vol. 2A, CPUID; KVM leaves: Linux Documentation/virt/kvm/x86/cpuid.rst).
 *
 * Linux 6.12 believes leaf 0x15 from Intel only; it makes the TSC known and the APIC timer calibrated. Leaf 0x16 saves
 * the PIT loop for the CPU frequency, ARAT the search for a broadcast timer, KVM's signature the timer-interrupt check.
 */
import { PROFILE_V2 } from '../../contract/vcpu';
import { lapic_enabled } from '../chips/apic';
import { Cpu } from '../vcpu/state';

/** Family 6, model 15, stepping 11: a model that no kernel works around. */
export const CPU_SIGNATURE: u32 = 0x6fb;
/** TSC, APIC clock and crystal. */
const CLOCK_HZ: u32 = 1_000_000_000;

const F1_EDX_APIC: u32 = 1 << 9;
const F1_EDX: u32 =
  (1 << 0) | // FPU
  (1 << 2) | // DE
  (1 << 3) | // PSE
  (1 << 4) | // TSC
  (1 << 5) | // MSR
  (1 << 6) | // PAE
  (1 << 8) | // CX8
  F1_EDX_APIC |
  (1 << 11) | // SEP
  (1 << 13) | // PGE
  (1 << 15) | // CMOV
  (1 << 19) | // CLFSH
  (1 << 23) | // MMX
  (1 << 24) | // FXSR
  (1 << 25) | // SSE
  (1 << 26); // SSE2
const F1_EDX_HTT: u32 = 1 << 28;
const F1_ECX: u32 =
  (1 << 24) | // TSC-deadline
  (1 << 30) | // RDRAND
  (1 << 31); // hypervisor
const F1_ECX_CX16: u32 = 1 << 13;
const F1_ECX_V2: u32 =
  (1 << 0) | // SSE3
  (1 << 9) | // SSSE3
  (1 << 19) | // SSE4.1
  (1 << 20) | // SSE4.2
  (1 << 23); // POPCNT
const F7_EBX: u32 = 1 << 9; // ERMS
const F7_EDX: u32 =
  (1 << 4) | // FSRM
  (1 << 29); // ARCH_CAPABILITIES: says that nothing here speculates, so stock kernels spare page-table isolation and the like
const E1_EDX: u32 =
  (1 << 11) | // SYSCALL
  (1 << 20) | // NX
  (1 << 26) | // 1 GiB pages
  (1 << 27) | // RDTSCP
  (1 << 29); // LM

// KVM features
const KVM_NOP_IO_DELAY: u32 = 1 << 1;
const KVM_PV_UNHALT: u32 = 1 << 7;
const KVM_PV_SEND_IPI: u32 = 1 << 11;

/** Bits of an APIC id that number the cores of the one package. */
function core_bits(cpus: u32): u32 {
  return cpus <= 1 ? 0 : 32 - <u32>clz(cpus - 1);
}

/** EAX | EBX << 32 of a leaf in `cpuid_low`, ECX | EDX << 32 in `cpuid_high`. */
export function cpuid_low(cpu: usize, leaf: u32, sub: u32): u64 {
  return leaf_value(cpu, leaf, sub, false);
}

export function cpuid_high(cpu: usize, leaf: u32, sub: u32): u64 {
  return leaf_value(cpu, leaf, sub, true);
}

@inline
function pick(high: bool, eax: u32, ebx: u32, ecx: u32, edx: u32): u64 {
  return high ? <u64>ecx | (<u64>edx << 32) : <u64>eax | (<u64>ebx << 32);
}

function leaf_value(cpu: usize, leaf: u32, sub: u32, high: bool): u64 {
  const c = changetype<Cpu>(cpu);
  const cpus: u32 = c.cpus ? c.cpus : 1;
  switch (leaf) {
    case 0: return pick(high, 0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69); // GenuineIntel
    case 1: {
      const wide = c.profile == PROFILE_V2;
      const ecx = F1_ECX | (wide ? F1_ECX_V2 | F1_ECX_CX16 : cpus == 1 ? F1_ECX_CX16 : 0);
      // APIC says whether it is enabled now (SDM Vol. 3A §11.4.3)
      const edx = (lapic_enabled(cpu) ? F1_EDX : F1_EDX & ~F1_EDX_APIC) | (cpus > 1 ? F1_EDX_HTT : 0);
      return pick(high, CPU_SIGNATURE, (c.index << 24) | ((1 << core_bits(cpus)) << 16) | (8 << 8), ecx, edx);
    }
    // One descriptor: "see leaf 4". glibc asks here first and sizes its copies by the answer
    case 2: return pick(high, 0xff01, 0, 0, 0);
    case 4: return cache_leaf(cpus, sub, high);
    case 6: return pick(high, 1 << 2, 0, 0, 0); // ARAT
    case 7: return sub == 0 ? pick(high, 0, F7_EBX, 0, F7_EDX) : 0;
    case 0xb: {
      const bits = core_bits(cpus);
      if (sub == 0) return pick(high, 0, 1, 0x100, c.index); // thread level: one a core
      if (sub == 1) return pick(high, bits, cpus, 0x201, c.index); // core level
      return pick(high, 0, 0, sub & 0xff, c.index);
    }
    case 0x15: return pick(high, 1, 1, CLOCK_HZ, 0);
    case 0x16: return pick(high, 1000, 1000, 1000, 0);
    case 0x4000_0000: return pick(high, 0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d); // KVMKVMKVM
    case 0x4000_0001: return pick(high, KVM_NOP_IO_DELAY | (cpus > 1 ? KVM_PV_UNHALT | KVM_PV_SEND_IPI : 0), 0, 0, 0);
    case 0x8000_0000: return pick(high, 0x8000_0008, 0, 0, 0);
    case 0x8000_0001: return pick(high, 0, 0, 1, E1_EDX); // LAHF
    // "vmm software CPU"
    case 0x8000_0002: return pick(high, 0x206d_6d76, 0x7466_6f73, 0x6572_6177, 0x5550_4320);
    case 0x8000_0003:
    case 0x8000_0004: return 0;
    case 0x8000_0006: return pick(high, 0, 0, 0x0400_8040, 0); // L2: 1 MiB, 16-way, 64-byte lines
    case 0x8000_0007: return pick(high, 0, 0, 0, 1 << 8); // invariant TSC
    case 0x8000_0008: return pick(high, 0x3028, 0, 0, 0); // 48-bit linear, 40-bit physical addresses
  }
  // Intel answers leaves above the maximum with the last basic one (SDM Vol. 2A, CPUID); hypervisor leaves read 0
  if (leaf > 0x16 && leaf - 0x4000_0000 >= 0x1000_0000 && leaf < 0x8000_0000) return pick(high, 1000, 1000, 1000, 0);
  return 0;
}

/** Leaf 4: 32 KiB data and instruction caches, 1 MiB L2, 8 MiB L3 shared by all. */
function cache_leaf(cpus: u32, sub: u32, high: bool): u64 {
  const cores: u32 = ((1 << core_bits(cpus)) - 1) << 26;
  const shared: u32 = ((1 << core_bits(cpus)) - 1) << 14;
  // EBX: line size - 1, partitions - 1 << 12, ways - 1 << 22; ECX: sets - 1
  switch (sub) {
    case 0: return pick(high, cores | 1 | (1 << 5) | (1 << 8), 63 | (7 << 22), 63, 0);
    case 1: return pick(high, cores | 2 | (1 << 5) | (1 << 8), 63 | (7 << 22), 63, 0);
    case 2: return pick(high, cores | 3 | (2 << 5) | (1 << 8), 63 | (15 << 22), 1023, 0);
    case 3: return pick(high, cores | shared | 3 | (3 << 5) | (1 << 8), 63 | (15 << 22), 8191, 4);
    default: return 0;
  }
}

/** CPUID: not privileged. The leaf is EAX, the sub-leaf ECX. */
export function cpuid(cpu: usize): void {
  const c = changetype<Cpu>(cpu);
  const leaf = <u32>c.r0;
  const sub = <u32>c.r1;
  const low = cpuid_low(cpu, leaf, sub);
  const high = cpuid_high(cpu, leaf, sub);
  c.r0 = low & 0xffff_ffff;
  c.r3 = low >> 32;
  c.r1 = high & 0xffff_ffff;
  c.r2 = high >> 32;
}
