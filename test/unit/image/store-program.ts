import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { expect } from 'vitest';
import { ErofsImage } from '../../../image/index.ts';
import { blobsOf } from '../../../image/store/blobs.ts';
import type { ImageStore } from '../../../image/store/store.ts';
import { HANG_MS } from '../../support/limits.ts';
import { Watched } from '../../support/watched.ts';

const ROOT = join(import.meta.dirname, '../../..');
export const FAULTS = join(ROOT, 'test/support/cli/fs-faults.cjs');
export const NO_FFI = join(ROOT, 'test/support/cli/no-ffi.cjs');

const SOURCE = `
import { importImage, resolveImage } from './image/resolve.ts';
import { pullImage } from './image/pull.ts';
import { loadImages } from './image/archive/load.ts';
import { pruneStore, removeImage } from './image/store/change.ts';
import { ImageStore } from './image/store/store.ts';
import { createVolume, pruneVolumes, removeVolume } from './image/volumes/change.ts';
import { openVolume } from './image/volumes/use.ts';
import { hostFs } from './vmm/guest/host-fs.ts';
async function act(how, reference, ...names) {
  const store = new ImageStore(undefined, hostFs);
  if (how === 'import') return (await importImage(reference, { store, host: hostFs }, names)).record.id;
  if (how === 'load') return (await loadImages(reference, { store, host: hostFs })).map(({ record }) => record.id).join(' ');
  if (how === 'pull') return (await pullImage(reference, { store, host: hostFs })).record.id;
  if (how === 'resolve') return (await resolveImage(reference, { store, host: hostFs })).rootfs;
  if (how === 'rm') return (await removeImage(store, reference)).join(' ');
  if (how === 'prune') return String(await pruneStore(store, reference === 'all'));
  if (how === 'volume-create') return (await createVolume(store, { name: reference })).path;
  if (how === 'volume-rm') return String(await removeVolume(store, reference));
  if (how === 'volume-prune') return (await pruneVolumes(store, () => true)).names.join(' ');
  if (how === 'volume-use') {
    const [disk, path, wait] = names;
    const volume = await openVolume(store, { name: reference, ...(disk ? { from: { disk, path } } : {}), note: (text) => console.error(text) });
    if (wait) {
      console.log(volume.path);
      await new Promise(() => setInterval(() => {}, 1e6));
    }
    volume.close();
    return volume.path;
  }
  if (how === 'ls') return store.list().map(({ record }) => record.id).join(' ');
}
const [how, ...rest] = process.argv.slice(2);
// One command after the other, each with a fault of its own.
if (how === 'serve') {
  process.on('message', async ({ store, args, env }) => {
    Object.assign(process.env, env, { VMM_STORE: store });
    globalThis.faults.arm();
    let answer;
    try {
      answer = { status: 0, out: await act(...args), err: '' };
    } catch (error) {
      answer = { status: 1, out: '', err: error.code + ' ' + error.message + '\\n' };
    }
    process.send({ ...answer, changes: globalThis.faults.disarm() });
  });
} else {
  try {
    console.log(await act(how, ...rest));
  } catch (error) {
    console.error(error.code, error.message);
    process.exitCode = 1;
  }
}`;

export interface StoreProgram {
  readonly PROGRAM: string;
  program(store: ImageStore | string, args: readonly string[], options?: ProgramOptions): ChildProcess;
  /** A process that does one command after the other. */
  serve(): StoreServer;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Scripts for Node's --require. */
  readonly preload?: readonly string[];
}

/** The store's code as a program: \`import REFERENCE [NAME…]\`, \`resolve REFERENCE\`, \`pull NAME\`, \`rm NAME\`, \`prune [all]\`, \`ls\`, \`volume-create|rm|prune|use\`. */
export function storeProgram(folder: string): StoreProgram {
  const PROGRAM = join(folder, 'program.mjs');
  buildSync({
    stdin: { contents: SOURCE, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    outfile: PROGRAM,
    // As in dist/: the FFI library is found from the checkout.
    external: ['koffi', '@koromix/*'],
    banner: { js: `import { createRequire as __c } from 'node:module'; const require = __c(${JSON.stringify(join(ROOT, 'package.json'))});` },
    define: { 'import.meta.url': JSON.stringify(`file://${ROOT}/dist/x.js`) },
  });
  const program = (store: ImageStore | string, args: readonly string[], { env = {}, preload = [] }: ProgramOptions = {}, more: 'ignore' | 'ipc' = 'ignore'): ChildProcess =>
    spawn(process.execPath, [...preload.flatMap((path) => ['--require', path]), PROGRAM, ...args], {
      env: { PATH: process.env['PATH'], VMM_STORE: typeof store === 'string' ? store : store.paths.root, NODE_COMPILE_CACHE: join(folder, 'code'), ...env },
      stdio: ['ignore', 'pipe', 'pipe', more],
    });
  return { PROGRAM, program, serve: () => new StoreServer(program('/nowhere', ['serve'], { preload: [FAULTS] }, 'ipc')) };
}

/** Commands in one process, for faults that a process survives: a start of Node costs more than most of them. */
export class StoreServer {
  readonly #child: ChildProcess;
  readonly #watched: Watched;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#watched = new Watched(child);
  }

  /** Its end, as that of a program of its own, and how many changes of the file system it tried. */
  async run(store: ImageStore, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended & { readonly changes: number }> {
    const answer = once(this.#child, 'message');
    this.#child.send({ store: store.paths.root, args, env: { FAULT: '', FAULT_AT: '', ...env } });
    const gone = this.#watched.ended.then((end) => Promise.reject(new Error(`the server ended: ${JSON.stringify(end)}`)));
    const [result] = (await Promise.race([answer, gone])) as [Ended & { readonly changes: number }];
    return result;
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}

export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Waits for a program's end; one that takes longer than `limitMs` is killed: its status is null. */
export async function ended(child: ChildProcess, limitMs = HANG_MS): Promise<Ended> {
  const { status, stdout, stderr } = await new Watched(child, limitMs).ended;
  return { status, out: stdout.trim(), err: stderr };
}

/** Every image that the store tells of has its whole disk. */
export function expectWhole(store: ImageStore): void {
  for (const { record } of store.list()) {
    const image = new ErofsImage(store.rootfsPath(record.rootfs));
    expect(image.whole).toBe(true);
    image.close();
  }
}

/** Nothing lies in the store but what its images need. */
export function expectClean(store: ImageStore): void {
  const images = store.list();
  const of = (folder: 'rootfs' | 'images' | 'names' | 'blobs' | 'partial' | 'tmp'): string[] => readdirSync(store.paths[folder]).sort();
  expect(of('rootfs')).toEqual([...new Set(images.map(({ record }) => `${record.rootfs}.erofs`))].sort());
  expect(of('images')).toEqual(images.map(({ record }) => `${record.id.replace(/^sha\d+:/, '')}.json`).sort());
  expect(of('names').length).toBe(images.flatMap(({ names }) => names).length);
  expect(of('blobs')).toEqual([...new Set(images.flatMap(({ record }) => blobsOf(store.paths, record)))].sort());
  expect(of('partial')).toEqual([]);
  expect(of('tmp')).toEqual([]);
}
