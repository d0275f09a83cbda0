/** What a start leaves behind is given back at the guest's first rest, and the guest goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { envWithoutNode } from '../../scripts/lib.mjs';
import { RAM_BASE } from '../../assembly/core/layout.ts';
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

/** KiB that the process has touched of what lies below its guest's RAM: of the machine's states little, of decoded code more. */
function lowKib(pid: number): number {
  const [, low] = new RegExp(`^[0-9a-f-]+ rw-p .*\\nSize: +${RAM_BASE / 1024} kB(?:\\n\\w+:.*)*?\\nRss: +(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/smaps`, 'latin1')) ?? [];
  if (low === undefined) throw new Error(`no mapping of ${RAM_BASE} bytes`);
  return Number(low);
}

it.each([['1'], ['2']])('a shell on %s vCPUs that waits has its decoded code taken, and answers afterwards', { timeout: LIMIT_MS }, async (cpus) => {
  const child = spawn(process.execPath, ['--', join(ROOT, 'bin/vmm.js'), 'run', '-q', '-i', '--accel', 'wasm', '--cpus', cpus, '-m', '256m', image, 'sh', '-c', 'echo ready; while read line; do echo "$line again"; done; exit 7'], {
    env: { ...envWithoutNode(), VMM_STORE: store }, stdio: ['pipe', 'pipe', 'pipe'], timeout: LIMIT_MS, killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => { stdout += bytes.toString(); });
  child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString(); });
  const said = async (text: string): Promise<void> => {
    while (!stdout.includes(text) && child.exitCode === null) await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  };
  await said('ready\n');
  const before = lowKib(child.pid!);
  while (child.exitCode === null && lowKib(child.pid!) > before / 2) await new Promise((resolve) => setTimeout(resolve, 100));
  child.stdin.write('one\n');
  await said('one again\n');
  child.stdin.end('two\n');
  const [status] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: 'ready\none again\ntwo again\n', stderr: '' });
});
