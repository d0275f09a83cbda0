/**
 * Packets a second of one guest of ring 3 with two cards on a pair of taps, on vmm and on QEMU's microvm without vhost, turn by turn on this machine's
 * /dev/kvm: one that is no hardware emulates ring 0. `node bench/net/ring3.ts [ROUNDS [FRAMES]] [--save] [--limits]`. Wants root.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { inTurns, middle, ratio, report, ROOT, type Row } from '../harness.ts';
import { buildRing3, buildTsc } from '../guest/build.mjs';
import { folder } from '../start/process.ts';
import { TAPS, tapPair } from './taps.ts';

const [rounds = '7', frames = '100000'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const LIMIT_MS = 120_000;

if (process.env['VMM_BENCH_NET'] === undefined) {
  const { status } = spawnSync('unshare', ['-n', process.execPath, ...process.argv.slice(1)], { stdio: 'inherit', env: { ...process.env, VMM_BENCH_NET: '1' } });
  process.exit(status ?? 1);
}

tapPair();
const [kernel, tsc] = [join(folder, 'ring3-net'), join(folder, 'tsc')];
buildRing3('bench/net/ring3-net.c', kernel);
buildTsc(tsc);
const hz = Number(spawnSync(tsc, { encoding: 'utf8' }).stdout);
const macs = TAPS.map((_, i) => `02:00:00:00:00:0${i + 1}`);
const append = `net=${frames}`;
const SIDES: Readonly<Record<'ours' | 'theirs', readonly string[]>> = {
  ours: [process.execPath, '--', join(ROOT, 'bin/vmm.js'), 'boot', '-q', '--accel', 'kvm', '--memory', '32', '--exit-on', 'port', '--append', append, '--kernel', kernel, ...TAPS.flatMap((tap, i) => ['--net', `tap=${tap},mac=${macs[i]}`])],
  theirs: [
    'qemu-system-x86_64', '-M', 'microvm,acpi=off,isa-serial=on,pit=off,pic=off,rtc=off', '-accel', 'kvm', '-cpu', 'qemu64', '-m', '32', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio',
    '-device', 'isa-debug-exit,iobase=0xf4', '-kernel', kernel, '-append', append, '-global', 'virtio-mmio.force-legacy=false',
    ...TAPS.flatMap((tap, i) => ['-netdev', `tap,id=n${i},ifname=${tap},script=no,downscript=no,vhost=off`, '-device', `virtio-net-device,netdev=n${i},mac=${macs[i]}`]),
  ],
};

/** Frames a second, by their length. */
function run([command = '', ...args]: readonly string[]): Readonly<Record<string, number>> {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'latin1', timeout: LIMIT_MS, killSignal: 'SIGKILL' });
  if (!stdout.includes('net END')) throw new Error(`${command} did not end: ${stdout}${stderr}`);
  return Object.fromEntries([...stdout.matchAll(/^net (\d+) (\d+) (\d+)/gm)].map(([, size = '', count, took]) => [size, (Number(count) / Number(took)) * hz]));
}

const taken = await inTurns({ ours: () => run(SIDES.ours), theirs: () => run(SIDES.theirs) }, { rounds: Number(rounds), warmUp: 0 });
const rows = ['64', '1514'].map((size): Row => {
  const [our, their] = [taken.ours, taken.theirs].map((list) => list.map((one) => one[size] ?? 0)) as [number[], number[]];
  return { what: `frames of ${size} bytes a second, out at one card and in at another`, ...ratio(our, their), note: `${(middle(our, '/s').value / 1000).toFixed(0)}k against ${(middle(their, '/s').value / 1000).toFixed(0)}k`, target: { atLeast: 1 } };
});
report('net-ring3', { title: "Cards on this machine's KVM: vmm, and QEMU's microvm without vhost", section: 'Network', rows });
