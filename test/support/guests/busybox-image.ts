import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const APPLETS = ['sh', 'cat', 'echo', 'ls', 'ps', 'mount', 'free', 'uname', 'id', 'hostname', 'nproc', 'head', 'tail', 'grep', 'cut', 'tr', 'true', 'false', 'sleep', 'env', 'wc', 'dd', 'stat', 'df', 'date', 'kill', 'md5sum', 'seq', 'yes', 'stty', 'tty', 'touch', 'rm', 'mkdir', 'find', 'sort', 'printf', 'test', 'pwd'];

/** A root file system with Debian's static busybox; returns its directory. */
export function busyboxImage(dir = mkdtempSync(join(tmpdir(), 'vmm-busybox-'))): string {
  for (const sub of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root']) mkdirSync(join(dir, sub), { recursive: true });
  chmodSync(dir, 0o755); // mkdtemp's 0700 would keep other users out
  chmodSync(join(dir, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
  chmodSync(join(dir, 'bin', 'busybox'), 0o755);
  for (const applet of APPLETS) symlinkSync('busybox', join(dir, 'bin', applet));
  writeFileSync(join(dir, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n');
  writeFileSync(join(dir, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  return dir;
}
