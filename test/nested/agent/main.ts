/**
 * Runs in the nested machine, which has what the checkout's machine may lack: cgroup v2 with its
 * controllers, CAP_SYS_RESOURCE, EROFS and loop devices. Prints one JSON object: results by case.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { container, finish, type Guest, Reader, sh, startGuest } from '../../unit/agent/harness.ts';
import { makeScratch } from '../../unit/agent/scratch.ts';

function attachDisk(guest: Guest, serial: string, file: string, readOnly: boolean): void {
  const device = execFileSync('losetup', ['-f'], { encoding: 'utf8' }).trim();
  execFileSync('losetup', [...(readOnly ? ['-r'] : []), device, file]);
  mkdirSync(join(guest.directory, 'devices'), { recursive: true });
  symlinkSync(device, join(guest.directory, 'devices', serial));
}

const disks = {
  root: { kind: 'block', serial: 'root-disk', fstype: 'erofs' } as const,
  overlay: { kind: 'block', serial: 'scratch' } as const,
};

/** A root disk from the test's root, and the scratch seed on a disk of this size; returns the latter's file. */
function addDisks(guest: Guest, bytes: number): string {
  const image = join(guest.directory, 'root.erofs');
  execFileSync('mkfs.erofs', ['-T0', image, guest.root], { stdio: 'ignore' });
  const scratch = join(guest.directory, 'scratch.ext4');
  makeScratch(scratch);
  truncateSync(scratch, bytes);
  attachDisk(guest, 'root-disk', image, true);
  attachDisk(guest, 'scratch', scratch, false);
  return scratch;
}

const cases: Record<string, (guest: Guest) => Promise<unknown>> = {
  async 'memory.max 32m, a process that takes more'(guest) {
    const { status, stdout } = await sh(guest, 'tail /dev/zero; echo $?', { cgroup: ['memory.max=33554432', 'memory.swap.max=0'] });
    return { stdout, outOfMemory: status.outOfMemory };
  },
  async 'no memory limit, killed by a signal'(guest) {
    const { status } = await sh(guest, 'true', {});
    return { outOfMemory: status.outOfMemory };
  },
  async 'pids.max 5, ten children'(guest) {
    const { stderr } = await sh(guest, 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1 & done; wait', { cgroup: ['pids.max=5'] });
    return /can't fork/.test(stderr);
  },
  async 'cpu.max 10 %, a busy loop'(guest) {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'while :; do :; done'], { cgroup: ['cpu.max=10000 100000'] }));
    await process.started;
    let throttled = 0;
    const end = Date.now() + 30_000;
    while (throttled < 3 && Date.now() < end) throttled = Number(/nr_throttled (\d+)/.exec((await guest.session.stats(process.container)).get('cpu.stat') ?? '')?.[1] ?? 0);
    await guest.session.update(process.container, ['cpu.max=max']);
    const files = await guest.session.stats(process.container);
    await process.signal(9);
    await finish(process);
    return { throttled: throttled >= 3, files: [...files.keys()] };
  },
  async 'limits above the hard ones, oom_score_adj below 0'(guest) {
    const rlimits = [{ resource: 7, soft: 1048576n, hard: 1048576n }, { resource: 8, soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n }];
    return (await sh(guest, 'ulimit -Hn; ulimit -l; cat /proc/self/oom_score_adj', { rlimits, oomScoreAdj: -500 })).stdout;
  },
  async 'the cgroup is seen as the root, read-only'(guest) {
    return (await sh(guest, 'cat /proc/self/cgroup; ls /sys/fs/cgroup/cgroup.procs; cat /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/x 2>&1')).stdout;
  },
  async 'root on EROFS, scratch seed grown to 64 GiB'(guest) {
    const scratch = addDisks(guest, 64 * 2 ** 30);
    const { stdout } = await sh(guest, 'df -m / | tail -1; head -1 /etc/group; mv /home /moved && ls /moved; dd if=/dev/zero of=/file bs=1M count=20 2>/dev/null', disks);
    await guest.session.shutdown('poweroff', 100);
    await guest.exited;
    execFileSync('e2fsck', ['-fn', scratch], { stdio: 'ignore' });
    const [size = '', group, moved] = stdout.split('\n');
    return { megabytes: Number(size.split(/\s+/)[1]), group, moved, sparse: statSync(scratch).blocks * 512 < 200 * 2 ** 20 };
  },
  async 'scratch as a kill -9 of the VMM leaves it'(guest) {
    const scratch = addDisks(guest, 200 * 2 ** 20);
    const process = guest.session.start(
      container(guest, ['/bin/sh', '-c', 'dd if=/dev/zero of=/file bs=1M count=20 2>/dev/null; sync; echo x >/later; echo ready; sleep 1000'], disks),
    );
    const reader = new Reader(process);
    process.onStderr(() => {});
    await reader.until('ready');
    // The disk as it is at this moment, mounted.
    const crashed = join(guest.directory, 'crashed.ext4');
    copyFileSync(scratch, crashed);
    let replay = 0;
    try {
      execFileSync('e2fsck', ['-fp', crashed], { stdio: 'ignore' });
    } catch (error) {
      replay = (error as { status: number }).status;
    }
    execFileSync('e2fsck', ['-fn', crashed], { stdio: 'ignore' });
    return replay;
  },
};

/** The same streams as in test/unit/agent, over the kernel's own vsock. */
const vsockCases: typeof cases = {
  async 'output apart, status'(guest) {
    const { stdout, stderr, status } = await sh(guest, 'echo out; echo err >&2; exit 3');
    return { stdout, stderr, status: status.status };
  },
  async '5 MB through stdout, a slow reader'(guest) {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'dd if=/dev/zero bs=1M count=5 2>/dev/null; exit 7']));
    let bytes = 0;
    let chunks = 0;
    process.onStdout(async (chunk) => {
      bytes += chunk.length;
      if (++chunks % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    });
    process.onStderr(() => {});
    return { status: (await process.wait()).status, bytes };
  },
  async '2 MB of input through cat, its end passed on'(guest) {
    const process = guest.session.start(container(guest, ['cat'], { stdin: true }));
    let bytes = 0;
    process.onStdout((chunk) => {
      bytes += chunk.length;
    });
    process.onStderr(() => {});
    for (let i = 0; i < 32; i++) await process.stdin.write(new Uint8Array(65536).fill(i));
    await process.stdin.end();
    return { status: (await process.wait()).status, bytes };
  },
  async 'the host closes stdout'(guest) {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'yes; echo "status $?" >&2']));
    process.onStdout(() => process.closeStdout());
    let stderr = '';
    process.onStderr((chunk) => {
      stderr += Buffer.from(chunk).toString();
    });
    await process.wait();
    return stderr.includes('status 141');
  },
  async 'a terminal'(guest) {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'read line; echo "<$line>"; stty size'], { tty: true, size: { rows: 9, columns: 10 } }));
    const reader = new Reader(process);
    await process.stdin.write(Buffer.from('typed\n'));
    await process.wait();
    return reader.text;
  },
  async '20 processes at once, then an orderly end'(guest) {
    const main = guest.session.start(container(guest, ['sleep', '100000']));
    await main.started;
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => finish(guest.session.exec(main.container, { args: ['/bin/sh', '-c', `echo ${i}; exit ${i}`], env: ['PATH=/bin'] }))),
    );
    const good = all.every((result, i) => result.stdout === `${i}\n` && result.status.status === i);
    await Promise.all([guest.session.shutdown('poweroff', 0), finish(main)]);
    return { good, exit: await guest.exited };
  },
};

// The cgroup that a test's init gets is a child of the root; a real machine's init has the root itself.
writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+cpu +memory +pids +io');

const results: Record<string, unknown> = {};
for (const [name, body] of Object.entries(process.env.VMM_TEST_VSOCK === undefined ? cases : vsockCases)) {
  const guest = startGuest();
  try {
    await guest.session.hello();
    results[name] = await body(guest);
  } catch (error) {
    results[name] = `${error instanceof Error ? error.stack : error} ${guest.console()}`;
  }
  try {
    await guest[Symbol.asyncDispose]();
  } catch {
    // What is left goes with the machine.
  }
}
console.log(JSON.stringify(results));
process.exit(0);
