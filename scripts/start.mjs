// `npm start [-- IMAGE CMD…]`: sets everything up, then runs a container image in a VM. Without arguments: a small image
// made from Debian's busybox-static, and a command in it that shows the machine from inside.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache, needDebian, root } from './lib.mjs';
import { setup } from './setup.mjs';

const args = process.argv.slice(2);
await setup();

if (args.length === 0) {
  needDebian({ 'busybox-static': '/bin/busybox' });
  args.push(demoImage(), '/bin/sh', '/show');
}
const result = spawnSync(process.execPath, ['--', join(root, 'bin', 'vmm.js'), 'run', ...args], { stdio: 'inherit' });
if (result.signal) process.kill(process.pid, result.signal);
process.exit(result.status ?? 125);

/** A root file system with busybox and one script; returns its directory. */
function demoImage() {
  const dir = join(cache, 'demo');
  const done = join(cache, 'stamps', 'demo');
  if (existsSync(done)) return dir;
  rmSync(dir, { recursive: true, force: true });
  for (const sub of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root']) mkdirSync(join(dir, sub), { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
  chmodSync(join(dir, 'bin', 'busybox'), 0o755);
  const applets = ['sh', 'cat', 'echo', 'ls', 'ps', 'mount', 'free', 'uname', 'id', 'hostname', 'nproc', 'head', 'grep', 'cut', 'true', 'false', 'sleep', 'env', 'wc', 'dd', 'stat', 'df', 'date'];
  for (const applet of applets) symlinkSync('busybox', join(dir, 'bin', applet));
  writeFileSync(join(dir, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
  writeFileSync(join(dir, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  writeFileSync(
    join(dir, 'show'),
    `#!/bin/sh
echo "This is a container in its own virtual machine."
echo; echo "Kernel:"; uname -srm; echo "CPUs: $(nproc)"
echo; echo "Process tree, as the container sees it:"; ps -o pid,ppid,user,args
echo; echo "Mounts:"; cat /proc/mounts
echo; echo "Memory:"; free -m
`,
  );
  mkdirSync(join(cache, 'stamps'), { recursive: true });
  writeFileSync(done, '');
  return dir;
}
