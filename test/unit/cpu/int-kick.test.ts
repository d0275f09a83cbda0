/**
 * A kick from the host reaches the vCPU whatever the guest runs within 100 ms: by counts of instructions and REP
 * iterations up to the next look at the pending word. Inside a run the host gets its turn at RDTSC, which reads its clock.
 */
import { RUN_BUDGET, RUN_KICK } from '../../../assembly/contract/vcpu.ts';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, type SysMachine } from '../../support/cpu/sys.ts';

const { P, W, NX, PS } = PTE;
const GDT = 0x5000;
const IDT = 0x6000;
const STACK_END = 0x70_0000;
const HANDLER = 0xa000;
const CODE = 0x20_0000;
const DATA = 0x30_0000;
/** Two stretches of 3 GiB, each all the same 2 MiB of RAM. */
const FROM = 0x1_0000_0000n;
const TO = 0x2_0000_0000n;
const GIB = 1n << 30n;
const PEND_KICK = 16;
const DF = 0x400;
/** A block has at most so many instructions, and the pending word is looked at before each block. */
const BLOCK_INSNS = 64;

const RDTSC = [0x0f, 0x31];
const NOP = [0x90];
const UD2 = [0x0f, 0x0b];
const IRETQ = [0x48, 0xcf];

let m: SysMachine;

function put(at: number, bytes: readonly number[]): void {
  new Uint8Array(m.memory.buffer).set(bytes, 0x800_0000 + at);
}

function pend(bits: number): void {
  const at = m.cpu() + (m.call('cpu_field', FIELD.pending) >>> 0);
  m.view.setUint32(at, m.view.getUint32(at, true) | bits, true);
}

/** Calls `f` at the n-th look at the host's clock. */
function atClock(n: number, f: () => void): void {
  let calls = 0;
  const start = m.now;
  Object.defineProperty(m, 'now', {
    get: () => {
      if (++calls === n) f();
      return start + calls * 10;
    },
  });
}

beforeAll(() => {
  intMachine(); // compiles
});

beforeEach(() => {
  m = intMachine();
  m.call('enter_long64', 0, BigInt(CODE), 0n, 0x1_0000, GDT, 0xff);
  m.set64(FIELD.efer, 0xd00n); // NX
  for (let pa = 0; pa < 0x80_0000; pa += 4096) if (pa !== 0xb000) m.map(BigInt(pa), pa, P | W);
  for (let i = 0n; i < 1536n; i++) {
    m.map(FROM + (i << 21n), 0x80_0000, P | W | PS, P | W, 2);
    m.map(TO + (i << 21n), 0xa0_0000, P | W | PS, P | W, 2);
  }
  m.map(0xfee0_0000n, 0xfee0_0000, P | W);
  m.call('update_paging', m.cpu());
  m.w64(GDT + 0x10, 0x00af_9b00_0000_ffffn);
  m.w64(GDT + 0x18, 0x00cf_9300_0000_ffffn);
  for (let v = 0; v < 256; v++) gate(v, HANDLER);
  m.set64(FIELD.idtr, BigInt(IDT));
  m.view.setUint32(m.cpu() + (m.call('cpu_field', FIELD.idtr) >>> 0) + 12, 0xfff, true);
  m.setGpr(4, BigInt(STACK_END));
  m.setGpr(1, 0x18n);
  m.setGpr(3, BigInt(DATA));
});

function gate(vector: number, target: number): void {
  m.w64(IDT + vector * 16, BigInt(target) | (0x10n << 16n) | (0x8en << 40n));
}

/** `code` at `at`, then a jump back to it. Instructions of one round, given those of `code`. */
function endless(code: readonly (readonly number[])[], at = CODE): number {
  const bytes = code.flat();
  const back = -(bytes.length + 5);
  put(at, [...bytes, 0xe9, ...[0, 8, 16, 24].map((shift) => (back >> shift) & 0xff)]);
  m.set64(FIELD.rip, BigInt(at));
  return code.length + 1;
}

const repeat = (n: number, insn: readonly number[]): (readonly number[])[] => Array.from({ length: n }, () => insn);

describe('a kick during the 500th round of an endless loop ends cpu_run within a block', () => {
  const loops: [string, () => number][] = [
    ['of two instructions', () => endless([RDTSC])],
    ['of 300 instructions', () => endless([...repeat(150, NOP), RDTSC, ...repeat(149, NOP)])],
    ['over a page border, one instruction on both pages', () => endless([RDTSC, [0x48, 0x05, 1, 2, 3, 4], NOP], CODE + 0xffb)],
    ['that rewrites itself', () => endless([RDTSC, [0xc6, 0x05, 0xf7, 0xff, 0xff, 0xff, 0x0f]])], // movb $0x0f, -9(%rip): RDTSC's first byte
    ['that reloads CR3', () => endless([RDTSC, [0x0f, 0x20, 0xd8], [0x0f, 0x22, 0xd8]])],
    ['of loads of SS, each with its shadow', () => endless([RDTSC, ...repeat(100, [0x8e, 0xd1])])],
    ['of locked additions over a page border', () => endless([RDTSC, ...repeat(100, [0xf0, 0x48, 0xff, 0x83, 0xfc, 0x0f, 0, 0])])],
    ['of sines', () => endless([RDTSC, [0xdb, 0xe3], [0xd9, 0xe8], ...repeat(100, [0xd9, 0xfe]), [0xdd, 0xd8]])],
    ['of FXSAVE', () => endless([RDTSC, ...repeat(50, [0x0f, 0xae, 0x03])])],
  ];
  it.each(loops)('%s', (_name, load) => {
    const round = load();
    atClock(500, () => pend(PEND_KICK));
    expect(m.call('cpu_run', m.cpu(), 10_000_000)).toBe(RUN_KICK);
    const count = Number(m.get64(FIELD.icount));
    expect(count).toBeGreaterThan(round * 498);
    expect(count).toBeLessThanOrEqual(round * 500 + BLOCK_INSNS);
  });

  it('of exceptions: UD2 and a handler that returns to it', () => {
    put(HANDLER, [...RDTSC, ...IRETQ]);
    endless([UD2]);
    atClock(500, () => pend(PEND_KICK));
    expect(m.call('cpu_run', m.cpu(), 10_000_000)).toBe(RUN_KICK);
    expect(Number(m.get64(FIELD.icount))).toBeGreaterThanOrEqual(998);
    expect(Number(m.get64(FIELD.icount))).toBeLessThanOrEqual(1000 + BLOCK_INSNS);
  });
});

it('a handler that cannot be executed takes no more exceptions than the budget has instructions', () => {
  m.map(0xb000n, 0xb000, P | W | NX);
  gate(14, 0xb000);
  endless([[0xa1, 0, 0, 0, 0, 0, 0x80, 0, 0]]); // mov 0x80_0000000000, %eax: not mapped
  expect(m.call('cpu_run', m.cpu(), 5000)).toBe(RUN_BUDGET);
  const exceptions = (STACK_END - Number(m.gpr(4))) / 48;
  expect(exceptions).toBeGreaterThan(1000);
  expect(exceptions).toBeLessThanOrEqual(5001);
});

it('a kick in the middle of a REP MOVSD of 3 GiB ends it after that element', () => {
  // the source runs from RAM into the APIC's page, whose timer count reads the clock, and into RAM again
  m.map(TO - 0x2000n, 0x40_0000, P | W, P | W);
  m.map(TO - 0x1000n, 0xfee0_0000, P | W, P | W);
  m.call('lapic_write', m.cpu(), 0xf0, 0x1ff);
  m.call('lapic_write', m.cpu(), 0x380, 0x7fff_ffff);
  put(CODE, [0xf3, 0xa5]);
  m.set64(FIELD.rip, BigInt(CODE));
  const start = TO - 0x2000n;
  m.setGpr(6, start);
  m.setGpr(7, FROM);
  m.setGpr(1, (3n * GIB) / 4n);
  atClock(2, () => pend(PEND_KICK)); // the first look is the timer's, before the instruction
  expect(m.call('cpu_run', m.cpu(), 1000)).toBe(RUN_KICK);
  expect(m.gpr(6)).toBe(TO - 0x1000n + 0x390n + 4n);
  expect(m.get64(FIELD.rip)).toBe(BigInt(CODE));
});

describe('a string instruction of 3 GiB comes back', () => {
  /** Most elements between two looks: 1,024 pages of bytes in whole stretches, 64 × 4,096 one by one. */
  const STRETCHES = (1024 + 1) * 4096;
  const SINGLES = 64 * 4096 + 4096;
  const opcodes: [string, number][] = [['MOVS', 0xa4], ['CMPS', 0xa6], ['STOS', 0xaa], ['LODS', 0xac], ['SCAS', 0xae]];
  const sizes: [string, number[], number, bigint][] = [['bytes', [], 0, 1n], ['words', [0x66], 1, 2n], ['dwords', [], 1, 4n], ['quadwords', [0x48], 1, 8n]];
  for (const [name, opcode] of opcodes) {
    for (const [unit, prefix, wide, size] of sizes) {
      for (const backward of [false, true]) {
        for (const misaligned of [0n, 3n]) {
          it(`REP ${name} of ${unit}${backward ? ' backward' : ''}${misaligned ? ', misaligned' : ''}`, () => {
            const total = (3n * GIB) / size;
            const first = backward ? 3n * GIB - 16n : 0n;
            put(CODE, [...(prefix[0] === 0x66 ? prefix : []), 0xf3, ...(prefix[0] === 0x48 ? prefix : []), opcode | wide]);
            m.set64(FIELD.rip, BigInt(CODE));
            m.setGpr(6, FROM + first + misaligned);
            m.setGpr(7, TO + first + misaligned);
            m.setGpr(1, total);
            m.setGpr(0, 0n);
            m.call('flags_set', m.cpu(), backward ? DF | 2 : 2);
            // the first call ends a stretch or two early: RAX, ZF and pages agree, so nothing but patience ends it
            for (let i = 0; i < 2; i++) {
              const before = m.gpr(1);
              expect(m.call('cpu_run', m.cpu(), 1)).toBe(RUN_BUDGET);
              const done = Number(before - m.gpr(1));
              expect(done).toBeGreaterThan(0);
              expect(done).toBeLessThanOrEqual(backward || name === 'LODS' ? SINGLES : STRETCHES);
              expect(m.get64(FIELD.rip)).toBe(BigInt(CODE));
            }
          });
        }
      }
    }
  }
});
