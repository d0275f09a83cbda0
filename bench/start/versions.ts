/**
 * This checkout against another one, BASE, for instance `git worktree add /tmp/base COMMIT` after its `npm run setup`: do starts and the
 * software CPU take longer? `node bench/start/versions.ts BASE [--pairs 31] [--runs 5] [--save] [--limits]`
 * Both sides run with this checkout's Node, and with V8's code recorded by it. CPU time is compared, so that other work on the machine weighs
 * little; a ratio above 1 is slower than BASE.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bootOptions, buildPrograms, checkSame, runPrograms } from '../cpu/programs.ts';
import { inTurns, middle, ROOT, type Row, ratio, report } from '../harness.ts';
import { geometricMean, median } from '../statistics.ts';
import { cpuOf, leastBoot, programOf, runTrue } from './process.ts';

const options = { pairs: { type: 'string', default: '31' }, runs: { type: 'string', default: '5' }, limits: { type: 'boolean' }, save: { type: 'boolean' } } as const;
const { values, positionals } = parseArgs({ options, allowPositionals: true });
// Fewer have no bound to hold against the target (statistics.ts).
if (Number(values.pairs) < 5 || (Number(values.runs) > 0 && Number(values.runs) < 5)) throw new Error('--pairs and --runs are 5 or more (--runs 0: no programs)');
const base = resolve(positionals[0] ?? '');
const sides = { base: programOf(base, process.execPath, 'base'), here: programOf(ROOT, process.execPath, 'here') };
const LIMIT = { atMost: 1.02, of: 'low' } as const;

async function compared(what: string, args: readonly string[], status: number): Promise<Row> {
  const once = (side: readonly string[]) => () => cpuOf([...side, ...args], status);
  const { base: theirs, here: ours } = await inTurns({ base: once(sides.base), here: once(sides.here) }, { rounds: Number(values.pairs) });
  return { what, ...ratio(ours, theirs), target: LIMIT, note: `CPU time ${median(ours).toFixed(0)} ms, before ${median(theirs).toFixed(0)} ms` };
}

const rows = [await compared('`vmm boot` of the least kernel', leastBoot('wasm'), 1), await compared('`vmm run IMAGE true`', runTrue(), 0)];
if (Number(values.runs) > 0) {
  const elf = buildPrograms();
  const programs = (side: readonly string[]) => () => runPrograms([...side, ...bootOptions(elf)]);
  const { base: theirs, here: ours } = await inTurns({ base: programs(sides.base), here: programs(sides.here) }, { rounds: Number(values.runs), warmUp: 0 });
  for (const round of [...theirs, ...ours]) checkSame(round, theirs[0]!);
  const means = ours.map((round, i) => geometricMean(round.map(({ ms }, k) => ms / theirs[i]![k]!.ms)));
  rows.push({ what: 'eight CPU programs, geometric mean', ...middle(means, 'ratio'), target: LIMIT, note: `median of ${means.length} pairs of runs` });
}
report('versions', { title: `Against an earlier version`, section: 'Start', rows, command: `node bench/start/versions.ts BASE --pairs ${values.pairs} --runs ${values.runs}` });
