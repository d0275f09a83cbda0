/** What network tests boot: busybox and netcheck in an initramfs with our kernel. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './programs.ts';

/** test/programs/netcheck.c as a static program; its path. */
export function buildNetcheck(): string {
  const source = join(root, 'test', 'programs', 'netcheck.c');
  const out = join(root, '.cache', 'guests', 'netcheck');
  if (existsSync(out) && statSync(out).mtimeMs > statSync(source).mtimeMs) return out;
  mkdirSync(join(root, '.cache', 'guests'), { recursive: true });
  execFileSync('gcc', ['-O2', '-static', '-Wall', '-o', `${out}.${process.pid}`, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(`${out}.${process.pid}`, out);
  return out;
}

/** An initramfs in `dir` that runs the shell commands `script` and powers off; its path. Lines that begin with @ are for the test. */
export function netInitramfs(dir: string, script: string): string {
  const tree = join(dir, 'tree');
  for (const directory of ['bin', 'dev', 'proc', 'sys', 'tmp']) mkdirSync(join(tree, directory), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  copyFileSync(buildNetcheck(), join(tree, 'bin/netcheck'));
  const init = [
    '#!/bin/busybox sh', '/bin/busybox --install -s /bin', 'export PATH=/bin', 'mount -t proc proc /proc', 'mount -t sysfs sys /sys', 'mount -t devtmpfs dev /dev', 'exec >/dev/console 2>&1',
    'ip link set lo up', script, 'poweroff -f',
  ];
  writeFileSync(join(tree, 'init'), `${init.join('\n')}\n`);
  chmodSync(join(tree, 'init'), 0o755);
  execFileSync('sh', ['-c', 'find . | /bin/busybox cpio -o -H newc > ../net.cpio'], { cwd: tree, stdio: ['ignore', 'ignore', 'ignore'] });
  return join(dir, 'net.cpio');
}
