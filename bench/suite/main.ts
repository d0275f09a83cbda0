/**
 * `vmm bench` (`--help` tells what it takes), as its own program file (dist/bench.cjs): vmm/cli/bench.ts reads the command line. Writes DIR/log.jsonl while it measures, then
 * report.json, report.md and report.html.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ROOT } from '../harness.ts';
import { folder } from '../start/process.ts';
import { hostFacts } from './host.ts';
import { Log, loadLog, SCHEMA } from './log.ts';
import { page } from './page.ts';
import { NAMES, type Program, SCENARIOS, SLOW } from './peer.ts';
import { allPeers } from './peers.ts';
import { compare, type Report, reportOf } from './report.ts';
import { stopAll } from './sample.ts';
import { revisions } from './revision.ts';
import { refusal, schemaText } from './schema.ts';
import { Suite } from './suite.ts';
import { removeIdle } from './take.ts';
import { COMPARISON_COLUMNS, comparisonCells, markdown, table } from './text.ts';

const LIMIT_MS = 60_000;
/** Of a report or a log: far above what 1,000 rounds of all peers give. */
const MOST_BYTES = 256 << 20;

export interface BenchOptions {
  readonly quick?: boolean | undefined;
  readonly out?: string | undefined;
  readonly rounds?: number | undefined;
  readonly present?: number | undefined;
  readonly scenarios?: readonly string[] | undefined;
  readonly peers?: readonly string[] | undefined;
  readonly compare?: readonly string[] | undefined;
  readonly against?: string | undefined;
  readonly report?: string | undefined;
  readonly list?: boolean | undefined;
  readonly schema?: boolean | undefined;
}

/** What the user has to change. */
class Refused extends Error {
  override readonly name = 'Refused';
}

/** The exit status: 0, 1 when not all could be written. Throws an error of the name `Refused` for what the user has to change. */
export async function bench(options: BenchOptions): Promise<number> {
  if (options.schema) process.stdout.write(schemaText());
  else if (options.list) list();
  else if (options.compare !== undefined) compareFiles(options.compare);
  else if (options.report !== undefined) return writeReport(resolve(options.report), dirname(resolve(options.report)));
  else return measure(options);
  return 0;
}

function list(): void {
  const scenarios = NAMES.map((name) => [name, SCENARIOS[name], SLOW.includes(name) ? 'left out' : 'yes']);
  const peers = allPeers(true).map((peer) => [peer.name, peer.unverified ? 'unverified' : 'tried', peer.scenarios.join(' ')]);
  process.stdout.write(`${table(['scenario', 'what', '--quick'], scenarios)}\n\n${table(['peer', 'command line', 'scenarios'], peers)}\n`);
}

/** Makes the report's files of a log. */
function writeReport(log: string, dir: string): number {
  const report = readable(log, () => reportOf(loadLog(log)));
  process.stdout.write(markdown(report));
  const files = { 'report.json': `${JSON.stringify(report, null, 1)}\n`, 'report.md': markdown(report), 'report.html': page(report) };
  const path = (name: string, end = ''): string => join(dir, `${name}${end}`);
  try {
    // A whole one takes an earlier one's place, or none does.
    for (const [name, text] of Object.entries(files)) writeFileSync(path(name, '.new'), text);
    for (const name of Object.keys(files)) renameSync(path(name, '.new'), path(name));
    return 0;
  } catch (error) {
    for (const name of Object.keys(files)) rmSync(path(name, '.new'), { force: true });
    process.stderr.write(`vmm: the report cannot be written: ${(error as Error).message}; once there is room: vmm bench --report ${log}\n`);
    return 1;
  }
}

function readable<T>(path: string, read: () => T): T {
  try {
    if (statSync(path).size > MOST_BYTES) throw new Error(`${path} is larger than ${MOST_BYTES >> 20} MiB`);
    return read();
  } catch (error) {
    throw new Refused((error as Error).message);
  }
}

/** Throws, naming what is not known. */
function chosen<T extends string>(what: string, words: readonly string[] | undefined, known: readonly T[]): readonly T[] {
  const stranger = words?.find((word) => !known.some((name) => name === word));
  if (stranger !== undefined) throw new Refused(`--${what} ${stranger}: there are ${known.join(', ')}`);
  return words === undefined || words.length === 0 ? known : known.filter((name) => words.includes(name));
}

/** The folder's log, new. A log is never written over. */
function openLog(out: string | undefined): { readonly dir: string; readonly path: string; readonly log: Log } {
  const dir = resolve(out ?? `vmm-bench-${new Date().toISOString().replace(/[:.]/g, '-')}`);
  const path = join(dir, 'log.jsonl');
  try {
    mkdirSync(dir, { recursive: true });
    if (existsSync(path)) throw new Error(`holds a log already, which is never written over; it has ${readdirSync(dir).join(', ')}`);
    return { dir, path, log: new Log(path) };
  } catch (error) {
    throw new Refused(`--out ${dir}: ${(error as Error).message}`);
  }
}

function programsOf(rev: string): readonly Program[] {
  try {
    return revisions(rev);
  } catch (error) {
    throw new Refused(`--against ${rev}: ${(error as Error).message}`);
  }
}

async function measure(options: BenchOptions): Promise<number> {
  const rounds = options.rounds ?? (options.quick ? 5 : 31);
  const wanted = chosen('scenario', options.scenarios, NAMES);
  const scenarios = options.quick && (options.scenarios ?? []).length === 0 ? wanted.filter((name) => !SLOW.includes(name)) : wanted;
  const host = hostFacts();
  process.on('exit', cleanUp);
  let opened: ReturnType<typeof openLog> | undefined;
  for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
    process.once(signal, () => {
      stopAll();
      if (opened !== undefined) writeReport(opened.path, opened.dir);
      process.exit(status);
    });
  }
  const programs = options.against === undefined ? undefined : programsOf(options.against);
  const all = allPeers(host.kvm === 'hardware', programs);
  // Only the two revisions, where no peer is named.
  const named = programs === undefined || (options.peers ?? []).length > 0 ? options.peers : all.filter(({ name }) => name.startsWith('vmm ')).map(({ name }) => name);
  const names = chosen('peer', named, all.map(({ name }) => name));
  const peers = all.filter(({ name }) => names.includes(name));
  opened = openLog(options.out);
  const { dir, path, log } = opened;
  const revision = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8', timeout: 10_000 }).stdout?.trim() || 'of an installed package';
  log.add({ kind: 'header', schema: SCHEMA, date: new Date().toISOString(), revision, rounds, warmUp: 1, host });
  const suite = new Suite(log, rounds, 1, { limitMs: LIMIT_MS, present: options.present ?? (options.quick ? 8 : 50) });
  for (const scenario of scenarios) await suite.scenario(scenario, peers.filter((peer) => peer.scenarios.includes(scenario)));
  log.add({ kind: 'end' });
  log.close();
  if (log.lost !== undefined) process.stderr.write(`vmm: ${path}: ${log.lost}: the suite ends here; what was measured before is in it\n`);
  const status = writeReport(path, dir);
  if (status === 0) process.stderr.write(`vmm: ${dir}/report.html\n`);
  return log.lost === undefined ? status : 1;
}

/** What idles ends, and podman's mounts of its store on itself go: else the folder could not. */
function cleanUp(): void {
  removeIdle();
  const mounts = readFileSync('/proc/self/mounts', 'latin1').split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const path of mounts.filter((each) => each.startsWith(`${folder}/`)).reverse()) spawnSync('umount', [path], { timeout: LIMIT_MS });
  rmSync(folder, { recursive: true, force: true });
}

function compareFiles(paths: readonly string[]): void {
  if (paths.length !== 2) throw new Refused('--compare takes two reports: A.json B.json');
  const [a, b] = paths.map((path) => {
    const report = readable(path, () => JSON.parse(readFileSync(path, 'utf8')) as Report);
    const why = refusal(report);
    if (why !== undefined) throw new Refused(`${path}: ${why}`);
    return report;
  });
  try {
    process.stdout.write(`${table(COMPARISON_COLUMNS, compare(a!, b!).map(comparisonCells))}\n`);
  } catch (error) {
    throw new Refused((error as Error).message);
  }
}
