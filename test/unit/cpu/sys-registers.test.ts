import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FIELD, PTE, SEG, SysMachine, testCore, VECTOR } from '../../support/cpu/sys.ts';

let module: WebAssembly.Module;
let m: SysMachine;
beforeAll(() => {
  module = testCore();
});
beforeEach(() => {
  m = new SysMachine(module);
  m.long64();
  for (let pa = 0; pa < 0x10000; pa += 0x1000) m.map(BigInt(pa), pa, PTE.P | PTE.W | PTE.U);
});

function cpuid(leaf: number, sub = 0, cpu = 0): { eax: number; ebx: number; ecx: number; edx: number } {
  m.setGpr(0, BigInt(leaf), cpu);
  m.setGpr(1, BigInt(sub), cpu);
  m.call('cpuid', m.cpu(cpu));
  const r = (n: number): number => Number(m.gpr(n, cpu));
  return { eax: r(0), ebx: r(3), ecx: r(1), edx: r(2) };
}

const GP0 = { kind: 1, vector: VECTOR.GP, error: 0 };

describe('CPUID', () => {
  const text = (...words: number[]): string => words.map((w) => Buffer.from(new Uint32Array([w]).buffer).toString('latin1')).join('');

  it('vendor, hypervisor and brand strings', () => {
    const v = cpuid(0);
    expect([v.eax, text(v.ebx, v.edx, v.ecx)]).toEqual([0x16, 'GenuineIntel']);
    const h = cpuid(0x4000_0000);
    expect([h.eax, text(h.ebx, h.ecx, h.edx)]).toEqual([0x4000_0001, 'KVMKVMKVM\0\0\0']);
    const b = cpuid(0x8000_0002);
    expect(text(b.eax, b.ebx, b.ecx, b.edx)).toBe('vmm software CPU');
  });

  it('baseline: SSE2 yes; SSE3, AVX, XSAVE, MTRR, PAT, MCE no; CX16 with one vCPU only', () => {
    const f = cpuid(1);
    expect(f.edx & (1 << 26)).not.toBe(0);
    expect(f.edx & ((1 << 7) | (1 << 12) | (1 << 14) | (1 << 16))).toBe(0);
    expect(f.ecx & (1 | (1 << 9) | (1 << 20) | (1 << 26) | (1 << 28))).toBe(0);
    expect(f.ecx & (1 << 13)).not.toBe(0);
    m = new SysMachine(module, 2);
    expect(cpuid(1).ecx & (1 << 13)).toBe(0);
  });

  it('x86-64-v2: what the psABI lists', () => {
    m = new SysMachine(module, 2, 1);
    const f = cpuid(1);
    for (const bit of [0, 9, 13, 19, 20, 23]) expect((f.ecx >>> bit) & 1).toBe(1);
    expect(cpuid(0x8000_0001).ecx & 1).toBe(1);
  });

  it('clock: 1 GHz crystal, ratio 1, ARAT, invariant TSC, TSC deadline', () => {
    expect(cpuid(0x15)).toEqual({ eax: 1, ebx: 1, ecx: 1_000_000_000, edx: 0 });
    expect(cpuid(0x16).eax).toBe(1000);
    expect(cpuid(6).eax & 4).toBe(4);
    expect(cpuid(0x8000_0007).edx).toBe(0x100);
    expect((cpuid(1).ecx >>> 24) & 1).toBe(1);
  });

  it('topology of 3 vCPUs: one package, APIC ids, two id bits', () => {
    m = new SysMachine(module, 3);
    for (let i = 0; i < 3; i++) {
      expect(cpuid(1, 0, i).ebx >>> 24).toBe(i);
      expect(cpuid(0xb, 0, i)).toEqual({ eax: 0, ebx: 1, ecx: 0x100, edx: i });
      expect(cpuid(0xb, 1, i)).toEqual({ eax: 2, ebx: 3, ecx: 0x201, edx: i });
      expect(cpuid(0xb, 2, i)).toEqual({ eax: 0, ebx: 0, ecx: 2, edx: i });
    }
    expect((cpuid(1).ebx >>> 16) & 255).toBe(4);
    expect(cpuid(4, 3).eax >>> 26).toBe(3);
  });

  it('leaf 4 sizes: 32 KiB, 32 KiB, 1 MiB, 8 MiB', () => {
    const size = (sub: number): number => {
      const c = cpuid(4, sub);
      return ((c.ebx >>> 22) + 1) * ((c.ebx & 0xfff) + 1) * (c.ecx + 1);
    };
    expect([0, 1, 2, 3].map(size)).toEqual([32 << 10, 32 << 10, 1 << 20, 8 << 20]);
    expect(cpuid(4, 4).eax).toBe(0);
  });

  it('unknown leaves are 0', () => {
    for (const leaf of [3, 5, 0xa, 0xd, 0x4000_0010, 0x8000_0009, 0x8000_001f]) expect(cpuid(leaf)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });
});

describe('MSRs', () => {
  const read = (n: number): bigint => BigInt.asUintN(64, m.call64('msr_read', m.cpu(), n));
  const write = (n: number, v: bigint): boolean => m.call('msr_write', m.cpu(), n, v) === 1;

  it('an unknown one is #GP(0), read and written, and counted by number', () => {
    read(0x1234);
    expect(m.takeFault()).toEqual(GP0);
    expect(write(0x1234, 0n)).toBe(false);
    expect(m.takeFault()).toEqual(GP0);
    read(0x250);
    m.takeFault();
    const stats = m.cpu() + (m.call('cpu_field', FIELD.stats) >>> 0) + 0x400;
    expect([0, 4, 8, 12].map((o) => m.view.getUint32(stats + o, true))).toEqual([0x1234, 2, 0x250, 1]);
  });

  it('bases must be canonical', () => {
    for (const n of [0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0x175, 0x176]) {
      expect(write(n, 0xffff_8000_0000_0123n)).toBe(true);
      expect(write(n, 0x8000_0000_0000n)).toBe(false);
      expect(m.takeFault()).toEqual(GP0);
      expect(read(n)).toBe(0xffff_8000_0000_0123n);
    }
    expect(m.seg(SEG.gs).base).toBe(0xffff_8000_0000_0123n);
  });

  it('EFER: reserved bits and LME under paging are #GP, LMA is read-only', () => {
    expect(write(0xc000_0080, 0xd01n | 0x2000n)).toBe(false);
    m.takeFault();
    expect(write(0xc000_0080, 0xc01n)).toBe(false);
    m.takeFault();
    expect(write(0xc000_0080, 0x901n)).toBe(true);
    expect(read(0xc000_0080)).toBe(0xd01n);
  });

  it('PAT refuses undefined types; APIC_BASE refuses x2APIC', () => {
    expect(write(0x277, 0x0007_0406_0007_0406n)).toBe(true);
    expect(write(0x277, 2n)).toBe(false);
    m.takeFault();
    expect(write(0x1b, 0xfee0_0c00n)).toBe(false);
    m.takeFault();
    expect(read(0x1b)).toBe(0xfee0_0900n);
  });

  it('CPUID.1:EDX.APIC follows IA32_APIC_BASE.EN', () => {
    expect((cpuid(1).edx >>> 9) & 1).toBe(1);
    m.call('msr_write', m.cpu(), 0x1b, 0xfee0_0100n);
    expect((cpuid(1).edx >>> 9) & 1).toBe(0);
    m.call('msr_write', m.cpu(), 0x1b, 0xfee0_0900n);
    expect((cpuid(1).edx >>> 9) & 1).toBe(1);
  });

  it('MTRRCAP has no ranges; the default type is storage for a memory type, FE and E', () => {
    expect(m.call64('msr_read', m.cpu(), 0xfe)).toBe(0n);
    expect(m.call('msr_write', m.cpu(), 0xfe, 0n)).toBe(0);
    expect(m.takeFault()).toMatchObject({ vector: VECTOR.GP });
    expect(m.call('msr_write', m.cpu(), 0x2ff, 0xc06n)).toBe(1);
    expect(m.call64('msr_read', m.cpu(), 0x2ff)).toBe(0xc06n);
    for (const bad of [0xc02n, 0xc07n, 0x1c06n]) {
      expect(m.call('msr_write', m.cpu(), 0x2ff, bad)).toBe(0);
      expect(m.takeFault()).toMatchObject({ vector: VECTOR.GP, error: 0 });
    }
    m.call64('msr_read', m.cpu(), 0x200);
    expect(m.takeFault()).toMatchObject({ vector: VECTOR.GP, error: 0 });
  });

  it('fast strings are reported: Linux keeps REP MOVSB by it', () => {
    expect(read(0x1a0) & 1n).toBe(1n);
  });

  it('RDMSR and WRMSR are privileged and use EDX:EAX', () => {
    m.setGpr(1, 0xc000_0102n);
    m.setGpr(0, 0xdead_0000_5678n);
    m.setGpr(2, 0x1n);
    expect(m.call('wrmsr', m.cpu())).toBe(1);
    expect(read(0xc000_0102)).toBe(0x1_0000_5678n);
    m.setGpr(0, 0xffff_ffff_ffff_ffffn);
    expect(m.call('rdmsr', m.cpu())).toBe(1);
    expect([m.gpr(0), m.gpr(2)]).toEqual([0x5678n, 1n]);
    m.setCpl(3);
    expect(m.call('rdmsr', m.cpu())).toBe(0);
    expect(m.takeFault()).toEqual(GP0);
  });
});

describe('control registers', () => {
  const write = (n: number, v: bigint): boolean => m.call('cr_write', m.cpu(), n, v) === 1;

  const refused: [string, number, bigint][] = [
    ['CR0 with PG and without PE', 0, 0x8000_0010n],
    ['CR0 with NW and without CD', 0, 0xa000_0011n],
    ['CR0 with high bits', 0, 0x1_8000_0011n],
    ['CR0 without PG in 64-bit mode', 0, 0x11n],
    ['CR4 without PAE in long mode', 4, 0x10n],
    ['CR4.SMEP, not offered', 4, 0x10_0020n],
    ['CR4.FSGSBASE, not offered', 4, 0x1_0020n],
    ['CR3 above 40 bits', 3, 1n << 40n],
    ['CR8 above 15', 8, 16n],
  ];
  for (const [name, n, v] of refused) {
    it(`${name}: #GP(0), unchanged`, () => {
      const before = m.call64('cr_read', m.cpu(), n);
      expect(write(n, v)).toBe(false);
      expect(m.takeFault()).toEqual(GP0);
      expect(m.call64('cr_read', m.cpu(), n)).toBe(before);
    });
  }

  it('CR1 and CR5 are #UD; user code gets #GP', () => {
    m.call64('cr_read', m.cpu(), 1);
    expect(m.takeFault()?.vector).toBe(VECTOR.UD);
    m.setCpl(3);
    expect(write(0, 0x8001_0011n)).toBe(false);
    expect(m.takeFault()).toEqual(GP0);
  });

  it('the way into long mode and its refusals', () => {
    m = new SysMachine(module);
    m.call('enter_protected32', 0, 0x1000, 0, 0, 0x5000, 0xff);
    expect(m.call('msr_write', m.cpu(), 0xc000_0080, 0x100n)).toBe(1);
    expect(write(0, 0x8000_0011n)).toBe(false); // LME without PAE
    expect(m.takeFault()).toEqual(GP0);
    expect(write(4, 0x20n)).toBe(true);
    expect(write(3, 0x1_0000n)).toBe(true);
    expect(write(0, 0x8000_0011n)).toBe(true);
    expect(m.get64(FIELD.efer)).toBe(0x500n);
    expect(m.call('is64', m.cpu())).toBe(0); // still 32-bit code
    m.map(0n, 0, PTE.P | PTE.W);
    m.map(0x5000n, 0x5000, PTE.P | PTE.W);
    m.w64(0x5000 + 0x10, 0x00af_9b00_0000_ffffn);
    m.takeFault();
    expect(m.call('far_jmp', m.cpu(), 0x10, 0x1234n, 4)).toBe(1);
    expect([m.call('is64', m.cpu()), m.get64(FIELD.rip)]).toEqual([1, 0x1234n]);
  });

  it('a CR3 write keeps global pages, a change of CR4.PGE does not', () => {
    const at = m.map(0x7000_0000n, 0x20_0000, PTE.P | PTE.W | PTE.G);
    m.read(0x7000_0000n);
    m.w64(at, 0n);
    write(3, 0x1_0000n);
    m.takeFault();
    m.read(0x7000_0000n);
    expect(m.takeFault()).toBeUndefined();
    write(4, 0x30n);
    m.takeFault();
    m.read(0x7000_0000n);
    expect(m.takeFault()?.vector).toBe(VECTOR.PF);
  });

  it('debug registers: DR4 aliases DR6, #UD with CR4.DE, DR7.GD traps', () => {
    m.call('dr_write', m.cpu(), 6, 0xfn);
    expect(m.call64('dr_read', m.cpu(), 4)).toBe(0xffff_0fffn);
    write(4, 0xb8n);
    m.takeFault();
    m.call64('dr_read', m.cpu(), 4);
    expect(m.takeFault()?.vector).toBe(VECTOR.UD);
    m.call('dr_write', m.cpu(), 7, 0x2000n);
    m.call64('dr_read', m.cpu(), 0);
    expect(m.takeFault()?.vector).toBe(VECTOR.DB);
  });

  it('POPF: user keeps IOPL and IF, 16 bits leave the rest', () => {
    m.call('popf', m.cpu(), 0x20_0202, 8);
    expect(m.call('flags_word', m.cpu())).toBe(0x20_0202);
    m.setCpl(3);
    m.call('popf', m.cpu(), 0x3041, 8);
    expect(m.call('flags_word', m.cpu())).toBe(0x243);
    m.call('popf', m.cpu(), 0x20_0001, 2);
    expect(m.call('flags_word', m.cpu())).toBe(0x203);
  });

  it('RDTSC with CR4.TSD is #GP in user mode', () => {
    write(4, 0xb4n);
    m.takeFault();
    m.setCpl(3);
    m.call('rdtsc', m.cpu());
    expect(m.takeFault()).toEqual(GP0);
  });
});

describe('segments', () => {
  const GDT = 0x5000;
  beforeEach(() => {
    m.w64(GDT + 0x10, 0x00af_9a00_0000_ffffn); // 64-bit code, not accessed
    m.w64(GDT + 0x18, 0x00cf_9200_0000_ffffn); // data
    m.w64(GDT + 0x20, 0x00cf_f200_0000_ffffn); // user data
    m.w64(GDT + 0x28, 0x0040_9000_1234_0fffn | (0x12n << 32n)); // read-only data, byte limit
    m.w64(GDT + 0x30, 0x00cf_1200_0000_ffffn); // not present
    m.w64(GDT + 0x38, 0x00cf_9800_0000_ffffn); // execute-only code
    m.w64(GDT + 0x40, 0x0000_8200_6000_0fffn); // LDT, upper half follows
    m.w64(GDT + 0x48, 0n);
    m.set64(FIELD.gdtr, BigInt(GDT));
  });
  const loadSeg = (seg: number, sel: number): { vector: number; error: number } | true => {
    const ok = m.call('seg_load', m.cpu(), seg, sel) === 1;
    const f = m.takeFault();
    return ok ? true : { vector: f?.vector ?? -1, error: f?.error ?? -1 };
  };

  it('a data segment: base, limit, accessed bit set in memory', () => {
    expect(loadSeg(SEG.ds, 0x28)).toBe(true);
    expect(m.seg(SEG.ds)).toMatchObject({ selector: 0x28, base: 0x12_1234n, limit: 0xfff });
    expect(m.r64(GDT + 0x28) & (1n << 40n)).not.toBe(0n);
  });

  const cases: [string, number, number, { vector: number; error: number } | true][] = [
    ['null DS', SEG.ds, 0, true],
    ['null SS at CPL 0 in 64-bit code', SEG.ss, 0, true],
    ['null SS with another RPL', SEG.ss, 3, { vector: VECTOR.GP, error: 0 }],
    ['beyond the table', SEG.ds, 0x1f8, { vector: VECTOR.GP, error: 0x1f8 }],
    ['LDT selector without an LDT', SEG.ds, 0x14, { vector: VECTOR.GP, error: 0x14 }],
    ['not present data', SEG.es, 0x30, { vector: VECTOR.NP, error: 0x30 }],
    ['not present stack', SEG.ss, 0x30, { vector: VECTOR.SS, error: 0x30 }],
    ['execute-only code', SEG.ds, 0x38, { vector: VECTOR.GP, error: 0x38 }],
    ['read-only stack', SEG.ss, 0x28, { vector: VECTOR.GP, error: 0x28 }],
    ['user stack at CPL 0', SEG.ss, 0x23, { vector: VECTOR.GP, error: 0x20 }],
    ['readable code as data', SEG.ds, 0x10, true],
  ];
  for (const [name, seg, sel, result] of cases) {
    it(`${name}: ${result === true ? 'loads' : `vector ${result.vector}, error ${result.error}`}`, () => {
      m.call('enter_long64', 0, 0x1000n, 0n, 0x1_0000, GDT, 0xff);
      expect(loadSeg(seg, sel)).toEqual(result);
    });
  }

  it('a kernel data segment from user mode is #GP', () => {
    m.setCpl(3);
    expect(loadSeg(SEG.ds, 0x18)).toEqual({ vector: VECTOR.GP, error: 0x18 });
    expect(loadSeg(SEG.ds, 0x23)).toBe(true);
  });

  it('SWAPGS swaps bases, in 64-bit CPL 0 only', () => {
    m.call('msr_write', m.cpu(), 0xc000_0101, 0x1000n);
    m.call('msr_write', m.cpu(), 0xc000_0102, 0x2000n);
    expect(m.call('swapgs', m.cpu())).toBe(1);
    expect([m.seg(SEG.gs).base, m.get64(FIELD.kernelGs)]).toEqual([0x2000n, 0x1000n]);
    m.setCpl(3);
    expect(m.call('swapgs', m.cpu())).toBe(0);
    expect(m.takeFault()).toEqual(GP0);
  });

  it('LAR, LSL, VERR, VERW answer by ZF', () => {
    const lar = m.call64('lar', m.cpu(), 0x18);
    expect([lar >> 32n, lar & 0xffff_ffffn]).toEqual([1n, 0x00c0_9200n]);
    expect((m.call64('lsl', m.cpu(), 0x28)) & 0xffff_ffffn).toBe(0xfffn);
    expect((m.call64('lsl', m.cpu(), 0x18)) & 0xffff_ffffn).toBe(0xffff_ffffn);
    expect(m.call64('lar', m.cpu(), 0)).toBe(0n);
    expect([m.call('verr', m.cpu(), 0x28), m.call('verw', m.cpu(), 0x28)]).toEqual([1, 0]);
    expect([m.call('verr', m.cpu(), 0x38), m.call('verw', m.cpu(), 0x18)]).toEqual([0, 1]);
    m.setCpl(3);
    expect(m.call64('lar', m.cpu(), 0x18)).toBe(0n);
    expect(m.call('verr', m.cpu(), 0x23)).toBe(1);
    expect(m.takeFault()).toBeUndefined();
  });

  it('LLDT loads an LDT whose selectors then work; LTR refuses it', () => {
    m.w64(0x6000 + 8, 0x00cf_9200_0000_ffffn);
    expect(m.call('lldt', m.cpu(), 0x40)).toBe(1);
    expect(loadSeg(SEG.ds, 0x0c)).toBe(true);
    expect(m.call('ltr', m.cpu(), 0x40)).toBe(0);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0x40 });
  });

  it('real mode: base is selector × 16, limits stay', () => {
    m = new SysMachine(module);
    expect(loadSeg(SEG.ds, 0xb800)).toBe(true);
    expect(m.seg(SEG.ds)).toMatchObject({ selector: 0xb800, base: 0xb_8000n, limit: 0xffff });
  });

  it('far CALL through a call gate to CPL 0 and back by far RET', () => {
    m.w64(GDT + 0x50, 0x0000_ec00_0010_4444n); // gate, DPL 3, to 0x10
    m.w64(GDT + 0x58, 0xffff_8000n);
    m.w64(GDT + 0x60, 0x00af_fa00_0000_ffffn); // user code
    m.w64(GDT + 0x68, 0x0000_8900_7000_0067n); // TSS at 0x7000
    m.w64(GDT + 0x70, 0n);
    m.call('ltr', m.cpu(), 0x68);
    m.w64(0x7004, 0xa000n);
    m.call('seg_set', m.cpu(), SEG.cs, 0x63, 0n, 0xffff_ffff, 0xa0fb);
    m.call('seg_set', m.cpu(), SEG.ss, 0x23, 0n, 0xffff_ffff, 0xc0f3);
    m.setCpl(3);
    m.setGpr(4, 0xc000n);
    m.takeFault();
    expect(m.call('far_call', m.cpu(), 0x50, 0n, 4, 0x1111n)).toBe(1);
    expect([m.get64(FIELD.rip), m.gpr(4), m.get32(FIELD.cpl)]).toEqual([0xffff_8000_0000_4444n, 0xa000n - 32n, 0]);
    expect([0, 1, 2, 3].map((i) => m.r64(0xa000 - 32 + i * 8))).toEqual([0x1111n, 0x63n, 0xc000n, 0x23n]);
    expect(m.call('far_ret', m.cpu(), 8, 0)).toBe(1);
    expect([m.get64(FIELD.rip), m.gpr(4), m.get32(FIELD.cpl)]).toEqual([0x1111n, 0xc000n, 3]);
  });
});

describe('ports', () => {
  it('user needs IOPL or a 0 bit in the TSS\'s map', () => {
    m.call('seg_set', m.cpu(), SEG.tr, 0x40, 0x7000n, 0x90, 0x8b);
    m.w16(0x7066, 0x68);
    m.w64(0x7068, 0xffff_ffff_ffff_fffdn); // port 1 free, its neighbours not
    m.w64(0x7070, 0xffff_ffff_ffff_ffffn);
    m.setCpl(3);
    expect(m.call('io_allowed', m.cpu(), 1, 1)).toBe(1);
    expect(m.call('io_allowed', m.cpu(), 1, 2)).toBe(0);
    expect(m.takeFault()).toEqual(GP0);
    expect(m.call('io_allowed', m.cpu(), 0x3f8, 1)).toBe(0); // beyond the limit
    expect(m.takeFault()).toEqual(GP0);
    m.setCpl(0);
    m.call('popf', m.cpu(), 0x3002, 8);
    m.setCpl(3);
    expect(m.call('io_allowed', m.cpu(), 0x3f8, 4)).toBe(1);
  });

  it('a port nobody claims reads ones', () => {
    expect(m.call('io_in', m.cpu(), 0x1234, 1) & 0xff).toBe(0xff);
  });
});
