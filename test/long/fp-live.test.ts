/**
 * 10^7 cases (VMM_CASES) of the floating-point part against this machine's own CPU, and 10^6 transcendentals against MPFR.
 * `VMM_FP_STORE=1` also renews the stored vectors of test/unit/cpu/fp.
 */
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { buildNative, FpMachine, loadVectors, MPFR_RECORD, RECORD, storeVectors, thisCpu, ulpError, vectorArgs } from '../support/cpu/fp.ts';

const cases = Number(process.env.VMM_CASES ?? 10_000_000);
const HOUR = 3_600_000;

/** Feeds a program's output to `use` in whole records. */
async function stream(program: string, args: string[], size: number, use: (records: Buffer) => void): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of child.stdout) {
    const all: Buffer = rest.length ? Buffer.concat([rest, chunk as Buffer]) : (chunk as Buffer);
    const whole = all.length - (all.length % size);
    use(all.subarray(0, whole));
    rest = all.subarray(whole);
  }
  expect(rest.length).toBe(0);
}

if (process.env.VMM_FP_STORE) storeVectors();
const stored = loadVectors();

// Vendors differ where the manuals leave room; the reference is the CPU that made the stored vectors.
const sameCpu = thisCpu().slice(0, 4).join() === stored.cpu.slice(0, 4).join();

describe.runIf(sameCpu)('live, against this CPU', () => {
  for (const [name, share] of [['sse', 0.5], ['x87', 0.4], ['v2', 0.1]] as const) {
    it(`${name}: no difference`, async () => {
      const machine = new FpMachine();
      let done = 0;
      await stream(buildNative('vectors', []), vectorArgs(name, Date.now() & 0xffff_ffff, cases * share), RECORD, (records) => {
        expect(machine.differences(records, 3)).toEqual([]);
        done += records.length / RECORD;
      });
      expect(done).toBe(cases * share);
    }, HOUR);
  }
});

describe('transcendentals', () => {
  it('are within one unit in the last place of MPFR', async () => {
    const machine = new FpMachine();
    let worst = 0;
    await stream(buildNative('mpfr', ['-lmpfr', '-lgmp']), ['99', String(cases / 10)], MPFR_RECORD, (records) => {
      for (let at = 0; at < records.length; at += MPFR_RECORD) worst = Math.max(worst, ulpError(machine, records, at).ulp);
    });
    expect(worst).toBeLessThanOrEqual(1);
  }, HOUR);
});
