/**
 * `node bench/report.ts [--check]`: makes docs/measurements.md from bench/results/*.json. `--check`: status 1 when the page is not
 * what the results give.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { figure, holds, type Machine, RESULTS, ROOT, type Result, readResult, type Row, targetText } from './harness.ts';

const PAGE = join(ROOT, 'docs', 'measurements.md');

const HEAD = `# Measurements

Made by \`node bench/report.ts\` from \`bench/results/\`; do not edit. Each section's command runs in a checkout after \`npm run setup\`; with \`--save\` it
writes its result anew. Ratios are ours ÷ theirs, medians of pairs run in turns, with one-sided 95 % bounds. "Load" is the machine's at
the end: other work ran beside, unless it is below 1. How it was measured before, and what was tried: [measurements-history.md](measurements-history.md).
`;

/** The page's text from results, ordered by section and name. */
export function pageOf(results: readonly Result[]): string {
  const sections = Map.groupBy(results, (result) => result.section);
  return [HEAD, ...[...sections].sort(([a], [b]) => a.localeCompare(b)).map(([section, list]) => `## ${section}\n\n${list.map(partOf).join('\n')}`)].join('\n');
}

function partOf({ title, command, date, machine, rows, notes = [] }: Result): string {
  return [
    `### ${title}`, `\`${command}\`, ${date}, ${machineText(machine)}`, '',
    '| what | figure | target |', '|---|---|---|', ...rows.map(rowText), ...(notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []), '',
  ].join('\n');
}

function rowText(row: Row): string {
  const target = row.target === undefined ? '' : `${targetText(row.target)}${holds(row) ? '' : ' (missed)'}`;
  return `| ${row.what} | ${figure(row)}${row.note ? `; ${row.note}` : ''} | ${target} |`;
}

function machineText({ cpu, cores, memoryGib, kernel, node, load }: Machine): string {
  return `${cores} × ${cpu}, ${memoryGib} GiB, Linux ${kernel}, Node ${node}, load ${load}`;
}

export function resultsOnDisk(): Result[] {
  return readdirSync(RESULTS).filter((name) => name.endsWith('.json')).sort().map((name) => readResult(join(RESULTS, name)));
}

if (import.meta.main) {
  const text = pageOf(resultsOnDisk());
  if (!process.argv.includes('--check')) writeFileSync(PAGE, text);
  else if (readFileSync(PAGE, 'utf8') !== text) {
    process.stderr.write('docs/measurements.md is not what bench/results/ gives: run node bench/report.ts\n');
    process.exitCode = 1;
  }
}
