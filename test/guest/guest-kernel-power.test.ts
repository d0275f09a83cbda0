// vmm_power in our kernel: power-off, reboot, halt and panic leave the machine, each told apart by the run's status.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli.ts';

const BOOT_LIMIT_MS = 120_000;

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'vmm-power-test-'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** An initramfs of busybox whose init ends with `last`. */
function initramfs(name: string, last: string): string {
  const tree = join(work, name);
  for (const directory of ['bin', 'dev']) mkdirSync(join(tree, directory), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  symlinkSync('busybox', join(tree, 'bin/sh'));
  writeFileSync(join(tree, 'init'), `#!/bin/sh\n/bin/busybox mount -t devtmpfs devtmpfs /dev\nexec >/dev/console 2>&1\n/bin/busybox echo about to end\n${last}\n`);
  chmodSync(join(tree, 'init'), 0o755);
  execFileSync('sh', ['-c', `find . | /bin/busybox cpio -o -H newc > ../${name}.cpio`], { cwd: tree, stdio: ['ignore', 'ignore', 'ignore'] });
  return join(work, `${name}.cpio`);
}

describe("our kernel's end", () => {
  it.each([
    { name: 'poweroff', last: '/bin/busybox poweroff -f', status: 0, text: 'reboot: Power down' },
    { name: 'reboot', last: '/bin/busybox reboot -f', status: 129, text: 'reboot: Restarting system' },
    { name: 'halt', last: '/bin/busybox halt -f', status: 0, text: 'reboot: System halted' },
    { name: 'panic', last: 'exit 3', status: 132, text: 'Kernel panic - not syncing: Attempted to kill init' },
  ])('$name gives status $status and its message on the console', { timeout: BOOT_LIMIT_MS + 5_000 }, async ({ name, last, status, text }) => {
    const result = await vmm(
      ['boot', '--accel', 'wasm', '--memory', '128m', '--console', 'serial', '--exit-on', 'reboot', '--initrd', initramfs(name, last), '--append', 'panic=-1 reboot=t tsc=reliable'],
      { limit: BOOT_LIMIT_MS },
    );
    const console = result.stdout.toString('latin1');
    expect(result.status, `${result.stderr}\n${console}`).toBe(status);
    expect(console).toContain('about to end');
    expect(console).toContain(text);
  });
});
