import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { LOAD_OVER, LOAD_RUNS, LOAD_WANTED, type ThreadJob, ThreadPool } from '../../../vmm/threads/pool.ts';
import { root } from '../../support/guests/programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-threads-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A stand-in for thread.cjs: tells its thread and what it got; a job of kind 'throw' fails, one of kind 'wait' waits for a word. */
const file = join(folder, 'thread.cjs');
writeFileSync(file, `
const { parentPort, threadId } = require('node:worker_threads');
parentPort.postMessage('up');
parentPort.on('message', ({ kind, data }) => {
  if (kind === 'load') return;
  if (kind === 'throw') throw new Error(data);
  if (kind === 'wait') Atomics.wait(data, 0, 0);
  parentPort.postMessage({ threadId, kind });
  parentPort.postMessage('over');
});
`);

interface Told {
  readonly threadId: number;
  readonly kind: string;
}

/** Does one job; what it posted and how it failed. */
async function job(pool: ThreadPool, kind: string, data: unknown = undefined): Promise<{ told: Told[]; errors: string[] }> {
  const [told, errors]: [Told[], string[]] = [[], []];
  await pool.run<Told>({ kind, data } as unknown as ThreadJob, (message) => told.push(message), (error) => errors.push(error.message));
  return { told, errors };
}

test('a thread does one job after the other, and each job gets its own messages only', async () => {
  const pool = new ThreadPool(pathToFileURL(file));
  const jobs = [await job(pool, 'a'), await job(pool, 'b'), await job(pool, 'c')];
  expect(jobs.map(({ told }) => told.map(({ kind }) => kind))).toEqual([['a'], ['b'], ['c']]);
  expect(new Set(jobs.flatMap(({ told }) => told.map(({ threadId }) => threadId))).size).toBe(1);
});

test('jobs at the same time have threads of their own, of which four are kept', async () => {
  const pool = new ThreadPool(pathToFileURL(file));
  const word = new Int32Array(new SharedArrayBuffer(4));
  const release = (): void => {
    Atomics.store(word, 0, 1);
    Atomics.notify(word, 0);
  };
  const round = async (): Promise<number[]> => {
    Atomics.store(word, 0, 0);
    const running = Array.from({ length: 6 }, () => job(pool, 'wait', word));
    release();
    return (await Promise.all(running)).map(({ told }) => told[0]?.threadId ?? 0);
  };
  const [first, second] = [await round(), await round()];
  expect(new Set(first).size).toBe(6);
  expect(second.filter((id) => first.includes(id))).toHaveLength(4);
});

test('a job that fails tells its error and ends; the next one has another thread', async () => {
  const pool = new ThreadPool(pathToFileURL(file));
  const [before] = (await job(pool, 'a')).told;
  expect(await job(pool, 'throw', 'out of luck')).toEqual({ told: [], errors: ['out of luck'] });
  const [after] = (await job(pool, 'a')).told;
  expect(after?.threadId).not.toBe(before?.threadId);
});

test('a file that is not there fails the job', async () => {
  const { told, errors } = await job(new ThreadPool(pathToFileURL(join(folder, 'none.cjs'))), 'a');
  expect(told).toEqual([]);
  expect(errors.join()).toMatch(/Cannot find module/);
});

test('of threads that were prepared the first takes the first job', async () => {
  const pool = new ThreadPool(pathToFileURL(file));
  pool.prepare(3);
  await pool.ready();
  const ids = (await Promise.all([job(pool, 'a'), job(pool, 'a'), job(pool, 'a')])).map(({ told }) => told[0]?.threadId ?? 0);
  expect(ids).toEqual([...ids].sort((a, b) => a - b));
  expect(new Set(ids).size).toBe(3);
});

test('a thread that ends without a word fails its job', async () => {
  const mute = join(folder, 'mute.cjs');
  writeFileSync(mute, "require('node:worker_threads').parentPort.on('message', () => process.exit(0));");
  expect(await job(new ThreadPool(pathToFileURL(mute)), 'a')).toEqual({ told: [], errors: ['the thread ended'] });
});

test('a thread that fails before it is asked is missed by nobody, and gets no job on its way out', async () => {
  const broken = new ThreadPool(pathToFileURL(join(folder, 'none.cjs')));
  broken.prepare(1);
  for (let i = 0; i < 20; i++) {
    expect((await job(broken, 'a')).errors, `job ${i}`).toHaveLength(1);
    broken.prepare(1);
    await new Promise((done) => setTimeout(done, 5 * i));
  }
});

test('the end of the process waits for a native module that a thread is loading', () => {
  const slow = join(folder, 'slow.cjs');
  writeFileSync(slow, `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', ({ kind, word }) => {
  if (kind !== 'load' || Atomics.compareExchange(word, 0, ${LOAD_WANTED}, ${LOAD_RUNS}) !== ${LOAD_WANTED}) return;
  parentPort.postMessage('loading');
  const end = Date.now() + 200;
  while (Date.now() < end);
  require('node:fs').writeSync(1, 'loaded');
  Atomics.store(word, 0, ${LOAD_OVER});
  Atomics.notify(word, 0);
});
`);
  const program = join(folder, 'program.mjs');
  buildSync({
    stdin: {
      contents: `import { ThreadPool } from './pool.ts';
        void new ThreadPool(new URL(${JSON.stringify(pathToFileURL(slow).href)})).run({ kind: 'io', ffi: true, data: 0 }, () => process.exit(7), () => {});`,
      resolveDir: join(root, 'vmm/threads'),
    },
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'error',
  });
  const { status, stdout } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 7, stdout: 'loaded' });
});
