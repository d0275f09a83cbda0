/**
 * What the benchmarks have in common: variants that run in turns, ratios of the pairs with bounds, and a result file that
 * docs/measurements.md is made from (bench/report.ts).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lowerBound, median, upperBound } from './statistics.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const RESULTS = join(ROOT, 'bench', 'results');

/** One thing measured, in a table of docs/measurements.md. */
export interface Row {
  readonly what: string;
  readonly value: number;
  /** `ratio`, `ms`, `MiB`, `/s`… */
  readonly unit: string;
  /** One-sided 95 % bounds of the median, where there are 5 samples or more. */
  readonly low?: number;
  readonly high?: number;
  readonly samples?: number;
  /** What the value comes from, or what it cannot show. */
  readonly note?: string;
  readonly target?: Target;
}

/** `of`: which figure has to hold it (default: the value). */
export interface Target {
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly of?: 'value' | 'low' | 'high';
}

/** A file of bench/results/. */
export interface Result {
  readonly title: string;
  /** The page's section. */
  readonly section: string;
  /** Runs in a checkout, and makes this file again. */
  readonly command: string;
  readonly date: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  readonly notes?: readonly string[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the last minute, at the end of the measurement. */
  readonly load: number;
}

/** A round's samples of each variant, by variant and round. */
export type Samples<Name extends string, Sample> = Readonly<Record<Name, readonly Sample[]>>;

/**
 * Runs each variant `rounds` times, turn by turn: who begins changes with each round, so that a drift of the machine
 * favours nobody. `warmUp` rounds before do not count.
 */
export async function inTurns<Name extends string, Sample>(
  variants: Readonly<Record<Name, () => Sample | Promise<Sample>>>,
  { rounds, warmUp = 1 }: { rounds: number; warmUp?: number },
): Promise<Samples<Name, Sample>> {
  const names = Object.keys(variants) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as Sample[]])) as Record<Name, Sample[]>;
  for (let round = -warmUp; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const sample = await variants[name]();
      if (round >= 0) samples[name].push(sample);
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`} `);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return samples;
}

/** The middle of some samples, with its bounds. */
export function middle(values: readonly number[], unit: string): Pick<Row, 'value' | 'unit' | 'low' | 'high' | 'samples'> {
  const [low, high] = [lowerBound(values), upperBound(values)];
  return { value: median(values), unit, samples: values.length, ...(low === undefined || high === undefined ? {} : { low, high }) };
}

/** The median of the pairs' ratios, ours ÷ theirs, with its bounds. The lists hold the same rounds. */
export function ratio(ours: readonly number[], theirs: readonly number[]): Pick<Row, 'value' | 'unit' | 'low' | 'high' | 'samples'> {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} and ${theirs.length} samples are no pairs`);
  return middle(ours.map((value, i) => value / theirs[i]!), 'ratio');
}

/** Whether a row holds its target; undefined without one. */
export function holds({ target, ...row }: Row): boolean | undefined {
  if (target === undefined) return undefined;
  const figure = row[target.of ?? 'value'];
  if (figure === undefined) throw new Error(`${row.what}: no ${target.of} to hold against its target`);
  return figure <= (target.atMost ?? Number.POSITIVE_INFINITY) && figure >= (target.atLeast ?? Number.NEGATIVE_INFINITY);
}

export function thisMachine(): Machine {
  return {
    cpu: (cpus()[0]?.model ?? 'unknown').replace(/\s+/g, ' ').trim(),
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release().replace(/^(\d+\.\d+).*/, '$1'),
    node: process.versions.node,
    load: Math.round(loadavg()[0]! * 10) / 10,
  };
}

/** The command that runs, as one types it in the checkout, without `--save`. */
function ownCommand(): string {
  const script = process.argv[1]!.replace(ROOT, '');
  return ['node', script, ...process.argv.slice(2).filter((word) => word !== '--save')].join(' ');
}

/**
 * Prints the rows; with `--save` among the program's arguments they also become bench/results/NAME.json, and what
 * docs/measurements.md shows after `node bench/report.ts`. With `--limits` a missed target is status 1.
 */
export function report(name: string, result: Pick<Result, 'title' | 'section' | 'rows' | 'notes'> & { command?: string }): void {
  const whole: Result = { title: result.title, section: result.section, command: result.command ?? ownCommand(), date: new Date().toISOString().slice(0, 10), machine: thisMachine(), rows: result.rows, ...(result.notes ? { notes: result.notes } : {}) };
  process.stdout.write(`${whole.title}\n`);
  for (const row of whole.rows) process.stdout.write(`  ${row.what}: ${figure(row)}${row.target ? ` (target ${targetText(row.target)}: ${holds(row) ? 'holds' : 'missed'})` : ''}${row.note ? `; ${row.note}` : ''}\n`);
  if (process.argv.includes('--limits') && whole.rows.some((row) => holds(row) === false)) process.exitCode = 1;
  if (!process.argv.includes('--save')) return;
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, `${basename(name)}.json`), `${JSON.stringify(whole, null, 1)}\n`);
}

export function readResult(path: string): Result {
  return JSON.parse(readFileSync(path, 'utf8')) as Result;
}

/** A row's figure: `1.08 (1.02–1.11, 31 pairs)`, `43.5 ms`. */
export function figure({ value, unit, low, high, samples }: Row): string {
  const of = unit === 'ratio' ? digits(value) : `${digits(value)} ${unit}`;
  const bounds = low === undefined || high === undefined ? [] : [`${digits(low)}–${digits(high)}`];
  const from = samples === undefined ? [] : [`${samples} ${unit === 'ratio' ? 'pairs' : 'runs'}`];
  return bounds.length + from.length === 0 ? of : `${of} (${[...bounds, ...from].join(', ')})`;
}

export function targetText({ atMost, atLeast, of = 'value' }: Target): string {
  const bound = { value: '', low: 'lower bound ', high: 'upper bound ' }[of];
  return [atLeast === undefined ? '' : `${bound}≥ ${digits(atLeast)}`, atMost === undefined ? '' : `${bound}≤ ${digits(atMost)}`].filter(Boolean).join(', ');
}

/** Three digits that count, thousands apart. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  const places = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toFixed(places);
}
