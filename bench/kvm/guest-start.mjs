// First kvm_entry → the guest's init writes its mark to port 0x601, and the kernel's first exit → the same, by the outer kernel's
// ftrace, in the nested machine: vmm against QEMU's microvm; same kernel, initramfs, disk, RAM, vCPUs and command line,
// interleaved in one session. `npm run setup && node bench/kvm/guest-start.mjs [PAIRS [CPUS [SECONDS]]] [--save] [--limits]`
// With two CPUs the nested machine's QEMU has a thread for each, so that what runs beside the guest runs beside it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NestedMachine } from '../../scripts/nested/machine.mjs';
import { root, run } from '../../scripts/lib.mjs';
import { inTurns, middle, ratio, report } from '../harness.ts';

const [pairs = '9', cpuText = '2', seconds = '10'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const cpus = Number(cpuText);
const APPEND = 'console=ttyS0 quiet panic=-1 reboot=t';
const LIMIT_S = Number(seconds); // QEMU has no power device for this guest: each of its runs lasts that long; a loaded machine wants more

const dir = mkdtempSync(join(tmpdir(), 'bench-kvm-'));
const disk = join(dir, 'disk');
writeFileSync(disk, Buffer.alloc(16 << 20));
run('gcc', ['-O2', '-static', '-Wall', '-o', join(dir, 'hold'), join(root, 'bench/kvm/hold.c')]);
const guest = join(root, '.cache', 'guest');
const commands = {
  vmm: `node ${root}/bin/vmm.js boot -q --accel kvm --memory 128 --cpus 1 --console serial --kernel ${guest}/vmlinux --initrd ${guest}/initramfs.cpio --disk ${disk},ro --append '${APPEND}'`,
  qemu: 'qemu-system-x86_64 -M microvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=on -accel kvm -cpu host -m 128 -smp 1 -nodefaults -no-user-config -display none -no-reboot -serial stdio -global virtio-mmio.force-legacy=false '
    + `-kernel ${guest}/vmlinux -initrd ${guest}/initramfs.cpio -append '${APPEND}' -device virtio-rng-device -drive if=none,id=d,file=${disk},format=raw,readonly=on -device virtio-blk-device,drive=d`,
};

/** Prints ENTRY, KERNEL and MARK, seconds. The kernel lies at 16 MiB, and firmware below. The first exit switches the event of entries off, so that tracing costs neither side anything. */
const script = (command) => `
T=/sys/kernel/tracing
echo 0 >$T/tracing_on; echo mono >$T/trace_clock; echo >$T/trace
echo '!disable_event:kvm:kvm_entry:1' >$T/events/kvm/kvm_exit/trigger 2>/dev/null
echo 'disable_event:kvm:kvm_entry:1' >$T/events/kvm/kvm_exit/trigger
echo 'guest_rip >= 0x1000000' >$T/events/kvm/kvm_exit/filter
echo 1 >$T/events/kvm/kvm_exit/enable
echo 1 >$T/events/kvm/kvm_entry/enable
echo 'port == 0x601' >$T/events/kvm/kvm_pio/filter
echo 1 >$T/events/kvm/kvm_pio/enable
echo 1 >$T/tracing_on
timeout ${LIMIT_S} ${command} </dev/null >/tmp/out 2>&1
echo 0 >$T/tracing_on
for event in entry exit pio; do echo 0 >$T/events/kvm/kvm_$event/enable; done
sed -n 's/.* \\([0-9]*\\.[0-9]*\\): kvm_entry.*/\\1/p' $T/trace | head -n 1
sed -n 's/.* \\([0-9]*\\.[0-9]*\\): kvm_exit.*/\\1/p' $T/trace | head -n 1
sed -n 's/.* \\([0-9]*\\.[0-9]*\\): kvm_pio.*/\\1/p' $T/trace | head -n 1
cat /tmp/out >&2`;

const boot = async () => {
  const machine = await NestedMachine.boot({ take: [dir], cpus, threads: cpus > 1 ? 'multi' : 'single' });
  await machine.run(`${dir}/hold >/dev/null 2>&1 </dev/null &`);
  return machine;
};
let machine = await boot();

/** Seconds from entry and from the kernel's first exit to the mark. QEMU's TCG with a thread a CPU may lose an INT3 that ftrace patches in, and the machine with it: another takes its place. */
async function measure(name) {
  for (;;) {
    try {
      const { stdout, stderr } = await machine.run(script(commands[name]), { timeoutMs: (LIMIT_S + 30) * 1000 });
      const [entry, first, mark] = stdout.trim().split('\n').map(Number);
      if (!(mark > first && first >= entry)) throw new Error(`${name}: no mark seen: ${stdout}${stderr}`);
      return { whole: mark - entry, kernel: mark - first };
    } catch (error) {
      if (error.code !== 'TIMEOUT') throw error;
      process.stderr.write('the nested machine stands still: another one\n');
      await machine.close();
      machine = await boot();
    }
  }
}

let taken;
try {
  taken = await inTurns({ vmm: () => measure('vmm'), qemu: () => measure('qemu') }, { rounds: Number(pairs), warmUp: 0 });
} finally {
  await machine.close();
  rmSync(dir, { recursive: true });
}
const of = (side, key) => taken[side].map((run) => run[key] * 1000);
report(`kvm-guest-start-${cpus}`, {
  title: `The guest's start, KVM in the nested machine with ${cpus} CPU${cpus === 1 ? '' : 's'}: vmm, QEMU's microvm`,
  section: 'Start',
  rows: [['whole', 'first kvm_entry'], ['kernel', "the kernel's first exit"]].flatMap(([key, what]) => [
    ...['vmm', 'qemu'].map((side) => ({ what: `${what} to init's mark, ${side}`, ...middle(of(side, key), 'ms') })),
    { what: `${what} to init's mark, over QEMU's`, ...ratio(of('vmm', key), of('qemu', key)), target: { atMost: 1 } },
  ]),
});
