/** The CLI on KVM: containers from the table of test/guest/run.test.ts, a directory as root, what a run still opens. All in one nested machine. */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { buildStatic } from '../support/guests/programs.ts';
import { KvmCli } from '../support/nested/cli.ts';
import { checkRun, RUN_CASES, runArgs } from '../support/cli/run-cases.ts';
import { HANG_MS } from '../support/limits.ts';

/** The whole table takes several minutes there. */
const ALL = Boolean(process.env['VMM_LONG']);
const LIMIT_MS = HANG_MS + 30_000;

let dir: string;
let image: string;
/** A guest's root that is a directory of the host. */
let shareRoot: string;
let cli: KvmCli;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-kvm-cli-'));
  mkdirSync(join(dir, 'image'));
  image = busyboxImage(join(dir, 'image'));
  copyFileSync(buildStatic('notices'), join(image, 'bin', 'notices'));
  shareRoot = busyboxImage(join(dir, 'share-root'));
  symlinkSync('busybox', join(shareRoot, 'bin', 'poweroff'));
  writeFileSync(join(shareRoot, 'init'), '#!/bin/sh\nexport PATH=/bin\nmount -t proc proc /proc\ncd /root; seq 1 2000 > n; md5sum n; for i in $(seq 1 50); do echo $i > f$i; done; ls | wc -l\npoweroff -f\n');
  chmodSync(join(shareRoot, 'init'), 0o755);
  cli = await KvmCli.start(dir);
}, 300_000);

afterAll(async () => {
  await cli?.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('vmm run on KVM', { timeout: LIMIT_MS }, () => {
  it.each(RUN_CASES.filter((c) => ALL || c.nested))('$name', async (c) => {
    checkRun(c, await cli.vmm(runArgs(c, 'kvm', image), { stdin: c.stdin }));
  });
});

it('vmm boot on KVM: a root that is a directory of the host, whose thread hears of requests by eventfds', { timeout: LIMIT_MS }, async () => {
  const { status, stdout } = await cli.vmm(['boot', '-q', '--accel', 'kvm', '--memory', '128', '--root-share', shareRoot, '--append', 'quiet init=/init']);
  const numbers = Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('');
  expect({ status, output: stdout.toString().replaceAll('\r', '') }).toMatchObject({ status: 0, output: expect.stringMatching(new RegExp(`^${createHash('md5').update(numbers).digest('hex')} {2}n\n51$`, 'm')) });
});

it('what is changed beside a watched share is told in it: the thread waits for both by epoll', { timeout: LIMIT_MS }, async () => {
  const host = join(dir, 'watched');
  const script = 'notices /m > /tmp/lines & until [ -s /tmp/lines ]; do sleep 0.1; done; echo x > /w/new; until grep -q "close /m/new" /tmp/lines; do sleep 0.1; done; rm /w/new; touch /w/end; wait; cat /tmp/lines';
  const { status, stdout } = await cli.vmm(['run', '-q', '--accel', 'kvm', '-m', '128m', '-v', `${host}:/m:watch,ro`, '-v', `${host}:/w`, image, 'sh', '-c', script]);
  expect({ status, lines: stdout.toString().split('\n') }).toMatchObject({ status: 0, lines: expect.arrayContaining(['looks', 'create /m/new', 'delete /m/new', 'create /m/end']) });
});

describe('after the first guest entry', { timeout: LIMIT_MS }, () => {
  /** What Node's worker threads read when they start: their limits, their code with what V8 has made of it, the FFI library's description. */
  const OPENED = [
    /^\/proc\/(?:self\/(?:cgroup|maps)|meminfo)$/, /^\/sys\/fs\/cgroup\/.*memory\.(?:max|high)$/, /\/dist\/[\w-]+\.cjs(?:\.code)?$/, /\/package\.json$/, /\/koffi[\w-]*\/.*\.node$/,
  ];
  /** What the process names as still to be opened when it confines itself, and looks at for it: its threads. */
  const CONFINED = [
    /^\/proc\/self(?:\/task(?:\/\d+\/stat)?)?$/, /^\/(?:proc\/meminfo|sys\/fs\/cgroup|dev\/null)$/, /\/(?:dist|package\.json|node_modules\/(?:@koromix|koffi))$/,
    /\/\.cache\/guest\/(?:vmlinux|initramfs\.cpio|System\.map)$/,
    // V8's and malloc's, in whatever thread needs them first.
    /\/cpu0\/tsc_freq_khz$/, /^\/proc\/sys\/vm\/overcommit_memory$/,
  ];
  const TRACED = [
    'open', 'openat', 'openat2', 'creat', 'socket', 'socketpair', 'connect', 'bind', 'listen', 'accept4', 'execve', 'execveat', 'fork', 'vfork', 'ptrace', 'mount', 'unlink', 'unlinkat',
    'rename', 'renameat2', 'mkdir', 'mkdirat', 'chmod', 'fchmodat', 'link', 'linkat', 'symlink', 'symlinkat',
  ];

  it.each([
    { what: 'on one vCPU opens only what it needs to confine itself', cpus: '1', opened: CONFINED },
    { what: 'on two vCPUs opens only what starting threads read', cpus: '2', opened: [...CONFINED, ...OPENED] },
  ].filter(({ cpus }) => ALL || cpus === '1'))('a run makes no socket, starts no program, changes no name, and $what', async ({ cpus, opened }) => {
    const log = join(dir, 'strace');
    const command = ['node', 'bin/vmm.js', ...runArgs({ name: '', args: ['--cpus', cpus, '{image}', 'echo', 'ran'], status: 0 }, 'kvm', image)].join(' ');
    // The handler of the kick is the last thing before vCPU 0's first KVM_RUN (vmm/accel/kvm.ts, build).
    const { status, stdout, stderr } = await cli.place.run(`export VMM_STORE=${dir}/store
      strace -f --seccomp-bpf -e signal=none -e trace=rt_sigaction,${TRACED.join()} -o ${log} ${command} || exit
      cat ${log}`, { timeoutMs: LIMIT_MS });
    expect(status, stderr).toBe(0);
    const [word, ...lines] = stdout.split('\n');
    expect(word).toBe('ran');
    const entry = lines.findIndex((line) => line.includes('rt_sigaction(SIGRT_2'));
    expect(entry).toBeGreaterThan(0);
    expect(lines.slice(0, entry).some((line) => line.includes('"/dev/kvm"'))).toBe(true);
    const calls = lines.slice(entry).filter((line) => !/ rt_sigaction\(|\+\+\+ exited|resumed>|^$/.test(line));
    const others = calls.filter((line) => {
      const path = /^\d+ +openat\(AT_FDCWD, "([^"]*)", O_RDONLY[|A-Z_]*(?:\)| <unfinished)/.exec(line)?.[1];
      return path === undefined || /O_(?:CREAT|TRUNC|TMPFILE)/.test(line) || !opened.some((pattern) => pattern.test(path));
    });
    expect(others).toEqual([]);
  });
});
