/**
 * From the process's start to the first guest entry, against an empty Node script from its start to its end, turn by turn.
 * `node bench/start/entry.ts [PAIRS [wasm|kvm|nested]] [--save] [--limits]`; nested is kvm in the nested machine.
 */
import { join } from 'node:path';
import { inTurns, ROOT, ratio, report } from '../harness.ts';
import { median } from '../statistics.ts';
import { emptyScript, ended, firstEntry, leastBoot } from './process.ts';

const [pairs = '31', accel = 'wasm'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
if (accel === 'nested') {
  const { NestedMachine } = await import('../../scripts/nested/machine.mjs');
  // Two CPUs, each with a thread of QEMU's own: what runs side by side on a real machine does so here too.
  const machine = await NestedMachine.boot({ cpus: 2, threads: 'multi', take: ['bench', 'scripts'].map((dir) => join(ROOT, dir)) });
  const { stdout, stderr } = await machine.run(`node ${join(ROOT, 'bench/start/entry.ts')} ${pairs} kvm`, { timeoutMs: 600_000 });
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  await machine.close();
  process.exit();
}
const empty = [process.execPath, emptyScript()];
const boot = [process.execPath, '--', join(ROOT, 'bin/vmm.js'), ...leastBoot(accel)];
const taken = await inTurns({ empty: () => ended(empty).wall, entry: () => firstEntry(ended(boot, 1)) }, { rounds: Number(pairs) });
const where = accel === 'wasm' ? 'software CPU' : "this machine's /dev/kvm";
report(`start-entry-${accel}`, {
  title: `First guest entry, ${where}`,
  section: 'Start',
  rows: [{
    what: 'process start to first guest entry of `vmm boot` over an empty script from start to end', ...ratio(taken.entry, taken.empty),
    ...(accel === 'kvm' ? { target: { atMost: 3 } } : {}), note: `${median(taken.entry).toFixed(1)} ms, empty script ${median(taken.empty).toFixed(1)} ms`,
  }],
});
