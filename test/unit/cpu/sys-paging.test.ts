import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FIELD, PTE, SysMachine, testCore, VECTOR } from '../../support/cpu/sys.ts';

const { P, W, U, A, D, PS, G, NX } = PTE;
const VA = 0x7000_1234_5000n;
const PA = 0x20_0000;

let module: WebAssembly.Module;
let m: SysMachine;
beforeAll(() => {
  module = testCore();
});
beforeEach(() => {
  m = new SysMachine(module);
  m.long64();
  m.w64(PA, 0x1122_3344_5566_7788n);
});

/** Error code of a page fault by one access, or 'ok'. */
function access(kind: 'r' | 'w' | 'x', va = VA): number | 'ok' | string {
  if (kind === 'r') m.read(va);
  else if (kind === 'w') m.write(va, 1n);
  else m.fetch(va);
  const f = m.takeFault();
  if (!f) return 'ok';
  if (f.vector !== VECTOR.PF) return `vector ${f.vector}(${f.error})`;
  expect(m.get64(FIELD.cr2)).toBe(va);
  return f.error;
}

describe('4-level paging: rights', () => {
  // [name, leaf, upper tables, CPL, read, write, execute]
  const table: [string, bigint, bigint, number, number | 'ok', number | 'ok', number | 'ok'][] = [
    ['supervisor page, supervisor', P | W, P | W, 0, 'ok', 'ok', 'ok'],
    ['supervisor page, user', P | W, P | W, 3, 5, 7, 0x15],
    ['user page, user', P | W | U, P | W | U, 3, 'ok', 'ok', 'ok'],
    ['user page below a supervisor table, user', P | W | U, P | W, 3, 5, 7, 0x15],
    ['read-only page, user', P | U, P | W | U, 3, 'ok', 7, 'ok'],
    ['read-only table, user', P | W | U, P | U, 3, 'ok', 7, 'ok'],
    ['read-only page, supervisor with WP', P, P | W, 0, 'ok', 3, 'ok'],
    ['no-execute page, user', P | W | U | NX, P | W | U, 3, 'ok', 'ok', 0x15],
    ['no-execute table, supervisor', P | W, P | W | NX, 0, 'ok', 'ok', 0x11],
    ['user page, supervisor', P | W | U, P | W | U, 0, 'ok', 'ok', 'ok'],
    ['not present, user', 0n, P | W | U, 3, 4, 6, 0x14],
    ['not present, supervisor', 0n, P | W | U, 0, 0, 2, 0x10],
    ['reserved address bit 45', P | W | U | (1n << 45n), P | W | U, 3, 0xd, 0xf, 0x1d],
  ];
  for (const [name, leaf, upper, cpl, r, w, x] of table) {
    it(`${name}: read ${r}, write ${w}, execute ${x}`, () => {
      m.map(VA, PA, leaf, upper);
      m.setCpl(cpl);
      expect([access('r'), access('w'), access('x')]).toEqual([r, w, x]);
      // and again from a filled TLB
      expect([access('x'), access('w'), access('r')]).toEqual([x, w, r]);
    });
  }

  it('a read-only page is writable by the supervisor without WP, not by the user', () => {
    m.map(VA, PA, P | U);
    m.set64(FIELD.cr0, 0x8000_0011n);
    expect(access('w')).toBe('ok');
    m.setCpl(3);
    expect(access('w')).toBe(7);
  });

  it('bit 63 is reserved without NXE, and no instruction bit is in the code', () => {
    m.map(VA, PA, P | W | NX);
    m.set64(FIELD.efer, 0x501n);
    expect([access('r'), access('w'), access('x')]).toEqual([9, 0xb, 9]);
  });

  it('PS in a PML4 entry and low bits of a 2 MiB entry are reserved', () => {
    m.map(VA, PA, P | W);
    m.w64(m.entry(VA, 4), m.r64(m.entry(VA, 4)) | PS);
    expect(access('r')).toBe(9);
    m = new SysMachine(module);
    m.long64();
    m.map(VA, PA | 0x2000, P | W | PS, P | W, 2);
    expect(access('r')).toBe(9);
  });

  it('tables outside RAM read as ones: reserved bits', () => {
    m.map(VA, PA, P | W);
    m.w64(m.entry(VA, 3), 0xd000_0000n | P | W);
    expect(access('r')).toBe(9);
  });

  it('a non-canonical address is #GP(0)', () => {
    expect(access('r', 0x8000_0000_0000n)).toBe('vector 13(0)');
    expect(access('w', 0xffff_7fff_ffff_fff8n)).toBe('vector 13(0)');
    expect(access('x', 0x8000_0000_0000n)).toBe('vector 13(0)');
  });
});

describe('accessed and dirty bits', () => {
  it('a read sets A in all levels, a write D in the leaf only', () => {
    const leaf = m.map(VA, PA, P | W | U);
    expect(access('r')).toBe('ok');
    for (let l = 1; l <= 4; l++) expect(m.r64(m.entry(VA, l)) & (A | D)).toBe(A);
    expect(access('w')).toBe('ok');
    expect(m.r64(leaf) & (A | D)).toBe(A | D);
    for (let l = 2; l <= 4; l++) expect(m.r64(m.entry(VA, l)) & (A | D)).toBe(A);
  });

  it('a refused access sets nothing', () => {
    const leaf = m.map(VA, PA, P | U);
    m.setCpl(3);
    expect(access('w')).toBe(7);
    expect(m.r64(leaf) & (A | D)).toBe(0n);
    expect(m.r64(m.entry(VA, 4)) & A).toBe(0n);
  });

  it('a write after D was cleared and the page flushed sets D again', () => {
    const leaf = m.map(VA, PA, P | W);
    access('w');
    m.w64(leaf, m.r64(leaf) & ~D);
    m.call('tlb_flush_page', m.cpu(), VA);
    access('r');
    expect(m.r64(leaf) & D).toBe(0n);
    access('w');
    expect(m.r64(leaf) & D).toBe(D);
  });
});

describe('large pages', () => {
  it('2 MiB and 1 GiB pages translate to the byte', () => {
    m.map(0x4000_0000n, 0x20_0000, P | W | PS, P | W, 2);
    m.w64(0x20_0000 + 0x1_2340, 77n);
    expect(m.read(0x4000_0000n + 0x1_2340n)).toBe(77n);
    m.map(0x80_0000_0000n, 0, P | W | PS, P | W, 3);
    m.w64(0x34_5678, 99n);
    expect(m.read(0x80_0000_0000n + 0x34_5678n)).toBe(99n);
    expect(m.takeFault()).toBeUndefined();
  });

  it('INVLPG anywhere in a large page drops all its pieces', () => {
    const at = m.map(0x4000_0000n, 0x20_0000, P | W | PS | G, P | W, 2);
    m.w64(0x20_0000, 1n);
    m.w64(0x40_0000, 2n);
    expect(m.read(0x4000_0000n)).toBe(1n);
    m.w64(at, 0x40_0000n | P | W | PS);
    expect(m.read(0x4000_0000n)).toBe(1n); // stale until told
    m.call('tlb_flush_page', m.cpu(), 0x401f_f000n);
    expect(m.read(0x4000_0000n)).toBe(2n);
  });
});

describe('TLB flushes', () => {
  it('a flush that keeps global pages drops only the others', () => {
    const a = m.map(VA, PA, P | W | G);
    const b = m.map(VA + 0x1000n, PA, P | W);
    expect([m.read(VA), m.read(VA + 0x1000n)]).toEqual([0x1122_3344_5566_7788n, 0x1122_3344_5566_7788n]);
    m.w64(a, 0n);
    m.w64(b, 0n);
    m.call('tlb_flush_all', m.cpu(), 1);
    expect(access('r', VA)).toBe('ok');
    expect(access('r', VA + 0x1000n)).toBe(0);
    m.call('tlb_flush_all', m.cpu(), 0);
    expect(access('r', VA)).toBe(0);
  });

  it('INVLPG drops a global page too, in the user and the supervisor table', () => {
    const leaf = m.map(VA, PA, P | W | U | G);
    access('r');
    m.setCpl(3);
    access('r');
    m.w64(leaf, 0n);
    m.call('tlb_flush_page', m.cpu(), VA + 5n);
    expect(access('r')).toBe(4);
    m.setCpl(0);
    expect(access('r')).toBe(0);
  });

  it('1,500 pages through 1,024 slots stay true over flushes', () => {
    for (let i = 0; i < 1500; i++) {
      m.map(0x1000_0000n + BigInt(i) * 0x1000n, 0x20_0000 + i * 0x1000, P | W | (i % 3 ? G : 0n));
      m.w64(0x20_0000 + i * 0x1000, BigInt(i));
    }
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 1500; i++) expect(m.read(0x1000_0000n + BigInt(i) * 0x1000n)).toBe(BigInt(i));
      m.call('tlb_flush_all', m.cpu(), round % 2);
    }
    expect(m.takeFault()).toBeUndefined();
  });

  it('user and supervisor entries of one address do not mix', () => {
    m.map(VA, PA, P | W);
    expect(access('r')).toBe('ok');
    m.setCpl(3);
    expect(access('r')).toBe(5);
    m.setCpl(0);
    expect(access('r')).toBe('ok');
  });
});

describe('page-crossing accesses', () => {
  beforeEach(() => {
    m.map(VA, PA, P | W);
    m.map(VA + 0x1000n, PA + 0x5000, P | W);
  });

  it('read and write join two pages that lie apart', () => {
    const va = VA + 0xffdn;
    m.write(va, 0x8877_6655_4433_2211n);
    expect(m.r64(PA + 0xff8) >> 40n).toBe(0x33_2211n);
    expect(m.r64(PA + 0x5000) & 0xff_ffff_ffffn).toBe(0x88_7766_5544n);
    expect(m.read(va)).toBe(0x8877_6655_4433_2211n);
    expect(m.read(va, 4)).toBe(0x4433_2211n);
  });

  it('a write whose second page is read-only writes nothing, CR2 is the second page', () => {
    m.map(VA + 0x1000n, PA + 0x5000, P);
    m.w64(PA + 0xff8, 0n);
    m.write(VA + 0xffcn, 0x1111_2222_3333_4444n);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.PF, error: 3 });
    expect(m.get64(FIELD.cr2)).toBe(VA + 0x1000n);
    expect(m.r64(PA + 0xff8)).toBe(0n);
  });

  it('the last canonical byte and the hole: #GP', () => {
    m.map(0x7fff_ffff_f000n, PA, P | W);
    m.read(0x7fff_ffff_fffcn);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.GP, error: 0 });
  });

  it('a bounced read-modify-write operand reaches both pages', () => {
    const va = VA + 0xffcn;
    m.w64(PA + 0xff8, 0x0403_0201_0000_0000n);
    m.w64(PA + 0x5000, 0x08070605n);
    const p = m.call('ptr_w_slow', m.cpu(), va, 8, 1);
    expect(m.view.getBigUint64(p, true)).toBe(0x0807_0605_0403_0201n);
  });
});

describe('32-bit paging', () => {
  function legacy(pse = true): void {
    m = new SysMachine(module);
    m.call('enter_protected32', 0, 0x1000, 0, 0, 0x5000, 0xffff);
    m.set64(FIELD.cr3, 0x1_0000n);
    m.set64(FIELD.cr4, pse ? 0x10n : 0n);
    m.set64(FIELD.cr0, 0x8001_0011n);
    m.call('update_paging', m.cpu());
  }

  it('4 KiB pages: translation, A/D, user rights', () => {
    legacy();
    m.w32(0x1_0000 + (0x1234_5000 >>> 22) * 4, 0x1_1000 | 7);
    m.w32(0x1_1000 + ((0x1234_5000 >>> 12) & 1023) * 4, 0x20_0000 | 5);
    m.w64(0x20_0008, 5n);
    expect(m.read(0x1234_5008n)).toBe(5n);
    expect(m.r32(0x1_1000 + 0x345 * 4)).toBe(0x20_0025);
    m.setCpl(3);
    expect(access('w', 0x1234_5000n)).toBe(7);
    expect(access('r', 0x1234_6000n)).toBe(4);
  });

  it('4 MiB pages with PSE; without PSE the bit means nothing', () => {
    legacy();
    m.w32(0x1_0000 + 0x10 * 4, 0x0040_0000 | 0x83);
    m.w64(0x52_3450, 6n);
    expect(m.read(0x0412_3450n)).toBe(6n);
    m.w32(0x1_0000 + 0x11 * 4, 0x0040_2000 | 0x83);
    expect(access('r', 0x0440_0000n)).toBe(9);
    legacy(false);
    m.w32(0x1_0000 + 0x10 * 4, 0x1_1000 | 0x83);
    m.w32(0x1_1000, 0x20_0003);
    m.w64(0x20_0000, 8n);
    expect(m.read(0x0400_0000n)).toBe(8n);
  });

  it('PAE: 4 entries, NX, reserved bits in the top entry', () => {
    legacy();
    m.set64(FIELD.cr4, 0x20n);
    m.set64(FIELD.efer, 0x800n);
    m.call('update_paging', m.cpu());
    m.w64(0x1_0008, 0x1_1001n);
    m.w64(0x1_1000, 0x1_2003n);
    m.w64(0x1_2000, 0x20_0003n | NX);
    m.w64(0x20_0000, 9n);
    expect(m.read(0x4000_0000n)).toBe(9n);
    expect(access('x', 0x4000_0000n)).toBe(0x11);
    m.w64(0x1_0010, 0x1_1003n);
    expect(access('r', 0x8000_0000n)).toBe(9);
  });
});

describe('without paging, and outside RAM', () => {
  it('linear is physical, 32 bits wide', () => {
    m = new SysMachine(module);
    m.call('enter_protected32', 0, 0x1000, 0, 0, 0x5000, 0xffff);
    m.w64(0x3000, 0xabcdn);
    expect(m.read(0x3000n)).toBe(0xabcdn);
    expect(m.fetch(0x3004n)).toBe(0x3004n);
  });

  it('MMIO nobody claims reads ones; the local APIC answers at its page', () => {
    m.map(VA, 0xfee0_0000, P | W);
    expect(m.read(VA + 0x30n, 4)).toBe(0x0005_0014n);
    m.map(VA + 0x1000n, 0xd800_0000, P | W);
    expect(m.read(VA + 0x1000n, 4)).toBe(0xffff_ffffn);
    expect(m.takeFault()).toBeUndefined();
  });

  it('code outside RAM is an undefined opcode', () => {
    m.map(VA, 0xd800_0000, P | W);
    m.fetch(VA);
    expect(m.takeFault()).toEqual({ kind: 1, vector: VECTOR.UD, error: 0 });
  });

  it('a debugger translates without setting bits or faults', () => {
    const leaf = m.map(VA, PA, P | W);
    expect(m.call64('mmu_peek', m.cpu(), VA + 3n)).toBe(BigInt(PA + 3));
    expect(m.r64(leaf) & A).toBe(0n);
    expect(BigInt.asUintN(64, m.call64('mmu_peek', m.cpu(), VA + 0x1000n))).toBe(0xffff_ffff_ffff_ffffn);
    expect(m.takeFault()).toBeUndefined();
  });
});
