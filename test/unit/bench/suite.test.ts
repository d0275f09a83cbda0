/** The start-up suite: statistics on data with known answers, logs, reports, and what is refused. */
import { spawn } from 'node:child_process';
import { once as happens } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Conditions, type Header, type Line, Log, loadLog, readLog, type Sample, SCHEMA } from '../../../bench/suite/log.ts';
import { figuresOfMarks, phasesOfMarks } from '../../../bench/suite/marks.ts';
import { partsOf } from '../../../bench/suite/memory.ts';
import { escaped, page } from '../../../bench/suite/page.ts';
import { NAMES, type Peer, WORD } from '../../../bench/suite/peer.ts';
import { allPeers } from '../../../bench/suite/peers.ts';
import { compare, type Report, reportOf, verdict } from '../../../bench/suite/report.ts';
import { folder } from '../../../bench/start/process.ts';
import { Failed, family, many, once, phasesOf } from '../../../bench/suite/sample.ts';
import { refusal } from '../../../bench/suite/schema.ts';
import { Suite } from '../../../bench/suite/suite.ts';
import { bootstrap, outliers, quantile, summarize } from '../../../bench/suite/summary.ts';
import { estimateText, markdown } from '../../../bench/suite/text.ts';

const dir = mkdtempSync(join(tmpdir(), 'vmm-suite-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
  rmSync(folder, { recursive: true, force: true }); // a test's process is ended without its exit handlers
});

describe('statistics', () => {
  // R: quantile(c(1, 2, 4, 8, 16), c(.5, .9, .99)), type 7.
  test.each([[0.5, 4], [0.9, 12.8], [0.99, 15.68], [0, 1], [1, 16]])('quantile %d of 1, 2, 4, 8, 16 is %d', (q, expected) => expect(quantile([16, 1, 8, 2, 4], q)).toBeCloseTo(expected, 10));

  test('values beyond the fences are told, and stay in the figures', () => {
    expect(outliers([10, 11, 12, 13, 14, 100])).toEqual([100]);
    expect(outliers([10, 11, 12, 13, 14])).toEqual([]);
    expect(summarize([10, 11, 12, 13, 14, 100])).toMatchObject({ samples: 6, most: 100, least: 10, p50: { value: 12.5 }, outliers: [100] });
  });

  test('the interval of a mean of many values is what theory gives: ± 1.96 σ/√n', () => {
    const values = Array.from({ length: 400 }, (_, i) => (i * 0.6180339887) % 1); // spread evenly: σ = 1/√12
    const [low, high] = bootstrap(values, (list) => list.reduce((sum, v) => sum + v, 0) / list.length)!;
    const half = (1.96 / Math.sqrt(12)) / Math.sqrt(400);
    expect((high - low) / 2).toBeGreaterThan(0.9 * half);
    expect((high - low) / 2).toBeLessThan(1.1 * half);
    expect((high + low) / 2).toBeCloseTo(0.5, 2);
  });

  test('intervals repeat, are a point for equal values, and are not made of four', () => {
    const median = (list: readonly number[]): number => quantile(list, 0.5);
    expect(bootstrap([3, 1, 4, 1, 5], median)).toEqual(bootstrap([3, 1, 4, 1, 5], median));
    expect(bootstrap([7, 7, 7, 7, 7], median)).toEqual([7, 7]);
    expect(bootstrap([1, 2, 3, 4], median)).toBeUndefined();
  });
});

const host = { cpu: 'c', cores: 2, memoryGib: 1, kernel: '6', node: '24', kvm: 'none', cgroup: 'v2', governor: 'x', nodeVariables: [], load: 0 };
const header: Header = { kind: 'header', schema: SCHEMA, date: 'd', revision: 'r', rounds: 5, warmUp: 1, host };
const alike: Conditions = { kernel: 'k', memoryMib: 1, vcpus: 1, commandLine: 'a', root: 'r' };
const entrant = (peer: string, conditions = alike): Line => ({ kind: 'entrant', scenario: 'boot', peer, version: '1', command: [peer], conditions });
const sample = (peer: string, round: number, ms: number): Sample => ({ kind: 'sample', scenario: 'boot', peer, round, figures: { 'output ms': ms }, phases: [{ name: 'first', ms }] });
const lines = (theirs = alike): Line[] => [header, entrant('a'), entrant('b', theirs), sample('a', -1, 900), ...[0, 1, 2, 3, 4].flatMap((round) => [sample('a', round, 100 + round), sample('b', round, 2 * (100 + round))]), { kind: 'end' }];

describe('reports', () => {
  test('pairs of rounds are compared, the warm-up is not counted, and every form has the figures of the JSON', () => {
    const report = reportOf(lines());
    expect(report.comparisons).toEqual([{ scenario: 'boot', figure: 'output ms', peer: 'a', against: 'b', pairs: 5, ratio: 0.5, low: 0.5, high: 0.5 }]);
    expect(report.measured[0]!.values).toEqual({ 'output ms': [100, 101, 102, 103, 104] });
    const json = JSON.parse(JSON.stringify(report)) as typeof report;
    for (const { figures } of json.measured) {
      for (const text of [markdown(report), page(report)]) for (const key of ['p50', 'p90', 'p99'] as const) expect(text).toContain(estimateText(figures['output ms']![key]));
    }
  });

  test.each(['kernel', 'commandLine', 'root'] as const)('another %s is not compared', (field) => {
    const [row] = reportOf(lines({ ...alike, [field]: 'other' })).comparisons;
    expect(row!.ratio).toBeUndefined();
    expect(verdict(row!)).toContain(`not compared: ${field}`);
  });

  test('two runs: a verdict beyond the noise, and refusals by the name of the field', () => {
    const [a, b] = [reportOf(lines()), reportOf(lines().map((line) => (line.kind === 'sample' ? { ...line, figures: { 'output ms': 3 * line.figures['output ms']! } } : line)))];
    expect(compare(a, b).map(verdict)).toEqual(['more', 'more']);
    expect(compare(a, a).map(verdict)).toEqual(['no difference beyond the noise', 'no difference beyond the noise']);
    expect(() => compare(a, { ...b, schema: 99 })).toThrow('field schema');
    expect(() => compare(a, { ...b, header: { ...b.header, host: { ...host, cpu: 'other' } } })).toThrow('field header.host.cpu');
  });

  test('what a peer says does not become markup', () => {
    expect(escaped('<b a="1">&')).not.toMatch(/[<>"]/);
    const text = page(reportOf([...lines(), { kind: 'trouble', scenario: 'boot', peer: 'x', what: 'fails', detail: '<script>alert(1)</script>' }]));
    expect(text).not.toContain('<script');
    expect(text).toContain('alert(1)');
  });
});

describe('logs', () => {
  test('a log that was cut off in a line keeps what was before, and the report says so', () => {
    const text = lines().map((line) => JSON.stringify(line)).join('\n');
    const read = readLog(text.slice(0, -20), 'x');
    expect(read).toEqual(lines().slice(0, read.length));
    expect(reportOf(read)).toMatchObject({ complete: false });
    expect(markdown(reportOf(read))).toContain('CUT OFF');
  });

  test('other versions are refused by name of the field', () => {
    expect(() => readLog(`${JSON.stringify({ ...header, schema: 7 })}\n`, 'x')).toThrow('field schema is 7');
    expect(() => readLog('{}\n', 'x')).toThrow('no header');
    expect(() => readLog('no\n', 'x')).toThrow('x:1');
  });

  test('a full disk ends the writing and is told; a log is never written over', () => {
    const full = join(dir, 'log');
    const log = new Log(full);
    log.add(header);
    log.close();
    expect(() => new Log(full)).toThrow('EEXIST');
    expect(loadLog(full)).toEqual([header]);
    log.add(header); // its descriptor is closed: as a full disk, a write that fails
    expect(log.lost).toBeDefined();
  });
});

describe('one run', () => {
  const sh = (script: string, limitMs = 20_000) => once(['sh', '-c', script], { word: 'word', after: 'ends', limitMs });
  const failure = (run: Promise<unknown>) => run.then(() => undefined, (error: unknown) => (error instanceof Failed ? error.what : error));

  test('times the word, the end and the CPU', async () => {
    const { figures } = await sh('echo word');
    expect(Object.keys(figures)).toEqual(['output ms', 'end ms', 'CPU ms']);
    expect(figures['output ms']).toBeGreaterThan(0);
    expect(figures['end ms']).toBeGreaterThanOrEqual(figures['output ms']!);
  });

  test('CPU time is the command’s with its children', async () => {
    const { figures } = await sh('sh -c "i=0; while [ \\$i -lt 100000 ]; do i=\\$((i+1)); done"; echo word');
    expect(figures['CPU ms']).toBeGreaterThan(10);
  });

  test.each([['exit 3', 'fails'], ['echo other', 'wrong output'], ['echo not the word', 'wrong output'], ['echo word; exit 1', 'fails']])('%s: %s', async (script, what) => {
    expect(await failure(sh(script))).toBe(what);
  });

  test('one that hangs is ended with its children', async () => {
    expect(await failure(sh('sleep 1000 & sleep 1000', 300))).toBe('hangs');
  });

  test('what stays after its word is ended, in a session of its own too', async () => {
    const { figures } = await once(['sh', '-c', 'setsid sleep 1000 & echo word; wait'], { word: 'word', after: async (pid) => ({ 'PSS MiB': partsOf(family(pid), 512).all }), limitMs: 20_000 });
    expect(figures['PSS MiB']).toBeGreaterThan(0);
  });

  test('a program that is not there', async () => {
    expect(await failure(once(['/does/not/exist'], { word: 'word', after: async (pid) => ({ 'PSS MiB': partsOf(family(pid), 512).all }), limitMs: 20_000 }))).toBe('missing');
  });

  test('phases are the lines of --timeline', () => {
    expect(phasesOf('     77.8 ms  +    77.8  options read\nnote\n    232.6 ms  +   154.8     120 page faults  image ready\n')).toEqual([{ name: 'options read', ms: 77.8 }, { name: 'image ready', ms: 154.8 }]);
  });
});

describe('marks', () => {
  test('of a socket are phases and figures, with names', () => {
    const phases = phasesOfMarks([[0x40, 300], [0x61, 320], [0x62, 450], [0x07, 451]]);
    expect(phases).toEqual([{ name: 'init: main', ms: 300 }, { name: 'the shell has begun', ms: 20 }, { name: 'shell: 20,000 turns of a loop', ms: 130 }, { name: 'mark 0x7', ms: 1 }]);
    expect(figuresOfMarks(phases)).toEqual({ 'init: main ms': 300, 'shell: 20,000 turns of a loop ms': 130 });
  });

  test('that a timeline has no names for get the same ones', () => {
    const line = '    300.0 ms  +   200.0  init: main\n    320.0 ms  +    20.0  guest: mark 0x61\n    450.0 ms  +   130.0  guest: mark 0x62\n';
    expect(figuresOfMarks([{ name: 'options read', ms: 100 }, ...phasesOf(line)])).toEqual({ 'init: main ms': 300, 'shell: 20,000 turns of a loop ms': 130 });
  });

  test('come to a run by the socket that its command line names, with their times', async () => {
    const socket = join(dir, 'x.marks');
    const { phases, figures } = await once([process.execPath, '-e', "require('node:net').connect(process.argv[1].slice(5), function () { this.end('@a', () => console.log('word')); })", `path=${socket}`], { word: 'word', after: 'ends', limitMs: 20_000 });
    expect(phases!.map(({ name }) => name)).toEqual(['init: main', 'the shell has begun']);
    expect(figures['init: main ms']).toBeGreaterThan(0);
  });

  test('memory is told by part, and the parts are the whole', async () => {
    // It waits meanwhile, and most of its memory is its own: neither it nor those that share its files make the two readings differ.
    const child = spawn('sh', ['-c', 'x=$(head -c 20000000 /dev/zero | tr "\\0" x); echo ready; read line'], { timeout: 60_000 });
    try {
      await happens(child.stdout, 'data');
      const { all, guest, files, own } = partsOf([child.pid!], 512);
      expect([guest, all]).toEqual([0, files + own]);
      expect(Math.min(files, own)).toBeGreaterThan(0);
      const rollup = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'latin1'))![1]) / 1024;
      expect(Math.abs(all / rollup - 1)).toBeLessThan(0.1);
      expect(own).toBeGreaterThan(19);
    } finally {
      child.kill();
    }
  });
});

describe('a suite of peers that misbehave', () => {
  const peer = (name: string, ...command: string[]): Peer => ({ name, version: ['true'], scenarios: ['container'], command: () => command, conditions: () => alike });
  const suite = async (peers: readonly Peer[]): Promise<Report> => {
    const path = join(dir, `log-${peers[0]!.name}`);
    const log = new Log(path);
    log.add(header);
    await new Suite(log, 5, 1, { limitMs: 2_000, present: 1 }).scenario('container', peers);
    log.close();
    return reportOf(loadLog(path));
  };

  test('tells each, and measures the rest', async () => {
    const report = await suite([
      peer('good', 'echo', WORD), { ...peer('missing', 'x'), version: ['/does/not/exist'] }, { ...peer('unverified', 'echo', WORD), unverified: true },
      peer('fails', 'sh', '-c', `echo ${WORD}; exit 3`), peer('hangs', 'sleep', '1000'), peer('other', 'echo', 'other'), peer('floods', 'sh', '-c', 'head -c 3000000 /dev/zero'),
      { ...peer('cannot', 'x'), conditions: () => { throw new Error('not on this host'); } }, peer('also good', 'echo', WORD),
    ]);
    expect(report.measured.map(({ peer: name, values }) => [name, values['output ms']!.length])).toEqual([['good', 5], ['also good', 5]]);
    const troubles = new Map(report.troubles.map(({ peer: name, what }) => [name, what]));
    expect(Object.fromEntries(troubles)).toEqual({ missing: 'missing', unverified: 'unverified', fails: 'fails', hangs: 'hangs', other: 'wrong output', floods: 'wrong output', cannot: 'fails' });
    // Two failures in a row, and no more of the suite's time.
    expect(report.troubles.filter(({ peer: name }) => name === 'hangs')).toHaveLength(2);
    expect(refusal(JSON.parse(JSON.stringify(report)))).toBeUndefined();
  });

  test('of starts at once one that is lost is told with how many', async () => {
    await expect(many([['echo', 'word'], ['false'], ['echo', 'word']], 'word', 20_000)).rejects.toMatchObject({ what: 'fails', message: expect.stringMatching(/^1 of 3 lost/) });
  });

  test('every scenario has a peer, and every peer a command for each of its scenarios that can be named', () => {
    const peers = allPeers(true);
    for (const name of NAMES) expect(peers.some(({ scenarios }) => scenarios.includes(name)), name).toBe(true);
    for (const { scenarios, background } of peers) if (scenarios.some((name) => name === 'exec' || name === 'stop' || name === 'present')) expect(background).toBeDefined();
  });
});

describe('the schema', () => {
  const report = (): Record<string, unknown> => JSON.parse(JSON.stringify(reportOf(lines()))) as Record<string, unknown>;
  test('takes what the suite writes', () => expect(refusal(report())).toBeUndefined());
  test.each([
    [(r: Record<string, unknown>) => ({ ...r, schema: 7 }), 'field schema is 7, this version reads 1'],
    [(r: Record<string, unknown>) => ({ ...r, extra: 1 }), 'field extra is not known'],
    [({ complete: _, ...r }: Record<string, unknown>) => r, 'field complete is not there'],
    [(r: Record<string, unknown>) => ({ ...r, measured: [{ ...(r['measured'] as object[])[0], figures: { 'output ms': { samples: 1.5 } } }] }), 'field measured[0].figures.output ms.p50 is not there'],
    [(r: Record<string, unknown>) => ({ ...r, troubles: [{ scenario: 'a', peer: 'b', what: 'odd', detail: '' }] }), 'field troubles[0].what: "odd" is none of'],
    [() => [], 'the report: array, not object'],
    [() => null, 'the report: null, not object'],
  ])('refuses what differs by name of the field, %#', (change, text) => expect(refusal(change(report()))).toContain(text));
});
