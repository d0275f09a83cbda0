/** An app's output in the pod's directory, as rkt's users find it there. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Outputs } from '../../../stage1/run/outputs.ts';

const MODES = { stdout: 'log', stderr: 'log' } as const;
const HERE = process.cwd();
let dir: string;
let notes: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-outputs-'));
  process.chdir(dir);
  notes = [];
  // What goes to run's own streams is not looked at here.
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockImplementation((_bytes, ...rest) => (rest.find((one) => typeof one === 'function') as () => void)?.() === undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.chdir(HERE);
  rmSync(dir, { recursive: true });
});
const note = (text: string): void => { notes.push(text); };
const read = (name: string): string => readFileSync(join(dir, 'logs', name), 'latin1');

describe('an app’s logs', () => {
  it('go on where an earlier run has ended; a full one is put aside, and the one before it goes', async () => {
    const line = Buffer.from(`${'x'.repeat((1 << 20) - 1)}\n`);
    const first = new Outputs();
    first.open('app', MODES, note);
    await first.put('app', 'stdout', Buffer.from('earlier\n'));
    await first.put('app', 'stderr', Buffer.from('apart\n'));
    first.close('app');
    const outputs = new Outputs();
    outputs.open('app', MODES, note);
    for (let i = 0; i < 10; i++) await outputs.put('app', 'stdout', line);
    expect([read('app.out.1').length, read('app.out').length]).toEqual([8 + 9 * line.length, line.length]);
    for (let i = 0; i < 10; i++) await outputs.put('app', 'stdout', line);
    expect([read('app.out.1').length, read('app.out').length]).toEqual([10 * line.length, line.length]);
    expect(read('app.err')).toBe('apart\n');
    expect(statSync(join(dir, 'logs', 'app.out')).mode & 0o777).toBe(0o640);
    expect(notes).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)('on a full disk: told once, no piece is kept of what did not fit, and it goes on when there is room', async () => {
    mkdirSync(join(dir, 'logs'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', join(dir, 'logs')], { timeout: 60_000 });
    try {
      const outputs = new Outputs();
      outputs.open('app', MODES, note);
      await outputs.put('app', 'stdout', Buffer.from('first\n'));
      for (let i = 0; i < 4; i++) await outputs.put('app', 'stderr', Buffer.from(`${'x'.repeat(29_999)}\n`));
      await outputs.put('app', 'stderr', Buffer.from('y'.repeat(60_000)));
      expect(read('app.err')).toMatch(/^(x{29999}\n)+$/);
      expect(notes).toEqual(['logs/app.err: ENOSPC: output is lost']);
      outputs.close('app');
      rmSync(join(dir, 'logs', 'app.err'));
      outputs.open('app', MODES, note);
      await outputs.put('app', 'stderr', Buffer.from('again\n'));
      expect([read('app.out'), read('app.err')]).toEqual(['first\n', 'again\n']);
      outputs.close('app');
    } finally {
      execFileSync('umount', [join(dir, 'logs')], { timeout: 60_000 });
    }
  });
});
