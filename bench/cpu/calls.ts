/**
 * What translated code leaves to the core: `node bench/cpu/calls.ts IMAGE CMD…` runs a container and lists the calls, by micro-op, a thousand
 * translated instructions. What stands at the top is what an inline form would save.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../harness.ts';

const MARK = 'translations call the core: ';
const ROWS = 40;

const preload = pathToFileURL(join(ROOT, 'bench', 'cpu', 'count-calls.mjs')).href;
const done = spawnSync(process.execPath, ['--import', preload, '--', join(ROOT, 'bin', 'vmm.js'), 'run', '-q', '--accel', 'wasm', '--timeline', ...process.argv.slice(2)], {
  stdio: ['inherit', 'inherit', 'pipe'], encoding: 'utf8', maxBuffer: 2 ** 26,
});
const share = /translated: ([\d.]+) % of ([\d.]+) M instructions/.exec(done.stderr);
if (done.status !== 0 || share === null) throw new Error(`status ${done.status}: ${done.stderr}`);
const translated = (Number(share[1]) / 100) * Number(share[2]) * 1e6;
const counts = new Map<string, number>();
for (const line of done.stderr.split('\n')) {
  if (!line.startsWith(MARK)) continue;
  for (const [what, n] of JSON.parse(line.slice(MARK.length)) as [string, number][]) counts.set(what, (counts.get(what) ?? 0) + n);
}
const rows = [...counts].sort((a, b) => b[1] - a[1]);
const all = rows.reduce((sum, [, n]) => sum + n, 0);
const text = (n: number): string => ((1000 * n) / translated).toFixed(3).padStart(9);
process.stderr.write(`${share[0]}\n${text(all)} calls a thousand of them\n${rows.slice(0, ROWS).map(([what, n]) => `${text(n)} ${what}\n`).join('')}`);
