/** `vmm bench --against REV`: the revision is built and measured in turns with this one. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Report } from '../../bench/suite/report.ts';
import { vmm } from '../support/cli/cli.ts';

test('HEAD against this checkout: both in each round, each with its own store, nothing left', { timeout: 3_600_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-against-test-'));
  const temporary = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('vmm-bench-'));
  const before = temporary();
  try {
    const { status, stderr } = await vmm(['bench', '--against', 'HEAD', '--scenario', 'container', '--rounds', '5', '--out', join(dir, 'out')], { limit: 3_000_000 });
    expect(status, stderr).toBe(0);
    const report = JSON.parse(readFileSync(join(dir, 'out', 'report.json'), 'utf8')) as Report;
    expect(report.troubles).toEqual([]);
    expect(report.measured.map(({ peer }) => peer)).toEqual(['vmm wasm', expect.stringMatching(/^vmm wasm at [0-9a-f]{10}$/)]);
    expect(report.measured[0]!.command.slice(2)).not.toEqual(report.measured[1]!.command.slice(2));
    expect(report.comparisons.find(({ figure }) => figure === 'CPU ms')).toMatchObject({ pairs: 5, ratio: expect.any(Number) });
    expect(temporary().filter((name) => !before.includes(name))).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
