// What vmm's bus adds to a port exit, over a bare KVM_RUN loop in the same process, and what QEMU adds:
// `npm run setup && node bench/kvm/port-exit.mjs [ROUNDS [here|nested]]`, on this machine's /dev/kvm or in the nested machine.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cache, root, run } from '../../scripts/lib.mjs';
import { buildRing3, buildTsc } from '../guest/build.mjs';

const [rounds = '5', where = 'here'] = process.argv.slice(2);
const folder = join(cache, 'bench-port');
mkdirSync(folder, { recursive: true });
run('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', join(folder, 'bare.so'), join(root, 'bench/kvm/port-exit.c')]);
buildRing3('bench/kvm/port-exit-guest.c', join(folder, 'guest.elf'));
buildTsc(join(folder, 'tsc'));
const inside = join(folder, 'inside.mjs');
copyFileSync(join(root, 'bench/kvm/port-exit-inside.mjs'), inside);
const command = ['node', inside, root, folder, rounds];
const { status } = where === 'here'
  ? spawnSync(process.execPath, command.slice(1), { stdio: 'inherit' })
  : spawnSync(process.execPath, [join(root, 'scripts/nested.mjs'), '--no-setup', '--timeout', '600', '--take', folder, ...command], { stdio: 'inherit' });
process.exitCode = status ?? 1;
