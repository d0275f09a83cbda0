/**
 * From the process's start to the first guest entry, with one network card and one share against without them, turn by turn.
 * `node bench/start/devices.ts [PAIRS [wasm|kvm]] [--each] [--save] [--limits]`; as root, for a tap of its own; `--each`: each of the two alone, too.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inTurns, ROOT, ratio, report } from '../harness.ts';
import { median } from '../statistics.ts';
import { ended, firstEntry, folder, leastBoot } from './process.ts';

const [pairs = '31', accel = 'wasm'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const shared = join(folder, 'shared');
mkdirSync(shared);
// One that is there, as those who have bridges and rules for it make it.
const tap = `vb${process.pid}`;
execFileSync('ip', ['tuntap', 'add', tap, 'mode', 'tap']);
process.on('exit', () => void spawnSync('ip', ['tuntap', 'del', tap, 'mode', 'tap']));
const card = ['--net', `tap=${tap}`];
const share = ['--share', `t=${shared}`];
const boot = (...options: string[]) => (): number => firstEntry(ended([process.execPath, '--', join(ROOT, 'bin/vmm.js'), ...leastBoot(accel), ...options], 1));
const variants: Readonly<Record<string, () => number>> = { none: boot(), both: boot(...card, ...share), ...(process.argv.includes('--each') ? { card: boot(...card), share: boot(...share) } : {}) };
const taken: Record<string, readonly number[]> = await inTurns(variants, { rounds: Number(pairs) });
const none = taken['none'] ?? [];
const row = (what: string, name: string): { what: string; note: string } & ReturnType<typeof ratio> => ({ what, ...ratio(taken[name] ?? [], none), note: `${median(taken[name] ?? []).toFixed(1)} ms, without ${median(none).toFixed(1)} ms` });
report(`start-devices-${accel}`, {
  title: `First guest entry with a card and a share, ${accel === 'wasm' ? 'software CPU' : "this machine's /dev/kvm"}`,
  section: 'Start',
  rows: [
    { ...row('process start to first guest entry of `vmm boot`, a tap and a share over neither', 'both'), target: { atMost: 1.05 } },
    ...(taken['card'] === undefined ? [] : [row('a tap alone', 'card'), row('a share alone', 'share')]),
  ],
});
