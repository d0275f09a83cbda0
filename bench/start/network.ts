/**
 * What the default network of `vmm run` costs its start: process start → first guest entry and → the container's command, with it and with
 * `--network none`, turn by turn; and the CPU time of whole runs. `node bench/start/network.ts [PAIRS] [--save] [--limits]`
 */
import { join } from 'node:path';
import { inTurns, middle, ROOT, ratio, report } from '../harness.ts';
import { busyboxTree, cpuOf, type Ended, ended, firstEntry } from './process.ts';

const [pairs = '31'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const run = (network: string): string[] => [process.execPath, '--', join(ROOT, 'bin/vmm.js'), 'run', '-q', '--accel', 'wasm', '--network', network, '--timeline', busyboxTree(), '/bin/true'];
const commandAt = ({ stderr }: Ended): number => Number(/([\d.]+) ms.*container: command executed/.exec(stderr)?.[1]);
const sample = (network: string) => (): { entry: number; command: number; cpu: number } => {
  const one = ended(run(network));
  return { entry: firstEntry(one), command: commandAt(one), cpu: cpuOf(run(network)) };
};
const { user, none } = await inTurns({ user: sample('user'), none: sample('none') }, { rounds: Number(pairs) });
const of = (key: 'entry' | 'command' | 'cpu') => ratio(user.map((one) => one[key]), none.map((one) => one[key]));
report('start-network', {
  title: 'The default network, software CPU',
  section: 'Start',
  rows: [
    { what: 'process start to first guest entry of `vmm run`, with `--network user` over `none`', ...of('entry'), target: { atMost: 1.03 } },
    { what: 'process start to the container’s command, likewise', ...of('command') },
    { what: 'CPU time of the whole run, likewise', ...of('cpu') },
    { what: 'CPU time more', ...middle(user.map(({ cpu }, i) => cpu - none[i]!.cpu), 'ms') },
  ],
});
