// Instructions from the kernel's entry to the first one in user mode, under QEMU's TCG with the plugin count.c.
// Usage: node bench/tcg-count/measure.mjs [--runs 5] [--kernel FILE] [--map FILE] [--memory MIB] [--append TEXT]
//          [--initramfs FILE] [--cpu MODEL] [--top N] [--save] [--limits]
// Default: block root (a small EROFS disk, init included), no initramfs, 128 MiB, 1 vCPU, the fixed command line below.
// The time loops that a kernel runs only for want of a TSC-deadline timer and frequency leaves in this QEMU
// (quick_pit_calibrate, calibrate_APIC_clock) are counted apart. Needs gcc, erofs-utils, qemu-system-x86.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { middle, report } from '../harness.ts';
import { addressOf, bySymbol, physical, readSystemMap } from './symbols.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const guest = join(here, '..', '..', '.cache', 'guest');
/** Each with the function it is compiled into when the compiler inlines it (called once): then all of that counts as it. */
const CALIBRATION = [
  ['quick_pit_calibrate', 'native_calibrate_cpu_early'],
  ['calibrate_APIC_clock', 'setup_boot_APIC_clock'],
];
// What `vmm run` gives; QEMU's microvm adds its virtio_mmio.device= itself. Two more make runs alike on a busy host:
// tsc_early_khz, as the calibration against TCG's PIT fails there and a slow loop follows (36 to 116 M), and
// no_timer_check, which the kernel sets by itself under KVM.
const COMMAND_LINE = 'console=hvc0 quiet panic=-1 reboot=t tsc=reliable tsc_early_khz=1000000 no_timer_check';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    kernel: { type: 'string', default: join(guest, 'vmlinux') },
    map: { type: 'string', default: join(guest, 'System.map') },
    memory: { type: 'string', default: '128' },
    append: { type: 'string', default: '' },
    initramfs: { type: 'string' },
    cpu: { type: 'string', default: 'qemu64' },
    save: { type: 'boolean' },
    limits: { type: 'boolean' },
    top: { type: 'string', default: '0' },
  },
});

const work = mkdtempSync(join(tmpdir(), 'vmm-count-'));
try {
  const symbols = readSystemMap(values.map);
  const plugin = join(work, 'count.so');
  run('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-fvisibility=hidden', '-o', plugin, join(here, 'count.c')]);
  const disk = makeDisk();
  const calibrationNames = CALIBRATION.map(([name, caller]) => (symbols.some((each) => each.name === name) ? name : caller));
  const totals = [];
  let last;
  for (let i = 0; i < Number(values.runs); i += 1) {
    const counts = join(work, `counts-${i}`);
    boot(plugin, symbols, disk, counts);
    last = bySymbol(symbols, counts);
    const all = sum(last.values());
    const calibration = sum(calibrationNames.map((name) => last.get(name) ?? 0));
    totals.push(all - calibration);
    process.stdout.write(`run ${i + 1}: ${million(all - calibration)} (and ${million(calibration)} in ${calibrationNames.join(', ')})\n`);
  }
  report('tcg-count', {
    title: "Guest instructions of the kernel's start, counted by QEMU's TCG",
    section: 'Start',
    rows: [{ what: "the PVH entry to init's first, without the two calibrations", ...middle(totals.map((count) => count / 1e6), 'M instructions'), target: { atMost: 45 } }],
  });
  const top = [...last].filter(([name]) => !calibrationNames.includes(name)).sort((a, b) => b[1] - a[1]).slice(0, Number(values.top));
  for (const [name, count] of top) process.stdout.write(`${million(count).padStart(8)}  ${name}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function boot(plugin, symbols, disk, counts) {
  const entry = physical(addressOf(symbols, 'pvh_start_xen'));
  const started = addressOf(symbols, 'start_kernel');
  const root = values.initramfs ? '' : ' root=/dev/vda ro init=/init';
  run('qemu-system-x86_64', [
    '-M', 'microvm,pit=on,pic=on,rtc=on,isa-serial=on,ioapic2=off,acpi=off,auto-kernel-cmdline=on', '-accel', 'tcg,thread=single', '-cpu', values.cpu,
    '-smp', '1', '-m', values.memory, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
    '-kernel', values.kernel, ...(values.initramfs ? ['-initrd', values.initramfs] : []),
    '-append', `${COMMAND_LINE}${root} ${values.append}`.trim(),
    '-device', 'virtio-serial-device', '-chardev', 'stdio,id=console', '-device', 'virtconsole,chardev=console',
    '-drive', `id=root,file=${disk},format=raw,if=none,readonly=on`, '-device', 'virtio-blk-device,drive=root',
    '-plugin', `${plugin},entry=0x${entry.toString(16)},started=0x${started.toString(16)},out=${counts}`,
  ]);
}

/** An EROFS disk whose /init has one instruction to run: the count ends before it. */
function makeDisk() {
  const tree = join(work, 'tree');
  mkdirSync(join(tree, 'dev'), { recursive: true });
  const source = join(work, 'init.c');
  writeFileSync(source, 'void _start(void) { for (;;) __asm__ volatile("pause"); }\n');
  run('gcc', ['-nostdlib', '-static', '-O2', '-o', join(tree, 'init'), source]);
  chmodSync(join(tree, 'init'), 0o755);
  const disk = join(work, 'root.erofs');
  run('mkfs.erofs', ['-T0', '-U', '766d6d00-0000-0000-0000-000000000001', '--all-root', disk, tree]);
  return disk;
}

function run(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000 });
  if (result.status !== 0) throw new Error(`${command}: ${result.error?.message ?? `status ${result.status ?? result.signal}`}\n${result.stdout}${result.stderr}`);
}

function sum(numbers) {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

function million(count) {
  return (count / 1e6).toFixed(2);
}
