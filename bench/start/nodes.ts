/**
 * Several versions of Node against the first: `node bench/start/nodes.ts NODE… [--pairs 15] [--runs 5] [--save]`, each the path of a binary.
 * An empty script, the least `vmm boot`, `vmm run IMAGE true`, and the programs of bench/cpu on the software CPU, all by CPU time, in turns.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { APART, bootOptions, buildPrograms, runPrograms } from '../cpu/programs.ts';
import { inTurns, middle, ROOT, type Row, ratio, report } from '../harness.ts';
import { geometricMean, median } from '../statistics.ts';
import { cpuOf, emptyScript, leastBoot, programOf, runTrue } from './process.ts';

const options = { pairs: { type: 'string', default: '15' }, runs: { type: 'string', default: '5' }, save: { type: 'boolean' } } as const;
const { values, positionals: nodes } = parseArgs({ options, allowPositionals: true });
const versions = new Map(nodes.map((node) => [spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim(), node]));
const [first = ''] = versions.keys();
const programs = new Map([...versions].map(([version, node]) => [version, programOf(ROOT, node, version)]));
const rows: Row[] = [];

async function starts(what: string, command: (version: string) => string[], status: number): Promise<void> {
  const taken = await inTurns(Object.fromEntries([...versions.keys()].map((version) => [version, () => cpuOf(command(version), status)])), { rounds: Number(values.pairs) });
  for (const version of versions.keys()) rows.push({ what: `${what}, Node ${version}`, ...ratio(taken[version]!, taken[first]!), note: `${median([...taken[version]!]).toFixed(0)} ms` });
}

await starts('empty script', (version) => [versions.get(version)!, emptyScript()], 0);
await starts('`vmm boot` of the least kernel', (version) => [...programs.get(version)!, ...leastBoot('wasm')], 1);
await starts('`vmm run IMAGE true`', (version) => [...programs.get(version)!, ...runTrue()], 0);
const elf = buildPrograms();
const taken = await inTurns(Object.fromEntries([...programs].map(([version, command]) => [version, () => runPrograms([...command, ...bootOptions(elf)])])), { rounds: Number(values.runs), warmUp: 0 });
for (const version of versions.keys()) {
  const means = taken[version]!.map((round, i) => geometricMean(round.flatMap(({ name, ms }, k) => (name === APART ? [] : [ms / taken[first]![i]![k]!.ms]))));
  rows.push({ what: `seven CPU programs, geometric mean, Node ${version}`, ...middle(means, 'ratio') });
}
report('nodes', { title: 'Versions of Node', section: 'Start', rows, command: `node bench/start/nodes.ts NODE… --pairs ${values.pairs} --runs ${values.runs}`, notes: [`Ratios to Node ${first}; CPU time.`] });
