import { beforeEach, describe, expect, it } from 'vitest';
import { FpMachine, MEM, REX_W } from '../../support/cpu/fp.ts';

const FXSAVE = 0xae | MEM;
const UD = 6;
const NM = 7;
const GP = 13;
const MF = 16;
const XM = 19;
const CR0_EM = 4;
const CR0_TS = 8;
const CR0_MP = 2;
const BASE_CR0 = 0x21;
const BASE_CR4 = 0x600;
const ONE: [number, bigint] = [0x3fff, 1n << 63n];
const TWO: [number, bigint] = [0x4000, 1n << 63n];

const m = new FpMachine();
beforeEach(() => {
  m.control();
  m.load({});
  m.guest(0, 0x8000).fill(0);
});

/** x87 sub-operations: opcode & 7 << 8 | modrm. */
const x = (opcode: number, modrm: number) => ((opcode & 7) << 8) | modrm;

describe('FXSAVE and FXRSTOR', () => {
  it('write the image of SDM table 10-2 and leave bytes 464 to 511 alone', () => {
    m.guest(0x2000, 512).fill(0xee);
    m.load({ mxcsr: 0x1fa0, fcw: 0x27f, fsw: 0x3041, ftw: 0xc1, xmm1: 0x1111n, xmm2: 0x2222n << 64n, st: [ONE, TWO] });
    expect(m.exec('sse', FXSAVE, 0x2000, 0).fault).toBe(0);
    const image = m.guest(0x2000, 512);
    expect(image.readUInt16LE(0)).toBe(0x27f);
    expect(image.readUInt16LE(2)).toBe(0x3041);
    expect(image[4]).toBe(0xc1);
    expect(image.readUInt32LE(24)).toBe(0x1fa0);
    expect(image.readUInt32LE(28)).toBe(0xffff);
    expect(image.readBigUInt64LE(32)).toBe(1n << 63n);
    expect(image.readUInt32LE(40)).toBe(0x3fff);
    expect(image.readUInt32LE(56)).toBe(0x4000);
    expect(image.readBigUInt64LE(160 + 16)).toBe(0x1111n);
    expect(image.readBigUInt64LE(160 + 40)).toBe(0x2222n);
    expect(image.subarray(464).every((b) => b === 0xee)).toBe(true);
  });

  it('give the same state back', () => {
    m.load({ mxcsr: 0x9fc0, fcw: 0x67f, fsw: 0x6800, ftw: 0x5a, xmm1: 7n, xmm2: 9n, st: [ONE, TWO, [0x7fff, 0xc123n << 48n]] });
    m.exec('sse', FXSAVE | REX_W, 0x2000, 0);
    const before = m.outcome();
    m.load({});
    expect(m.exec('sse', FXSAVE | REX_W, 0x2000, 1)).toEqual(before);
  });

  it('save eight XMM registers outside 64-bit mode', () => {
    m.guest(0x2000, 512).fill(0xee);
    m.control(BASE_CR0, BASE_CR4, 1 | 32);
    m.exec('sse', FXSAVE, 0x2000, 0);
    expect(m.guest(0x2000 + 160 + 7 * 16, 16).every((b) => b === 0)).toBe(true);
    expect(m.guest(0x2000 + 160 + 8 * 16, 8 * 16).every((b) => b === 0xee)).toBe(true);
  });

  it('raise #GP for a misaligned image and for MXCSR bits that do not exist, and change nothing', () => {
    expect(m.exec('sse', FXSAVE, 0x2008, 0).fault).toBe(GP);
    m.load({ fcw: 0x27f });
    m.guest(0x2000 + 24, 4).writeUInt32LE(0x1_0000);
    const after = m.exec('sse', FXSAVE, 0x2000, 1);
    expect(after.fault).toBe(GP);
    expect(after.fcw).toBe(0x27f);
  });

  it('raise #NM with CR0.TS or CR0.EM', () => {
    for (const bit of [CR0_TS, CR0_EM]) {
      m.control(BASE_CR0 | bit);
      m.load({});
      expect(m.exec('sse', FXSAVE, 0x2000, 0).fault).toBe(NM);
    }
  });

  it('work without CR4.OSFXSR, and then leave MXCSR and XMM alone on restore', () => {
    m.control(BASE_CR0, 0);
    m.load({ mxcsr: 0x1f80, xmm1: 5n });
    m.guest(0x2000 + 24, 4).writeUInt32LE(0x1fbf);
    const after = m.exec('sse', FXSAVE, 0x2000, 1);
    expect([after.fault, after.mxcsr, after.xmm1]).toEqual([0, 0x1f80, 5n]);
  });
});

describe('MXCSR', () => {
  it('LDMXCSR takes 16 bits and raises #GP for others', () => {
    m.guest(0x2000, 4).writeUInt32LE(0xffbf);
    expect(m.exec('sse', FXSAVE, 0x2000, 2)).toMatchObject({ fault: 0, mxcsr: 0xffbf });
    m.guest(0x2000, 4).writeUInt32LE(0x2_0000);
    expect(m.exec('sse', FXSAVE, 0x2000, 2)).toMatchObject({ fault: GP, mxcsr: 0xffbf });
  });

  it('STMXCSR stores it', () => {
    m.load({ mxcsr: 0x7f81 });
    m.exec('sse', FXSAVE, 0x2000, 3);
    expect(m.guest(0x2000, 4).readUInt32LE()).toBe(0x7f81);
  });

  it('an unmasked exception is #XM, #UD without CR4.OSXMMEXCPT, and writes no result', () => {
    const DIVSD = 0x35e;
    m.load({ mxcsr: 0x1f80 & ~0x200, xmm1: 0x3ff0_0000_0000_0000n });
    expect(m.exec('sse', DIVSD)).toMatchObject({ fault: XM, mxcsr: 0x1d84, xmm1: 0x3ff0_0000_0000_0000n });
    m.control(BASE_CR0, 0x200);
    m.load({ mxcsr: 0x1f80 & ~0x200, xmm1: 0x3ff0_0000_0000_0000n });
    expect(m.exec('sse', DIVSD)).toMatchObject({ fault: UD, mxcsr: 0x1d84 });
  });
});

describe('who may run', () => {
  it.each([
    ['SSE, CR0.EM', 0x158, BASE_CR0 | CR0_EM, BASE_CR4, UD],
    ['SSE, CR0.TS', 0x158, BASE_CR0 | CR0_TS, BASE_CR4, NM],
    ['SSE, no CR4.OSFXSR', 0x158, BASE_CR0, 0, UD],
    ['SSE moves, CR0.TS', 0x16f, BASE_CR0 | CR0_TS, BASE_CR4, NM],
    ['SSE, EM and TS', 0x28, BASE_CR0 | CR0_EM | CR0_TS, BASE_CR4, UD],
    ['MMX, CR0.EM', 0xef, BASE_CR0 | CR0_EM, BASE_CR4, UD],
    ['MMX, CR0.TS', 0xef, BASE_CR0 | CR0_TS, BASE_CR4, NM],
    ['MMX, no CR4.OSFXSR', 0xef, BASE_CR0, 0, 0],
    ['LDMXCSR, CR0.TS', 0xae | MEM, BASE_CR0 | CR0_TS, BASE_CR4, NM],
    ['MOVNTI, CR0.TS', 0xc3 | MEM, BASE_CR0 | CR0_TS, BASE_CR4, 0],
  ])('%s', (_, op, cr0, cr4, fault) => {
    m.control(cr0, cr4);
    m.load({});
    expect(m.exec('sse', op, 0x2000, 2).fault).toBe(fault);
  });

  it('x87 raises #NM with CR0.EM or CR0.TS, FWAIT only with MP and TS', () => {
    for (const bit of [CR0_EM, CR0_TS]) {
      m.control(BASE_CR0 | bit);
      m.load({});
      expect(m.exec('x87', x(0xd9, 0xe8)).fault).toBe(NM);
    }
    m.control(BASE_CR0 | CR0_TS);
    m.load({});
    m.x.x87_fwait(m.cpu);
    expect(m.outcome().fault).toBe(0);
    m.control(BASE_CR0 | CR0_TS | CR0_MP);
    m.x.x87_fwait(m.cpu);
    expect(m.outcome().fault).toBe(NM);
  });

  it('a waiting x87 exception stops waiting instructions and MMX, not FNSTSW, FNCLEX, FNSTCW', () => {
    const pending = { fcw: 0x37b, fsw: 0x3004, ftw: 0xc0, st: [ONE, TWO] };
    m.load(pending);
    expect(m.outcome().fsw).toBe(0xb084);
    expect(m.exec('x87', x(0xd8, 0xc1)).fault).toBe(MF);
    m.load(pending);
    expect(m.exec('sse', 0xef).fault).toBe(MF);
    m.load(pending);
    m.x.x87_fwait(m.cpu);
    expect(m.outcome().fault).toBe(MF);
    m.load(pending);
    expect(m.exec('x87', x(0xdf, 0xe0)).fault).toBe(0);
    expect(m.exec('x87', x(0xd9, 0x38), 0x2000).fault).toBe(0);
    expect(m.guest(0x2000, 2).readUInt16LE()).toBe(0x37b);
    expect(m.exec('x87', x(0xdb, 0xe2))).toMatchObject({ fault: 0, fsw: 0x3000 });
  });
});

describe('alignment and page borders', () => {
  it.each([
    ['MOVAPS load', 0x28],
    ['MOVAPS store', 0x29],
    ['MOVDQA load', 0x16f],
    ['PADDD', 0x1fe],
    ['ADDPD', 0x158],
    ['MOVNTDQ', 0x1e7],
    ['PSHUFD', 0x170],
  ])('%s of a misaligned operand raises #GP', (_, op) => {
    expect(m.exec('sse', op | MEM, 0x2001).fault).toBe(GP);
    m.load({});
    expect(m.exec('sse', op | MEM, 0x2010).fault).toBe(0);
  });

  it('MOVUPS and MOVDQU cross a page', () => {
    const value = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100n;
    m.load({ xmm1: value });
    expect(m.exec('sse', 0x11 | MEM, 0x2ffb).fault).toBe(0);
    expect([...m.guest(0x2ffb, 16)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    m.load({});
    expect(m.exec('sse', 0x26f | MEM, 0x2ffb).xmm1).toBe(value);
  });

  it('MASKMOVDQU writes the chosen bytes only', () => {
    m.guest(0x2000, 16).fill(0xaa);
    m.load({ xmm1: 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100n, xmm2: 0x8000_0000_0000_0000_0000_0000_0000_80ffn });
    m.exec('sse', 0x1f7, 0x2000);
    expect([...m.guest(0x2000, 16)]).toEqual([0, 1, ...Array(13).fill(0xaa), 15]);
  });
});

describe('x87 environment', () => {
  it('FNSTENV stores 28 bytes with tags found from the registers, and masks all exceptions', () => {
    m.guest(0x2000, 64).fill(0xee);
    m.load({ fcw: 0x360, fsw: 0x2000, ftw: 0xf0, st: [ONE, [0, 0n], [0x7fff, 3n << 62n], [0, 5n]] }); // TOP 4
    expect(m.exec('x87', x(0xd9, 0x30), 0x2000)).toMatchObject({ fault: 0, fcw: 0x37f });
    const env = m.guest(0x2000, 64);
    expect(env.readUInt32LE(0)).toBe(0xffff_0360);
    expect(env.readUInt32LE(4)).toBe(0xffff_2000);
    // registers 4 valid, 5 zero, 6 and 7 special, 0 … 3 empty
    expect(env.readUInt32LE(8)).toBe(0xffff_0000 + 0b10_10_01_00_11_11_11_11);
    expect(env[28]).toBe(0xee);
  });

  it('the 16-bit form is 14 bytes', () => {
    m.guest(0x2000, 64).fill(0xee);
    m.load({ fcw: 0x37f, fsw: 0x3800 });
    m.exec('x87', x(0xd9, 0x30) | 0x800, 0x2000);
    const env = m.guest(0x2000, 64);
    expect([env.readUInt16LE(0), env.readUInt16LE(2), env.readUInt16LE(4), env[14]]).toEqual([0x37f, 0x3800, 0xffff, 0xee]);
  });

  it('the last instruction, its opcode and operand address are recorded', () => {
    m.load({ ftw: 0x80, fsw: 0x3800, st: [ONE] });
    m.exec('x87', x(0xd8, 0x07), 0x2340); // FADD m32
    m.exec('x87', x(0xd9, 0x30), 0x2000);
    const env = m.guest(0x2000, 28);
    expect(env.readUInt32LE(16) >>> 16).toBe(0x007);
    expect(env.readUInt32LE(20)).toBe(0x2340);
  });

  it('FLDENV brings tags, TOP and the pending exception back', () => {
    m.load({ fcw: 0x37b, fsw: 0x3004, ftw: 0xc0 });
    m.exec('x87', x(0xd9, 0x30), 0x2000);
    m.x.fninit(m.cpu);
    expect(m.outcome()).toMatchObject({ fcw: 0x37f, fsw: 0, ftw: 0 });
    expect(m.exec('x87', x(0xd9, 0x20), 0x2000)).toMatchObject({ fcw: 0x37b, fsw: 0xb084, ftw: 0xc0 });
  });

  it('FNSAVE stores 108 bytes and initialises, FRSTOR brings all back', () => {
    m.load({ fcw: 0x27f, fsw: 0x2000, ftw: 0x70, st: [ONE, TWO, [0xbfff, 3n << 62n], [1, 2n]] });
    const before = m.outcome();
    expect(m.exec('x87', x(0xdd, 0x30), 0x2000)).toMatchObject({ fcw: 0x37f, fsw: 0, ftw: 0 });
    expect(m.guest(0x2000 + 28 + 8, 2).readUInt16LE()).toBe(0x3fff);
    expect(m.guest(0x2000 + 28 + 10, 8).readBigUInt64LE()).toBe(1n << 63n);
    m.load({});
    expect(m.exec('x87', x(0xdd, 0x20), 0x2000)).toEqual(before);
  });

  it('FLDCW that unmasks a flag makes the exception pending, FNINIT ends it', () => {
    m.load({ fsw: 0x0004 });
    m.guest(0x2000, 2).writeUInt16LE(0x37b);
    expect(m.exec('x87', x(0xd9, 0x28), 0x2000)).toMatchObject({ fault: 0, fcw: 0x37b, fsw: 0x8084 });
    expect(m.exec('x87', x(0xdb, 0xe3))).toMatchObject({ fault: 0, fcw: 0x37f, fsw: 0 });
  });
});

describe('MMX', () => {
  it('sets TOP to 0 and all tags to valid, EMMS empties them', () => {
    m.load({ fsw: 0x3000, ftw: 0x01 });
    expect(m.exec('sse', 0xef)).toMatchObject({ fsw: 0, ftw: 0xff });
    expect(m.exec('sse', 0x77)).toMatchObject({ fsw: 0, ftw: 0 });
  });

  it('a write sets the exponent field to ones', () => {
    m.load({ ftw: 0xff });
    m.guest(0x2000, 8).writeBigUInt64LE(0x1234n);
    expect(m.exec('sse', 0x6f | MEM, 0x2000, 3).st[3]).toEqual([0xffff, 0x1234n]);
  });
});

describe('undefined forms raise #UD', () => {
  it.each([
    ['D9 D1', x(0xd9, 0xd1)],
    ['D9 E2', x(0xd9, 0xe2)],
    ['D9 EF', x(0xd9, 0xef)],
    ['DA E8', x(0xda, 0xe8)],
    ['DB E5', x(0xdb, 0xe5)],
    ['DB F8', x(0xdb, 0xf8)],
    ['DD F0', x(0xdd, 0xf0)],
    ['DE D8', x(0xde, 0xd8)],
    ['DF E1', x(0xdf, 0xe1)],
    ['D9 /1 m', x(0xd9, 0x08)],
    ['DB /4 m', x(0xdb, 0x20)],
    ['DB /6 m', x(0xdb, 0x30)],
    ['DD /5 m', x(0xdd, 0x28)],
  ])('%s', (_, op) => {
    expect(m.exec('x87', op).fault).toBe(UD);
  });
});
