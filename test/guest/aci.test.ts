/** An ACI runs as its app section says: seen from inside a guest on the software CPU. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';

let dir: string;
let env: Record<string, string>;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-aci-run-'));
  env = { VMM_STORE: join(dir, 'store') };
  mkdirSync(join(dir, 'layout'));
  renameSync(busyboxImage(mkdtempSync(join(dir, 'root-'))), join(dir, 'layout', 'rootfs'));
  writeFileSync(join(dir, 'layout', 'rootfs', 'etc', 'passwd'), 'root:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n33:x:9:9::/:/bin/sh\n');
  writeFileSync(join(dir, 'layout', 'rootfs', 'etc', 'group'), 'root:x:0:\ngrp:x:8:\n');
});
afterAll(() => rmSync(dir, { recursive: true }));

async function run(app: Record<string, unknown>, ...args: string[]): Promise<{ status: number | null; out: string; err: string }> {
  writeFileSync(join(dir, 'layout', 'manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/app', app: { user: '0', group: '0', ...app } }));
  const built = await vmm(['aci', 'build', '--overwrite', '--owner-root', join(dir, 'layout'), join(dir, 'x.aci')]);
  expect({ status: built.status, stderr: built.stderr }).toEqual({ status: 0, stderr: '' });
  const { status, stdout, stderr } = await vmm(['run', '--accel', 'wasm', '--insecure-options=image', ...args, join(dir, 'x.aci')], { env });
  return { status, out: stdout.toString(), err: stderr };
}

const sh = (script: string): string[] => ['/bin/sh', '-c', script];
const isolators = (list: Record<string, unknown>): { name: string; value: unknown }[] => Object.entries(list).map(([name, value]) => ({ name, value }));

test('user, groups, directory, variables, limits, capabilities, scores and filter are those of the manifest', async () => {
  const { status, out } = await run({
    exec: sh('id; pwd; echo "$A"; cd /sys/fs/cgroup; cat memory.max cpu.max cpu.weight; grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; cat /proc/self/oom_score_adj; mkdir /tmp/x; exit 9'),
    user: 'app', group: 'grp', supplementaryGIDs: [20, 21], workingDirectory: '/tmp', environment: [{ name: 'A', value: 'b  c' }],
    isolators: isolators({
      'resource/memory': { limit: '100Mi' }, 'resource/cpu': { limit: '500m' }, 'os/linux/cpu-shares': 512, 'os/linux/oom-score-adj': 77, 'os/linux/no-new-privileges': true,
      'os/linux/capabilities-retain-set': { set: ['CAP_KILL', 'CAP_NET_BIND_SERVICE'] }, 'os/linux/seccomp-remove-set': { set: ['mkdir', 'mkdirat'], errno: 'ENOSYS' },
    }),
  });
  expect({ status, out }).toEqual({
    status: 9,
    out: 'uid=7(app) gid=8(grp) groups=8(grp),20,21\n/tmp\nb  c\n104857600\n50000 100000\n20\nCapBnd:\t0000000000000420\nNoNewPrivs:\t1\nSeccomp:\t2\n77\n',
  });
});

test('a set of calls that are retained blocks all others', async () => {
  const set = [
    'read', 'write', 'readv', 'writev', 'open', 'openat', 'close', 'stat', 'fstat', 'newfstatat', 'lstat', 'brk', 'mmap', 'mprotect', 'munmap', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq', 'prlimit64',
    'getrandom', 'ioctl', 'getuid', 'geteuid', 'getgid', 'getegid', 'getpid', 'getppid', 'rt_sigaction', 'rt_sigprocmask', 'getcwd', 'readlink', 'uname', 'fcntl', 'prctl', 'fork', 'vfork', 'clone', 'wait4', 'dup2', 'access', 'umask',
  ];
  const { status, out, err } = await run({ exec: sh('echo started; mkdir /tmp/x || echo blocked'), isolators: isolators({ 'os/linux/seccomp-retain-set': { set, errno: 'EPERM' } }) });
  expect({ status, out, err }).toEqual({ status: 0, out: 'started\nblocked\n', err: expect.stringContaining('Operation not permitted') });
});

test('a user whose name is a number comes before that number; the user’s own options come before the manifest', async () => {
  expect((await run({ exec: sh('id -u'), user: '33', group: '0' })).out).toBe('9\n');
  const { out } = await run({ exec: sh('id -u; cat /sys/fs/cgroup/memory.max'), user: '33', group: '0', isolators: isolators({ 'resource/memory': { limit: '90Mi' } }) }, '--user', '5', '--memory', '128m');
  expect(out).toBe(`5\n${128 * 1024 ** 2}\n`);
});

test('what is not enforced is told', async () => {
  const { status, err } = await run({ exec: ['/bin/true'], isolators: isolators({ 'resource/block-iops': { default: true, limit: '1' } }), eventHandlers: [{ name: 'pre-start', exec: ['/bin/false'] }] });
  expect({ status, err }).toEqual({ status: 0, err: 'vmm: isolator resource/block-iops is not enforced\nvmm: event handler pre-start is not run\n' });
});
