/**
 * The guest's debug registers in ring 0, where nothing stands between (SDM Vol. 3B §17.2, 17.3): instruction, data and I/O breakpoints,
 * GD, RF, DR6, in one go and in slices. What programs see of them is compared with the real CPU in test/guest/traps.test.ts.
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RUN_BUDGET, RUN_HALT } from '../../../assembly/contract/vcpu.ts';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, type SysMachine } from '../../support/cpu/sys.ts';

const { P, W } = PTE;
const GDT = 0x5000;
const IDT = 0x6000;
const STACK = 0x9000;
const HANDLER = 0xa000;
const DATA = 0xb000;
const CODE = 0x20_0000;
const RF = 0x1_0000n;
const [DB, AC] = [1, 17];
const DR6_NONE = 0xffff_0ff0n;

const HLT = [0xf4];
const NOP = [0x90];
const INC_RCX = [0x48, 0xff, 0xc1];
const STORE = [0x48, 0x89, 0x03]; // mov %rax,(%rbx)
const LOAD = [0x48, 0x8b, 0x13]; // mov (%rbx),%rdx
const OUT_80 = [0xe6, 0x80];
const DE_ON = [0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x08, 0x0f, 0x22, 0xe0]; // mov %cr4,%rax; or $8,%eax; mov %rax,%cr4
/** mov $value,%eax; mov %rax,%drN */
const setDr = (n: number, value: number): number[] => [0xb8, ...new Uint8Array(new Uint32Array([value]).buffer), 0x0f, 0x23, 0xc0 | (n << 3)];

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
  for (const page of [0, 1, 5, 6, 8, 9, 10, 11]) m.map(BigInt(page << 12), page << 12, P | W);
  for (let pa = CODE; pa < CODE + 0x4000; pa += 4096) m.map(BigInt(pa), pa, P | W);
  m.call('update_paging', m.cpu());
  m.w64(GDT + 0x10, 0x00af_9b00_0000_ffffn);
  m.w64(GDT + 0x18, 0x00cf_9300_0000_ffffn);
  for (let v = 0; v < 32; v++) {
    m.w64(IDT + v * 16, BigInt(HANDLER + v * 4) | (0x10n << 16n) | (0x8en << 40n));
    put(HANDLER + v * 4, HLT);
  }
  m.set64(FIELD.idtr, BigInt(IDT));
  m.view.setUint32(m.cpu() + (m.call('cpu_field', FIELD.idtr) >>> 0) + 12, 0xfff, true);
  m.setGpr(4, BigInt(STACK));
  m.setGpr(3, BigInt(DATA));
});

interface End {
  /** Vector of the handler that halted, undefined: the program's own HLT. */
  readonly vector: number | undefined;
  /** Where the handler returns to, from CODE; or where the program halted. */
  readonly at: number;
  readonly dr6: bigint;
  readonly flags: bigint;
}

function run(code: readonly (readonly number[])[], slice = 100_000, exact = 0): End {
  put(CODE, code.flat());
  m.set64(FIELD.rip, BigInt(CODE));
  return goOn(slice, exact);
}

function goOn(slice = 100_000, exact = 0): End {
  m.call('cpu_set_exact', m.cpu(), exact);
  for (let i = 0; i < 500; i++) {
    const reason = m.call('cpu_run', m.cpu(), slice);
    if (reason === RUN_BUDGET) continue;
    expect(reason).toBe(RUN_HALT);
    const rip = Number(m.get64(FIELD.rip));
    const dr6 = m.view.getBigUint64(m.cpu() + (m.call('cpu_field', FIELD.dr) >>> 0) + 32, true);
    if (rip < HANDLER || rip >= HANDLER + 0x1000) return { vector: undefined, at: rip - CODE, dr6, flags: 0n };
    const sp = Number(m.gpr(4));
    return { vector: (rip - 1 - HANDLER) / 4, at: Number(m.r64(sp)) - CODE, dr6, flags: m.r64(sp + 16) };
  }
  throw new Error('no HLT');
}

const SLICES = [[100_000, 0], [1, 0], [1, 1], [2, 1], [3, 1], [5, 1]];

describe.each(SLICES)('in slices of %i instructions, exact %i', (slice, exact) => {
  it('an instruction breakpoint: before it, RF is not pushed', () => {
    const before = [setDr(2, CODE + 0x20), setDr(7, 0x420)].flat();
    const code = [...before, ...Array(0x30 - before.length).fill(NOP[0]), ...HLT];
    const end = run([code], slice, exact);
    expect(end).toMatchObject({ vector: DB, at: 0x20, dr6: 0xffff_0ff4n });
    expect(end.flags & RF).toBe(0n);
  });

  it('returning to it with RF set goes on, and RF is gone behind it', () => {
    const before = [setDr(0, CODE + 0x20), setDr(7, 0x402)].flat();
    run([[...before, ...Array(0x20 - before.length).fill(NOP[0]), ...INC_RCX, ...HLT]], slice, exact);
    put(HANDLER + 0x80, [0x48, 0xcf, ...HLT]); // iretq
    const sp = Number(m.gpr(4));
    m.w64(sp + 16, m.r64(sp + 16) | RF);
    m.set64(FIELD.rip, BigInt(HANDLER + 0x80));
    m.view.setUint32(m.cpu() + (m.call('cpu_field', FIELD.halted) >>> 0), 0, true);
    expect(goOn(slice, exact)).toMatchObject({ vector: undefined, at: 0x24 });
    expect(m.gpr(1)).toBe(1n);
  });

  it('a write of any of the 4 bytes: behind the store', () => {
    const code = [setDr(1, DATA), setDr(7, 0x00d0_040a), LOAD, STORE, INC_RCX, HLT];
    expect(run(code, slice, exact)).toMatchObject({ vector: DB, at: 22, dr6: DR6_NONE | 2n });
    expect(m.gpr(1)).toBe(0n);
  });

  it('a read meets a breakpoint for reads and writes', () => {
    const code = [setDr(3, DATA + 4), setDr(7, 0xf000_0480), LOAD, INC_RCX, HLT];
    expect(run(code, slice, exact)).toMatchObject({ vector: DB, at: 19, dr6: DR6_NONE | 8n });
  });

  it('an access beside it meets nothing', () => {
    m.setGpr(3, BigInt(DATA + 8));
    const code = [setDr(1, DATA), setDr(7, 0x00b0_0408), LOAD, STORE, HLT]; // 8 bytes
    expect(run(code, slice, exact)).toMatchObject({ vector: undefined, dr6: DR6_NONE });
  });

  it('an I/O breakpoint with CR4.DE: behind the OUT', () => {
    const code = [DE_ON, setDr(0, 0x80), setDr(7, 0x0002_0402), OUT_80, INC_RCX, HLT];
    expect(run(code, slice, exact)).toMatchObject({ vector: DB, at: 27, dr6: DR6_NONE | 1n });
    expect(m.gpr(1)).toBe(0n);
  });

  it('GD: the next MOV of a debug register faults, and the handler finds GD clear', () => {
    const code = [setDr(7, 0x2400), setDr(0, 0), HLT];
    expect(run(code, slice, exact)).toMatchObject({ vector: DB, at: 13, dr6: DR6_NONE | 0x2000n });
    expect(m.view.getBigUint64(m.cpu() + (m.call('cpu_field', FIELD.dr) >>> 0) + 40, true)).toBe(0x400n);
  });
});

it('I/O breakpoints are nothing without CR4.DE', () => {
  expect(run([setDr(0, 0x80), setDr(7, 0x0002_0402), OUT_80, HLT])).toMatchObject({ vector: undefined, dr6: DR6_NONE });
});

it('off again, nothing is left: code that was decoded meanwhile runs through', () => {
  const code = [setDr(1, DATA), setDr(7, 0x00d0_040a), setDr(7, 0x400), LOAD, STORE, INC_RCX, HLT];
  expect(run(code)).toMatchObject({ vector: undefined, dr6: DR6_NONE });
});

it('INT1 is #DB whatever the gate allows, without anything in DR6', () => {
  expect(run([[0xf1], HLT])).toMatchObject({ vector: DB, at: 1, dr6: DR6_NONE });
});

it('no alignment check in ring 0', () => {
  m.setGpr(3, BigInt(DATA + 1));
  m.call('flags_set', m.cpu(), 0x4_0002);
  // CR0.AM on: mov %cr0,%rax; or $0x40000,%eax; mov %rax,%cr0
  const end = run([[0x0f, 0x20, 0xc0, 0x0d, 0, 0, 4, 0, 0x0f, 0x22, 0xc0], LOAD, STORE, HLT]);
  expect(end.vector).not.toBe(AC);
  expect(end.vector).toBe(undefined);
});
