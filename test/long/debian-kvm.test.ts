/**
 * The Debian user land on KVM, here or in the nested machine. There one case takes about a minute, so it has a short list;
 * on hardware all of test/support/guests/debian-cases.ts run.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shellQuote } from '../../scripts/nested/image.mjs';
import { ROOT } from '../support/cli/cli.ts';
import { DEBIAN_CASES } from '../support/guests/debian-cases.ts';
import { CHECKED, FILL, killAndCheck, STRESS_EXPECT, STRESS_OPTIONS, stress } from '../support/guests/debian-load.ts';
import { type DebianRoot, debianRoot, guestArgs, native } from '../support/guests/debian.ts';
import { hasHardwareKvm, type KvmPlace, kvmPlace } from '../support/nested/machine.ts';

const LIMIT_MS = 900_000;
const OPTIONS = ['--accel', 'kvm', '-m', '512m', '--cpus', '2'];

let root: DebianRoot;
let place: KvmPlace;

beforeAll(async () => {
  root = await debianRoot();
  place = await kvmPlace({ take: [root.store] });
}, 1_800_000);
afterAll(async () => {
  await place?.close();
});

const command = (script: string, options: readonly string[] = []): string => `node ${ROOT}/bin/vmm.js ${guestArgs(script, [...OPTIONS, ...options]).map(shellQuote).join(' ')}`;
const run = (script: string) => place.run(script, { env: { VMM_STORE: root.store }, timeoutMs: LIMIT_MS });

describe('Debian programs on KVM, 2 vCPUs', { timeout: LIMIT_MS + 120_000 }, () => {
  for (const c of DEBIAN_CASES.filter(({ nested }) => nested || hasHardwareKvm())) {
    it(`${c.name}: output as natively`, async () => {
      const expected = await native(root, c.script);
      expect(expected.stdout.toString('latin1'), `native: ${expected.stderr}`).toMatch(c.expect);
      const result = await run(command(c.script));
      const told = `status ${result.status}, stderr: ${result.stderr}`;
      expect(result.stdoutBytes.toString('latin1'), told).toBe(expected.stdout.toString('latin1'));
      expect(result.status, told).toBe(expected.status);
    });
  }

  it('stress-ng: CPU, memory, futexes and timers for 60 s', async () => {
    const result = await run(command(stress(60), STRESS_OPTIONS));
    expect(result.stdout, result.stderr).toMatch(STRESS_EXPECT);
  });

  it('a scratch disk is clean after kill -9 of the VMM and replay of its journal', async () => {
    const result = await run(killAndCheck(command(FILL, ['--scratch', '1g'])));
    expect(result.status, `${result.stdout}${result.stderr}`).toBe(0);
    expect(result.stdout + result.stderr).toMatch(CHECKED);
  });
});
