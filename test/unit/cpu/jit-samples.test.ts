/** What becomes hot when, and what V8 shall compile twice. */
import { beforeAll, expect, it } from 'vitest';
import { FIELD_ICOUNT } from '../../../assembly/contract/vcpu.ts';
import { cpuAddress } from '../../../vmm/accel/wasm-registers.ts';
import type { JitExports } from '../../../vmm/jit/cache.ts';
import { HotList } from '../../../vmm/jit/hot-list.ts';
import { thresholdOf, tieringBudgetOf } from '../../../vmm/jit/threshold.ts';
import { assemble, hasAssembler, prepareCore, runGuest } from '../../support/cpu/guest.ts';

/** Instructions from one sample to the next, and those of a vCPU that is young (assembly/cpu/jit/translation.ts). */
const SAMPLE = 50_000;
const YOUNG = 1500 * SAMPLE;

beforeAll(prepareCore, 120_000);

it.skipIf(!hasAssembler)('a page whose blocks are all lukewarm is hot once it is not young, and rests when one of them is listed', { timeout: 120_000 }, () => {
  const listed: number[] = [];
  let hot: HotList | undefined;
  const run = runGuest(assemble('flat'), {
    before: (core, memory) => {
      if (hot === undefined) {
        (core as unknown as JitExports).jit_set(cpuAddress(0), 1, 40, 1000);
        hot = new HotList(memory, 0);
      }
      const now = Number(new DataView(memory.buffer).getBigUint64(cpuAddress(0) + core.cpu_field(FIELD_ICOUNT), true));
      while (listed.length < hot.put) listed.push(now);
    },
  });
  expect(run).toMatchObject({ output: expect.stringMatching(/^flat\r?\n$/), end: 0 });
  // 40 samples of the page; of one of the 40 blocks they would be 1,600
  expect(listed[0]).toBeGreaterThan(YOUNG);
  expect(listed[0]).toBeLessThan(YOUNG + 60 * SAMPLE);
  expect((listed[1] as number) - (listed[0] as number)).toBeGreaterThan(100 * SAMPLE);
});

it('translations must earn the next ones: a high threshold where they cost more than they gain, and a high budget before V8 compiles them again', () => {
  const [interpreter, compiler] = [thresholdOf(1 << 20, 700e6), thresholdOf(2 << 20, 70e6)];
  expect(thresholdOf(0, 0)).toBe(2);
  expect(interpreter).toBeLessThan(4);
  expect(compiler).toBe(35);
  expect(thresholdOf(16 << 20, 0)).toBe(40);
  expect(tieringBudgetOf(false, interpreter)).toBeLessThan(50e6);
  expect(tieringBudgetOf(false, compiler)).toBe(2e9);
  expect(tieringBudgetOf(true, compiler)).toBe(tieringBudgetOf(true, 2));
});
