/** The examples of docs/library.md and docs/sandboxes.md do what they say. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vmm-library-'));
const PAGES = ['library.md', 'sandboxes.md'].map((name) => readFileSync(join(ROOT, 'docs', name), 'utf8')).join('');
const examples = [...PAGES.matchAll(/^## (.+)\n(?:(?!^## )[\s\S])*?^```ts\n([\s\S]*?)^```$/gm)].map(([, title = '', code = '']) => ({ title, code }));

beforeAll(() => {
  const image = busyboxImage();
  renameSync(image, join(FOLDER, 'image'));
  mkdirSync(join(FOLDER, 'node_modules'));
  symlinkSync(ROOT, join(FOLDER, 'node_modules', 'vmm'));
});
afterAll(() => rmSync(FOLDER, { recursive: true }));

test('the pages have examples', () => expect(examples.map(({ title }) => title)).toEqual(['A container', 'Several processes in one container', 'Directories of the host, and volumes', 'A kernel', 'An error', 'Running a command', 'Streams', 'Files', 'Whole trees', 'Ports', 'Where it may go', 'Secrets', 'Its life', 'Sandboxes that live on']));

test.each(examples)('$title', ({ code }) => {
  writeFileSync(join(FOLDER, 'example.mts'), code);
  const expected = [...code.matchAll(/^\/\/ prints: (.*)$/gm)].map(([, line]) => `${line}\n`).join('');
  const env = { PATH: process.env['PATH'], HOME: FOLDER, VMM_STORE: join(FOLDER, 'store') };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['example.mts'], { cwd: FOLDER, env, encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: expected, stderr: '' });
});
