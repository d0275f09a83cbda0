// From process start to a container's output: `vmm run` on the software CPU against QEMU's microvm under TCG, in turns.
// Usage: node bench/cpu/start.mjs [--runs 7] [--save] [--limits]
// Both boot the same kernel with the same EROFS disk and 512 MiB, and execute the same command, /bin/echo. QEMU executes it as the kernel's
// init; vmm's goes through its own init and agent, which make a container of it. The ratio is that of the wall times, pair by
// pair; CPU time of the processes up to the output stands beside it. QEMU calibrates its timers, as Linux does there; a second
// row gives it the command line that spares most of that. Needs busybox-static and qemu-system-x86,
// and `npm run setup` for the kernel.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inTurns, middle, ratio, report } from '../harness.ts';
import { cpuTime } from '../statistics.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const work = join(root, '.cache', 'bench-start');
const WORD = 'container';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '7' }, save: { type: 'boolean' }, limits: { type: 'boolean' } } });

const tree = makeTree();
const kernel = join(root, '.cache', 'guest', 'vmlinux');
const vmm = [process.execPath, join(root, 'bin', 'vmm.js'), 'run', '-q', '--accel', 'wasm', tree, '/bin/echo', WORD];
const disk = storedDisk();
const COMMAND_LINE = `console=hvc0 quiet panic=-1 reboot=t tsc=reliable root=/dev/vda ro init=/bin/echo`;
const SETS = {
  vmm,
  qemu: qemu(COMMAND_LINE),
  'qemu, spared': qemu(`${COMMAND_LINE} tsc_early_khz=1000000 no_timer_check`),
};

const taken = await inTurns(Object.fromEntries(Object.entries(SETS).map(([name, command]) => [name, () => once(command)])), { rounds: Number(values.runs) });
const of = (name, key) => taken[name].map((run) => run[key]);
report('cpu-start', {
  title: "Process start to a container's output: `vmm run` on the software CPU, QEMU's microvm under TCG",
  section: 'Start',
  rows: [
    ...Object.keys(SETS).map((name) => ({ what: `${name}, wall time`, ...middle(of(name, 'wall'), 'ms') })),
    ...['qemu', 'qemu, spared'].flatMap((name) => [
      { what: `vmm over ${name}, wall time`, ...ratio(of('vmm', 'wall'), of(name, 'wall')), ...(name === 'qemu' ? { target: { atMost: 3 } } : {}) },
      { what: `vmm over ${name}, CPU time`, ...ratio(of('vmm', 'cpu'), of(name, 'cpu')) },
    ]),
  ],
});

function qemu(append) {
  return ['qemu-system-x86_64', '-M', 'microvm,pit=on,pic=on,rtc=on,isa-serial=off,acpi=off,auto-kernel-cmdline=on', '-accel', 'tcg', '-cpu', 'qemu64',
    '-smp', '1', '-m', '512', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-kernel', kernel, '-append', `${append} ${WORD}`, // a word that the kernel does not know becomes init's argument
    '-device', 'virtio-serial-device', '-chardev', 'stdio,id=console,signal=off', '-device', 'virtconsole,chardev=console',
    '-drive', `id=root,file=${disk},format=raw,if=none,readonly=on`, '-device', 'virtio-blk-device,drive=root'];
}

/** The container's root: busybox and what the kernel and the container need of directories. */
function makeTree() {
  const dir = join(work, 'tree');
  if (!existsSync(join(dir, 'bin', 'echo'))) {
    rmSync(dir, { recursive: true, force: true });
    for (const sub of ['bin', 'dev', 'proc', 'sys', 'tmp', 'etc']) mkdirSync(join(dir, sub), { recursive: true });
    copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
    chmodSync(join(dir, 'bin', 'busybox'), 0o755);
    symlinkSync('busybox', join(dir, 'bin', 'echo'));
  }
  return dir;
}

/** The EROFS disk that vmm made of the tree, in a store of its own. */
function storedDisk() {
  process.env.VMM_STORE = join(work, 'store');
  tool(vmm[0], vmm.slice(1));
  const dir = join(work, 'store', 'rootfs');
  const disks = readdirSync(dir).filter((name) => name.endsWith('.erofs'));
  if (disks.length !== 1) throw new Error(`${dir} holds ${disks.length} disks, not one`);
  return join(dir, disks[0]);
}

function tool(command, args) {
  const done = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.error?.message ?? `status ${done.status}`}`);
}

/** Starts it and waits for the word, then for the end: { wall, cpu } in ms. */
function once([command, ...args]) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let seen;
    const look = (chunk) => {
      text += chunk;
      if (seen || !text.includes(WORD)) return;
      seen = { wall: performance.now() - start, cpu: cpuTime(child.pid) / 1e6 };
    };
    child.stdout.setEncoding('latin1').on('data', look);
    child.stderr.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    const timer = setTimeout(() => child.kill(), 60_000);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      if (seen) resolve(seen);
      else reject(new Error(`${command} ended without the word:\n${text}`));
    });
  });
}
