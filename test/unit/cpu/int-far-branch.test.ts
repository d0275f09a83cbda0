/** Direct branches of 64-bit code whose target is 2 GiB or more from their block's first byte. */
import { RUN_HALT } from '../../../assembly/contract/vcpu.ts';
import { beforeAll, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, type SysMachine } from '../../support/cpu/sys.ts';

const { P, W } = PTE;
const LOW = 0x4000_0000n; // the branches' page and the one before
const LOW_PA = 0x20_0000;
const HIGH_PA = 0x30_0000;
const STACK = 0x9000n;
const NOP = 0x90;
const HLT = 0xf4;
/** More than i32 holds from any block, from one that begins 16 bytes before, from none; and the farthest backward. */
const DISPLACEMENTS = [0x7fff_ffff, 0x7fff_fff0, 0x7fff_f800, -0x8000_0000];

/** xor eax, eax: ZF = 1; test eax, eax likewise, but fused with the branch. */
const XOR = [0x31, 0xc0];
const TEST = [0x85, 0xc0];

interface Branch {
  readonly name: string;
  readonly setup: readonly number[];
  /** Opcode; the displacement follows. */
  readonly opcode: readonly number[];
  readonly taken: boolean;
}

const BRANCHES: readonly Branch[] = [
  { name: 'jmp', setup: [], opcode: [0xe9], taken: true },
  { name: 'call', setup: [], opcode: [0xe8], taken: true },
  { name: 'jz taken', setup: XOR, opcode: [0x0f, 0x84], taken: true },
  { name: 'jnz not taken', setup: XOR, opcode: [0x0f, 0x85], taken: false },
  { name: 'test, jz taken', setup: TEST, opcode: [0x0f, 0x84], taken: true },
  { name: 'test, jnz not taken', setup: TEST, opcode: [0x0f, 0x85], taken: false },
  { name: 'jo not taken', setup: XOR, opcode: [0x0f, 0x80], taken: false },
  { name: 'jno taken', setup: XOR, opcode: [0x0f, 0x81], taken: true },
];

function put(m: SysMachine, pa: number, bytes: readonly number[]): void {
  new Uint8Array(m.memory.buffer).set(bytes, RAM_BASE + pa);
}

/** Runs `nops` NOPs and the branch; HLT is at its target and behind it. */
function run(branch: Branch, nops: number, displacement: number, step: boolean): { m: SysMachine; next: bigint; target: bigint; insns: number } {
  const m = intMachine();
  const code = [...Array<number>(nops).fill(NOP), ...branch.setup, ...branch.opcode];
  const insns = nops + (branch.setup.length ? 1 : 0) + 2; // HLT included
  for (let shift = 0; shift < 32; shift += 8) code.push((displacement >> shift) & 0xff);
  const base = displacement < 0 ? LOW + 0x1_0000_0000n : LOW;
  const next = base + BigInt(code.length);
  const target = next + BigInt(displacement);
  m.call('enter_long64', 0, base, 0n, 0x1_0000, 0, 0);
  for (const page of [0n, 1n]) {
    m.map(base + page * 4096n, LOW_PA + Number(page) * 4096, P | W);
    m.map((target & ~0xfffn) + page * 4096n, HIGH_PA + Number(page) * 4096, P | W);
  }
  m.map(STACK & ~0xfffn, 0x9000, P | W);
  m.map((STACK & ~0xfffn) - 4096n, 0x8000, P | W);
  m.call('update_paging', m.cpu());
  put(m, LOW_PA, [...code, HLT]);
  put(m, HIGH_PA + Number(target & 0xfffn), [HLT]);
  m.setGpr(0, 0n);
  m.setGpr(4, STACK);
  m.call('cpu_set_exact', m.cpu(), 1);
  let reason = 0;
  if (step) for (let i = 0; i < insns && reason !== RUN_HALT; i++) reason = m.call('cpu_run', m.cpu(), 1);
  else reason = m.call('cpu_run', m.cpu(), 1000);
  expect(reason).toBe(RUN_HALT);
  return { m, next, target, insns };
}

beforeAll(() => {
  intMachine(); // compiles
});

describe.each(BRANCHES)('$name', (branch) => {
  it.each(DISPLACEMENTS)('displacement %i: lands where it should wherever its block begins, each instruction counted', (displacement) => {
    for (const nops of [0, 1, 15, 60]) {
      for (const step of [false, true]) {
        const { m, next, target, insns } = run(branch, nops, displacement, step);
        expect([nops, step, m.get64(FIELD.rip)]).toEqual([nops, step, (branch.taken ? target : next) + 1n]);
        expect(m.get64(FIELD.icount)).toBe(BigInt(insns));
        const called = branch.name === 'call';
        expect(m.gpr(4)).toBe(called ? STACK - 8n : STACK);
        if (called) expect(m.r64(Number(STACK) - 8)).toBe(next);
      }
    }
  });
});
