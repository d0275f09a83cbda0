/** A paused machine: nothing of it moves, neither in the guest's memory nor at the host. test/nested/kvm-boot has the same on KVM. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUIET, quietFolder } from '../support/guests/quiet.ts';
import { HANG_MS } from '../support/limits.ts';
import { root } from '../support/guests/programs.ts';
import { bundleProgram } from '../support/nested/machine.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-quiet-'));
let program = '';
beforeAll(() => {
  program = bundleProgram(join(root, 'test/guest/quiet-program.ts'), 'quiet');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('under load of disks, a share, a card and a console nothing moves while it stands, and all goes on', () => {
  const initrd = quietFolder(folder);
  const text = execFileSync(process.execPath, [program, 'wasm', join(root, '.cache/guest/vmlinux'), initrd, folder, '4'], { encoding: 'utf8', timeout: HANG_MS, killSignal: 'SIGKILL' });
  expect(JSON.parse(text)).toEqual(QUIET);
});
