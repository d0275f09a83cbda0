// #DB and #AC as a program meets them (test/programs/traps.c), in a container on the software CPU: what it prints is what this machine's
// own CPU makes it print.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';

const source = new URL('../programs/traps.c', import.meta.url).pathname;
/** Processors differ: whether MOVUPS and MOVDQU want any alignment (SDM Vol. 2, MOVUPS); ours wants 8. */
const FREE = /^ac: mov(ups|dqu)/;

let image: string;
let store: string;
beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
  execFileSync('gcc', ['-O1', '-static', '-o', join(image, 'bin', 'traps'), source]);
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

const lines = (text: string, free: boolean): string[] => text.trimEnd().split('\n').filter((line) => FREE.test(line) === free);

it('single steps, INT1, debug registers and alignment checks: output as natively', async () => {
  const native = execFileSync(join(image, 'bin', 'traps'), { encoding: 'utf8' });
  const result = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', image, 'traps'], { env: { VMM_STORE: store } });
  const text = result.stdout.toString();
  expect(lines(text, false), `status ${result.status}: ${result.stderr}`).toEqual(lines(native, false));
  expect(lines(text, true)).toEqual([
    'ac: movups 1                 7/17@0',
    'ac: movups 8                ',
    'ac: movups 16               ',
    'ac: movdqu store 4           7/17@0',
  ]);
  expect(result.status).toBe(0);
});
