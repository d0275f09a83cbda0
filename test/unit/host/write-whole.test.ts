import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { READER_WAIT_MS, writeWhole } from '../../../vmm/host/write-whole.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-write-'));
afterAll(() => rmSync(folder, { recursive: true }));
/** Opened for reading too, so that it may be opened for writing at any time. */
function fifo(name: string): { path: string; held: number; fd: number } {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  const held = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return { path, held, fd: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

test('a FIFO gets all of a text that is a hundred times what it holds', async () => {
  const { path, held, fd } = fifo('read');
  const out = join(folder, 'out');
  const reader = spawn('sh', ['-c', 'cat "$0" >"$1"', path, out]);
  const over = new Promise((resolve) => reader.once('exit', resolve));
  const text = Array.from({ length: 800_000 }, (_, n) => `ä${n}\n`).join('');
  writeWhole(fd, text);
  for (const each of [held, fd]) closeSync(each);
  expect(await over).toBe(0);
  expect(readFileSync(out, 'utf8') === text).toBe(true);
});

test('a FIFO whose reader takes nothing is waited for, then EAGAIN is told', () => {
  const { held, fd } = fifo('stands');
  const start = performance.now();
  expect(() => writeWhole(fd, 'x'.repeat(2 << 20))).toThrow(expect.objectContaining({ code: 'EAGAIN' }));
  expect(performance.now() - start).toBeGreaterThanOrEqual(READER_WAIT_MS);
  for (const each of [held, fd]) closeSync(each);
});

test('a FIFO whose reader is gone gives EPIPE, a full disk ENOSPC, at once', () => {
  const { held, fd } = fifo('gone');
  closeSync(held);
  expect(() => writeWhole(fd, 'x')).toThrow(expect.objectContaining({ code: 'EPIPE' }));
  closeSync(fd);
  const full = openSync('/dev/full', 'w');
  expect(() => writeWhole(full, 'x')).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  closeSync(full);
});
