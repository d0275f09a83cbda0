/** An ACI runs as its app section says: seen from inside a guest on the software CPU. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';
import { Gpg } from '../unit/appc/gpg.ts';
import { webServer } from '../unit/appc/web-server.ts';

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

/** Discovery asks port 443, which root alone may open. */
test.skipIf(process.getuid?.() !== 0)('an image that was published is found by its name, verified, fetched and run, with its dependency', async () => {
  const host = `127.${1 + (process.pid % 250)}.${1 + (process.ppid % 250)}.9`;
  const web = await webServer(dir, host, 443);
  try {
    const gpg = new Gpg(join(dir, 'gnupg'));
    gpg.make('maker', 'rsa2048');
    writeFileSync(join(dir, 'secret.asc'), gpg.secret('maker'));
    writeFileSync(join(dir, 'public.asc'), gpg.public('maker'));
    const own = { VMM_STORE: join(dir, 'found-store'), HOME: dir, XDG_CONFIG_HOME: join(dir, 'config'), SSL_CERT_FILE: web.ca };
    const command = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await vmm(args, { env: own });
      expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
      return stdout.toString();
    };
    const top = join(dir, 'top');
    mkdirSync(join(top, 'rootfs', 'etc'), { recursive: true });
    writeFileSync(join(top, 'rootfs', 'etc', 'greeting'), 'hello from above\n');
    writeFileSync(join(top, 'manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: `${host}/top`, labels: [{ name: 'version', value: '2.0.0' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }], dependencies: [{ imageName: `${host}/base` }], app: { exec: ['/bin/cat', '/etc/greeting'], user: '0', group: '0' } }));
    writeFileSync(join(dir, 'layout', 'manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: `${host}/base`, labels: [{ name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }] }));
    await command('aci', 'build', '--overwrite', join(dir, 'layout'), join(dir, 'base.aci'));
    await command('aci', 'build', top, join(dir, 'top.aci'));
    await command('aci', 'publish', '--key', join(dir, 'secret.asc'), join(dir, 'www'), join(dir, 'base.aci'), join(dir, 'top.aci'));
    for (const name of readdirSync(join(dir, 'www'), { recursive: true, encoding: 'utf8' })) {
      if (/\.(aci|asc|html)$/.test(name)) web.pages[`/${name.replace(/\/index\.html$/, '')}`] = readFileSync(join(dir, 'www', name));
    }
    const refused = await vmm(['run', '--accel', 'wasm', `aci:${host}/top:2.0.0`], { env: own });
    expect(refused.stderr).toMatch(/unknown entity .*\[ACI_UNTRUSTED\]/);
    await command('aci', 'trust', '--prefix', host, '--skip-fingerprint-review', join(dir, 'public.asc'));
    const { status, stdout, stderr } = await vmm(['run', '-q', '--accel', 'wasm', `aci:${host}/top:2.0.0`], { env: own });
    expect({ status, out: stdout.toString(), stderr }).toEqual({ status: 0, out: 'hello from above\n', stderr: '' });
    // From the store: nobody is asked again.
    const asked = web.asked.length;
    expect((await vmm(['run', '-q', '--accel', 'wasm', `aci:${host}/top`], { env: own })).stdout.toString()).toBe('hello from above\n');
    expect(web.asked).toHaveLength(asked);
  } finally {
    await web.stop();
  }
});
