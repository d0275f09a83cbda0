/** The baseline of counts in the tree, and what a measurement says against it. Wall time is in none of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../harness.ts';
import type { Counts } from './measure.ts';

export const BASELINE = join(ROOT, 'bench', 'counts', 'baseline.json');

export interface Held {
  readonly count: number;
  /** How far above it a measurement may be, percent. */
  readonly percent: number;
}

export type Baseline = Readonly<Record<string, Held>>;

/** A measurement that lies this far below is told too: the baseline has to follow, or it allows what has been won. */
const BELOW_PERCENT = 10;
const PERCENT: readonly (readonly [pattern: RegExp, percent: number])[] = [[/^guest instructions/, 1], [/accesses$/, 0], [/^(threads|files)/, 0], [/^modules/, 2], [/KiB/, 10], [/^system calls/, 4]];

export function readBaseline(path = BASELINE): Baseline {
  return JSON.parse(readFileSync(path, 'utf8')) as Baseline;
}

export function baselineText(counts: Counts): string {
  const held = Object.entries(counts).map(([name, count]) => [name, { count, percent: PERCENT.find(([pattern]) => pattern.test(name))?.[1] ?? 0 }]);
  return `${JSON.stringify(Object.fromEntries(held), null, 2)}\n`;
}

/** A line for each count that is worse than its baseline allows, far better, or on one side only. */
export function findings(counts: Counts, baseline: Baseline): string[] {
  return [...new Set([...Object.keys(baseline), ...Object.keys(counts)])].flatMap((name) => {
    const [count, held] = [counts[name], baseline[name]];
    if (count === undefined || held === undefined) return [`${name}: only ${count === undefined ? 'in the baseline' : 'measured'}`];
    if (count > held.count * (1 + held.percent / 100)) return [`${name}: ${count}, more than the baseline's ${held.count}${held.percent > 0 ? ` + ${held.percent} %` : ''}`];
    return count < held.count * (1 - Math.max(held.percent, BELOW_PERCENT) / 100) ? [`${name}: ${count}, well below the baseline's ${held.count}: keep it`] : [];
  });
}
