/** `vmm bench` from end to end: options that are refused, one scenario measured, a signal in the middle, reports compared. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../bench/suite/report.ts';
import { refusal } from '../../bench/suite/schema.ts';
import { BIN, ROOT, vmm } from '../support/cli/cli.ts';
import { HANG_MS } from '../support/limits.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-bench-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const reportIn = (name: string): Report => JSON.parse(readFileSync(join(dir, name, 'report.json'), 'utf8')) as Report;

describe('options', () => {
  test.each([
    [['--rounds', '0'], '--rounds 0'], [['--scenario', 'x'], '--scenario x: there are boot'], [['--peer', 'x'], '--peer x: there are vmm wasm'], [['--compare', 'one'], 'two reports'],
    [['word'], 'no argument word'], [['--nope'], '--nope'], [['--compare', '/none', '/none'], 'ENOENT'], [['--report', '/none'], 'ENOENT'],
    [['--against', 'no-such-revision'], '--against no-such-revision: there is no such revision here'], [['--against', '--help'], '--against --help'],
  ])('%j is refused in one line', async (args, text) => {
    const { status, stderr } = await vmm(['bench', ...args]);
    expect([status, stderr.trim().split('\n').length]).toEqual([125, 1]);
    expect(stderr).toContain(text);
    expect(stderr).toMatch(/\[USAGE\]\n$/);
  });

  test('--list and --schema', async () => {
    expect((await vmm(['bench', '--list'])).stdout.toString()).toMatch(/\| qemu microvm tcg \| tried \| boot micro \|/);
    expect(JSON.parse((await vmm(['bench', '--schema'])).stdout.toString())).toMatchObject({ type: 'object', properties: { schema: { const: 1 } } });
  });
});

describe('a measurement', () => {
  const args = (name: string, rounds: string): string[] => ['bench', '--scenario', 'boot', '--peer', 'vmm wasm', '--rounds', rounds, '--out', join(dir, name)];

  test('has its log, its report in three forms, and the same report again from the log', { timeout: 2 * HANG_MS }, async () => {
    const { status, stderr } = await vmm(args('whole', '1'));
    expect(status, stderr).toBe(0);
    const report = reportIn('whole');
    expect(refusal(report)).toBeUndefined();
    expect(report).toMatchObject({ complete: true, troubles: [], measured: [{ scenario: 'boot', peer: 'vmm wasm' }] });
    expect(report.measured[0]!.phases.map(({ name }) => name)).toContain('first guest entry');
    for (const name of ['report.md', 'report.html']) expect(existsSync(join(dir, 'whole', name))).toBe(true);
    const again = await vmm(['bench', '--report', join(dir, 'whole', 'log.jsonl')]);
    expect([again.status, reportIn('whole')]).toEqual([0, report]);
    const second = await vmm(args('whole', '1'));
    expect([second.status, second.stderr]).toEqual([125, expect.stringContaining('never written over')]);

    const [path, other] = [join(dir, 'whole', 'report.json'), join(dir, 'other.json')];
    const compared = await vmm(['bench', '--compare', path, path]);
    expect(compared.stdout.toString()).toMatch(/\| boot \| output ms \| vmm wasm, B \| A \| 1\.00 .*too few samples to say/);
    writeFileSync(other, JSON.stringify({ ...report, header: { ...report.header, schema: 9 } }));
    const refused = await vmm(['bench', '--compare', path, other]);
    expect([refused.status, refused.stderr]).toEqual([125, expect.stringContaining('field header.schema is 9')]);
  });

  test.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s leaves what was measured, readable, and nothing that runs', { timeout: 2 * HANG_MS }, async (signal, expected) => {
    const child = spawn(process.execPath, ['--', BIN, ...args(signal, '1000')], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    const limit = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let stderr = '';
    child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString(); });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    await sampled(join(dir, signal, 'log.jsonl'), ended);
    child.kill(signal);
    const status = await ended;
    clearTimeout(limit);
    expect(status, stderr).toBe(expected);
    const report = reportIn(signal);
    expect(refusal(report)).toBeUndefined();
    expect(report.complete).toBe(false);
    expect(report.measured[0]!.values['output ms']!.length).toBeGreaterThan(0);
    expect(readFileSync(join(dir, signal, 'report.md'), 'utf8')).toContain('CUT OFF');
  });
});

/** Until a sample that counts is in the log, or the suite has ended. */
async function sampled(path: string, ended: Promise<unknown>): Promise<void> {
  const has = (): boolean => existsSync(path) && /"kind":"sample".*"round":[0-9]/.test(readFileSync(path, 'utf8'));
  const watching = new AbortController();
  const seen = new Promise<void>((resolve) => {
    watch(dir, { recursive: true, signal: watching.signal }, () => has() && resolve());
    if (has()) resolve();
  });
  await Promise.race([seen, ended]);
  watching.abort();
}

test.runIf(process.geteuid?.() === 0)('a full disk ends the suite with what was measured; the report is made elsewhere', { timeout: 2 * HANG_MS }, async () => {
  const small = join(dir, 'small');
  mkdirSync(small);
  // Room for a few samples, in a mount namespace that ends with the run.
  const script = `mount -t tmpfs -o size=4k none "$1" && shift && "$@"; status=$?; cp ${small}/out/* ${dir}/; exit $status`;
  const { status, stderr } = await new Promise<{ status: number | null; stderr: string }>((resolve) => {
    const child = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', small, process.execPath, '--', BIN, 'bench', '--scenario', 'boot', '--peer', 'vmm wasm', '--rounds', '30', '--out', join(small, 'out')], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'], timeout: HANG_MS, killSignal: 'SIGKILL' });
    let text = '';
    child.stderr.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    child.on('close', (code) => resolve({ status: code, stderr: text }));
  });
  expect(status, stderr).toBe(1);
  expect(stderr).toMatch(/log\.jsonl: ENOSPC.*the suite ends here.*the report cannot be written: ENOSPC/s);
  expect(existsSync(join(dir, 'report.json'))).toBe(false);
  const again = await vmm(['bench', '--report', join(dir, 'log.jsonl')]);
  expect([again.status, again.stdout.toString()]).toEqual([0, expect.stringContaining('CUT OFF')]);
});
