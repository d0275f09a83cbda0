/** The four ends of our kernel (guest-kernel's vmm_power), one table for both accelerators. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const KERNEL_ENDS = [
  { name: 'poweroff', last: '/bin/busybox poweroff -f', status: 0, text: 'reboot: Power down' },
  { name: 'reboot', last: '/bin/busybox reboot -f', status: 129, text: 'reboot: Restarting system' },
  { name: 'halt', last: '/bin/busybox halt -f', status: 0, text: 'reboot: System halted' },
  { name: 'panic', last: 'exit 3', status: 132, text: 'Kernel panic - not syncing: Attempted to kill init' },
] as const;

/**
 * An initramfs of busybox in `dir` whose init tells the number of CPUs and ends with the shell command `last`. It tells it
 * by the kernel's log: a terminal's output and a panic of another CPU would mix.
 */
export function endInitramfs(dir: string, name: string, last: string): string {
  const tree = join(dir, name);
  for (const directory of ['bin', 'dev', 'proc', 'sys']) mkdirSync(join(tree, directory), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  symlinkSync('busybox', join(tree, 'bin/sh'));
  writeFileSync(join(tree, 'init'), `#!/bin/sh\n/bin/busybox mount -t devtmpfs devtmpfs /dev\nexec >/dev/console 2>&1\n/bin/busybox echo '<0>about to end on' $(/bin/busybox nproc) CPUs >/dev/kmsg\n${last}\n`);
  chmodSync(join(tree, 'init'), 0o755);
  execFileSync('sh', ['-c', `find . | /bin/busybox cpio -o -H newc > ../${name}.cpio`], { cwd: tree, stdio: ['ignore', 'ignore', 'ignore'] });
  return join(dir, `${name}.cpio`);
}

/** Arguments of `vmm` for one of them. `quiet`: on KVM each character of the log is an exit. */
export function endArgs(accel: 'kvm' | 'wasm', initrd: string, { cpus = 1, quiet = false }: { cpus?: number; quiet?: boolean } = {}): readonly string[] {
  return ['boot', '-q', '--accel', accel, '--memory', '128m', '--console', 'serial', '--exit-on', 'reboot', '--initrd', initrd, '--append', `panic=-1 reboot=t tsc=reliable${quiet ? ' quiet' : ''}`, '--cpus', `${cpus}`];
}
