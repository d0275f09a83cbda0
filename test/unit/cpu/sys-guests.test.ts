import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { assemble, coreModule, hasAssembler, hasQemu, runGuest, runGuestThreads, runQemu } from '../../support/cpu/guest.ts';

const dir = new URL('../../programs/cpu', import.meta.url).pathname;

/** What the guest prints under QEMU 7.2 TCG (`manual`: Bochs 2.7); kept in the tree, and compared anew where QEMU is installed. */
function expected(name: string): string {
  return readFileSync(join(dir, `${name}.txt`), 'latin1');
}

beforeAll(() => {
  coreModule();
});

const guests: [string, number][] = [['paging', 1], ['remap', 1], ['smc', 1], ['crossing', 1], ['strings', 1], ['traps', 1], ['manual', 1], ['smp4', 4]];
/** What QEMU does unlike the manual. */
const NOT_QEMU = ['manual'];

describe.skipIf(!hasAssembler)('test guests print what they print under QEMU, or Bochs', () => {
  for (const [name, cpus] of guests) {
    it(`${name}, vCPUs in turns on one thread`, () => {
      const run = runGuest(assemble(name), { cpus });
      expect(run.output).toBe(expected(name));
      expect(run.end).toBe(0);
    });
  }

  it('smp4, four vCPUs at the same time', async () => {
    const run = await runGuestThreads(assemble('smp4'), { cpus: 4 });
    expect(run.output).toBe(expected('smp4'));
    expect(run.end).toBe(0);
  });

  // Odd slices cut blocks and repeated strings at every place
  for (const slice of [1, 7, 61]) {
    it(`traps in slices of ${slice} instructions`, () => {
      expect(runGuest(assemble('traps'), { slice }).output).toBe(expected('traps'));
    });
  }

  it('counted time: two runs of smp4 retire the same instructions', () => {
    const elf = assemble('smp4');
    const runs = [0, 1].map(() => runGuest(elf, { cpus: 4, timeMode: 1 }));
    expect(runs[0]?.output).toBe(expected('smp4'));
    expect(runs[1]).toEqual(runs[0]);
  });

  it('a triple fault ends the run', () => {
    expect(runGuest(assemble('triple'))).toMatchObject({ output: 'before\n', end: 'shutdown' });
  });
});

describe.skipIf(!hasAssembler || !hasQemu)('the kept output is QEMU\'s', () => {
  // smp4 takes QEMU a minute on a busy machine of two cores
  for (const [name, cpus] of guests.filter(([name, n]) => n === 1 && !NOT_QEMU.includes(name))) {
    it(name, () => {
      expect(runQemu(assemble(name), cpus)).toBe(expected(name));
    });
  }
  it('a triple fault', () => {
    expect(runQemu(assemble('triple'))).toBe('before\n');
  });
});
