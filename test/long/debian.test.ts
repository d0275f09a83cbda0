import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { shellQuote } from '../../scripts/nested/image.mjs';
import { BIN } from '../support/cli/cli.ts';
import { DEBIAN_CASES } from '../support/guests/debian-cases.ts';
import { CHECKED, FILL, killAndCheck, STRESS_EXPECT, STRESS_OPTIONS, stress } from '../support/guests/debian-load.ts';
import { type DebianRoot, debianRoot, guest, guestArgs, native } from '../support/guests/debian.ts';

let root: DebianRoot;
const natively = new Map<string, Promise<{ status: number | null; stdout: string; stderr: string }>>();

beforeAll(async () => {
  root = await debianRoot();
}, 1_800_000);

/** One native run of a script serves all comparisons. */
function truth(script: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  let known = natively.get(script);
  known ??= native(root, script).then(({ status, stdout, stderr }) => ({ status, stdout: stdout.toString('latin1'), stderr }));
  natively.set(script, known);
  return known;
}

describe.each([1, 2, 4])('Debian programs on the software CPU, %i vCPUs: output as natively', (cpus) => {
  for (const c of DEBIAN_CASES) {
    if (cpus === 4 && !c.parallel) continue;
    const limit = (c.limit ?? 120) * 1000;
    it(c.name, { timeout: limit + 60_000 }, async () => {
      const expected = await truth(c.script);
      expect(expected.stdout, `native: ${expected.stderr}`).toMatch(c.expect);
      const result = await guest(root, c.script, ['--accel', 'wasm', '-m', '1g', '--cpus', `${cpus}`], { limit });
      const told = `status ${result.status} ${result.signal ?? ''}, stderr: ${result.stderr}`;
      expect(result.stdout.toString('latin1'), told).toBe(expected.stdout);
      expect(result.status, told).toBe(expected.status);
    });
  }
});

describe('loads on the software CPU', () => {
  it.each([1, 2, 4])('stress-ng: CPU, memory, futexes and timers for 60 s on %i vCPUs', { timeout: 900_000 }, async (cpus) => {
    const result = await guest(root, stress(60), ['--accel', 'wasm', '-m', '1g', '--cpus', `${cpus}`, ...STRESS_OPTIONS], { limit: 800_000 });
    expect(result.stdout.toString(), result.stderr).toMatch(STRESS_EXPECT);
    expect(result.stderr).toBe('');
  });

  it('a scratch disk is clean after kill -9 of the VMM and replay of its journal', { timeout: 600_000 }, () => {
    const command = [process.execPath, BIN, ...guestArgs(FILL, ['--accel', 'wasm', '-m', '512m', '--scratch', '1g'])].map(shellQuote).join(' ');
    const result = spawnSync('bash', ['-c', killAndCheck(command)], { env: { ...process.env, VMM_STORE: root.store }, encoding: 'utf8', timeout: 500_000 });
    expect(result.status, `${result.stdout}${result.stderr}`).toBe(0);
    expect(result.stdout + result.stderr).toMatch(CHECKED);
  });
});
