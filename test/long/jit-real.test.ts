/** Real programs of Debian with each run of a translation repeated by the interpreter, and in counted time translated beside interpreted. */
import { beforeAll, expect, it } from 'vitest';
import { DEBIAN_CASES } from '../support/guests/debian-cases.ts';
import { type DebianRoot, debianRoot, guest, native } from '../support/guests/debian.ts';

/** Runs of translations, each some blocks long, that are compared before enough have been. */
const RUNS = Number(process.env['VMM_LOCKSTEP_REAL'] ?? 10_000_000);
const LIMIT_MS = 1_800_000;

let root: DebianRoot;
beforeAll(async () => {
  root = await debianRoot();
}, LIMIT_MS);

it(`${RUNS} runs of translations of real code: no difference`, { timeout: 12 * LIMIT_MS }, async () => {
  let compared = 0;
  for (const { name, script } of DEBIAN_CASES) {
    if (compared >= RUNS) break;
    const [expected, run] = [await native(root, script), await guest(root, script, ['--accel', 'wasm', '--timeline', '--jit', 'check', '-m', '1g'], { limit: LIMIT_MS, env: { VMM_JIT_THRESHOLD: '1' } })];
    expect(run.status, `${name}: ${run.stderr}`).toBe(expected.status);
    expect(run.stdout.toString('latin1'), name).toBe(expected.stdout.toString('latin1'));
    compared += Number(/; (\d+) runs compared with the interpreter/.exec(run.stderr)?.[1] ?? 0);
  }
  expect(compared).toBeGreaterThanOrEqual(RUNS);
});

it.each([1, 2])('counted runs on %i vCPUs: the same counts, registers and output, translated or not', { timeout: 4 * LIMIT_MS }, async (cpus) => {
  for (const { name, script } of DEBIAN_CASES.slice(0, 3)) {
    const [plain, translated] = await Promise.all(['off', 'on'].map((jit) => guest(root, script, ['--icount', '--timeline', '--jit', jit, '-m', '1g', '--cpus', String(cpus)], { limit: LIMIT_MS })));
    expect(translated?.stderr, name).toMatch(/^translated: [1-9]/m);
    const repeats = (run: typeof plain): unknown => ({ ...run, stderr: run?.stderr.replace(/^translated: .*\n/m, '') });
    expect(repeats(translated), name).toEqual(repeats(plain));
  }
});
