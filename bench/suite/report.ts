/** The report of a log: what the JSON file holds and every other form shows. */
import { type Entrant, type Header, type Line, type Phase, type Sample, SCHEMA, type Trouble } from './log.ts';
import { bootstrap, quantile, type Summary, summarize } from './summary.ts';

export interface Measured {
  readonly scenario: string;
  readonly peer: string;
  readonly version: string;
  readonly command: readonly string[];
  readonly conditions: Entrant['conditions'];
  readonly figures: Readonly<Record<string, Summary>>;
  /** Medians of each phase. */
  readonly phases: readonly Phase[];
  /** In the order of the rounds, for the plots. */
  readonly values: Readonly<Record<string, readonly number[]>>;
}

/** A pair's ratio, the first ÷ the second, over the rounds that both have. */
export interface Comparison {
  readonly scenario: string;
  readonly figure: string;
  readonly peer: string;
  readonly against: string;
  readonly pairs: number;
  readonly ratio?: number;
  readonly low?: number;
  readonly high?: number;
  /** Why there is no ratio: conditions that differ. */
  readonly refused?: string;
}

export interface Report {
  readonly schema: number;
  readonly complete: boolean;
  readonly header: Omit<Header, 'kind'>;
  readonly measured: readonly Measured[];
  readonly comparisons: readonly Comparison[];
  readonly troubles: readonly Omit<Trouble, 'kind'>[];
}

function without<T extends { readonly kind: string }>({ kind: _, ...rest }: T): Omit<T, 'kind'> {
  return rest;
}

export function reportOf(lines: readonly Line[]): Report {
  const header = lines[0] as Header;
  const samples = lines.filter((line): line is Sample => line.kind === 'sample' && line.round >= 0);
  const of = (entrant: Entrant): Sample[] => samples.filter(({ scenario, peer }) => scenario === entrant.scenario && peer === entrant.peer);
  const entrants = lines.filter((line): line is Entrant => line.kind === 'entrant').filter((entrant) => of(entrant).length > 0);
  return {
    schema: SCHEMA,
    complete: lines.some(({ kind }) => kind === 'end'),
    header: without(header),
    measured: entrants.map((entrant) => measuredOf(entrant, of(entrant))),
    comparisons: comparisonsOf(entrants, of),
    troubles: lines.filter((line): line is Trouble => line.kind === 'trouble').map(without),
  };
}

function measuredOf(entrant: Entrant, samples: readonly Sample[]): Measured {
  const names = [...new Set(samples.flatMap(({ figures }) => Object.keys(figures)))];
  const values = Object.fromEntries(names.map((name) => [name, samples.flatMap(({ figures }) => figures[name] ?? [])]));
  const phases = [...new Set(samples.flatMap((sample) => (sample.phases ?? []).map(({ name }) => name)))].map((name) => ({
    name, ms: quantile(samples.flatMap((sample) => (sample.phases ?? []).filter((phase) => phase.name === name).map(({ ms }) => ms)), 0.5),
  }));
  return { ...without(entrant), figures: Object.fromEntries(names.map((name) => [name, summarize(values[name]!)])), phases, values };
}

/** The first field in which conditions differ, as text. */
export function difference(a: Entrant['conditions'], b: Entrant['conditions']): string | undefined {
  for (const field of ['kernel', 'memoryMib', 'vcpus', 'commandLine', 'root'] as const) if (a[field] !== b[field]) return `${field}: ${a[field]} and ${b[field]}`;
  return undefined;
}

function comparisonsOf(entrants: readonly Entrant[], of: (entrant: Entrant) => readonly Sample[]): Comparison[] {
  const found: Comparison[] = [];
  for (const scenario of new Set(entrants.map((entrant) => entrant.scenario))) {
    const [first, ...others] = entrants.filter((entrant) => entrant.scenario === scenario);
    for (const other of others) {
      const pairs = of(first!).flatMap((ours) => of(other).filter(({ round }) => round === ours.round).map((theirs) => [ours, theirs] as const));
      for (const figure of Object.keys(pairs[0]?.[0].figures ?? {})) {
        const ratios = pairs.flatMap(([a, b]) => (b.figures[figure] ? [a.figures[figure]! / b.figures[figure]] : []));
        if (ratios.length === 0) continue;
        const row = { scenario, figure, peer: first!.peer, against: other.peer, pairs: ratios.length };
        const refused = difference(first!.conditions, other.conditions);
        const interval = bootstrap(ratios, (list) => quantile(list, 0.5));
        found.push(refused !== undefined ? { ...row, refused } : { ...row, ratio: quantile(ratios, 0.5), ...(interval === undefined ? {} : { low: interval[0], high: interval[1] }) });
      }
    }
  }
  return found;
}

/** Two reports of two runs. Throws, naming the field, when they cannot be compared. */
export function compare(a: Report, b: Report): Comparison[] {
  if (a.schema !== SCHEMA || b.schema !== SCHEMA) throw new Error(`field schema: ${a.schema} and ${b.schema}, this version reads ${SCHEMA}`);
  for (const field of ['cpu', 'cores', 'memoryGib', 'kernel', 'node', 'kvm'] as const) {
    if (a.header.host[field] !== b.header.host[field]) throw new Error(`field header.host.${field} differs: ${a.header.host[field]} and ${b.header.host[field]}`);
  }
  return a.measured.flatMap((before) => {
    const after = b.measured.find(({ scenario, peer }) => scenario === before.scenario && peer === before.peer);
    if (after === undefined) return [];
    const refused = difference(before.conditions, after.conditions);
    return Object.keys(before.figures).filter((figure) => after.values[figure] !== undefined).map((figure) => {
      const row = { scenario: before.scenario, figure, peer: `${before.peer}, B`, against: 'A', pairs: Math.min(before.values[figure]!.length, after.values[figure]!.length) };
      return refused !== undefined ? { ...row, refused } : { ...row, ...unpaired(after.values[figure]!, before.values[figure]!) };
    });
  });
}

/** Ratio of medians; the runs were not in turns, so that each side is resampled for itself. */
function unpaired(ours: readonly number[], theirs: readonly number[]): { ratio: number; low?: number; high?: number } {
  const median = (list: readonly number[]): number => quantile(list, 0.5);
  const [a, b] = [bootstrap(ours, median), bootstrap(theirs, median)];
  // Quotients of the ends: wider than 95 %, never narrower.
  return { ratio: median(ours) / median(theirs), ...(a === undefined || b === undefined ? {} : { low: a[0] / b[1], high: a[1] / b[0] }) };
}

/** What a ratio with its noise says; lower is better in every figure of the suite. */
export function verdict({ refused, low, high }: Comparison): string {
  if (refused !== undefined) return `not compared: ${refused}`;
  if (low === undefined || high === undefined) return 'too few samples to say';
  return high < 1 ? 'less' : low > 1 ? 'more' : 'no difference beyond the noise';
}
