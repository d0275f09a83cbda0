// Time of the software CPU over that of QEMU's TCG: the same guest, the same programs, run in turns.
// Usage: node bench/cpu/measure.mjs [--runs 5] [--limits]
// The time of a program is the CPU time of the emulator's process between the guest's two lines on its serial port, so that other
// work on the machine weighs little. QEMU has the CPU that vmm offers: qemu64 without SSE3 and CMPXCHG16B. `--limits`: status 1
// when a ratio is above the targets below. Needs gcc and qemu-system-x86.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuTime, geometricMean, median } from '../statistics.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = join(root, 'bench', 'cpu');
const guests = join(root, 'test', 'guests');
const work = join(root, '.cache', 'bench-cpu');
/** Targets: time over QEMU's. */
const LIMITS = { 'SSE2 copy of 4 KiB': 6, 'rep movsb of 1 MiB': 0.2 };
const LIMIT = 16;
const LIMIT_MEAN = 10;
/** The mean is over the programs that compute; the string instruction has a target of its own. */
const APART = 'rep movsb of 1 MiB';
const WARM_UP = 'warm-up';
const END = '> end';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, limits: { type: 'boolean', default: false } } });

const elf = build();
const EMULATORS = {
  qemu: ['qemu-system-x86_64', '-accel', 'tcg', '-M', 'pc', '-cpu', 'qemu64,-pni,-cx16', '-m', '64', '-nodefaults', '-display', 'none',
    '-serial', 'stdio', '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4', '-kernel', elf],
  vmm: [process.execPath, join(root, 'bin', 'vmm.js'), 'boot', '--accel', 'wasm', '-q', '--kernel', elf, '--memory', '64', '--console',
    'serial', '--exit-on', 'port'],
};

const times = { qemu: [], vmm: [] };
let results;
for (let i = 0; i < Number(values.runs); i += 1) {
  for (const name of Object.keys(EMULATORS)) {
    const programs = await run(EMULATORS[name]);
    times[name].push(programs);
    const text = JSON.stringify(programs.map((p) => [p.name, p.result]));
    results ??= text;
    if (text !== results) throw new Error(`${name} computed ${text}, not ${results}`);
  }
  process.stderr.write(`run ${i + 1} of ${values.runs}\n`);
}
report();

function build() {
  mkdirSync(work, { recursive: true });
  const flags = ['-c', '-m64', '-O2', '-ffreestanding', '-fno-stack-protector', '-fcf-protection=none', '-fno-pic', '-fno-asynchronous-unwind-tables'];
  const objects = [
    ['guest.o', ['-c', '-m64', `-I${join(guests, 'cpu')}`, join(here, 'guest.S')]],
    ['cpubench.o', [...flags, '-mgeneral-regs-only', '-DNATIVE', join(guests, 'cpubench.c')]],
    ['matrix.o', [...flags, '-msse2', '-mno-red-zone', join(here, 'matrix.c')]],
  ];
  for (const [out, args] of objects) tool('gcc', [...args, '-o', join(work, out)]);
  const to = join(work, 'guest');
  tool('ld', ['-n', '--no-warn-rwx-segments', '-z', 'noexecstack', '-T', join(guests, 'cpu', 'guest.ld'), '-o', to, ...objects.map(([out]) => join(work, out))]);
  return to;
}

function tool(command, args) {
  const done = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.error?.message ?? `status ${done.status}`}`);
}

/** Runs the guest to its end: [{ name, result, time }], time in ns. */
function run([command, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      complaint += text;
    });
    const programs = [];
    let rest = '';
    let start = 0;
    let ended = false;
    child.stdout.setEncoding('latin1');
    child.stdout.on('data', (text) => {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === END) {
          ended = true;
          child.kill(); // only now: what has exited has no CPU time to read
        } else if (line.startsWith('> ')) {
          programs.push({ name: line.slice(2), result: '', time: 0 });
          start = cpuTime(child.pid);
        } else if (line.startsWith('= ')) Object.assign(programs.at(-1), { result: line.slice(2), time: cpuTime(child.pid) - start });
      }
    });
    child.on('error', reject);
    child.on('close', () => (ended ? resolve(programs) : reject(new Error(`${command} stopped early:\n${complaint}`))));
  });
}

function report() {
  const names = times.qemu[0].map((p) => p.name).filter((name) => name !== WARM_UP);
  const of = (emulator, name) => times[emulator].map((programs) => programs.find((p) => p.name === name).time);
  const lines = [['program', 'QEMU ms', 'vmm ms', 'ratio', 'limit']];
  const ratios = [];
  let met = true;
  for (const name of names) {
    const theirs = of('qemu', name);
    const ours = of('vmm', name);
    const ratio = median(ours.map((t, i) => t / theirs[i]));
    const limit = LIMITS[name] ?? LIMIT;
    if (name !== APART) ratios.push(ratio);
    if (ratio > limit) met = false;
    lines.push([name, (median(theirs) / 1e6).toFixed(0), (median(ours) / 1e6).toFixed(0), ratio.toFixed(2), `${limit}`]);
  }
  const mean = geometricMean(ratios);
  if (mean > LIMIT_MEAN) met = false;
  lines.push([`geometric mean without ${APART}`, '', '', mean.toFixed(2), `${LIMIT_MEAN}`]);
  for (const line of lines) process.stdout.write(`${line.map((cell, i) => (i === 0 ? cell.padEnd(46) : cell.padStart(9))).join('')}\n`);
  process.stdout.write(`median of ${values.runs} pairs, in turns\n`);
  if (values.limits && !met) process.exitCode = 1;
}
