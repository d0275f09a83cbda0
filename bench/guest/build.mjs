// Builds a guest that runs in ring 3 (ring3.S) from one C file.
import { join } from 'node:path';
import { root, run } from '../../scripts/lib.mjs';

const FLAGS = ['-m64', '-O2', '-Wall', '-ffreestanding', '-fno-pic', '-fno-stack-protector', '-mcmodel=small', '-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,--no-warn-rwx-segments', '-Wl,-z,max-page-size=4096'];

/** `source`: path in the checkout, with `void guest(const struct hvm_start_info *)`. `out`: the ELF. */
export function buildRing3(source, out) {
  run('gcc', [...FLAGS, '-T', join(root, 'test/programs/guest.ld'), '-o', out, join(root, 'bench/guest/ring3.S'), join(root, source)]);
}

/** Ticks of the time-stamp counter a second, measured with a program built at `out`. */
export function buildTsc(out) {
  run('gcc', ['-O2', '-Wall', '-o', out, join(root, 'bench/guest/tsc.c')]);
}
