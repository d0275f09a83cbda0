/** What a start leaves behind is given back at the guest's first rest, and the guest goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { envWithoutNode } from '../../scripts/lib.mjs';
import { BLOCK_BASE, BLOCK_SIZE, PAGE_SIZE, RAM_BASE } from '../../assembly/core/layout.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';

const LIMIT_MS = 90_000;
let image: string;
let store: string;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-rest-'));
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

/** Pages of decoded code that the process has in memory (proc_pid_pagemap(5)): that of all vCPUs, without what comes with our kernel. */
function decodedPages(pid: number): number {
  const [, from] = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw-p /.exec(line) ?? []).find(([, start, end]) => start !== undefined && Number(`0x${end}`) - Number(`0x${start}`) === RAM_BASE) ?? [];
  if (from === undefined) throw new Error(`no mapping of ${RAM_BASE} bytes`);
  const entries = new BigUint64Array(BLOCK_SIZE / PAGE_SIZE);
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  expect(readSync(fd, entries, 0, entries.byteLength, (Number(`0x${from}`) + BLOCK_BASE) / PAGE_SIZE * 8)).toBe(entries.byteLength);
  closeSync(fd);
  // Present, or swapped.
  return entries.filter((entry) => entry >> 62n !== 0n).length;
}

it.each([['1'], ['2']])('a shell on %s vCPUs that waits has its decoded code taken, and answers afterwards', { timeout: LIMIT_MS }, async (cpus) => {
  const child = spawn(process.execPath, ['--', join(ROOT, 'bin/vmm.js'), 'run', '-q', '-i', '--accel', 'wasm', '--cpus', cpus, '-m', '256m', image, 'sh', '-c', 'while :; do :; done & echo ready; read line; kill $!; while read line; do echo "$line again"; done; exit 7'], {
    env: { ...envWithoutNode(), VMM_STORE: store }, stdio: ['pipe', 'pipe', 'pipe'], timeout: LIMIT_MS, killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => { stdout += bytes.toString(); });
  child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString(); });
  const said = async (text: string): Promise<void> => {
    while (!stdout.includes(text) && child.exitCode === null) await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  };
  await said('ready\n');
  // It has not rested yet, however late we look.
  const before = decodedPages(child.pid!);
  child.stdin.write('rest\n');
  while (child.exitCode === null && decodedPages(child.pid!) > before / 2) await new Promise((resolve) => setTimeout(resolve, 100));
  child.stdin.write('one\n');
  await said('one again\n');
  child.stdin.end('two\n');
  const [status] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: 'ready\none again\ntwo again\n', stderr: '' });
});
