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
const store = new ImageStore(undefined, hostFs);
const [how, reference, ...names] = process.argv.slice(2);
try {
  if (how === 'import') console.log((await importImage(reference, { store, host: hostFs }, names)).record.id);
  else if (how === 'load') console.log((await loadImages(reference, { store, host: hostFs })).map(({ record }) => record.id).join(' '));
  else if (how === 'pull') console.log((await pullImage(reference, { store, host: hostFs })).record.id);
  else if (how === 'resolve') console.log((await resolveImage(reference, { store, host: hostFs })).rootfs);
  else if (how === 'rm') console.log((await removeImage(store, reference)).join(' '));
  else if (how === 'prune') console.log(await pruneStore(store, reference === 'all'));
  else if (how === 'volume-create') console.log((await createVolume(store, { name: reference })).path);
  else if (how === 'volume-rm') console.log(await removeVolume(store, reference));
  else if (how === 'volume-prune') console.log((await pruneVolumes(store, () => true)).names.join(' '));
  else if (how === 'volume-use') {
    const [disk, path, wait] = names;
    const volume = await openVolume(store, { name: reference, ...(disk ? { from: { disk, path } } : {}), note: (text) => console.error(text) });
    console.log(volume.path);
    if (wait) await new Promise(() => setInterval(() => {}, 1e6));
    volume.close();
  }
  else if (how === 'ls') console.log(store.list().map(({ record }) => record.id).join(' '));
} catch (error) {
  console.error(error.code, error.message);
  process.exitCode = 1;
}`;

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Scripts for Node's --require. */
  readonly preload?: readonly string[];
}

/** The store's code as a program: \`import REFERENCE [NAME…]\`, \`resolve REFERENCE\`, \`pull NAME\`, \`rm NAME\`, \`prune [all]\`, \`ls\`, \`volume-create|rm|prune|use\`. */
export function storeProgram(folder: string): { PROGRAM: string; program(store: ImageStore | string, args: readonly string[], options?: ProgramOptions): ChildProcess } {
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
  const program = (store: ImageStore | string, args: readonly string[], { env = {}, preload = [] }: ProgramOptions = {}): ChildProcess =>
    spawn(process.execPath, [...preload.flatMap((path) => ['--require', path]), PROGRAM, ...args], {
      env: { PATH: process.env['PATH'], VMM_STORE: typeof store === 'string' ? store : store.paths.root, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return { PROGRAM, program };
}

export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Waits for a program's end; one that takes longer than `limitMs` is killed: its status is null. */
export async function ended(child: ChildProcess, limitMs = HANG_MS): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => { out += chunk; });
  child.stderr?.on('data', (chunk: Buffer) => { err += chunk; });
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { status, out: out.trim(), err };
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
