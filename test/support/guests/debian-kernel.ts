/** Debian's cloud kernel as a guest: a bzImage that finds its devices by ACPI and has virtio as modules. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { prepare } from '../../../scripts/nested/image.mjs';
import type { CliResult } from '../cli/cli.ts';

/** In the order in which they need each other. */
const MODULES = ['virtio_ring', 'virtio', 'virtio_mmio', 'virtio_blk'];
/** What the disk begins with. */
const DISK_TEXT = 'the first sector of the disk';

export interface DebianKernel {
  /** Arguments of `vmm` that boot it. */
  args(accel: 'kvm' | 'wasm', cpus: number): readonly string[];
}

/** Fetches the kernel if need be (the nested machine's own), makes an initramfs and a disk in `dir`. */
export function debianKernel(dir: string): DebianKernel {
  const { kernel } = prepare();
  const tree = join(dir, 'debian');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'modules']) mkdirSync(join(tree, name), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  symlinkSync('busybox', join(tree, 'bin/sh'));
  const modules = join(kernel, '../../lib/modules');
  const files = readdirSync(modules, { recursive: true, encoding: 'utf8' });
  for (const name of MODULES) {
    const path = files.find((file) => file.endsWith(`/${name}.ko`));
    if (path !== undefined) copyFileSync(join(modules, path), join(tree, 'modules', `${name}.ko`));
  }
  writeFileSync(join(tree, 'init'), `#!/bin/sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mount -t sysfs sysfs /sys
exec </dev/console >/dev/console 2>&1
for name in ${MODULES.join(' ')}; do if [ -e /modules/$name.ko ]; then /bin/busybox insmod /modules/$name.ko; fi; done
/bin/busybox echo init on $(/bin/busybox uname -r) with $(/bin/busybox nproc) CPUs
while [ ! -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox echo disk $(/bin/busybox cat /sys/block/vda/size): $(/bin/busybox head -c ${DISK_TEXT.length} /dev/vda)
/bin/busybox poweroff -f
`);
  chmodSync(join(tree, 'init'), 0o755);
  execFileSync('sh', ['-c', 'find . | /bin/busybox cpio -o -H newc > ../debian.cpio'], { cwd: tree, stdio: ['ignore', 'ignore', 'ignore'] });
  const disk = join(dir, 'debian.img');
  writeFileSync(disk, Buffer.concat([Buffer.from(DISK_TEXT)], 1 << 20));
  const image = join(dir, 'debian-vmlinuz');
  copyFileSync(kernel, image);
  return {
    args: (accel, cpus) => [
      'boot', '-q', '--accel', accel, '--memory', '256m', '--cpus', `${cpus}`, '--console', 'serial', '--kernel', image, '--initrd', join(dir, 'debian.cpio'), '--disk', `${disk},ro`,
      '--acpi', 'on', '--exit-on', 'reboot', '--append', 'console=ttyS0 panic=-1 mitigations=off nokaslr',
    ],
  };
}

/** Init ran on all CPUs and read the disk, and the kernel's power-off ended the machine. */
export function checkDebian({ status, stdout, stderr }: CliResult, cpus: number): void {
  const console = stdout.toString('latin1');
  expect(status, `${stderr}\n${console}`).toBe(0);
  expect(console).toMatch(new RegExp(`^init on \\S+-cloud-amd64 with ${cpus} CPUs\\r$`, 'm'));
  expect(console).toMatch(new RegExp(`^disk 2048: ${DISK_TEXT}\\r$`, 'm'));
  expect(console).toContain('reboot: Power down');
}
