/** The guest of bench/cpu: programs that name themselves on the serial port before and after their work. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../harness.ts';
import { cpuTime } from '../statistics.ts';

const WARM_UP = 'warm-up';
const END = '> end';
/** The mean of all is over the programs that compute; the string instruction stands apart. */
export const APART = 'rep movsb of 1 MiB';

export interface Program {
  readonly name: string;
  /** What it computed. */
  readonly result: string;
  /** CPU time of the emulator's process between its two lines, ms. */
  readonly ms: number;
}

/** The options that make `vmm boot` run it. */
export function bootOptions(elf: string): string[] {
  return ['boot', '--accel', 'wasm', '-q', '--kernel', elf, '--memory', '64', '--console', 'serial', '--exit-on', 'port'];
}

/** Compiles the guest; returns the ELF's path. Needs gcc. */
export function buildPrograms(): string {
  const work = join(ROOT, '.cache', 'bench-cpu');
  const guests = join(ROOT, 'test', 'programs');
  mkdirSync(work, { recursive: true });
  const flags = ['-c', '-m64', '-O2', '-ffreestanding', '-fno-stack-protector', '-fcf-protection=none', '-fno-pic', '-fno-asynchronous-unwind-tables'];
  const objects: [string, string[]][] = [
    ['guest.o', ['-c', '-m64', `-I${join(guests, 'cpu')}`, join(ROOT, 'bench', 'cpu', 'guest.S')]],
    ['cpubench.o', [...flags, '-mgeneral-regs-only', '-DNATIVE', join(guests, 'cpubench.c')]],
    ['matrix.o', [...flags, '-msse2', '-mno-red-zone', join(ROOT, 'bench', 'cpu', 'matrix.c')]],
  ];
  for (const [out, args] of objects) tool('gcc', [...args, '-o', join(work, out)]);
  const to = join(work, 'guest');
  tool('ld', ['-n', '--no-warn-rwx-segments', '-z', 'noexecstack', '-T', join(guests, 'cpu', 'guest.ld'), '-o', to, ...objects.map(([out]) => join(work, out))]);
  return to;
}

function tool(command: string, args: readonly string[]): void {
  const done = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.error?.message ?? `status ${done.status}`}`);
}

/** Runs the guest to its end in an emulator's process: its programs in order, without the warm-up. */
export function runPrograms([command = '', ...args]: readonly string[]): Promise<Program[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Program[]>();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid ?? 0;
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const programs: Program[] = [];
  let rest = '';
  let start = 0;
  let name = '';
  let ended = false;
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === END) {
        ended = true;
        child.kill(); // only now: what has exited has no CPU time to read
      } else if (line.startsWith('> ')) {
        name = line.slice(2);
        start = cpuTime(pid);
      } else if (line.startsWith('= ')) programs.push({ name, result: line.slice(2), ms: (cpuTime(pid) - start) / 1e6 });
    }
  });
  child.on('error', reject);
  child.on('close', () => (ended ? resolve(programs.filter((program) => program.name !== WARM_UP)) : reject(new Error(`${command} stopped early:\n${complaint}`))));
  return promise;
}

/** Throws unless two runs computed the same. */
export function checkSame(a: readonly Program[], b: readonly Program[]): void {
  const text = (programs: readonly Program[]): string => JSON.stringify(programs.map(({ name, result }) => [name, result]));
  if (text(a) !== text(b)) throw new Error(`${text(a)} and ${text(b)} were computed`);
}
