/** The CLI on KVM: containers from the table of test/guest/run.test.ts, kernels and their ends, Debian's gdb. All in one nested machine. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { checkDebian, type DebianKernel, debianKernel } from '../support/guests/debian-kernel.ts';
import { buildGdbGuests, GDB_CASES, gdbJob, type GdbSession } from '../support/guests/gdb-cases.ts';
import { buildGuest } from '../support/guests/programs.ts';
import { endArgs, endInitramfs, KERNEL_ENDS } from '../support/guests/kernel-ends.ts';
import { multibootKernel } from '../support/guests/multiboot.ts';
import { KvmCli, takeGdb } from '../support/nested/cli.ts';
import { hasHardwareKvm } from '../support/nested/machine.ts';
import { checkRun, RUN_CASES, runArgs } from '../support/cli/run-cases.ts';
import { HANG_MS } from '../support/limits.ts';

/** The whole tables take several minutes there. */
const ALL = Boolean(process.env['VMM_LONG']);
const LIMIT_MS = HANG_MS + 30_000;
/** Accesses of test/programs/count.S. */
const COUNT = 20_000;

let dir: string;
let image: string;
let multiboot: string;
/** A guest's root that is a directory of the host. */
let shareRoot: string;
/** Reads a disk block by block, past the page cache, and powers off. */
let reader: string;
let jobs: { readonly script: string; readonly out: { readonly console: string; readonly err: string; readonly text: string } }[];
let debian: DebianKernel;
let cli: KvmCli;
const initrds = new Map<string, string>();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-kvm-cli-'));
  for (const name of ['image', 'gdb']) mkdirSync(join(dir, name));
  image = busyboxImage(join(dir, 'image'));
  multiboot = multibootKernel(join(dir, 'multiboot.bin'));
  for (const name of ['count', 'ports', 'triple', 'spin']) buildGuest(name);
  for (const { name, last } of KERNEL_ENDS) initrds.set(name, endInitramfs(dir, name, last));
  writeFileSync(join(dir, 'disk'), randomBytes(8 << 20));
  reader = endInitramfs(dir, 'reader', `/bin/busybox dd if=/dev/vda bs=4k iflag=direct 2>/dev/null | /bin/busybox md5sum\n${KERNEL_ENDS[0].last}`);
  shareRoot = busyboxImage(join(dir, 'share-root'));
  symlinkSync('busybox', join(shareRoot, 'bin', 'poweroff'));
  writeFileSync(join(shareRoot, 'init'), '#!/bin/sh\nexport PATH=/bin\nmount -t proc proc /proc\ncd /root; seq 1 2000 > n; md5sum n; for i in $(seq 1 50); do echo $i > f$i; done; ls | wc -l\npoweroff -f\n');
  chmodSync(join(shareRoot, 'init'), 0o755);
  buildGdbGuests(dir);
  if (ALL) debian = debianKernel(dir);
  const gdb = takeGdb(join(dir, 'gdb'));
  jobs = GDB_CASES.map((_case, i) => {
    const out = { console: join(dir, `console${i}`), err: join(dir, `err${i}`), text: join(dir, `text${i}`) };
    return { out, script: gdbJob(dir, i, gdb, out) };
  });
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

describe('after the first guest entry', { timeout: LIMIT_MS }, () => {
  /** What Node's worker threads read when they start: their limits, their code, the FFI library's description. */
  const OPENED = [
    /^\/proc\/(?:self\/(?:cgroup|maps)|meminfo)$/, /^\/sys\/fs\/cgroup\/.*memory\.(?:max|high)$/, /\/dist\/[\w-]+\.cjs$/, /\/package\.json$/, /\/koffi[\w-]*\/.*\.node$/,
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
  ])('a run makes no socket, starts no program, changes no name, and $what', async ({ cpus, opened }) => {
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

describe('vmm boot on KVM', { timeout: LIMIT_MS }, () => {
  const boot = (kernel: string, ...options: string[]) => cli.vmm(['boot', '-q', '--accel', 'kvm', '--memory', '32', '--kernel', kernel, ...options]);

  it('power-off gives 0, COM1 is on standard output, --trace writes each port access', async () => {
    const trace = join(dir, 'trace.txt');
    const args = ['boot', '-q', '--accel', 'kvm', '--memory', '32', '--kernel', buildGuest('ports'), '--trace', 'pio', '--trace-file', trace];
    const result = await cli.vmm(args, { after: `cat ${trace} >&2` });
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout.toString()).toBe('through COM1\n');
    expect(result.stderr).toMatch(/ (?:main|vcpu0) pio in port=600 size=1 value=56$/m);
    expect(result.stderr).toMatch(/ pio in port=7777 size=2 value=ffff$/m);
  });

  it('--trace writes them in order and without a gap', async () => {
    const trace = join(dir, 'count.txt');
    const args = ['boot', '-q', '--accel', 'kvm', '--memory', '32', '--kernel', buildGuest('count'), '--trace', 'all', '--trace-file', trace];
    const program = '/ vcpu0 pio out port=7778 / { if ($NF == sprintf("value=%x", n)) n++; else wrong++ } END { print n + 0, wrong + 0 }';
    const result = await cli.vmm(args, { after: `awk '${program}' ${trace}` });
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout.toString().trim(), result.stderr).toBe(`${COUNT} 0`);
  });

  it('a disk with much to do gets a thread of its own, and nothing is lost on the way', async () => {
    const [trace, disk] = [join(dir, 'io.txt'), join(dir, 'disk')];
    const args = endArgs('kvm', reader, { cpus: 2, quiet: true });
    const result = await cli.vmm([...args, '--disk', `${disk},ro`, '--trace', 'mmio,irq,virtio', '--trace-file', trace], { after: `awk '{ print $2, $3 }' ${trace} | sort | uniq -c >&2` });
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout.toString()).toContain(createHash('md5').update(readFileSync(disk)).digest('hex'));
    // The main thread's come first, then the thread's own; and those of each vCPU.
    for (const line of ['main virtio', 'io virtio', 'io irq', 'vcpu0 mmio']) expect(result.stderr).toMatch(new RegExp(`^ *\\d+ ${line}$`, 'm'));
  });

  if (ALL) it('a byte to port 0xf4 gives (v << 1) | 1, with --exit-on port', async () => {
    expect((await boot(multiboot, '--exit-on', 'port')).status).toBe(67);
  });

  it('a triple fault gives 133 and registers', async () => {
    const { status, stderr } = await boot(buildGuest('triple'));
    expect(status, stderr).toBe(133);
    expect(stderr).toMatch(/triple fault/);
    expect(stderr).toMatch(/rip=/);
  });

  if (ALL) it('a guest that spins ends at its time-out', async () => {
    expect((await boot(buildGuest('spin'), '--timeout', '1s')).status).toBe(124);
  });

  const CPUS = { poweroff: 1, reboot: 2, halt: 1, panic: 4 } as const;
  it.each(KERNEL_ENDS.filter(({ name }) => ALL || name !== 'halt'))('our kernel ends with $name: $status', async ({ name, status, text }) => {
    const quiet = name !== 'poweroff';
    const result = await cli.vmm(endArgs('kvm', initrds.get(name) as string, { cpus: CPUS[name], quiet }));
    const console = result.stdout.toString('latin1');
    expect(result.status, `${result.stderr}\n${console}`).toBe(status);
    expect(console).toContain(`about to end on ${CPUS[name]} CPUs`);
    expect(console).toContain(text);
    if (quiet) return;
    // The clocks' rates come from CPUID and kvmclock: nothing is measured, nothing waits.
    expect(console).toContain('kvm-clock');
    expect(console).not.toMatch(/calibrating (?!delay loop \(skipped\))|PIT calibration|calibration (?:result|failed)|refined TSC|APIC timer calibration/i);
  });

  // Half a minute on a machine that has nothing else to do.
  if (ALL) it('Debian’s cloud kernel finds disk and CPUs by ACPI and powers off by the sleep register', async () => {
    checkDebian(await cli.vmm(debian.args('kvm', 2)), 2);
  });
});

describe('gdb on KVM', { timeout: LIMIT_MS }, () => {
  async function debug(i: number): Promise<GdbSession> {
    const { script, out } = jobs[i] as (typeof jobs)[number];
    const done = await cli.place.run(`${script}\ncat ${out.console}; cat ${out.err} ${out.text} >&2; exit $status`, { timeoutMs: LIMIT_MS });
    return { text: done.stderr, status: done.status, console: done.stdout };
  }

  GDB_CASES.forEach(({ name, accel, check, nested }, i) => {
    if (accel === undefined && (nested || hasHardwareKvm())) it(name, async () => check(await debug(i)));
  });
});
