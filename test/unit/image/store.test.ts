import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { importImage, resolveImage } from '../../../image/resolve.ts';
import { changeStore, pruneStore, removeImage } from '../../../image/store/change.ts';
import { storePaths } from '../../../image/store/paths.ts';
import type { ImageRecord } from '../../../image/store/record.ts';
import { ImageStore, isImageName, normalName } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { archiveOf, configOf, FLAT, filesOf, LAYERS, Layout, tarOf } from './forms.ts';
import { ended, storeProgram } from './store-program.ts';
import { dir, file, hasTool, pattern, scratch } from './support.ts';

const FOLDER = scratch();
const layers = LAYERS.map((tar) => ({ tar }));
const root = process.getuid?.() === 0;
const { PROGRAM, program } = storeProgram(FOLDER);
let counter = 0;

function path(name: string): string {
  counter += 1;
  return join(FOLDER, `${counter}-${name}`);
}

async function newStore(): Promise<ImageStore> {
  const store = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
  await changeStore(store, () => {});
  return store;
}

const setName = (store: ImageStore, name: string, id: string): Promise<void> => changeStore(store, (change) => change.setName(name, id));
const setSource = (store: ImageStore, identity: string, id: string): Promise<void> => changeStore(store, (change) => change.setSource(identity, id));

/** A layout with one image of the two layers; `cmd` makes its configuration its own. */
function layoutOf(cmd: string, tag = 'latest'): string {
  const layout = new Layout(path(cmd));
  return layout.add(layout.manifest(layers, configOf(layers, { config: { Cmd: [cmd] } })), tag).write();
}

/** A record with a disk of one byte; ids and keys are digits again and again. */
async function put(store: ImageStore, id: string, key = id.replace(/^sha\d+:/, '').slice(0, 64), imported = '2026-01-01'): Promise<ImageRecord> {
  const config = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: [] };
  const record: ImageRecord = { version: 2, id, rootfs: key, size: 1, config, created: undefined, imported, source: 'test' };
  writeFileSync(store.rootfsPath(key), 'x');
  await changeStore(store, (change) => change.put(record));
  return record;
}

const SHA256 = `sha256:${'ab12'.repeat(16)}`;
const OTHER = `sha256:${'ab13'.repeat(16)}`;
const SHA512 = `sha512:${'cd34'.repeat(32)}`;

describe('names and ids', () => {
  it('a name is found without its tag or registry, and belongs to one image', async () => {
    const store = await newStore();
    const a = await put(store, SHA256);
    const b = await put(store, SHA512);
    await setName(store, 'docker.io/library/debian:latest', a.id);
    await setName(store, 'localhost/own:1', b.id);
    expect(store.find('debian')?.id).toBe(a.id);
    expect(store.find('debian:latest')?.id).toBe(a.id);
    expect(store.find('own:1')?.id).toBe(b.id);
    expect(store.find('own')).toBeUndefined();
    await setName(store, 'docker.io/library/debian', b.id);
    expect(store.find('debian')?.id).toBe(b.id);
    expect(store.list().map(({ record, names }) => [record.id, names.length])).toEqual(expect.arrayContaining([[a.id, 0], [b.id, 2]]));
  });

  it('ids are found by their beginning, sha512 ones by all of their digits', async () => {
    const store = await newStore();
    await put(store, SHA256);
    await put(store, SHA512);
    expect(store.find('ab12')?.id).toBe(SHA256);
    expect(store.find('cd34')?.id).toBe(SHA512);
    expect(store.find(SHA512)?.id).toBe(SHA512);
    expect(store.find('cd34'.repeat(20))?.id).toBe(SHA512);
    expect(store.find('sha512:cd34')?.id).toBe(SHA512);
    expect(store.find('sha256:cd34')).toBeUndefined();
    expect(store.find('ab1')).toBeUndefined();
    expect(store.find(`${'ab12'.repeat(16)}0`)).toBeUndefined();
    await put(store, OTHER);
    expect(store.find('ab12')?.id).toBe(SHA256);
    const twin = await put(store, `sha256:ab12${'0'.repeat(60)}`);
    expect(() => store.find('ab12')).toThrow(expect.objectContaining({ code: 'IMAGE_AMBIGUOUS' }));
    expect(store.find('ab120')?.id).toBe(twin.id);
  });

  it.each(['', ' ', 'a b', 'a\u001b[31m', 'a\u009b', 'a\u202eb', 'a\nb', 'x'.repeat(256), '\ud800'])('%j is no name', async (name) => {
    expect(isImageName(name)).toBe(false);
    expect(() => normalName(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect((await newStore()).find(name)).toBeUndefined();
  });

  it.each(['..', '../../etc/passwd', '/', '%2e%2e', 'über/名前:1', 'x'.repeat(255), '日'.repeat(255)])('%j is a name and stays in the store', async (name) => {
    const store = await newStore();
    await setName(store, name, (await put(store, SHA256)).id);
    expect(store.find(name)?.id).toBe(SHA256);
    expect(readdirSync(store.paths.names).length).toBe(1);
    expect(readdirSync(store.paths.root).sort()).toEqual(['blobs', 'images', 'names', 'partial', 'rootfs', 'sources', 'tmp', 'vmm-store']);
  });

  it('an import takes the image’s own names, moving them; a run takes only those that are free', async () => {
    const store = await newStore();
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

describe('what a name may also be', () => {
  it('a path here and an image of the store: neither is taken without a word', async () => {
    const store = await newStore();
    const { record } = await importImage(layoutOf('x'), { store }, ['debian']);
    const here = path('here');
    mkdirSync(join(here, 'debian'), { recursive: true });
    const before = process.cwd();
    process.chdir(here);
    try {
      await expect(resolveImage('debian', { store })).rejects.toMatchObject({ code: 'IMAGE_AMBIGUOUS', hint: 'write ./debian for the path, debian:latest for the image' });
      expect((await resolveImage('debian:latest', { store })).rootfs).toBe(store.rootfsPath(record.rootfs));
      expect((await resolveImage('./debian', { store })).rootfs).not.toBe(store.rootfsPath(record.rootfs));
      writeFileSync(join(here, 'debian:latest'), '');
      const id = record.id.slice(7, 19);
      await expect(resolveImage('debian', { store })).rejects.toMatchObject({ hint: `write ./debian for the path, ${id} for the image` });
      expect((await resolveImage(id, { store })).config.cmd).toEqual(['x']);
      // An import takes paths only.
      await importImage('debian', { store });
    } finally {
      process.chdir(before);
    }
  });

  it('with another tag: the tags that there are', async () => {
    const store = await newStore();
    await importImage(layoutOf('x'), { store }, ['localhost/x:1']);
    await expect(resolveImage('x', { store })).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', hint: 'there is localhost/x:1' });
    await changeStore(store, (change) => {
      for (let i = 10; i < 22; i++) change.setName(`localhost/x:${i}`, store.list()[0]?.record.id ?? '');
    });
    for (const call of [() => resolveImage('localhost/x', { store }), () => removeImage(store, 'x')]) {
      await expect(call()).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', hint: expect.stringMatching(/^there is localhost\/x:1, localhost\/x:10, .* and 3 more$/) });
    }
    await expect(resolveImage('y', { store })).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', hint: expect.stringContaining('no path either') });
  });
});

describe('removing', () => {
  it('the last name takes the image along, an id all its names', async () => {
    const store = await newStore();
    const a = await put(store, SHA256);
    await setName(store, 'x', a.id);
    await setName(store, 'y', a.id);
    expect(await removeImage(store, 'x')).toEqual(['x:latest']);
    expect(store.get(a.id)).toBeDefined();
    expect(await removeImage(store, 'y')).toEqual(['y:latest', a.id]);
    expect(existsSync(store.rootfsPath(a.rootfs))).toBe(false);
    await put(store, SHA512);
    await setName(store, 'x', SHA512);
    await setName(store, 'y', SHA512);
    expect((await removeImage(store, 'cd34')).sort()).toEqual([SHA512, 'x:latest', 'y:latest']);
    expect(readdirSync(store.paths.names)).toEqual([]);
    await expect(removeImage(store, 'x')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  });

  it('images that differ in their configuration share a disk, which goes with the last of them', async () => {
    const store = await newStore();
    const a = await importImage(layoutOf('a'), { store });
    const b = await importImage(layoutOf('b'), { store });
    expect(a.record.id).not.toBe(b.record.id);
    expect(a.record.rootfs).toBe(b.record.rootfs);
    expect(readdirSync(store.paths.rootfs).length).toBe(1);
    await removeImage(store, a.record.id);
    expect(filesOf(store.rootfsPath(b.record.rootfs))).toEqual(FLAT);
    await removeImage(store, b.record.id);
    expect(readdirSync(store.paths.rootfs)).toEqual([]);
  });

  it('prune takes what has no name, old leavings and what is unused; work in progress stays', async () => {
    const store = await newStore();
    const named = await put(store, SHA256);
    await setName(store, 'x', named.id);
    await put(store, SHA512);
    const inUse = await changeStore(store, (change) => change.temporary());
    const leave = (at: string): string => {
      writeFileSync(at, '1234');
      return at;
    };
    const tmp = (name: string): string => join(store.paths.tmp, name);
    const unfinished = leave(`${store.rootfsPath('d'.repeat(64))}.0123456789ab.tmp`);
    const stale = [leave(`${store.rootfsPath('a'.repeat(64))}.0123456789ab.tmp`), leave(store.rootfsPath('f'.repeat(64))), leave(tmp('0'.repeat(16))), leave(tmp('.spool-0123456789ab')), leave(join(store.paths.images, `${'e'.repeat(64)}.json`))];
    const old = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(stale[0] as string, old, old);
    const busy = [unfinished, tmp(inUse.name)];
    await setSource(store, 'one', named.id);
    await setSource(store, 'two', SHA512);
    await setName(store, 'dangling', `sha256:${'0'.repeat(64)}`);
    expect(await pruneStore(store, false)).toBe(1 + 4 * stale.length);
    expect(stale.filter((at) => existsSync(at))).toEqual([]);
    expect(busy.filter((at) => !existsSync(at))).toEqual([]);
    inUse.discard();
    expect(existsSync(busy[1] as string)).toBe(false);
    expect(store.list().map(({ record }) => record.id)).toEqual([SHA256]);
    expect(readdirSync(store.paths.sources).length).toBe(1);
    expect(readdirSync(store.paths.names).length).toBe(1);
    expect(await pruneStore(store, true)).toBe(1);
    expect(store.list()).toEqual([]);
    expect(readdirSync(store.paths.names)).toEqual([]);
  });
});

describe('a second run', () => {
  it('of a layout needs no blob', async () => {
    const store = await newStore();
    const layout = layoutOf('x');
    const first = await resolveImage(layout, { store });
    rmSync(join(layout, 'blobs'), { recursive: true });
    expect(await resolveImage(layout, { store })).toEqual(first);
  });

  it.skipIf(!hasTool('strace'))('of an archive does not open it', async () => {
    const store = await newStore();
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
    const store = await newStore();
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
    const store = await newStore();
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
    const store = await newStore();
    const archive = path('big.tar.gz');
    writeFileSync(archive, gzipSync(tarOf(dir({ data: file(pattern(4 << 20)) })), { level: 1 }));
    const [a, b] = await Promise.all([ended(program(store, ['import', archive])), ended(program(store, ['import', archive]))]);
    expect(a, a.err).toMatchObject({ status: 0 });
    expect(b, b.err).toEqual(a);
    expect(readdirSync(store.paths.rootfs).length).toBe(1);
    expect(readdirSync(store.paths.tmp)).toEqual([]);
    expect(store.list().length).toBe(1);
  });

  it('a process killed while it writes leaves no image, and nothing that the next import minds', async () => {
    const store = await newStore();
    const archive = path('big.tar');
    writeFileSync(archive, tarOf(dir({ data: file(pattern(8 << 20)) })));
    const child = program(store, ['import', archive]);
    const end = ended(child);
    // The disk is written under another name first.
    while (!readdirSync(store.paths.tmp).some((name) => statSync(join(store.paths.tmp, name)).size > 0) && child.exitCode === null) await setImmediate();
    child.kill('SIGKILL');
    expect((await end).status).toBe(null);
    expect(store.list()).toEqual([]);
    expect(readdirSync(store.paths.rootfs)).toEqual([]);
    expect(readdirSync(store.paths.tmp).length).toBe(1);
    const { record } = await importImage(archive, { store });
    expect(filesOf(store.rootfsPath(record.rootfs))['data']?.length).toBe(8 << 20);
    // What the dead one left went with the next import.
    expect(readdirSync(store.paths.tmp)).toEqual([]);
  });

  it.skipIf(!root)('a store without space says so and keeps nothing half; read-only it still serves', async () => {
    const at = path('small');
    mkdirSync(at);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', at]);
    try {
      const store = new ImageStore(storePaths({ VMM_STORE: join(at, 'store') }), hostFs);
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
      await expect(removeImage(store, store.list()[0]?.record.id ?? '')).rejects.toMatchObject({ code: 'STORE_WRITE' });
    } finally {
      execFileSync('umount', ['-l', at]);
    }
  });

  it('a store that is a file is told', async () => {
    const at = path('file');
    writeFileSync(at, '');
    const store = new ImageStore(storePaths({ VMM_STORE: at }), hostFs);
    expect(store.list()).toEqual([]);
    expect(store.find('x')).toBeUndefined();
    await expect(resolveImage(layoutOf('y'), { store })).rejects.toMatchObject({ code: 'STORE_WRITE' });
  });
});
