/** The test guests under Bochs: the output that test/unit/cpu/sys-guests.test.ts wants of the software CPU and of QEMU. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasBochs, runBochs } from '../support/cpu/bochs.ts';
import { assemble, hasAssembler, hasQemu, runQemu } from '../support/cpu/guest.ts';

/**
 * Lines where Bochs 2.7 errs: it keeps an instruction decoded that lies on two pages when INVLPG has dropped the mapping of the
 * second (SDM Vol. 3A §4.10.4.1 wants the new one).
 */
const BOCHS_ERRS: Record<string, RegExp> = { smc: /^second page (remapped|gone)/ };

function lines(name: string, text: string): string[] {
  return text.split('\n').filter((line) => !BOCHS_ERRS[name]?.test(line));
}

describe.skipIf(!hasBochs || !hasAssembler)('Bochs prints the kept output', () => {
  for (const [name, cpus] of [['paging', 1], ['smc', 1], ['crossing', 1], ['strings', 1], ['traps', 1], ['manual', 1], ['smp4', 4]] as const) {
    it(name, { timeout: 700_000 }, async () => {
      const kept = readFileSync(new URL(`../programs/cpu/${name}.txt`, import.meta.url), 'latin1');
      expect(lines(name, await runBochs(assemble(name), cpus, 600))).toEqual(lines(name, kept));
    });
  }

  it('a triple fault', async () => {
    expect(await runBochs(assemble('triple'))).toBe('before\n');
  });
});

it.skipIf(!hasQemu || !hasAssembler)('smp4 under QEMU, which npm test leaves out for its length', { timeout: 700_000 }, () => {
  // On a fast host QEMU's TCG, with a thread a CPU, runs translations of changed code a little longer than its IPI allows; Bochs (above) does not.
  const differs = (text: string): string => text.replace(/^code: stale \w+$/m, 'code: stale …');
  expect(differs(runQemu(assemble('smp4'), 4, 600))).toBe(differs(readFileSync(new URL('../programs/cpu/smp4.txt', import.meta.url), 'latin1')));
});
