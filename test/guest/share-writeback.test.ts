/** `-v DIR:TARGET:delegated`: the guest holds writes back until a close, fsync, sync or its end, and the host has all of them then. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { BIN } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';

const dir = mkdtempSync(join(tmpdir(), 'vmm-writeback-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const image = busyboxImage(join(dir, 'image'));
const shared = join(dir, 'shared');
mkdirSync(shared);
const size = (): number => statSync(join(shared, 'file')).size;

it.each([['delegated', 7], ['cached', 9]])('%s', async (consistency, least) => {
  writeFileSync(join(shared, 'file'), 'before\n');
  // tee tells a line before it writes it to its file: with the second one the first is written. It closes the file at the end of its input.
  const script = 'busybox tee -a /shared/file; cat /shared/file';
  const child = spawn(process.execPath, ['--', BIN, 'run', '-q', '-i', '--accel', 'wasm', '-m', '128m', '-v', `${shared}:/shared:${consistency}`, image, 'sh', '-c', script], { env: { ...process.env, VMM_STORE: join(dir, 'store') }, stdio: ['pipe', 'pipe', 'inherit'], timeout: HANG_MS });
  let output = '';
  let held: number | undefined;
  child.stdin.write('1\n');
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output === '1\n') child.stdin.write('2\n');
    if (output !== '1\n2\n' || held !== undefined) return;
    held = size();
    child.stdin.end('3\n');
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  expect({ status, output }).toEqual({ status: 0, output: '1\n2\n3\nbefore\n1\n2\n3\n' });
  if (consistency === 'delegated') expect(held).toBe(least);
  else expect(held).toBeGreaterThanOrEqual(least);
  expect(readFileSync(join(shared, 'file'), 'utf8')).toBe('before\n1\n2\n3\n');
});
