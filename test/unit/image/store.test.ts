import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { importImage, resolveImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import type { ImageRecord } from '../../../image/store/record.ts';
import { ImageStore, isImageName, normalName } from '../../../image/store/store.ts';
import { archiveOf, configOf, FLAT, filesOf, LAYERS, Layout, tarOf } from './forms.ts';
import { dir, file, hasTool, pattern, scratch } from './support.ts';

const FOLDER = scratch();
const layers = LAYERS.map((tar) => ({ tar }));
const root = process.getuid?.() === 0;
/** resolve.ts and import.ts as programs: `node RESOLVE resolve|import REFERENCE`. */
const PROGRAM = join(FOLDER, 'program.mjs');
let counter = 0;

function path(name: string): string {
  counter += 1;
  return join(FOLDER, `${counter}-${name}`);
}

function newStore(): ImageStore {
  const store = new ImageStore(storePaths({ VMM_STORE: path('store') }));
  store.prepare();
  return store;
}

/** A layout with one image of the two layers; `cmd` makes its configuration its own. */
function layoutOf(cmd: string, tag = 'latest'): string {
  const layout = new Layout(path(cmd));
  return layout.add(layout.manifest(layers, configOf(layers, { config: { Cmd: [cmd] } })), tag).write();
}

/** A record with a disk of one byte; ids and keys are digits again and again. */
function put(store: ImageStore, id: string, key = id.replace(/^sha\d+:/, '').slice(0, 64), imported = '2026-01-01'): ImageRecord {
  const config = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined };
  const record: ImageRecord = { version: 1, id, rootfs: key, size: 1, config, created: undefined, imported, source: 'test' };
  writeFileSync(store.rootfsPath(key), 'x');
  store.put(record);
  return record;
}

const SHA256 = `sha256:${'ab12'.repeat(16)}`;
const OTHER = `sha256:${'ab13'.repeat(16)}`;
const SHA512 = `sha512:${'cd34'.repeat(32)}`;

beforeAll(async () => {
  await build({
    stdin: {
      contents: `import { importImage, resolveImage } from './image/resolve.ts';
        const [how, reference] = process.argv.slice(2);
        if (how === 'import') console.log((await importImage(reference)).record.id);
        else console.log((await resolveImage(reference)).rootfs);`,
      resolveDir: join(import.meta.dirname, '../../..'),
      loader: 'ts',
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    outfile: PROGRAM,
    banner: { js: "import { createRequire as __c } from 'node:module'; const require = __c(import.meta.url);" },
  });
});

function program(store: ImageStore, how: 'import' | 'resolve', reference: string): ChildProcess {
  return spawn(process.execPath, [PROGRAM, how, reference], { env: { PATH: process.env.PATH, VMM_STORE: store.paths.root }, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function ended(child: ChildProcess): Promise<{ status: number | null; out: string; err: string }> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => { out += chunk; });
  child.stderr?.on('data', (chunk: Buffer) => { err += chunk; });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, out: out.trim(), err };
}

describe('names and ids', () => {
  it('a name is found without its tag or registry, and belongs to one image', () => {
    const store = newStore();
    const a = put(store, SHA256);
    const b = put(store, SHA512);
    store.setName('docker.io/library/debian:latest', a.id);
    store.setName('localhost/own:1', b.id);
    expect(store.find('debian')?.id).toBe(a.id);
    expect(store.find('debian:latest')?.id).toBe(a.id);
    expect(store.find('own:1')?.id).toBe(b.id);
    expect(store.find('own')).toBeUndefined();
    store.setName('docker.io/library/debian', b.id);
    expect(store.find('debian')?.id).toBe(b.id);
    expect(store.list().map(({ record, names }) => [record.id, names.length])).toEqual(expect.arrayContaining([[a.id, 0], [b.id, 2]]));
  });

  it('ids are found by their beginning, sha512 ones by all of their digits', () => {
    const store = newStore();
    put(store, SHA256);
    put(store, SHA512);
    expect(store.find('ab12')?.id).toBe(SHA256);
    expect(store.find('cd34')?.id).toBe(SHA512);
    expect(store.find(SHA512)?.id).toBe(SHA512);
    expect(store.find('cd34'.repeat(20))?.id).toBe(SHA512);
    expect(store.find('sha512:cd34')?.id).toBe(SHA512);
    expect(store.find('sha256:cd34')).toBeUndefined();
    expect(store.find('ab1')).toBeUndefined();
    expect(store.find(`${'ab12'.repeat(16)}0`)).toBeUndefined();
    put(store, OTHER);
    expect(store.find('ab12')?.id).toBe(SHA256);
    const twin = put(store, `sha256:ab12${'0'.repeat(60)}`);
    expect(() => store.find('ab12')).toThrow(expect.objectContaining({ code: 'IMAGE_AMBIGUOUS' }));
    expect(store.find('ab120')?.id).toBe(twin.id);
  });

  it.each(['', ' ', 'a b', 'a\u001b[31m', 'a\u009b', 'a\u202eb', 'a\nb', 'x'.repeat(256), '\ud800'])('%j is no name', (name) => {
    expect(isImageName(name)).toBe(false);
    expect(() => normalName(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(newStore().find(name)).toBeUndefined();
  });

  it.each(['..', '../../etc/passwd', '/', '%2e%2e', 'über/名前:1', 'x'.repeat(255), '日'.repeat(255)])('%j is a name and stays in the store', (name) => {
    const store = newStore();
    store.setName(name, put(store, SHA256).id);
    expect(store.find(name)?.id).toBe(SHA256);
    expect(readdirSync(store.paths.names).length).toBe(1);
    expect(readdirSync(store.paths.root).sort()).toEqual(['images', 'names', 'rootfs', 'sources', 'tmp']);
  });

  it('an import takes the image’s own names, moving them; a run takes only those that are free', async () => {
    const store = newStore();
    const archive = (cmd: string): string => {
      const config = JSON.stringify(configOf([], { config: { Cmd: [cmd] } }));
      const at = path(`${cmd}.tar`);
      writeFileSync(at, archiveOf({ 'c.json': config, 'manifest.json': JSON.stringify([{ Config: 'c.json', RepoTags: ['app:1', 'bad name', `${cmd}:1`], Layers: [] }]) }));
      return at;
    };
    const [one, two] = [archive('one'), archive('two')];
    expect((await importImage(one, { store })).names).toEqual(['app:1', 'one:1']);
    await resolveImage(two, { store });
    expect(store.find('app:1')?.config.cmd).toEqual(['one']);
    expect(store.find('two:1')?.config.cmd).toEqual(['two']);
    await importImage(two, { store });
    expect(store.find('app:1')?.config.cmd).toEqual(['two']);
    expect((await importImage(one, { store }, ['mine'])).names).toEqual(['mine']);
    expect(store.find('mine')?.config.cmd).toEqual(['one']);
  });
});

describe('removing', () => {
  it('the last name takes the image along, an id all its names', () => {
    const store = newStore();
    const a = put(store, SHA256);
    store.setName('x', a.id);
    store.setName('y', a.id);
    expect(store.remove('x')).toEqual(['x:latest']);
    expect(store.get(a.id)).toBeDefined();
    expect(store.remove('y')).toEqual(['y:latest', a.id]);
    expect(existsSync(store.rootfsPath(a.rootfs))).toBe(false);
    put(store, SHA512);
    store.setName('x', SHA512);
    store.setName('y', SHA512);
    expect(store.remove('cd34').sort()).toEqual([SHA512, 'x:latest', 'y:latest']);
    expect(readdirSync(store.paths.names)).toEqual([]);
    expect(() => store.remove('x')).toThrow(expect.objectContaining({ code: 'IMAGE_NOT_FOUND' }));
  });

  it('images that differ in their configuration share a disk, which goes with the last of them', async () => {
    const store = newStore();
    const a = await importImage(layoutOf('a'), { store });
    const b = await importImage(layoutOf('b'), { store });
    expect(a.record.id).not.toBe(b.record.id);
    expect(a.record.rootfs).toBe(b.record.rootfs);
    expect(readdirSync(store.paths.rootfs).length).toBe(1);
    store.remove(a.record.id);
    expect(filesOf(store.rootfsPath(b.record.rootfs))).toEqual(FLAT);
    store.remove(b.record.id);
    expect(readdirSync(store.paths.rootfs)).toEqual([]);
  });

  it('prune takes what has no name, old leavings and what is unused; work in progress stays', () => {
    const store = newStore();
    const named = put(store, SHA256);
    store.setName('x', named.id);
    put(store, SHA512);
    const old = new Date(Date.now() - 2 * 3_600_000);
    const leave = (at: string, when?: Date): string => {
      writeFileSync(at, '1234');
      if (when) utimesSync(at, when, when);
      return at;
    };
    const stale = [leave(join(store.paths.rootfs, 'a.erofs.0123.tmp'), old), leave(store.rootfsPath('f'.repeat(64)), old), leave(join(store.paths.tmp, 'b'), old), leave(join(store.paths.images, 'damaged.json'), old)];
    const busy = [leave(join(store.paths.rootfs, 'c.erofs.4567.tmp')), leave(store.rootfsPath('e'.repeat(64))), leave(join(store.paths.tmp, 'd'))];
    store.setSource('one', named.id);
    store.setSource('two', SHA512);
    store.setName('dangling', `sha256:${'0'.repeat(64)}`);
    expect(store.prune(false)).toBe(1 + 4 * stale.length);
    expect(stale.filter((at) => existsSync(at))).toEqual([]);
    expect(busy.filter((at) => !existsSync(at))).toEqual([]);
    expect(store.list().map(({ record }) => record.id)).toEqual([SHA256]);
    expect(readdirSync(store.paths.sources).length).toBe(1);
    expect(readdirSync(store.paths.names).length).toBe(1);
    expect(store.prune(true)).toBe(1);
    expect(store.list()).toEqual([]);
    expect(readdirSync(store.paths.names)).toEqual([]);
  });
});

describe('a second run', () => {
  it('of a layout needs no blob', async () => {
    const store = newStore();
    const layout = layoutOf('x');
    const first = await resolveImage(layout, { store });
    rmSync(join(layout, 'blobs'), { recursive: true });
    expect(await resolveImage(layout, { store })).toEqual(first);
  });

  it.skipIf(!hasTool('strace'))('of an archive does not open it', async () => {
    const store = newStore();
    const archive = path('root.tar');
    writeFileSync(archive, tarOf(dir({ x: file('1') })));
    const opens = (): number => {
      const log = path('strace');
      const run = spawnSync('strace', ['-f', '-q', '-e', 'trace=open,openat', '-o', log, process.execPath, PROGRAM, 'resolve', archive], { env: { PATH: process.env.PATH, VMM_STORE: store.paths.root }, encoding: 'utf8' });
      expect(run.status, run.stderr).toBe(0);
      const lines = readFileSync(log, 'utf8').split('\n');
      expect(lines.some((line) => line.includes(PROGRAM))).toBe(true);
      return lines.filter((line) => line.includes(archive)).length;
    };
    expect(opens()).toBeGreaterThan(0);
    expect(opens()).toBe(0);
  });

  it('sees that a file, a layout or a directory has changed', async () => {
    const store = newStore();
    const archive = path('root.tar');
    const folder = path('root');
    mkdirSync(folder);
    for (const text of ['1', '2']) {
      writeFileSync(archive, tarOf(dir({ x: file(text) })));
      writeFileSync(join(folder, 'x'), text);
      expect(filesOf((await resolveImage(archive, { store })).rootfs)).toEqual({ x: text });
      expect(filesOf((await resolveImage(folder, { store })).rootfs)).toEqual({ x: text });
      // As long, and within the same tick of the clock.
    }
  });

  it('heals a record or a disk that was damaged', async () => {
    const store = newStore();
    const layout = layoutOf('x');
    const { record } = await importImage(layout, { store });
    truncateSync(store.rootfsPath(record.rootfs), 100);
    expect(store.get(record.id)).toBeUndefined();
    expect(store.list()).toEqual([]);
    expect(filesOf((await resolveImage(layout, { store })).rootfs)).toEqual(FLAT);
    for (const text of ['', '{', '{"id":"../x"}', `{"id":"${record.id}","rootfs":"../../x","imported":"","source":""}`]) {
      writeFileSync(join(store.paths.images, readdirSync(store.paths.images)[0] as string), text);
      expect(store.get(record.id)).toBeUndefined();
      expect(filesOf((await resolveImage(layout, { store })).rootfs)).toEqual(FLAT);
    }
  });
});

describe('several processes, full disks, crashes', () => {
  it('two imports of one image at once both succeed, with one disk', async () => {
    const store = newStore();
    const archive = path('big.tar.gz');
    writeFileSync(archive, gzipSync(tarOf(dir({ data: file(pattern(4 << 20)) })), { level: 1 }));
    const [a, b] = await Promise.all([ended(program(store, 'import', archive)), ended(program(store, 'import', archive))]);
    expect(a, a.err).toMatchObject({ status: 0 });
    expect(b, b.err).toEqual(a);
    expect(readdirSync(store.paths.rootfs).length).toBe(1);
    expect(readdirSync(store.paths.tmp)).toEqual([]);
    expect(store.list().length).toBe(1);
  });

  it('a process killed while it writes leaves no image, and nothing that the next import minds', async () => {
    const store = newStore();
    const archive = path('big.tar');
    writeFileSync(archive, tarOf(dir({ data: file(pattern(8 << 20)) })));
    const child = program(store, 'import', archive);
    const end = ended(child);
    // The disk is written under another name first.
    while (!readdirSync(store.paths.rootfs).some((name) => name.endsWith('.tmp')) && child.exitCode === null) await setImmediate();
    child.kill('SIGKILL');
    expect((await end).status).toBe(null);
    expect(store.list()).toEqual([]);
    expect(readdirSync(store.paths.rootfs).filter((name) => name.endsWith('.erofs'))).toEqual([]);
    const { record } = await importImage(archive, { store });
    expect(filesOf(store.rootfsPath(record.rootfs))['data']?.length).toBe(8 << 20);
    const old = new Date(Date.now() - 2 * 3_600_000);
    for (const name of readdirSync(store.paths.rootfs)) if (name.endsWith('.tmp')) utimesSync(join(store.paths.rootfs, name), old, old);
    store.setName('kept', record.id);
    store.prune(false);
    expect(readdirSync(store.paths.rootfs)).toEqual([`${record.rootfs}.erofs`]);
  });

  it.skipIf(!root)('a store without space says so and keeps nothing half; read-only it still serves', async () => {
    const at = path('small');
    mkdirSync(at);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', at]);
    try {
      const store = new ImageStore(storePaths({ VMM_STORE: join(at, 'store') }));
      const tar = tarOf(dir({ data: file(pattern(3 << 20)) }));
      const big = path('big.tar');
      writeFileSync(big, tar);
      const packed = path('big.tar.gz');
      writeFileSync(packed, gzipSync(tar, { level: 1 }));
      const layout = new Layout(path('layout'));
      const oci = layout.add(layout.manifest([{ tar, compression: 'gzip' }])).write();
      for (const source of [big, packed, oci]) {
        await expect(resolveImage(source, { store }), source).rejects.toMatchObject({ code: 'IMAGE_WRITE', message: expect.stringMatching(/ENOSPC|no space/i), hint: expect.stringMatching(/space/) });
        expect(readdirSync(store.paths.rootfs)).toEqual([]);
        expect(readdirSync(store.paths.tmp)).toEqual([]);
      }
      const small = layoutOf('small');
      const first = await resolveImage(small, { store });
      execFileSync('mount', ['-o', 'remount,ro', at]);
      expect(await resolveImage(small, { store })).toEqual(first);
      expect(filesOf(first.rootfs)).toEqual(FLAT);
      expect(store.list().length).toBe(1);
      await expect(resolveImage(big, { store })).rejects.toMatchObject({ code: expect.stringMatching(/^(STORE|IMAGE)_WRITE$/), message: expect.stringMatching(/EROFS/) });
      expect(() => store.remove(store.list()[0]?.record.id ?? '')).toThrow(expect.objectContaining({ code: 'STORE_WRITE' }));
    } finally {
      execFileSync('umount', ['-l', at]);
    }
  });

  it('a store that is a file is told', async () => {
    const at = path('file');
    writeFileSync(at, '');
    const store = new ImageStore(storePaths({ VMM_STORE: at }));
    expect(store.list()).toEqual([]);
    expect(store.find('x')).toBeUndefined();
    await expect(resolveImage(layoutOf('y'), { store })).rejects.toMatchObject({ code: 'STORE_WRITE' });
  });
});
