/** Twenty sandboxes one after the other, each used in every way, and ten at once: nothing of them is left in the process. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';

const { Sandbox } = (await import(/* @vite-ignore */ new URL('../../dist/vmm.js', import.meta.url).href)) as typeof Library;

let image: string;
let folder: string;
beforeAll(() => {
  image = busyboxImage();
  folder = mkdtempSync(join(tmpdir(), 'vmm-many-'));
  process.env['VMM_STORE'] = join(folder, 'store');
  process.env['VMM_TMPDIR'] = folder;
});
afterAll(() => {
  for (const path of [image, folder]) rmSync(path, { recursive: true });
});

/** One box: a flood that nobody reads, a watch that nobody ends, a port with a connection that hangs, an aborted command. */
async function visit(): Promise<void> {
  await using box = await Sandbox.create({ image, accel: 'wasm', memory: 128, secrets: { key: { file: 'k' } } });
  await box.execStream('yes');
  await box.files.write('/tmp/f', Buffer.alloc(100_000));
  await box.files.readStream('/tmp/f');
  await box.files.watch('/tmp');
  const port = await box.expose(80);
  await box.execStream('sh', ['-c', 'busybox nc -l -p 80']);
  fetch(port.url).catch(() => {});
  const abort = new AbortController();
  const aborted = box.shell('echo runs; sleep 1000', { signal: abort.signal, onStdout: () => abort.abort() });
  await expect(aborted).rejects.toThrow();
}

const open = (): number[] => ['/proc/self/fd', '/proc/self/task', folder].map((path) => readdirSync(path).length);

it('twenty, and ten at once', async () => {
  await Promise.all(Array.from({ length: 10 }, visit));
  const before = open();
  for (let i = 0; i < 20; i++) await visit();
  await Promise.all(Array.from({ length: 10 }, visit));
  expect(open().map((count, i) => count <= (before[i] as number))).toEqual([true, true, true]);
});
