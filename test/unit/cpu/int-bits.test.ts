/**
 * BT and its kin with a bit number from a register: the part of it that lies beyond the operand goes into the offset, which
 * wraps to the address size before the segment's base is added (SDM Vol. 2A BT; seen on a real CPU by its page fault).
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, SEG, type SysMachine } from '../../support/cpu/sys.ts';

const { P, W, U } = PTE;
const CODE = 0x20_0000;
const RCX = 1;
const RBX = 3;

beforeAll(() => {
  intMachine(); // compiles
});

function machine(code: readonly number[]): SysMachine {
  const m = intMachine();
  m.call('enter_long64', 0, BigInt(CODE), 0n, 0x1_0000, 0, 0);
  for (const pa of [CODE, 0x30_0000, 0x30_1000]) m.map(BigInt(pa), pa, P | W | U);
  m.call('update_paging', m.cpu());
  new Uint8Array(m.memory.buffer).set([...code, 0xf4], 0x800_0000 + CODE);
  return m;
}

function gsBase(m: SysMachine, base: bigint): void {
  m.view.setBigUint64(m.cpu() + (m.call('cpu_field', FIELD.segs) >>> 0) + SEG.gs * 32, base, true);
}

/** Runs one instruction; the faulting address, or undefined. */
function run(m: SysMachine): bigint | undefined {
  const kind = m.call('cpu_run_raw', m.cpu(), 1, 1);
  return kind === 1 ? m.get64(FIELD.cr2) : undefined;
}

describe('bit number in a register', () => {
  const cases: [string, number[], bigint, bigint, bigint, bigint | undefined][] = [
    // bts %ecx, %gs:4(%ebx): offset, bit number, GS base, what faults
    ['32-bit address, GS, below 0: wraps to 4 GiB before the base is added', [0x65, 0x67, 0x0f, 0xab, 0x4b, 4], 0x10n, -1024n, 0x30_0000n, 0x1_002f_ff94n],
    ['32-bit address, GS, inside', [0x65, 0x67, 0x0f, 0xab, 0x4b, 4], 0x100n, -32n, 0x30_0000n, undefined],
    ['64-bit address, GS, below 0: no wrap', [0x65, 0x0f, 0xab, 0x4b, 4], 0x10n, -1024n, 0x30_0000n, 0x2f_ff94n],
    ['32-bit address, beyond 4 GiB: wraps to 0', [0x67, 0x0f, 0xab, 0x4b, 4], 0xffff_fff0n, 1024n, 0n, 0x74n],
  ];
  it.each(cases)('%s', (_name, code, offset, bit, base, fault) => {
    const m = machine(code);
    gsBase(m, base);
    m.setGpr(RBX, offset);
    m.setGpr(RCX, BigInt.asUintN(64, bit));
    expect(run(m)).toBe(fault);
    if (fault === undefined) expect(m.r32(0x30_0100)).toBe(1);
  });

  // 16-bit code in real mode; DS = 0x3000, so that its offsets 0 … 0xffff are 0x30000 … 0x3ffff
  it.each([
    ['bts %cx, (%bx) wraps within 64 KiB', [0x0f, 0xab, 0x0f], 0x10, -0x110, 0x3_ffee, 1],
    ['bts %cx, (%bx) forward', [0x0f, 0xab, 0x0f], 0x10, 0x105, 0x3_0030, 1 << 5],
  ])('real mode: %s', (_name, code, offset, bit, at, value) => {
    const m = intMachine();
    m.call('enter_real', 0, 0x1000, 0, 0xf000);
    const ds = m.cpu() + (m.call('cpu_field', FIELD.segs) >>> 0) + SEG.ds * 32;
    m.view.setBigUint64(ds, 0x3_0000n, true);
    new Uint8Array(m.memory.buffer).set(code, 0x800_0000 + 0x1_0000);
    m.setGpr(RBX, BigInt(offset));
    m.setGpr(RCX, BigInt.asUintN(16, BigInt(bit)));
    m.call('cpu_run_raw', m.cpu(), 1, 1);
    expect(m.view.getUint16(0x800_0000 + at, true)).toBe(value);
  });
});
