/** `node bench/counts/main.ts [--save]`: counts of one start against the baseline in the tree, status 1 for a finding; `--save` makes the baseline of them. */
import { existsSync, writeFileSync } from 'node:fs';
import { BASELINE, baselineText, findings, readBaseline } from './baseline.ts';
import { measure } from './measure.ts';

const counts = measure();
const baseline = existsSync(BASELINE) ? readBaseline() : {};
for (const [name, count] of Object.entries(counts)) process.stdout.write(`${name}: ${count}${baseline[name] === undefined ? '' : `, baseline ${baseline[name].count}`}\n`);
if (process.argv.includes('--save')) writeFileSync(BASELINE, baselineText(counts));
else {
  const found = findings(counts, baseline);
  for (const line of found) process.stderr.write(`counts: ${line}\n`);
  if (found.length > 0) {
    process.stderr.write('counts: if that is meant: node bench/counts/main.ts --save\n');
    process.exitCode = 1;
  }
}
