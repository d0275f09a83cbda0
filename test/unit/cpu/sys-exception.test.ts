import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FIELD, PTE, SEG, SysMachine, testCore, VECTOR } from '../../support/cpu/sys.ts';

const { P, W, U } = PTE;
const GDT = 0x5000;
const IDT = 0x6000;
const TSS = 0x8000;
const KSTACK = 0x9000n; // top
const IST1 = 0xa000n;
const HANDLER = 0xffff_8000_0010_0000n;
const USER_RIP = 0x40_1234n;
const USER_RSP = 0x7fff_0000n;

// Selectors: kernel code 0x10 and data 0x18, user 32-bit code 0x20, user data 0x28, user code 0x30, TSS 0x40
const KCODE = 0x10;
const UDATA = 0x2b;
const UCODE = 0x33;

let module: WebAssembly.Module;
let m: SysMachine;
beforeAll(() => {
  module = testCore();
});

function gate(vector: number, target: bigint, options: { selector?: number; ist?: number; type?: number; dpl?: number; present?: boolean } = {}): void {
  const { selector = KCODE, ist = 0, type = 0xe, dpl = 0, present = true } = options;
  const low = (target & 0xffffn) | (BigInt(selector) << 16n) | (BigInt(ist) << 32n) | (BigInt(type | (dpl << 5) | (present ? 0x80 : 0)) << 40n) | ((target & 0xffff_0000n) << 32n);
  m.w64(IDT + vector * 16, low);
  m.w64(IDT + vector * 16 + 8, target >> 32n);
}

beforeEach(() => {
  m = new SysMachine(module);
  m.long64();
  for (let pa = 0; pa < 0x10000; pa += 0x1000) m.map(BigInt(pa), pa, P | W | U);
  m.w64(GDT + 0x10, 0x00af_9b00_0000_ffffn);
  m.w64(GDT + 0x18, 0x00cf_9300_0000_ffffn);
  m.w64(GDT + 0x20, 0x00cf_fb00_0000_ffffn);
  m.w64(GDT + 0x28, 0x00cf_f300_0000_ffffn);
  m.w64(GDT + 0x30, 0x00af_fb00_0000_ffffn);
  m.w64(GDT + 0x40, 0x0000_8900_0000_0067n | (BigInt(TSS) << 16n));
  m.w64(GDT + 0x48, 0n);
  m.w64(GDT + 0x50, 0x00cf_9800_0000_ffffn); // 32-bit code: not for long mode gates
  m.set64(FIELD.gdtr, BigInt(GDT));
  m.set64(FIELD.idtr, BigInt(IDT));
  idtLimit(0xfff);
  m.w64(TSS + 4, KSTACK);
  m.w64(TSS + 0x24, IST1);
  m.call('ltr', m.cpu(), 0x40);
  expect(m.takeFault()).toBeUndefined();
  for (let v = 0; v < 256; v++) gate(v, HANDLER + BigInt(v) * 16n);
  kernel();
});

/** Sets IDTR.limit through LIDT, which is privileged and reads memory. */
function idtLimit(limit: number): void {
  m.w16(0x1000, limit);
  m.w64(0x1002, BigInt(IDT));
  m.call('lidt', m.cpu(), 0x1000n, 8);
  expect(m.takeFault()).toBeUndefined();
}

function segments(cs: number, ss: number, cpl: number): void {
  const code = cpl === 3 ? 0xa0fb : 0xa09b;
  m.call('seg_set', m.cpu(), SEG.cs, cs, 0n, 0xffff_ffff, code);
  m.call('seg_set', m.cpu(), SEG.ss, ss, 0n, 0xffff_ffff, cpl === 3 ? 0xc0f3 : 0xc093);
  m.setCpl(cpl);
}

function kernel(): void {
  segments(KCODE, 0x18, 0);
  m.set64(FIELD.rip, 0xffff_8000_0000_1000n);
  m.setGpr(4, 0xb00dn);
  m.call('popf', m.cpu(), 0x246, 8);
  m.takeFault();
}

function user(): void {
  segments(UCODE, UDATA, 3);
  m.set64(FIELD.rip, USER_RIP);
  m.setGpr(4, USER_RSP);
}

function raise(vector: number, error = 0): void {
  m.call('t_raise', m.cpu(), vector, error);
  m.call('sys_deliver', m.cpu());
}

function frame(sp: bigint, words: number): bigint[] {
  return Array.from({ length: words }, (_, i) => m.r64(Number(sp) + i * 8));
}

describe('delivery in 64-bit mode', () => {
  it('from user: stack of TSS.RSP0, frame with error code, RF in the saved flags', () => {
    user();
    raise(VECTOR.PF, 6);
    expect(m.gpr(4)).toBe(KSTACK - 48n);
    expect(frame(KSTACK - 48n, 6)).toEqual([6n, USER_RIP, BigInt(UCODE), 0x1_0246n, USER_RSP, BigInt(UDATA)]);
    expect(m.get64(FIELD.rip)).toBe(HANDLER + 14n * 16n);
    expect(m.seg(SEG.cs).selector).toBe(KCODE);
    expect(m.seg(SEG.ss)).toMatchObject({ selector: 0 });
    expect(m.get32(FIELD.cpl)).toBe(0);
    expect(m.call('flags_word', m.cpu()) & 0x200).toBe(0);
    expect(m.takeFault()).toBeUndefined();
  });

  it('from kernel: same stack, aligned to 16, SS kept', () => {
    raise(VECTOR.UD);
    expect(m.gpr(4)).toBe(0xb000n - 40n);
    expect(frame(0xb000n - 40n, 5)).toEqual([0xffff_8000_0000_1000n, BigInt(KCODE), 0x1_0246n, 0xb00dn, 0x18n]);
    expect(m.seg(SEG.ss).selector).toBe(0x18);
  });

  it('IST switches the stack even at the same level', () => {
    gate(VECTOR.NMI, HANDLER, { ist: 1 });
    m.call('cpu_signal', m.cpu(), 2);
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    expect(m.gpr(4)).toBe(IST1 - 40n);
    expect(m.get64(FIELD.rip)).toBe(HANDLER);
  });

  it('a trap gate leaves IF set', () => {
    gate(VECTOR.UD, HANDLER, { type: 0xf });
    raise(VECTOR.UD);
    expect(m.call('flags_word', m.cpu()) & 0x200).toBe(0x200);
  });

  it('#DB and traps have no RF in the saved flags', () => {
    m.call('raise_debug', m.cpu(), 0x4000n);
    m.call('sys_deliver', m.cpu());
    expect(m.r64(0xb000 - 24)).toBe(0x246n);
    expect(m.call64('dr_read', m.cpu(), 6)).toBe(0xffff_4ff0n);
  });
});

describe('software interrupts', () => {
  it('INT n pushes the next address, no error code', () => {
    expect(m.call('int_n', m.cpu(), 0x80, 0xffff_8000_0000_1002n)).toBe(1);
    expect(m.gpr(4)).toBe(0xb000n - 40n);
    expect(m.r64(0xb000 - 40)).toBe(0xffff_8000_0000_1002n);
    expect(m.r64(0xb000 - 24)).toBe(0x246n);
  });

  it('a gate with DPL 0 refuses user INT: #GP(vector × 8 + 2)', () => {
    user();
    expect(m.call('int_n', m.cpu(), 0x80, USER_RIP + 2n)).toBe(0);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0x80 * 8 + 2 });
    expect(m.get64(FIELD.rip)).toBe(USER_RIP);
  });

  it('user INT3 through a DPL 3 gate works; an exception through a DPL 0 gate always does', () => {
    user();
    gate(VECTOR.BP, HANDLER, { dpl: 3 });
    expect(m.call('int_n', m.cpu(), 3, USER_RIP + 1n)).toBe(1);
    expect(m.r64(Number(KSTACK) - 40)).toBe(USER_RIP + 1n);
  });

  it('a not present gate is #NP, a vector beyond the limit #GP', () => {
    gate(0x81, HANDLER, { present: false });
    m.call('int_n', m.cpu(), 0x81, 0n);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.NP, error: 0x81 * 8 + 2 });
    idtLimit(0x7ff);
    m.call('int_n', m.cpu(), 0x80, 0n);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0x80 * 8 + 2 });
  });
});

describe('faults while delivering', () => {
  /** Vector and error code that reached a handler after exception `first`. */
  function after(first: number, error = 0): { vector: number; code: bigint } {
    raise(first, error);
    const vector = Number((m.get64(FIELD.rip) - HANDLER) / 16n);
    return { vector, code: m.r64(Number(m.gpr(4))) };
  }

  it('contributory after contributory is a double fault with error code 0', () => {
    gate(VECTOR.GP, HANDLER, { present: false });
    expect(after(VECTOR.GP, 5)).toEqual({ vector: VECTOR.DF, code: 0n });
  });

  it('page fault after page fault is a double fault', () => {
    user();
    m.w64(TSS + 4, 0x123_4560n); // an unmapped kernel stack
    gate(VECTOR.DF, HANDLER + 8n * 16n, { ist: 1 });
    expect(after(VECTOR.PF, 4)).toEqual({ vector: VECTOR.DF, code: 0n });
    expect(m.get64(FIELD.cr2)).toBe(0x123_4558n);
  });

  it('page fault after a contributory one is delivered as it is', () => {
    gate(VECTOR.GP, HANDLER, { selector: 0x10, ist: 2 });
    m.w64(TSS + 0x2c, 0x555_5550n);
    expect(after(VECTOR.GP)).toEqual({ vector: VECTOR.PF, code: 2n });
  });

  it('contributory after a page fault is a double fault; after a benign one it is itself, with EXT', () => {
    gate(VECTOR.PF, HANDLER, { selector: 0x50 });
    expect(after(VECTOR.PF)).toEqual({ vector: VECTOR.DF, code: 0n });
    kernel();
    gate(VECTOR.UD, HANDLER, { present: false });
    expect(after(VECTOR.UD)).toEqual({ vector: VECTOR.NP, code: BigInt(VECTOR.UD * 8 + 3) });
  });

  it('a fault while delivering a double fault shuts down', () => {
    gate(VECTOR.GP, HANDLER, { present: false });
    gate(VECTOR.DF, HANDLER, { present: false });
    raise(VECTOR.GP);
    expect(m.takeFault()).toMatchObject({ kind: 5 });
  });

  it('a null or data selector in a gate is #GP', () => {
    gate(VECTOR.UD, HANDLER, { selector: 0 });
    expect(after(VECTOR.UD)).toEqual({ vector: VECTOR.GP, code: 1n });
    kernel();
    gate(VECTOR.UD, HANDLER, { selector: 0x18 });
    expect(after(VECTOR.UD)).toEqual({ vector: VECTOR.GP, code: 0x19n });
  });

  it('a non-canonical stack in the TSS is #SS, a TSS too short #TS', () => {
    user();
    m.w64(TSS + 4, 0x8000_0000_0000n);
    gate(VECTOR.SS, HANDLER + 12n * 16n, { ist: 1 });
    expect(after(VECTOR.UD)).toEqual({ vector: VECTOR.SS, code: 1n });
    user();
    m.call('seg_set', m.cpu(), SEG.tr, 0x40, BigInt(TSS), 3, 0x8b);
    gate(VECTOR.TS, HANDLER + 10n * 16n);
    gate(VECTOR.DF, HANDLER + 8n * 16n);
    raise(VECTOR.UD); // every stack switch fails now: #TS, then #DF, then shutdown
    expect(m.takeFault()).toMatchObject({ kind: 5 });
  });
});

describe('IRETQ', () => {
  function iret(words: bigint[], opsize = 8): boolean {
    m.setGpr(4, 0x9f00n);
    words.forEach((w, i) => m.w64(0x9f00 + i * 8, w));
    return m.call('iret', m.cpu(), opsize) === 1;
  }

  it('returns to user with all of its state', () => {
    expect(iret([USER_RIP, BigInt(UCODE), 0x10206n, USER_RSP, BigInt(UDATA)])).toBe(true);
    expect(m.get64(FIELD.rip)).toBe(USER_RIP);
    expect(m.gpr(4)).toBe(USER_RSP);
    expect(m.get32(FIELD.cpl)).toBe(3);
    expect(m.seg(SEG.ss).selector).toBe(UDATA);
    expect(m.call('flags_word', m.cpu()) & 0xffff).toBe(0x206);
  });

  it('to the kernel with a null SS is fine, to user it is #GP(0)', () => {
    expect(iret([1n, BigInt(KCODE), 2n, 0x8888n, 0n])).toBe(true);
    expect(m.gpr(4)).toBe(0x8888n);
    expect(iret([USER_RIP, BigInt(UCODE), 2n, USER_RSP, 0n])).toBe(false);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0 });
    expect(m.gpr(4)).toBe(0x9f00n);
    expect(m.get32(FIELD.cpl)).toBe(0);
  });

  const refused: [string, bigint[], number, number][] = [
    ['non-canonical RIP', [0x8000_0000_0000n, BigInt(UCODE), 2n, USER_RSP, BigInt(UDATA)], VECTOR.GP, 0],
    ['null CS', [USER_RIP, 0n, 2n, USER_RSP, BigInt(UDATA)], VECTOR.GP, 0],
    ['data segment as CS', [USER_RIP, BigInt(UDATA), 2n, USER_RSP, BigInt(UDATA)], VECTOR.GP, UDATA & 0xfffc],
    ['CS beyond the GDT', [USER_RIP, 0xfff3n + 0xcn, 2n, USER_RSP, BigInt(UDATA)], VECTOR.GP, 0xfffc],
    ['SS of another level', [USER_RIP, BigInt(UCODE), 2n, USER_RSP, 0x18n], VECTOR.GP, 0x18],
  ];
  for (const [name, words, vector, error] of refused) {
    it(`${name}: vector ${vector}, error ${error}`, () => {
      if (name.startsWith('CS beyond')) {
        m.w16(0x1000, 0x6f);
        m.w64(0x1002, BigInt(GDT));
        m.call('lgdt', m.cpu(), 0x1000n, 8);
      }
      expect(iret(words)).toBe(false);
      expect(m.takeFault()).toEqual({ kind: 1, vector, error });
    });
  }

  it('with NT set it is #GP(0); user cannot change IF or IOPL', () => {
    m.call('popf', m.cpu(), 0x4002, 8);
    expect(iret([1n, BigInt(KCODE), 2n, 0x8888n, 0x18n])).toBe(false);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0 });
    kernel();
    user();
    expect(iret([USER_RIP, BigInt(UCODE), 0x3000n, USER_RSP, BigInt(UDATA)])).toBe(true);
    expect(m.call('flags_word', m.cpu())).toBe(0x202);
  });

  it('to compatibility mode: 32-bit code segment', () => {
    expect(iret([0x1000n, 0x23n, 2n, 0xffff_ffff_1234n, BigInt(UDATA)])).toBe(true);
    expect(m.gpr(4)).toBe(0xffff_1234n);
    expect(m.seg(SEG.cs).attr & 0x6000).toBe(0x4000);
  });

  it('an NMI that came during an NMI is delivered after IRET', () => {
    m.call('cpu_signal', m.cpu(), 2);
    m.call('sys_pending', m.cpu());
    const rip = m.get64(FIELD.rip);
    m.set64(FIELD.rip, 0x1234n);
    m.call('cpu_signal', m.cpu(), 2);
    m.call('sys_pending', m.cpu());
    expect(m.get64(FIELD.rip)).toBe(0x1234n);
    expect(iret([0x77n, BigInt(KCODE), 2n, 0xb000n, 0x18n])).toBe(true);
    expect(m.get32(FIELD.pending) & 2).toBe(2);
    m.call('sys_pending', m.cpu());
    expect(m.get64(FIELD.rip)).toBe(rip);
  });
});

describe('fast system calls', () => {
  const STAR = (0x23n << 48n) | (0x10n << 32n);
  beforeEach(() => {
    m.call('msr_write', m.cpu(), 0xc000_0081, STAR);
    m.call('msr_write', m.cpu(), 0xc000_0082, HANDLER);
    m.call('msr_write', m.cpu(), 0xc000_0084, 0x700n);
    m.takeFault();
  });

  it('SYSCALL saves RIP and flags, masks flags, loads flat segments; SYSRET goes back', () => {
    user();
    expect(m.call('syscall', m.cpu(), USER_RIP + 2n)).toBe(1);
    expect(m.get64(FIELD.rip)).toBe(HANDLER);
    expect([m.gpr(1), m.gpr(11)]).toEqual([USER_RIP + 2n, 0x246n]);
    expect(m.seg(SEG.cs)).toMatchObject({ selector: 0x10, attr: 0xa09b });
    expect(m.seg(SEG.ss)).toMatchObject({ selector: 0x18 });
    expect(m.call('flags_word', m.cpu())).toBe(0x46);
    expect(m.gpr(4)).toBe(USER_RSP);
    expect(m.call('sysret', m.cpu(), 8)).toBe(1);
    expect(m.get64(FIELD.rip)).toBe(USER_RIP + 2n);
    expect(m.seg(SEG.cs)).toMatchObject({ selector: 0x33, attr: 0xa0fb });
    expect(m.seg(SEG.ss).selector).toBe(0x2b);
    expect(m.get32(FIELD.cpl)).toBe(3);
    expect(m.call('flags_word', m.cpu())).toBe(0x246);
  });

  it('SYSRET with a non-canonical RCX is #GP(0) at CPL 0', () => {
    m.setGpr(1, 0x8000_0000_0000n);
    expect(m.call('sysret', m.cpu(), 8)).toBe(0);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0 });
    expect(m.get32(FIELD.cpl)).toBe(0);
  });

  it('SYSCALL without EFER.SCE is #UD', () => {
    m.set64(FIELD.efer, 0x500n);
    expect(m.call('syscall', m.cpu(), 0n)).toBe(0);
    expect(m.takeFault()?.vector).toBe(VECTOR.UD);
  });

  it('SYSENTER with a null CS is #GP, else it goes to the MSRs\' address; SYSEXIT returns', () => {
    expect(m.call('sysenter', m.cpu())).toBe(0);
    expect(m.takeFault()?.vector).toBe(VECTOR.GP);
    m.call('msr_write', m.cpu(), 0x174, 0x10n);
    m.call('msr_write', m.cpu(), 0x175, KSTACK);
    m.call('msr_write', m.cpu(), 0x176, HANDLER);
    user();
    expect(m.call('sysenter', m.cpu())).toBe(1);
    expect([m.get64(FIELD.rip), m.gpr(4), m.get32(FIELD.cpl)]).toEqual([HANDLER, KSTACK, 0]);
    m.setGpr(1, USER_RSP);
    m.setGpr(2, USER_RIP);
    expect(m.call('sysexit', m.cpu(), 8)).toBe(1);
    expect([m.get64(FIELD.rip), m.gpr(4), m.seg(SEG.cs).selector, m.seg(SEG.ss).selector]).toEqual([USER_RIP, USER_RSP, 0x33, 0x3b]);
  });
});

describe('interrupts', () => {
  beforeEach(() => {
    m.call('lapic_write', m.cpu(), 0xf0, 0x1ff);
  });

  it('one that is pending is delivered when IF is set, and kept until then', () => {
    m.call('cli', m.cpu());
    m.call('lapic_set_irr', m.cpu(), 0x40, 0);
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    expect(m.get64(FIELD.rip)).toBe(0xffff_8000_0000_1000n);
    m.call('popf', m.cpu(), 0x246, 8);
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    expect(m.get64(FIELD.rip)).toBe(HANDLER + 0x40n * 16n);
    expect(m.r64(0xb000 - 24)).toBe(0x246n); // no RF
  });

  it('one waits as long as the shadow of STI lasts, which cpu_run ends', () => {
    m.call('cli', m.cpu());
    m.call('lapic_set_irr', m.cpu(), 0x40, 0);
    m.call('sti', m.cpu());
    for (let i = 0; i < 2; i++) expect(m.call('sys_pending', m.cpu())).toBe(0);
    expect(m.get64(FIELD.rip)).toBe(0xffff_8000_0000_1000n);
  });

  it('one wakes a halted vCPU; without one it stays halted', () => {
    m.call('hlt', m.cpu());
    m.takeFault();
    expect(m.call('sys_pending', m.cpu())).toBe(1);
    m.call('lapic_set_irr', m.cpu(), 0x41, 0);
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    expect(m.get32(FIELD.halted)).toBe(0);
    expect(m.get64(FIELD.rip)).toBe(HANDLER + 0x41n * 16n);
  });

  it('HLT is privileged, CLI and STI follow IOPL', () => {
    user();
    expect(m.call('hlt', m.cpu())).toBe(0);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0 });
    expect(m.call('cli', m.cpu())).toBe(0);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0 });
    m.setCpl(0);
    m.call('popf', m.cpu(), 0x3202, 8);
    m.setCpl(3);
    expect(m.call('cli', m.cpu())).toBe(1);
  });
});

describe('real mode and 32-bit protected mode', () => {
  it('real mode: four bytes a vector, 6 bytes of stack', () => {
    m = new SysMachine(module);
    m.call('enter_real', 0, 0x100, 0x20, 0x1000);
    m.w32(0x21 * 4, 0x0200_0345);
    expect(m.call('int_n', m.cpu(), 0x21, 0x22n)).toBe(1);
    expect([m.seg(SEG.cs).selector, m.seg(SEG.cs).base, m.get64(FIELD.rip)]).toEqual([0x200, 0x2000n, 0x345n]);
    expect(m.gpr(4)).toBe(0xffan);
    expect(m.r64(0x1ffa) & 0xffff_ffff_ffffn).toBe(0x0002_0100_0022n);
    expect(m.call('iret', m.cpu(), 2)).toBe(1);
    expect([m.seg(SEG.cs).selector, m.get64(FIELD.rip), m.gpr(4)]).toEqual([0x100, 0x22n, 0x1000n]);
  });

  it('32-bit: user to kernel by TSS32, and IRETD back', () => {
    m = new SysMachine(module);
    m.call('enter_protected32', 0, 0x1000, 0, 0, GDT, 0xff);
    m.w64(GDT + 0x10, 0x00cf_9b00_0000_ffffn);
    m.w64(GDT + 0x18, 0x00cf_9300_0000_ffffn);
    m.w64(GDT + 0x28, 0x00cf_fb00_0000_ffffn);
    m.w64(GDT + 0x30, 0x00cf_f300_0000_ffffn);
    m.w64(GDT + 0x20, 0x0000_8900_0000_0067n | (BigInt(TSS) << 16n));
    m.call('ltr', m.cpu(), 0x20);
    m.w32(TSS + 4, 0xa000);
    m.w16(TSS + 8, 0x18);
    m.w16(0x1000, 0x7ff);
    m.w32(0x1002, IDT);
    m.call('lidt', m.cpu(), 0x1000n, 4);
    m.w64(IDT + 13 * 8, 0x0000_8e00_0010_5678n);
    m.call('seg_set', m.cpu(), SEG.cs, 0x2b, 0n, 0xffff_ffff, 0xc0fb);
    m.call('seg_set', m.cpu(), SEG.ss, 0x33, 0n, 0xffff_ffff, 0xc0f3);
    m.setCpl(3);
    m.set64(FIELD.rip, 0x4444n);
    m.setGpr(4, 0xc000n);
    m.takeFault();
    raise(VECTOR.GP, 0x10);
    expect(m.takeFault()).toBeUndefined();
    expect([m.get64(FIELD.rip), m.gpr(4), m.seg(SEG.ss).selector]).toEqual([0x5678n, 0xa000n - 24n, 0x18]);
    expect(Array.from({ length: 6 }, (_, i) => m.r32(0xa000 - 24 + i * 4))).toEqual([0x10, 0x4444, 0x2b, 0x1_0002, 0xc000, 0x33]);
    m.setGpr(4, 0xa000n - 20n);
    expect(m.call('iret', m.cpu(), 4)).toBe(1);
    expect([m.get64(FIELD.rip), m.gpr(4), m.seg(SEG.ss).selector, m.get32(FIELD.cpl)]).toEqual([0x4444n, 0xc000n, 0x33, 3]);
  });
});
