/**
 * `npm run bench -- [--quick] [--out DIR] [--scenario NAME]… [--peer NAME]…`, or `--compare A.json B.json`. Writes DIR/log.jsonl while it measures,
 * then report.json, report.md and report.html; `--report LOG` makes these from a log again. Statuses: 0, 2 for a bad option, 1 when not all could
 * be written, 130 and 143 after a signal.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, thisMachine } from '../harness.ts';
import { env, folder } from '../start/process.ts';
import { type Host, Log, loadLog, SCHEMA } from './log.ts';
import { page } from './page.ts';
import { allPeers, type Peer, SCENARIOS, type Scenario, WORD } from './peers.ts';
import { compare, type Report, reportOf } from './report.ts';
import { Failed, many, once, stopAll } from './sample.ts';
import { COMPARISON_COLUMNS, comparisonCells, markdown, table } from './text.ts';

const LIMIT_MS = 60_000;
const AT_ONCE = 10;
const STATUS_USAGE = 2;

function refuse(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(STATUS_USAGE);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return 'unknown';
  }
}

function hostFacts(): Host {
  const accel = spawnSync(process.execPath, ['--', join(ROOT, 'bin/vmm.js'), 'accel'], { env: env as NodeJS.ProcessEnv, encoding: 'utf8', timeout: LIMIT_MS }).stdout ?? '';
  const kvm = /^kvm +([^:\n]+):/m.exec(accel)?.[1] ?? 'unknown';
  return {
    ...thisMachine(), kvm, cgroup: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'v2' : 'v1 or hybrid',
    governor: read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'), nodeVariables: Object.keys(process.env).filter((name) => name.startsWith('NODE_')),
  };
}

/** Takes samples of all pairs of a scenario and a peer, in turns; a peer that fails twice in a row is left out of the rest. */
class Suite {
  readonly #failures = new Map<string, number>();
  #id = 0;
  readonly log: Log;
  readonly rounds: number;
  readonly warmUp: number;

  constructor(log: Log, rounds: number, warmUp: number) {
    this.log = log;
    this.rounds = rounds;
    this.warmUp = warmUp;
  }

  async scenario(scenario: Scenario, peers: readonly Peer[]): Promise<void> {
    const ready = peers.filter((peer) => this.#enters(scenario, peer));
    for (let round = -this.warmUp; round < this.rounds; round++) {
      for (const peer of round % 2 === 0 ? ready : ready.toReversed()) {
        if (this.log.lost !== undefined) return;
        if ((this.#failures.get(`${scenario} ${peer.name}`) ?? 0) >= 2) continue;
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${scenario}, ${round < 0 ? 'warm-up' : `round ${round + 1} of ${this.rounds}`}: ${peer.name}`);
        await this.#sample(scenario, peer, round);
      }
    }
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }

  #enters(scenario: Scenario, peer: Peer): boolean {
    const trouble = (what: 'missing' | 'unverified' | 'fails', detail: string): false => {
      this.log.add({ kind: 'trouble', scenario, peer: peer.name, what, detail });
      return false;
    };
    const [program, ...args] = peer.version;
    const { error, stdout } = spawnSync(program!, args, { encoding: 'utf8', timeout: LIMIT_MS, env: env as NodeJS.ProcessEnv });
    if (error) return trouble('missing', error.message);
    if (peer.unverified) return trouble('unverified', 'its command line was never tried on a real binary: not measured');
    try {
      this.log.add({ kind: 'entrant', scenario, peer: peer.name, version: stdout.split('\n')[0]!.slice(0, 100), command: peer.command(scenario, 'ID'), conditions: peer.conditions(scenario) });
    } catch (cause) {
      return trouble('fails', (cause as Error).message.slice(0, 300));
    }
    return true;
  }

  async #sample(scenario: Scenario, peer: Peer, round: number): Promise<void> {
    const key = `${scenario} ${peer.name}`;
    const command = (): readonly string[] => peer.command(scenario, `bench-${process.pid}-${this.#id++}`);
    try {
      const taken = scenario === 'many' ? await many(Array.from({ length: AT_ONCE }, command), WORD, LIMIT_MS) : await once(command(), WORD, scenario, LIMIT_MS);
      this.log.add({ kind: 'sample', scenario, peer: peer.name, round, ...taken });
      this.#failures.delete(key);
    } catch (error) {
      this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
      this.log.add({ kind: 'trouble', scenario, peer: peer.name, what: error instanceof Failed ? error.what : 'fails', detail: `round ${round}: ${(error as Error).message}`.slice(0, 400) });
    }
  }
}

/** Makes the report's files of a log; status 1 when they cannot be written. */
function writeReport(log: string, dir: string): void {
  const report = reportOf(loadLog(log));
  process.stdout.write(markdown(report));
  try {
    writeFileSync(join(dir, 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
    writeFileSync(join(dir, 'report.md'), markdown(report));
    writeFileSync(join(dir, 'report.html'), page(report));
  } catch (error) {
    process.stderr.write(`bench: the report cannot be written: ${(error as Error).message}; once there is room: npm run bench -- --report ${log}\n`);
    process.exitCode = 1;
  }
}

const OPTIONS = { quick: { type: 'boolean' }, out: { type: 'string' }, rounds: { type: 'string' }, scenario: { type: 'string', multiple: true }, peer: { type: 'string', multiple: true }, compare: { type: 'boolean' }, report: { type: 'string' } } as const;

function options() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    return refuse((error as Error).message);
  }
}

async function measure(values: ReturnType<typeof options>['values']): Promise<void> {
  const rounds = Number(values.rounds ?? (values.quick ? 5 : 31));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) refuse(`--rounds ${values.rounds}: a whole number from 1 to 1000`);
  const unknown = values.scenario?.find((name) => !SCENARIOS.some((each) => each === name));
  if (unknown !== undefined) refuse(`--scenario ${unknown}: there are ${SCENARIOS.join(', ')}`);
  const host = hostFacts();
  const peers = allPeers(host.kvm === 'hardware');
  const stranger = values.peer?.find((name) => !peers.some((peer) => peer.name === name));
  if (stranger !== undefined) refuse(`--peer ${stranger}: there are ${peers.map(({ name }) => name).join(', ')}`);
  const dir = resolve(values.out ?? join(ROOT, '.cache', 'bench', new Date().toISOString().replace(/[:.]/g, '-')));
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'log.jsonl');
  if (existsSync(path)) refuse(`--out ${dir}: holds a log already, which is never written over; it has ${readdirSync(dir).join(', ')}`);
  const log = new Log(path);
  for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    process.once(signal, () => {
      stopAll();
      writeReport(path, dir);
      process.exit(status);
    });
  }
  const revision = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() || 'unknown';
  const suite = new Suite(log, rounds, 1);
  log.add({ kind: 'header', schema: SCHEMA, date: new Date().toISOString(), revision, rounds, warmUp: 1, host });
  for (const scenario of SCENARIOS) {
    if (values.scenario && !values.scenario.includes(scenario)) continue;
    await suite.scenario(scenario, peers.filter((peer) => peer.scenarios.includes(scenario) && (!values.peer || values.peer.includes(peer.name))));
  }
  log.add({ kind: 'end' });
  log.close();
  if (log.lost !== undefined) {
    process.stderr.write(`bench: ${path}: ${log.lost}: the suite ends here; what was measured before is in it\n`);
    process.exitCode = 1;
  }
  writeReport(path, dir);
  process.stderr.write(`bench: ${dir}/report.html\n`);
}

/** podman leaves its store mounted on itself: the folder could not go. */
function unmountOwn(): void {
  const mounts = readFileSync('/proc/self/mounts', 'latin1').split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const path of mounts.filter((each) => each.startsWith(`${folder}/`)).reverse()) spawnSync('umount', [path], { timeout: LIMIT_MS });
}

function compareFiles(paths: readonly string[]): void {
  if (paths.length !== 2) refuse('--compare takes two files: A.json B.json');
  try {
    const [a, b] = paths.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Report);
    process.stdout.write(`${table(COMPARISON_COLUMNS, compare(a!, b!).map(comparisonCells))}\n`);
  } catch (error) {
    refuse(`--compare: ${(error as Error).message}`);
  }
}

process.prependListener('exit', unmountOwn);
const { values, positionals } = options();
if (positionals.length > 0 && !values.compare) refuse(`no argument ${positionals[0]} is taken`);
if (values.compare) compareFiles(positionals);
else if (values.report !== undefined) writeReport(values.report, dirname(resolve(values.report)));
else await measure(values);
