/**
 * Real programs of a Debian root on the software CPU, translated over interpreted: the same work, in turns.
 * `node bench/real/measure.ts [--runs 3] [--only NAME,…] [--cpus 1] [--limits] [--save]`
 * Time is the CPU time of the emulator's process between the guest's lines, of all its threads: translation and V8's compilation are in it, and other work
 * on the machine weighs little. Each program runs in a machine of its own, so none finds what another has had translated.
 * Makes its root with debootstrap once, as root.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, middle, type Row, ROOT, ratio, report, type Target } from '../harness.ts';
import { geometricMean, median } from '../statistics.ts';
import { PROGRAMS, type RealProgram, scriptOf } from './programs.ts';
import { debianRoot, IMAGE } from './root.ts';
import { type Sample, sample } from './sample.ts';

const NEVER_SLOWER: Target = { atMost: 1.02 };
const MEAN: Target = { atMost: 0.45 };
const MEMORY = 1024;

const { values } = parseArgs({ options: { runs: { type: 'string', default: '3' }, only: { type: 'string' }, cpus: { type: 'string', default: '1' }, limits: { type: 'boolean' }, save: { type: 'boolean' } } });

const root = debianRoot();

function vmm(program: RealProgram, jit: string): Promise<Sample> {
  const command = [process.execPath, '--', join(ROOT, 'bin', 'vmm.js'), 'run', '--timeline', '--accel', 'wasm', '--jit', jit, '--cpus', values.cpus, '-m', `${MEMORY}m`, IMAGE, 'bash', '-c', scriptOf([program])];
  return sample(command, { VMM_STORE: root.store }, program.name);
}

const chosen = values.only?.split(',');
const programs = PROGRAMS.filter(({ name }) => chosen === undefined || chosen.some((word) => name.startsWith(word)));
const rows: Row[] = [];
const ratios: number[][] = [];
for (const program of programs) {
  const variants = { on: () => vmm(program, 'on'), off: () => vmm(program, 'off') };
  const taken = await inTurns(variants, { rounds: Number(values.runs), warmUp: 0 });
  const sums = new Set(Object.values(taken).flatMap((list) => list.map(({ sum }) => sum)));
  if (sums.size !== 1) throw new Error(`${program.name}: results differ: ${JSON.stringify(taken)}`);
  const times = (name: 'on' | 'off'): number[] => taken[name].map(({ ms }) => ms);
  const guest = (name: 'on' | 'off'): string => `${median(taken[name].map(({ guestMs }) => guestMs)).toFixed(0)} ms`;
  ratios.push(times('on').map((ms, i) => ms / times('off')[i]!));
  rows.push({ what: program.name, ...ratio(times('on'), times('off')), target: NEVER_SLOWER, note: `${median(times('on')).toFixed(0)} ms, interpreted ${median(times('off')).toFixed(0)} ms; the guest's clock ${guest('on')}, ${guest('off')}` });
  process.stderr.write(`${program.name}: ${(ratios.at(-1) ?? []).map((r) => r.toFixed(2)).join(' ')}; ${taken.on.at(-1)!.told}\n`);
}
const means = (lists: readonly number[][]): number[] => Array.from({ length: Number(values.runs) }, (_, i) => geometricMean(lists.map((list) => list[i]!)));
report('real-programs', {
  title: "Programs of Debian on the software CPU: translated, CPU time over the interpreter's",
  section: 'Software CPU',
  rows: [
    { what: 'geometric mean', ...middle(means(ratios), 'ratio'), target: MEAN },
    ...rows,
  ],
});
