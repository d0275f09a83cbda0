/**
 * Interrupt shadows: after STI with IF = 0, and after MOV to SS (64-bit mode has no POP SS), nothing is delivered before the next instruction has
 * been executed (SDM Vol. 2B STI, MOV, POP; Vol. 3A §6.8.3). Where the interrupt came in is the pushed RIP.
 */
import { RUN_BUDGET, RUN_HALT, RUN_KICK } from '../../../assembly/contract/vcpu.ts';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, type SysMachine } from '../../support/cpu/sys.ts';

const { P, W } = PTE;
const GDT = 0x5000;
const IDT = 0x6000;
const STACK = 0x9000;
const HANDLER = 0xa000;
const CODE = 0x20_0000;
const VECTOR = 0x40;
const NMI = 2;
const UD = 6;
const PEND_NMI = 2;
const PEND_KICK = 16;
const IF = 0x200;

const STI = [0xfb];
const CLI = [0xfa];
const HLT = [0xf4];
const INC = [0x48, 0xff, 0xc0]; // inc rax
const UD2 = [0x0f, 0x0b];
const MOV_SS = [0x8e, 0xd1]; // mov ss, ecx
const POP_FS = [0x0f, 0xa1]; // pop fs
const JMP_20 = [0xeb, 0x20];
const REP_STOSB = [0xf3, 0xaa];

let m: SysMachine;

function put(at: number, bytes: readonly number[]): void {
  new Uint8Array(m.memory.buffer).set(bytes, 0x800_0000 + at);
}

beforeAll(() => {
  intMachine(); // compiles
});

beforeEach(() => {
  m = intMachine();
  m.call('enter_long64', 0, BigInt(CODE), 0n, 0x1_0000, GDT, 0xff);
  for (const page of [0, 1, 5, 6, 8, 9, 10]) m.map(BigInt(page << 12), page << 12, P | W);
  for (let pa = CODE; pa < CODE + 0x1_0000; pa += 4096) m.map(BigInt(pa), pa, P | W);
  m.call('update_paging', m.cpu());
  m.w64(GDT + 0x10, 0x00af_9b00_0000_ffffn);
  m.w64(GDT + 0x18, 0x00cf_9300_0000_ffffn);
  for (let v = 0; v < 256; v++) {
    const target = HANDLER + v * 4;
    m.w64(IDT + v * 16, BigInt(target) | (0x10n << 16n) | (0x8en << 40n));
    put(target, HLT);
  }
  m.set64(FIELD.idtr, BigInt(IDT));
  m.view.setUint32(m.cpu() + (m.call('cpu_field', FIELD.idtr) >>> 0) + 12, 0xfff, true);
  m.setGpr(4, BigInt(STACK));
  m.setGpr(1, 0x18n);
  m.call('lapic_write', m.cpu(), 0xf0, 0x1ff);
});

/** Puts the code at CODE (or `at`) and makes `VECTOR` pending. */
function program(code: readonly (readonly number[])[], at = CODE): void {
  put(at, code.flat());
  m.set64(FIELD.rip, BigInt(at));
  m.call('lapic_set_irr', m.cpu(), VECTOR, 0);
}

interface End {
  /** Vector of the handler that halted, or undefined: the program's own HLT. */
  readonly vector: number | undefined;
  /** Pushed RIP, or where the program halted. */
  readonly rip: number;
}

/** Runs to HLT by pieces of `slice` instructions. */
function run(slice: number, exact = 0): End {
  m.call('cpu_set_exact', m.cpu(), exact);
  for (let i = 0; i < 200; i++) {
    const reason = m.call('cpu_run', m.cpu(), slice);
    if (reason !== RUN_BUDGET) {
      expect(reason).toBe(RUN_HALT);
      const rip = Number(m.get64(FIELD.rip));
      if (rip < HANDLER || rip >= HANDLER + 0x1000) return { vector: undefined, rip };
      return { vector: (rip - 1 - HANDLER) / 4, rip: Number(m.r64(Number(m.gpr(4)))) };
    }
  }
  throw new Error('no HLT');
}

// Slices: in one go, and cut between any two instructions
describe.each([[100_000, 0], [1, 0], [1, 1], [2, 1], [3, 1]])('in slices of %i instructions, exact %i', (slice, exact) => {
  it('STI, INC, INC: after the first INC', () => {
    program([STI, INC, INC, HLT]);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 4 });
  });

  it('STI as the last byte of a page: after the first instruction of the next', () => {
    program([STI, INC, INC, HLT], CODE + 0xfff);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 0x1003 });
  });

  it('STI, an instruction over the page border: after it', () => {
    program([STI, INC, INC, HLT], CODE + 0xffd);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 0x1001 });
  });

  it('STI, JMP: at the target', () => {
    program([STI, JMP_20, HLT]);
    put(CODE + 0x23, INC);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 0x23 });
  });

  it('STI, STI: after the second, which finds IF set and casts none', () => {
    program([STI, STI, INC, HLT]);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 2 });
  });

  it('STI, HLT: wakes from HLT', () => {
    program([STI, HLT, HLT]);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 2 });
  });

  it('STI, CLI: not at all', () => {
    program([STI, CLI, INC, HLT]);
    expect(run(slice, exact)).toEqual({ vector: undefined, rip: CODE + 6 });
  });

  it('STI, UD2: the exception comes first', () => {
    program([STI, UD2, HLT]);
    expect(run(slice, exact)).toEqual({ vector: UD, rip: CODE + 1 });
  });

  it('STI, REP STOSB of 3 bytes: after all of them', () => {
    m.setGpr(7, 0x8000n);
    m.setGpr(1, 3n);
    program([STI, REP_STOSB, HLT]);
    expect(run(slice, exact)).toEqual({ vector: VECTOR, rip: CODE + 3 });
    expect(m.gpr(1)).toBe(0n);
  });
});

/** Exactly one instruction, with IF set beforehand or by it. */
function one(): void {
  m.call('cpu_set_exact', m.cpu(), 1);
  expect(m.call('cpu_run', m.cpu(), 1)).toBe(RUN_BUDGET);
}

describe('MOV to SS', () => {
  const start = (code: readonly (readonly number[])[]): void => {
    put(CODE, code.flat());
    m.call('flags_set', m.cpu(), IF | 2);
    one();
  };

  it('holds an interrupt that comes right behind it for one instruction', () => {
    start([MOV_SS, INC, INC, HLT]);
    m.call('lapic_set_irr', m.cpu(), VECTOR, 0);
    expect(run(100_000)).toEqual({ vector: VECTOR, rip: CODE + 5 });
  });

  it('holds an NMI as well', () => {
    start([MOV_SS, INC, INC, HLT]);
    m.view.setUint32(m.cpu() + (m.call('cpu_field', FIELD.pending) >>> 0), PEND_NMI, true);
    expect(run(100_000)).toEqual({ vector: NMI, rip: CODE + 5 });
  });

  it('another segment register holds nothing', () => {
    m.w64(STACK, 0x18n);
    start([POP_FS, INC, INC, HLT]);
    m.call('lapic_set_irr', m.cpu(), VECTOR, 0);
    expect(run(100_000)).toEqual({ vector: VECTOR, rip: CODE + 2 });
  });
});

it('a kick in the shadow leaves cpu_run, and the shadow goes on in the next call', () => {
  program([STI, INC, INC, HLT]);
  one();
  const pending = m.cpu() + (m.call('cpu_field', FIELD.pending) >>> 0);
  m.view.setUint32(pending, m.view.getUint32(pending, true) | PEND_KICK, true);
  expect(m.call('cpu_run', m.cpu(), 100)).toBe(RUN_KICK);
  expect(Number(m.get64(FIELD.rip))).toBe(CODE + 1);
  expect(run(100_000)).toEqual({ vector: VECTOR, rip: CODE + 4 });
});
