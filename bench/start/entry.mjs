// `node bench/start/entry.mjs [ROUNDS [ACCEL]]`: from the process's start to the first guest entry, against an empty Node script
// from its start to its end, turn by turn. In the nested machine: npm run nested -- node bench/start/entry.mjs 5 kvm
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [rounds = '15', accel = 'wasm'] = process.argv.slice(2);
const root = process.env.VMM_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '../..');
const kernel = join(root, '.cache/guests/ports.elf'); // a guest of the tests
if (!existsSync(kernel)) {
  process.stderr.write('run the tests of test/guest first: they build the guest\n');
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'vmm-start-'));
const empty = join(folder, 'empty.mjs');
writeFileSync(empty, '');
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const taken = { empty: [], entry: [] };
for (let round = -1; round < Number(rounds); round++) {
  const start = performance.now();
  spawnSync(process.execPath, [empty], { env });
  const ms = performance.now() - start;
  const args = ['boot', '-q', '--accel', accel, '--memory', '32', '--kernel', kernel, '--timeline'];
  const { stderr, status } = spawnSync(process.execPath, ['--', join(root, 'bin/vmm.js'), ...args], { env, encoding: 'utf8' });
  const entry = Number(/([\d.]+) ms.*first guest entry/.exec(stderr)?.[1]);
  if (status !== 0 || Number.isNaN(entry)) throw new Error(`status ${status}: ${stderr}`);
  if (round < 0) continue;
  taken.empty.push(ms);
  taken.entry.push(entry);
}
rmSync(folder, { recursive: true });
const ratio = median(taken.entry.map((ms, i) => ms / taken.empty[i]));
process.stdout.write(`empty script ${median(taken.empty).toFixed(1)} ms, first guest entry (${accel}) ${median(taken.entry).toFixed(1)} ms, median of the pairs' ratios ${ratio.toFixed(2)}\n`);
