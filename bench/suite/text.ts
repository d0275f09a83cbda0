/** The report as Markdown, which is also what the terminal shows. */
import type { Comparison, Report } from './report.ts';
import { verdict } from './report.ts';
import type { Estimate, Summary } from './summary.ts';

/** Three digits that count. */
export function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

export function estimateText({ value, low, high }: Estimate): string {
  return low === undefined || high === undefined ? digits(value) : `${digits(value)} (${digits(low)}–${digits(high)})`;
}

export const FIGURE_COLUMNS = ['peer', 'figure', 'p50 (95 %)', 'p90 (95 %)', 'p99 (95 %)', 'least–most', 'samples', 'outliers'];
export function figureCells(peer: string, name: string, { p50, p90, p99, least, most, samples, outliers }: Summary): string[] {
  return [peer, name, estimateText(p50), estimateText(p90), estimateText(p99), `${digits(least)}–${digits(most)}`, `${samples}`, outliers.length === 0 ? 'none' : outliers.map(digits).join(', ')];
}

export const COMPARISON_COLUMNS = ['scenario', 'figure', 'ratio of', 'to', 'median of pairs (95 %)', 'pairs', 'verdict'];
export function comparisonCells(row: Comparison): string[] {
  const { ratio, low, high } = row;
  const figure = ratio === undefined ? '' : estimateText({ value: ratio, ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }) });
  return [row.scenario, row.figure, row.peer, row.against, figure, `${row.pairs}`, verdict(row)];
}

const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');

export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  return [`| ${columns.join(' | ')} |`, `|${columns.map(() => '---').join('|')}|`, ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`)].join('\n');
}

/** Host facts, by name. */
export function factsOf({ header: { host, date, revision, rounds, warmUp }, complete }: Report): [string, string][] {
  return [
    ['measured', `${date}, revision ${revision}, ${rounds} rounds after ${warmUp} of warm-up${complete ? '' : '; CUT OFF before its end'}`],
    ['CPU', `${host.cores} × ${host.cpu}, governor ${host.governor}, load ${host.load}`],
    ['host', `Linux ${host.kernel}, ${host.memoryGib} GiB, cgroup ${host.cgroup}, KVM ${host.kvm}, Node ${host.node}, NODE_* ${host.nodeVariables.join(' ') || 'none'}`],
  ];
}

export function markdown(report: Report): string {
  const scenarios = [...new Set(report.measured.map(({ scenario }) => scenario))];
  return [
    '# Start-up', '', ...factsOf(report).map(([name, text]) => `- ${name}: ${text}`), '',
    ...scenarios.flatMap((scenario) => {
      const measured = report.measured.filter((each) => each.scenario === scenario);
      const rows = measured.flatMap(({ peer, figures }) => Object.entries(figures).map(([name, summary]) => figureCells(peer, name, summary)));
      const phases = measured.flatMap(({ peer, phases: list }) => list.map(({ name, ms }) => [peer, name, digits(ms)]));
      return [`## ${scenario}`, '', table(FIGURE_COLUMNS, rows), '', ...(phases.length > 0 ? [table(['peer', 'phase up to', 'ms, median'], phases), ''] : [])];
    }),
    '## Comparisons', '', report.comparisons.length > 0 ? table(COMPARISON_COLUMNS, report.comparisons.map(comparisonCells)) : 'None.', '',
    '## Not measured', '', report.troubles.length > 0 ? table(['scenario', 'peer', 'what', 'detail'], report.troubles.map(({ scenario, peer, what, detail }) => [scenario, peer, what, detail])) : 'Nothing.', '',
  ].join('\n');
}
