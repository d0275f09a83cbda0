/** The same segments, good and bad, to Linux's TCP and to the gateway's: both must take the same bytes of them, and end in the same way. VMM_CASES and VMM_SEED set how many, and which. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Difference } from '../../support/gateway/oracle-program.ts';
import { root } from '../../support/guests/programs.ts';
import { HANG_MS } from '../../support/limits.ts';

const CASES = Number(process.env['VMM_CASES'] ?? 150);
const SEED = Number(process.env['VMM_SEED'] ?? 1);

it.skipIf(process.getuid?.() !== 0)(`${CASES} connections by hand are taken as the kernel takes them`, () => {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
  const { status, stdout, stderr } = spawnSync('unshare', ['-n', process.execPath, join(root, 'test/support/gateway/oracle-program.ts'), `${SEED}`, `${CASES}`], { encoding: 'utf8', env, timeout: HANG_MS * 3, killSignal: 'SIGKILL', maxBuffer: 1 << 28 });
  expect(status, stderr).toBe(0);
  const [first] = JSON.parse(stdout) as Difference[];
  expect(first?.gateway, `seed ${first?.seed}`).toEqual(first?.kernel);
}, HANG_MS * 4);
