// What vmm's bus adds to a port exit, over a bare KVM_RUN loop in the same process, and what QEMU adds:
// `npm run setup && node bench/kvm/port-exit.mjs [ROUNDS [here]]`, in the nested machine, or `here` where KVM is hardware.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cache, root, run } from '../../scripts/lib.mjs';

const [rounds = '5', where = 'nested'] = process.argv.slice(2);
const folder = join(cache, 'bench-port');
const guests = join(root, 'test/guests');
mkdirSync(folder, { recursive: true });
run('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', join(folder, 'bare.so'), join(root, 'bench/kvm/port-exit.c')]);
run('gcc', ['-m32', '-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,--no-warn-rwx-segments', '-T', join(guests, 'guest.ld'), '-I', guests, '-o', join(folder, 'guest.elf'), join(root, 'bench/kvm/port-exit.S')]);
const inside = join(folder, 'inside.mjs');
copyFileSync(join(root, 'bench/kvm/port-exit-inside.mjs'), inside);
const command = ['node', inside, root, folder, rounds];
const { status } = where === 'here'
  ? spawnSync(process.execPath, command.slice(1), { stdio: 'inherit' })
  : spawnSync(process.execPath, [join(root, 'scripts/nested.mjs'), '--no-setup', '--timeout', '600', '--take', folder, ...command], { stdio: 'inherit' });
process.exitCode = status ?? 1;
