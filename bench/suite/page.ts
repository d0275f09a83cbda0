/** The report as one HTML file that needs nothing else, no script either: bars and dots are SVG. */
import type { Measured, Report } from './report.ts';
import { COMPARISON_COLUMNS, comparisonCells, digits, FIGURE_COLUMNS, factsOf, figureCells } from './text.ts';

const STYLE = `:root{color-scheme:light dark;--ink:#1b1d21;--soft:#5b6270;--paper:#fff;--line:#d8dce3;--p0:#2f6fb5;--p1:#c2651a;--p2:#2e8b57;--p3:#9b4fa5;--p4:#a83b4a;--p5:#6b7280;--p6:#0f8b8d;--p7:#8a6d1d;--p8:#c2478b;--p9:#4d5bd1}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ec;--soft:#9aa2b1;--paper:#15171b;--line:#343a45;--p0:#6aa7ea;--p1:#eb9a55;--p2:#62c18c;--p3:#c98ad2;--p4:#e07886;--p5:#9aa2b1;--p6:#53c3c4;--p7:#d3b45a;--p8:#ee8fc2;--p9:#9aa5f5}}
body{font:16px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:68rem;margin:0 auto;padding:1rem}
h2{margin-top:2.2rem;border-bottom:1px solid var(--line)}
dt{color:var(--soft)}dd{margin:0 0 .5rem;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem}th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
td:last-child{white-space:normal;min-width:12rem}
th{color:var(--soft);font-weight:600}.bar{display:flex;height:1.5rem;margin:.2rem 0 .1rem}.bar i{min-width:1px}
.key{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.82rem;color:var(--soft);list-style:none;margin:.2rem 0 .9rem;padding:0}.key i{display:inline-block;width:.7rem;height:.7rem;margin-right:.3rem}
svg{width:100%;height:2rem;display:block}circle{fill:var(--p0);fill-opacity:.5}svg line{stroke:var(--line)}figure{margin:0 0 .6rem}figcaption{font-size:.88rem}
.c0{background:var(--p0)}.c1{background:var(--p1)}.c2{background:var(--p2)}.c3{background:var(--p3)}.c4{background:var(--p4)}.c5{background:var(--p5)}.c6{background:var(--p6)}.c7{background:var(--p7)}.c8{background:var(--p8)}.c9{background:var(--p9)}
@media(max-width:40rem){thead{display:none}table,tbody{display:block}tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}td,td:last-child{display:flex;gap:.6rem;border:0;padding:.05rem 0;white-space:normal;overflow-wrap:anywhere;min-width:0}td::before{content:attr(data-column);flex:0 0 8.5rem;color:var(--soft)}}`;
/** One for each phase of a start. */
const COLOURS = 10;

/** Peers' output is in the report: none of it becomes markup. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  // On a narrow screen each row is a list, whose words are the columns' names.
  const row = (cells: readonly string[]): string => `<tr>${cells.map((text, i) => `<td data-column="${escaped(columns[i]!)}">${escaped(text)}</td>`).join('')}</tr>`;
  return `<div class="wide"><table><thead><tr>${columns.map((name) => `<th>${escaped(name)}</th>`).join('')}</tr></thead><tbody>${rows.map(row).join('')}</tbody></table></div>`;
}

/** A bar, a part for each phase; all bars of a scenario have one scale, and a phase of `names` one colour. */
function timeline({ peer, phases }: Measured, longest: number, names: readonly string[]): string {
  const total = phases.reduce((sum, { ms }) => sum + ms, 0);
  const colour = (name: string): string => `c${names.indexOf(name) % COLOURS}`;
  const parts = phases.map(({ name, ms }) => `<i class="${colour(name)}" style="width:${((100 * ms) / longest).toFixed(3)}%" title="${escaped(name)}: ${digits(ms)} ms"></i>`);
  const keys = phases.map(({ name, ms }) => `<li><i class="${colour(name)}"></i>${escaped(name)} ${digits(ms)} ms</li>`);
  return `<figure><figcaption>${escaped(peer)}: ${digits(total)} ms up to its last clock point, medians of the phases</figcaption><div class="bar">${parts.join('')}</div><ul class="key">${keys.join('')}</ul></figure>`;
}

/** Each sample a dot, from 0 to the scenario's longest. */
function dots(peer: string, name: string, values: readonly number[], most: number): string {
  const circles = values.map((value) => `<circle cx="${((99 * value) / most + 0.5).toFixed(2)}%" cy="50%" r="5"/>`);
  return `<figure><figcaption>${escaped(peer)}, ${escaped(name)}; right end ${digits(most)}</figcaption><svg role="img" aria-label="${escaped(`${peer}: ${values.map(digits).join(', ')}`)}"><line x1="0" x2="100%" y1="50%" y2="50%"/>${circles.join('')}</svg></figure>`;
}

function section(scenario: string, measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ peer, figures }) => Object.entries(figures).map(([name, summary]) => figureCells(peer, name, summary)));
  const phased = measured.filter(({ phases }) => phases.length > 0);
  const longest = Math.max(...phased.map(({ phases }) => phases.reduce((sum, { ms }) => sum + ms, 0)));
  const names = [...new Set(phased.flatMap(({ phases }) => phases.map(({ name }) => name)))];
  const [figure = ''] = Object.keys(measured[0]!.figures);
  const most = Math.max(...measured.flatMap(({ values }) => values[figure] ?? []));
  return [`<h2>${escaped(scenario)}</h2>`, table(FIGURE_COLUMNS, rows), ...(phased.length > 0 ? ['<h3>Timeline</h3>', ...phased.map((each) => timeline(each, longest, names))] : []),
    '<h3>Distribution</h3>', ...measured.filter(({ values }) => values[figure] !== undefined).map(({ peer, values }) => dots(peer, figure, values[figure]!, most)),
    '<details><summary>Commands</summary>', table(['peer', 'version', 'command'], measured.map(({ peer, version, command }) => [peer, version, command.join(' ')])), '</details>'].join('\n');
}

export function page(report: Report): string {
  const scenarios = Map.groupBy(report.measured, ({ scenario }) => scenario);
  const facts = factsOf(report).map(([name, text]) => `<dt>${name}</dt><dd>${escaped(text)}</dd>`);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,"><title>Start-up</title><style>${STYLE}</style></head><body>
<h1>Start-up</h1><dl>${facts.join('')}</dl>
${[...scenarios].map(([name, measured]) => section(name, measured)).join('\n')}
<h2>Comparisons</h2>${table(COMPARISON_COLUMNS, report.comparisons.map(comparisonCells))}
<h2>Not measured</h2>${table(['scenario', 'peer', 'what', 'detail'], report.troubles.map(({ scenario, peer, what, detail }) => [scenario, peer, what, detail]))}
</body></html>
`;
}
