// What vmm's bus adds to a port exit, over a bare KVM_RUN loop in the same process, and what QEMU adds:
// `npm run setup && node bench/kvm/port-exit.mjs [ROUNDS [here|nested]] [--save] [--limits]`, on this machine's /dev/kvm or in the nested machine.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cache, root, run } from '../../scripts/lib.mjs';
import { buildRing3, buildTsc } from '../guest/build.mjs';
import { middle, ratio, report } from '../harness.ts';

const [rounds = '5', where = 'here'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const folder = join(cache, 'bench-port');
mkdirSync(folder, { recursive: true });
run('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', join(folder, 'bare.so'), join(root, 'bench/kvm/port-exit.c')]);
buildRing3('bench/kvm/port-exit-guest.c', join(folder, 'guest.elf'));
buildTsc(join(folder, 'tsc'));
const inside = join(folder, 'inside.mjs');
copyFileSync(join(root, 'bench/kvm/port-exit-inside.mjs'), inside);
const command = ['node', inside, root, folder, rounds];
const stdio = ['ignore', 'pipe', 'inherit'];
const { status, stdout } = where === 'here'
  ? spawnSync(process.execPath, command.slice(1), { stdio, encoding: 'utf8' })
  : spawnSync(process.execPath, [join(root, 'scripts/nested.mjs'), '--no-setup', '--timeout', '600', '--take', folder, ...command], { stdio, encoding: 'utf8' });
if (status !== 0) throw new Error(`port-exit-inside.mjs: status ${status}: ${stdout}`);
const { taken, perUs } = JSON.parse(stdout.trim().split('\n').at(-1));
const us = (ticks) => ticks.map((value) => value / perUs);
const added = (side) => taken[side].map((value, i) => value - taken.bare[i]);
report(`kvm-port-exit-${where}`, {
  title: `A port exit, ${where === 'here' ? "this machine's KVM" : 'KVM in the nested machine'}`,
  section: 'Exits',
  rows: [
    ...['bare', 'vmm', 'qemu'].map((side) => ({ what: { bare: 'a bare KVM_RUN loop', vmm: 'vmm', qemu: "QEMU's microvm" }[side], ...middle(us(taken[side]), 'µs') })),
    { what: 'vmm adds to the bare loop', ...middle(us(added('vmm')), 'µs'), target: { atMost: 2 } },
    { what: "over what QEMU's adds", ...ratio(added('vmm'), added('qemu')), target: { atMost: 1 } },
  ],
});
