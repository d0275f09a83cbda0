// `node bench/start/entry.mjs [ROUNDS [ACCEL]]`: from the process's start to the first guest entry, against an empty Node script
// from its start to its end, turn by turn. ACCEL: wasm (default), kvm, or nested, which is kvm in the nested machine.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { multibootKernel } from '../../scripts/multiboot.mjs';

const [rounds = '15', accel = 'wasm'] = process.argv.slice(2);
const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
if (accel === 'nested') {
  const here = dirname(fileURLToPath(import.meta.url));
  const multiboot = join(root, 'scripts/multiboot.mjs');
  const { NestedMachine } = await import('../../scripts/nested/machine.mjs');
  // Two CPUs, each with a thread of QEMU's own: what runs side by side on a real machine does so here too.
  const machine = await NestedMachine.boot({ cpus: 2, threads: 'multi', take: [here, multiboot] });
  const { stdout, stderr } = await machine.run(`node ${join(here, 'entry.mjs')} ${rounds} kvm`, { timeoutMs: 600_000 });
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  await machine.close();
  process.exit();
}
const folder = mkdtempSync(join(tmpdir(), 'vmm-start-'));
const empty = join(folder, 'empty.cjs');
writeFileSync(empty, '');
const kernel = join(folder, 'kernel');
writeFileSync(kernel, multibootKernel(0));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const taken = { empty: [], entry: [] };
for (let round = -1; round < Number(rounds); round++) {
  const start = performance.now();
  spawnSync(process.execPath, [empty], { env });
  const ms = performance.now() - start;
  const args = ['boot', '-q', '--accel', accel, '--memory', '32', '--exit-on', 'port', '--kernel', kernel, '--timeline'];
  const { stderr, status } = spawnSync(process.execPath, ['--', join(root, 'bin/vmm.js'), ...args], { env, encoding: 'utf8' });
  const entry = Number(/([\d.]+) ms.*first guest entry/.exec(stderr)?.[1]);
  if (status !== 1 || Number.isNaN(entry)) throw new Error(`status ${status}: ${stderr}`);
  if (round < 0) continue;
  taken.empty.push(ms);
  taken.entry.push(entry);
}
rmSync(folder, { recursive: true });
const ratio = median(taken.entry.map((ms, i) => ms / taken.empty[i]));
process.stdout.write(`empty script ${median(taken.empty).toFixed(1)} ms, first guest entry (${accel}) ${median(taken.entry).toFixed(1)} ms, median of the pairs' ratios ${ratio.toFixed(2)}\n`);
