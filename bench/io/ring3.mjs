// `npm run setup && node bench/io/ring3.mjs [ROUNDS [READS,MIB]] [--save] [--limits]`: a disk of vmm and of QEMU's microvm (KVM, io_uring, iothread),
// turn by turn on this machine's /dev/kvm: one guest of ring 3 for both, since a KVM without hardware emulates ring 0.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cache, envWithoutNode, root } from '../../scripts/lib.mjs';
import { inTurns } from '../harness.ts';
import { reportRates } from './rates.mjs';
import { buildRing3, buildTsc } from '../guest/build.mjs';

const [rounds = '11', sizes = '20000,1024'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const LIMIT_MS = 120_000;
const DISK_MIB = 256;
const folder = join(cache, 'bench-io');
mkdirSync(folder, { recursive: true });
const kernel = join(folder, 'ring3.elf');
const disk = join(folder, 'ring3.img');
const tsc = join(folder, 'tsc');
buildRing3('bench/io/ring3-disk.c', kernel);
buildTsc(tsc);
const env = envWithoutNode();
const hz = Number(spawnSync(tsc, { encoding: 'utf8' }).stdout);
// Written, so that all of it is in the page cache: the path of a request is measured and not what is below.
spawnSync('dd', ['if=/dev/urandom', `of=${disk}`, 'bs=1M', `count=${DISK_MIB}`, 'conv=fsync'], { stdio: 'ignore' });

const append = `io=${sizes}`;
const sides = {
  vmm: [process.execPath, ['--', join(root, 'bin/vmm.js'), 'boot', '-q', '--accel', 'kvm', '--memory', '32', '--exit-on', 'port', '--append', append, '--disk', disk, '--kernel', kernel]],
  qemu: ['qemu-system-x86_64', [
    '-M', 'microvm,acpi=off,isa-serial=on,pit=off,pic=off,rtc=off', '-accel', 'kvm', '-cpu', 'qemu64', '-m', '32', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio',
    '-device', 'isa-debug-exit,iobase=0xf4', '-kernel', kernel, '-append', append, '-global', 'virtio-mmio.force-legacy=false',
    '-object', 'iothread,id=io0', '-drive', `if=none,id=d,file=${disk},format=raw,aio=io_uring`, '-device', 'virtio-blk-device,drive=d,iothread=io0',
  ]],
};

/** Seconds and bytes of each test, by its name. */
function once(side) {
  const [command, args] = sides[side];
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'latin1', timeout: LIMIT_MS, killSignal: 'SIGKILL', env });
  if (!stdout.includes('io END')) throw new Error(`${side} did not end: ${stdout}${stderr}`);
  const found = [...stdout.matchAll(/^io (\S+) (\d+) (\d+)/gm)].filter(([, name]) => name !== 'END' && name !== 'warm');
  return Object.fromEntries(found.map(([, name, bytes, ticks]) => [name, { bytes: Number(bytes), seconds: Number(ticks) / hz }]));
}

let taken;
try {
  taken = await inTurns({ vmm: () => once('vmm'), qemu: () => once('qemu') }, { rounds: Number(rounds), warmUp: 0 });
} finally {
  rmSync(disk);
}
reportRates('io-ring3', "A disk on this machine's KVM: vmm, QEMU's microvm with io_uring and an iothread", taken);
