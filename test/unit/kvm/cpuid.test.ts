import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as exits from '../../../vmm/accel/kvm-exit.ts';
import { kvm_run } from '../../../vmm/host/uapi/kvm.ts';
import { type CpuidEntry, readCpuid, writeCpuid } from '../../../vmm/kvm/cpuid.ts';
import { cpuidFor } from '../../../vmm/accel/kvm-cpuid.ts';
import type { CpuModel } from '../../../vmm/accel/vcpu.ts';

const ALL = 0xffff_ffff;
const leaf = (fn: number, index = 0, registers: Partial<CpuidEntry> = {}): CpuidEntry => ({ function: fn, index, flags: fn === 4 || fn === 7 ? 1 : 0, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL, ...registers });
/** A processor with every bit set. */
const EVERYTHING = [
  leaf(0, 0, { eax: 0x20 }), leaf(1), leaf(4, 0, { eax: 0x0000_0121 }), leaf(4, 3, { eax: 0x0000_0163 }), leaf(4, 4, { eax: 0 }), leaf(7), leaf(0xa), leaf(0xd), leaf(0x1f),
  leaf(0x4000_0000, 0, { eax: 0x4000_0001 }), leaf(0x4000_0001), leaf(0x8000_0001), leaf(0x8000_0008), leaf(0x8000_001e),
];
const options = (model: CpuModel, cpus: number, apicId: number) => ({ model, cpus, apicId, tscDeadline: true, tscKhz: 2_500_000 });
const find = (entries: CpuidEntry[], fn: number, index = 0): CpuidEntry => {
  const found = entries.find((entry) => entry.function === fn && entry.index === index);
  if (found === undefined) throw new Error(`no leaf ${fn.toString(16)}.${index}`);
  return found;
};
const bit = (value: number, n: number): number => (value >>> n) & 1;

describe('CPUID for a guest', () => {
  test('the list survives writing and reading', () => {
    expect(readCpuid(writeCpuid(EVERYTHING))).toEqual(EVERYTHING);
  });

  test('the supported list is not changed', () => {
    const before = structuredClone(EVERYTHING);
    cpuidFor(EVERYTHING, options('baseline', 4, 3));
    expect(EVERYTHING).toEqual(before);
  });

  test('leaf 1 has the vCPU in it: APIC id 3 of 4 CPUs, hypervisor and TSC-deadline, no MONITOR', () => {
    const { ebx, ecx, edx } = find(cpuidFor(EVERYTHING, options('host', 4, 3)), 1);
    expect(ebx >>> 24).toBe(3);
    expect((ebx >>> 16) & 0xff).toBe(4);
    expect([bit(ecx, 31), bit(ecx, 24), bit(ecx, 3), bit(edx, 28)]).toEqual([1, 1, 0, 1]);
  });

  test('one CPU has no HTT and no CmpLegacy', () => {
    const entries = cpuidFor(EVERYTHING, options('host', 1, 0));
    expect(bit(find(entries, 1).edx, 28)).toBe(0);
    expect(bit(find(entries, 0x8000_0001).ecx, 1)).toBe(0);
  });

  test('leaf 0xb has a thread level of one, a core level of all, then its end', () => {
    const entries = cpuidFor(EVERYTHING, options('host', 6, 5));
    expect([0, 1, 2].map((index) => { const { eax, ebx, ecx, edx } = find(entries, 0xb, index); return [eax, ebx, ecx, edx]; })).toEqual([[0, 1, 0x100, 5], [3, 6, 0x201, 5], [0, 0, 2, 5]]);
  });

  test('caches: levels 1 and 2 are a core’s own, level 3 is shared by all', () => {
    const entries = cpuidFor(EVERYTHING, options('host', 4, 0));
    expect((find(entries, 4, 0).eax >>> 14) & 0xfff).toBe(0);
    expect((find(entries, 4, 3).eax >>> 14) & 0xfff).toBe(3);
    expect(find(entries, 4, 3).eax >>> 26).toBe(3);
    expect(find(entries, 4, 4).eax).toBe(0);
  });

  test('AMD leaves tell core id and count', () => {
    const entries = cpuidFor(EVERYTHING, options('host', 4, 2));
    expect(find(entries, 0x8000_0008).ecx & 0xf0ff).toBe(0x2003);
    expect(find(entries, 0x8000_001e)).toMatchObject({ eax: 2, ebx: 2, ecx: 0 });
  });

  test('the timing leaf tells TSC and APIC timer rates and is announced', () => {
    const entries = cpuidFor(EVERYTHING, options('host', 1, 0));
    expect(find(entries, 0x4000_0010)).toMatchObject({ eax: 2_500_000, ebx: 1_000_000 });
    expect(find(entries, 0x4000_0000).eax).toBe(0x4000_0010);
    expect(cpuidFor(EVERYTHING, { ...options('host', 1, 0), tscKhz: 0 }).some((entry) => entry.function === 0x4000_0010)).toBe(false);
  });

  test('performance counters and other topology leaves are not given', () => {
    for (const fn of [0xa, 0x1f]) expect(cpuidFor(EVERYTHING, options('host', 2, 0)).some((entry) => entry.function === fn)).toBe(false);
  });

  test.each([
    ['baseline', 0, 0],
    ['x86-64-v2', 1, 1],
  ] as const)('%s: SSE4.2 %i, CX16 %i, no AVX, no leaf 7 or 0xd, long mode and SSE2', (model, sse42, cx16) => {
    const entries = cpuidFor(EVERYTHING, options(model, 1, 0));
    const { ecx, edx } = find(entries, 1);
    expect([bit(ecx, 20), bit(ecx, 13), bit(ecx, 28), bit(ecx, 26), bit(edx, 26)]).toEqual([sse42, cx16, 0, 0, 1]);
    expect(entries.some((entry) => entry.function === 7 || entry.function === 0xd)).toBe(false);
    expect(bit(find(entries, 0x8000_0001).edx, 29)).toBe(1);
    expect(find(entries, 0).eax).toBe(0xb);
  });

  test('no model gives a bit that the processor lacks', () => {
    const word = fc.nat({ max: ALL });
    fc.assert(
      fc.property(word, word, fc.constantFrom<CpuModel>('host', 'baseline', 'x86-64-v2'), fc.integer({ min: 1, max: 32 }), (ecx, edx, model, cpus) => {
        const entries = cpuidFor([leaf(1, 0, { ecx, edx })], { model, cpus, apicId: cpus - 1, tscDeadline: false, tscKhz: 0 });
        const got = find(entries, 1);
        // hypervisor (ECX 31) and HTT (EDX 28) are the machine's own
        expect(got.ecx & ~ecx & ~(1 << 31)).toBe(0);
        expect(got.edx & ~edx & ~(1 << 28)).toBe(0);
      }),
    );
  });
});

describe('exits in words', () => {
  const run = (reason: number, fill: (view: DataView) => void = () => {}): DataView => {
    const view = new DataView(new ArrayBuffer(4096));
    view.setUint32(kvm_run.exit_reason, reason, true);
    fill(view);
    return view;
  };

  test.each([
    ['a failed entry', run(9, (v) => v.setBigUint64(kvm_run.fail_entry_hardware_entry_failure_reason, 0x8000_0021n, true)), /FAIL_ENTRY.*reason 0x80000021/],
    ['an emulation failure with code', run(17, (v) => { v.setUint32(kvm_run.internal_suberror, 1, true); v.setUint32(kvm_run.internal_ndata, 4, true); v.setUint8(kvm_run.emulation_failure_flags, 1); v.setUint8(kvm_run.emulation_failure_insn_size, 2); v.setUint8(kvm_run.emulation_failure_insn_bytes, 0x0f); v.setUint8(kvm_run.emulation_failure_insn_bytes + 1, 0x0b); }), /cannot emulate the instruction \(1\), code 0f 0b$/],
    ['a reason nobody knows', run(77), /reason 77/],
  ])('%s', (_what, view, expected) => {
    const exit = exits.vcpuExit(9, 0, view);
    expect(exit.kind).toBe('error');
    expect('reason' in exit && exit.reason).toMatch(expected);
  });
});
