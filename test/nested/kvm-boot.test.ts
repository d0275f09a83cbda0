/** Kernels and their ends, traces, disks and Debian's gdb by the CLI on KVM. All in one nested machine. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkDebian, type DebianKernel, debianKernel } from '../support/guests/debian-kernel.ts';
import { buildGdbGuests, GDB_CASES, gdbJob, type GdbSession } from '../support/guests/gdb-cases.ts';
import { buildGuest, root } from '../support/guests/programs.ts';
import { endArgs, endInitramfs, KERNEL_ENDS } from '../support/guests/kernel-ends.ts';
import { QUIET, quietFolder } from '../support/guests/quiet.ts';
import { multibootKernel } from '../support/guests/multiboot.ts';
import { KvmCli, takeGdb } from '../support/nested/cli.ts';
import { bundleProgram, hasHardwareKvm } from '../support/nested/machine.ts';
import { shellQuote } from '../../scripts/nested/image.mjs';
import { HANG_MS } from '../support/limits.ts';

/** The whole tables take several minutes there. */
const ALL = Boolean(process.env['VMM_LONG']);
const LIMIT_MS = HANG_MS + 30_000;
/** Accesses of test/programs/count.S. */
const COUNT = 4000;

/** What the kernel's log says of clocks, and no more: each character of it is an exit. */
const CLOCKS = "/bin/busybox dmesg | /bin/busybox grep -iE 'kvm-clock|calibrat|refined TSC'";

let dir: string;
let multiboot: string;
/** Reads a disk block by block, past the page cache, and powers off. */
let reader: string;
/** Paused under load (test/guest/quiet-program.ts): its program and its initramfs. */
let quiet: readonly [program: string, initrd: string];
let jobs: { readonly script: string; readonly out: { readonly console: string; readonly err: string; readonly text: string } }[];
let debian: DebianKernel;
let cli: KvmCli;
const initrds = new Map<string, string>();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-kvm-boot-'));
  mkdirSync(join(dir, 'gdb'));
  multiboot = multibootKernel(join(dir, 'multiboot.bin'));
  for (const name of ['count', 'ports', 'triple', 'spin']) buildGuest(name);
  for (const { name, last } of KERNEL_ENDS) initrds.set(name, endInitramfs(dir, name, name === 'poweroff' ? `${CLOCKS}\n${last}` : last));
  // More requests of 4 KiB than a disk may make before it gets a thread.
  writeFileSync(join(dir, 'disk'), randomBytes(1024 * 4096));
  reader = endInitramfs(dir, 'reader', `/bin/busybox dd if=/dev/vda bs=4k iflag=direct 2>/dev/null | /bin/busybox md5sum\n${KERNEL_ENDS[0].last}`);
  mkdirSync(join(dir, 'quiet'));
  quiet = [bundleProgram(join(root, 'test/guest/quiet-program.ts'), 'quiet-kvm'), quietFolder(join(dir, 'quiet'))];
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
    const args = endArgs('kvm', reader, { quiet: true });
    const result = await cli.vmm([...args, '--disk', `${disk},ro`, '--trace', 'mmio,irq,virtio', '--trace-file', trace], { after: `awk '{ print $2, $3 }' ${trace} | sort | uniq -c >&2` });
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout.toString()).toContain(createHash('md5').update(readFileSync(disk)).digest('hex'));
    // The main thread's come first, then the thread's own; and those of each vCPU.
    for (const line of ['main virtio', 'io virtio', 'io irq', 'vcpu0 mmio']) expect(result.stderr).toMatch(new RegExp(`^ *\\d+ ${line}$`, 'm'));
  });

  it('under load of disks, a share and a card nothing moves while a machine stands, and all goes on', async () => {
    const [program, initrd] = quiet;
    const command = ['node', program, 'kvm', join(root, '.cache/guest/vmlinux'), initrd, join(dir, 'quiet'), ALL ? '10' : '1'].map(shellQuote).join(' ');
    const { status, stdout, stderr } = await cli.place.run(`VMM_IO=thread ${command}`, { timeoutMs: HANG_MS });
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual(QUIET);
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
  it.each(KERNEL_ENDS.filter(({ name }) => ALL || name === 'poweroff' || name === 'reboot'))('our kernel ends with $name: $status', async ({ name, status, text }) => {
    const result = await cli.vmm(endArgs('kvm', initrds.get(name) as string, { cpus: CPUS[name], quiet: true }));
    const console = result.stdout.toString('latin1');
    expect(result.status, `${result.stderr}\n${console}`).toBe(status);
    expect(console).toContain(`about to end on ${CPUS[name]} CPUs`);
    expect(console).toContain(text);
    if (name !== 'poweroff') return;
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
