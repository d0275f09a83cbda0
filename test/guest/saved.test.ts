/** vCPUs that are read out of a paused machine and put into another one, with the state ranges of its memory: the guest goes on. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/guests/programs.ts';
import { buildRing3 } from '../../bench/guest/build.mjs';
import { endInitramfs } from '../support/guests/kernel-ends.ts';
import { bundleProgram, hasHardwareKvm, hasKvm } from '../support/nested/machine.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-saved-'));
const alphabet = join(folder, 'alphabet.elf');
let program = '';
beforeAll(() => {
  buildRing3('test/programs/alphabet.c', alphabet);
  program = bundleProgram(join(root, 'test/guest/saved-program.ts'), 'saved');
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: readonly string[]): { end: string; first: string; second: string } {
  return JSON.parse(execFileSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 100_000, killSignal: 'SIGKILL' }));
}

test.each(hasKvm() && !hasHardwareKvm() ? ['wasm', 'kvm'] : ['wasm'])('registers of all kinds and memory go on at the next instruction, on %s', (accel) => {
  const { end, first, second } = run(accel, alphabet, '1', '-', '', 'abc');
  expect(end).toBe('request');
  expect(first.length).toBeLessThan(26);
  expect(first + second).toBe('abcdefghijklmnopqrstuvwxyz');
});

test('Linux on two vCPUs goes on: processes, timers, interrupts', () => {
  const script = 'echo $(/bin/busybox nproc) processors; i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); /bin/busybox usleep 10000; done; /bin/busybox poweroff -f';
  const initrd = endInitramfs(folder, 'lines', script);
  const { end, first, second } = run('wasm', join(root, '.cache/guest/vmlinux'), '2', initrd, 'console=ttyS0 quiet panic=-1 reboot=t tsc=reliable', 'line 9');
  expect(end).toBe('request');
  expect(first).toMatch(/2 processors/);
  expect(first).not.toMatch(/line 39/);
  const lines = [...(first + second).matchAll(/line (\d+)\r?\n/g)].map(([, number]) => Number(number));
  expect(lines).toEqual(Array.from({ length: 40 }, (_, i) => i));
});
