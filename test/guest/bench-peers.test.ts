/** Peers whose command lines the suite has tried: each is measured here on its real binary, one round. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from '../../bench/suite/report.ts';
import { vmm } from '../support/cli/cli.ts';
import { HANG_MS } from '../support/limits.ts';

const PEERS = ['qemu microvm tcg', 'runc', 'crun', 'podman'];
let dir: string;
let report: Report;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-bench-peers-'));
  const { status, stderr } = await vmm(['bench', '--rounds', '1', '--scenario', 'boot', '--scenario', 'container', ...['vmm wasm', ...PEERS].flatMap((name) => ['--peer', name]), '--out', join(dir, 'out')], { limit: HANG_MS });
  expect(status, stderr).toBe(0);
  report = JSON.parse(readFileSync(join(dir, 'out', 'report.json'), 'utf8')) as Report;
}, 2 * HANG_MS);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const there = (program: string): boolean => spawnSync(program, ['--version'], { timeout: HANG_MS, stdio: 'ignore' }).error === undefined;
const measured = (scenario: string, peer: string): Readonly<Record<string, readonly number[]>> | undefined => report.measured.find((each) => each.scenario === scenario && each.peer === peer)?.values;

test('one guest times both VMMs by its own mark', () => {
  for (const peer of ['vmm wasm', 'qemu microvm tcg']) {
    const { 'init: main ms': [init = 0] = [], 'output ms': [output = 0] = [] } = measured('boot', peer) ?? {};
    expect(Math.min(init, output), peer).toBeGreaterThan(0);
  }
  expect(report.comparisons.filter(({ scenario }) => scenario === 'boot').map(({ figure, refused }) => [figure, refused])).toEqual([['output ms', undefined], ['CPU ms', undefined], ['init: main ms', undefined]]);
});

test.each(['runc', 'crun', 'podman'])('%s runs a container', (peer) => {
  if (!there(peer)) {
    expect(report.troubles).toContainEqual(expect.objectContaining({ peer, what: 'missing' }));
    return;
  }
  expect(measured('container', peer)?.['output ms'], JSON.stringify(report.troubles)).toHaveLength(1);
});

test('no run of theirs fails', () => expect(report.troubles.filter(({ what }) => what !== 'missing')).toEqual([]));
