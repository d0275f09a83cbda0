import { beforeAll, describe, expect, it } from 'vitest';
import { DEBIAN_CASES } from '../support/debian-cases.ts';
import { type DebianRoot, debianRoot, guest, native } from '../support/debian.ts';

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
