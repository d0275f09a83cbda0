/** The image that `npm run stage1:build` makes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BIN, ROOT } from '../support/cli/cli.ts';
import { HANG_MS } from '../support/limits.ts';
import { buildStage1 } from './stage0.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-stage1-image-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('is valid, small enough, the same each time, and names its entry points as rkt wants them', () => {
  buildStage1();
  const run = (program: string, ...args: readonly string[]): string => execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', timeout: HANG_MS, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
  const [one, two] = ['one.aci', 'two.aci'].map((name) => join(dir, name)) as [string, string];
  run(process.execPath, 'scripts/stage1.mjs', '--out', one);
  expect(run(process.execPath, '--', BIN, 'aci', 'validate', one)).toContain('valid ACI');
  expect(statSync(one).size).toBeLessThanOrEqual(70_000_000);
  const manifest = JSON.parse(run('tar', '-xzOf', one, 'manifest')) as { annotations: { name: string; value: string }[] };
  const names = new Set(run('tar', '-tzf', one).split('\n'));
  const points = manifest.annotations.filter(({ name }) => name !== 'coreos.com/rkt/stage1/interface-version');
  expect(manifest.annotations).toContainEqual({ name: 'coreos.com/rkt/stage1/interface-version', value: '6' });
  expect(points.map(({ name }) => name.replace('coreos.com/rkt/stage1/', '')).sort()).toEqual(['app/add', 'app/rm', 'app/start', 'app/stop', 'attach', 'enter', 'gc', 'run', 'stop']);
  for (const { value } of points) expect(names).toContain(`rootfs${value}`);
  // stage0 sets its time, and fails where it is missing.
  expect(names).toContain('rootfs/rkt/status/');
  expect([...names].filter((name) => name.startsWith('rootfs/vmm/licences/')).length).toBeGreaterThan(6);
  if (process.env['VMM_LONG'] !== '1') return;
  run(process.execPath, 'scripts/stage1.mjs', '--out', two);
  expect(readFileSync(two).equals(readFileSync(one))).toBe(true);
});
