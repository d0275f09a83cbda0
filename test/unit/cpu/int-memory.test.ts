/** Host memory for decoded code and tables stays below 64 MB, however much code the guest runs. */
import { RUN_BUDGET, RUN_HALT } from '../../../assembly/contract/vcpu.ts';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  BLK_BASE, BLOCK_BASE, BLOCK_SIZE, CODE_MARK_BASE, CPU_BASE, CPU_STRIDE, DIRTY_BASE, JUMP_BASE, JUMP_ENTRIES, LINE_MASK_BASE, PAGE_GEN_BASE, RAM_BASE, RAM_MAX, VCPU_MAX,
} from '../../../assembly/core/layout.ts';
import { intMachine } from '../../support/cpu/int.ts';
import { FIELD, PTE, type SysMachine } from '../../support/cpu/sys.ts';

const MB = 1_000_000;
const PAGES = RAM_MAX / 4096;
const { P, W, PS } = PTE;
/** Variables of the block cache of blocks.ts, behind the state of the vCPU. */
const VARS = { hash: 4, hashMask: 8, first: 12, next: 16, end: 20, flushes: 28 };

function cacheVar(m: SysMachine, name: keyof typeof VARS, cpu = 0): number {
  return m.view.getUint32(m.cpu(cpu) + 0x3_0000 + VARS[name], true);
}

beforeAll(() => {
  intMachine(); // compiles
});

describe('host memory for decoded code and tables', () => {
  it('with the most guest RAM and the most vCPUs all of it together is below 64 MB', () => {
    const marks = PAGES; // one byte a page
    const dirty = PAGES / 8;
    const generations = PAGES * 4;
    const lines = PAGES * 8;
    const states = VCPU_MAX * (CPU_STRIDE - 0x1_0000); // registers, TLBs, the cache's variables; CPU_PRIVATE's first half is free
    const jumps = VCPU_MAX * JUMP_ENTRIES * 16;
    expect(BLOCK_SIZE + marks + dirty + generations + lines + states + jumps).toBeLessThan(64 * MB);
    // and none runs into the next
    const areas: [number, number][] = [
      [CPU_BASE, VCPU_MAX * CPU_STRIDE], [CODE_MARK_BASE, marks], [DIRTY_BASE, dirty], [PAGE_GEN_BASE, generations], [LINE_MASK_BASE, lines], [BLOCK_BASE, BLOCK_SIZE], [JUMP_BASE, VCPU_MAX * CPU_STRIDE],
    ];
    areas.forEach(([base, size], i) => expect(base + size).toBeLessThanOrEqual(areas[i + 1]?.[0] ?? BLK_BASE));
  });

  it.each([1, 2, 4])('code that decodes to more than its share, %i vCPUs: the cache starts anew and touches nothing beyond', (cpus) => {
    const m = intMachine(0, cpus);
    const start = 0x10_0000;
    const size = 12 << 20;
    m.call('enter_long64', 0, BigInt(start), 0n, 0x1_0000, 0, 0);
    for (let pa = 0; pa < 16 << 20; pa += 2 << 20) m.map(BigInt(pa), pa, P | W | PS, P | W, 2);
    m.call('update_paging', m.cpu());
    // one micro-op of 16 bytes a byte of code
    const code = new Uint8Array(m.memory.buffer).subarray(RAM_BASE + start, RAM_BASE + start + size);
    code.fill(0x90);
    code[size - 1] = 0xf4;
    let reason = RUN_BUDGET;
    while (reason === RUN_BUDGET) {
      reason = m.call('cpu_run', m.cpu(), 1_000_000);
      expect(cacheVar(m, 'next')).toBeLessThanOrEqual(cacheVar(m, 'end'));
    }
    expect(reason).toBe(RUN_HALT);
    expect(Number(m.get64(FIELD.icount))).toBe(size);
    const share = Math.floor(BLOCK_SIZE / cpus / 65536) * 65536;
    expect([cacheVar(m, 'hash'), cacheVar(m, 'end')]).toEqual([BLOCK_BASE, BLOCK_BASE + share]);
    expect(cacheVar(m, 'first')).toBe(cacheVar(m, 'hash') + (cacheVar(m, 'hashMask') + 1) * 4);
    // the first flush made it empty, each later one was for want of room
    expect(cacheVar(m, 'flushes')).toBeGreaterThanOrEqual(1 + Math.floor((size * 16) / share));
    const behind = Buffer.from(m.memory.buffer, BLOCK_BASE + share, JUMP_BASE - BLOCK_BASE - share);
    expect(behind.equals(Buffer.alloc(behind.length))).toBe(true);
  });

  it('32 vCPUs: a share each, side by side', () => {
    const m = intMachine(0, 32);
    for (let i = 0; i < 32; i++) {
      m.call('enter_long64', i, 0x10_0000n, 0n, 0x1_0000, 0, 0);
      m.call('cpu_run', m.cpu(i), 1);
    }
    const shares = Array.from({ length: 32 }, (_, i) => [cacheVar(m, 'hash', i), cacheVar(m, 'end', i)] as const);
    expect(shares[0]?.[0]).toBe(BLOCK_BASE);
    for (let i = 1; i < 32; i++) expect(shares[i]?.[0]).toBe(shares[i - 1]?.[1]);
    expect(shares[31]?.[1]).toBeLessThanOrEqual(BLOCK_BASE + BLOCK_SIZE);
  });
});
