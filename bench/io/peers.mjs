// `node bench/io/peers.mjs [ROUNDS [READS,MIB,STREAM_MIB]] [--save] [--limits]`: disk and vsock of vmm and of QEMU's microvm (KVM, io_uring,
// iothread, vhost-vsock), one guest for both, turn by turn in the nested machine.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cache, root, run } from '../../scripts/lib.mjs';
import { reportRates } from './rates.mjs';

const folder = join(cache, 'bench-io');
const tree = join(folder, 'tree');
mkdirSync(tree, { recursive: true });
const gcc = (source, out) => run('gcc', ['-O2', '-static', '-Wall', '-o', out, join(root, 'bench/io', source)]);
gcc('guest.c', join(tree, 'init'));
gcc('sink.c', join(folder, 'sink'));
run('sh', ['-c', 'echo init | /bin/busybox cpio -o -H newc >../guest.cpio 2>/dev/null'], { cwd: tree });
rmSync(tree, { recursive: true });
copyFileSync(join(root, 'bench/io/inside.mjs'), join(folder, 'inside.mjs'));
const [rounds = '3', sizes = '3000,128,64'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts/nested.mjs'), '--no-setup', '--timeout', '2400', '--take', folder, 'node', join(folder, 'inside.mjs'), rounds, sizes], { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
if (status !== 0) throw new Error(`inside.mjs: status ${status}: ${stdout}`);
reportRates('io-peers', "Disk and vsock of one Linux guest, KVM in the nested machine: vmm, QEMU's microvm", JSON.parse(stdout.trim().split('\n').at(-1)));
