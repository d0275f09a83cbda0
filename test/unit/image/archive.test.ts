/** Images as archives, their history, and the store's check: held against skopeo, umoci and Docker's own reader of archives. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imageDetails } from '../../../image/archive/history.ts';
import { loadImages } from '../../../image/archive/load.ts';
import { saveImages } from '../../../image/archive/save.ts';
import { fsckStore } from '../../../image/repair.ts';
import { importImage } from '../../../image/resolve.ts';
import { pruneStore, removeImage, tagImage } from '../../../image/store/change.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { archiveOf, configOf, FLAT, filesOf, LAYERS, Layout, tarOf } from './forms.ts';
import { ended, expectClean, expectWhole, FAULTS, storeProgram } from './store-program.ts';
import { collect, describeImage, dir, file, pattern, scratch, symlink } from './support.ts';

const FOLDER = scratch();
const folder = (): string => mkdtempSync(join(FOLDER, 'x-'));
const newStore = (): ImageStore => new ImageStore(storePaths({ VMM_STORE: join(folder(), 'store') }), hostFs);
const layers = LAYERS.map((tar) => ({ tar, compression: 'gzip' as const }));
const HISTORY = [{ created: '2024-01-02T03:04:05Z', created_by: 'ADD base' }, { created_by: 'ENV A=b', empty_layer: true }, { created: '2024-01-03T00:00:00Z', created_by: 'RUN change', comment: 'two' }];

function layout(more: Record<string, unknown> = {}): string {
  const made = new Layout(folder());
  return made.add(made.manifest(layers, configOf(layers, more)), 'latest').write();
}

async function saved(store: ImageStore, ...names: string[]): Promise<string> {
  const path = join(folder(), 'saved.tar');
  const fd = openSync(path, 'w');
  for (const chunk of await saveImages(store, names)) writeSync(fd, chunk);
  closeSync(fd);
  return path;
}

const skopeo = (...args: string[]): string => execFileSync('skopeo', args, { encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: FOLDER, TMPDIR: '/tmp' } });
const digest = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('save and load', () => {
  it('what was saved is the image that came, digest for digest, for skopeo as OCI and as Docker’s form', async () => {
    const store = newStore();
    const from = layout({ history: HISTORY });
    const { record } = await importImage(`oci:${from}:latest`, { store }, ['demo:1']);
    const path = await saved(store, 'demo:1');
    const index = JSON.parse(readFileSync(join(from, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
    const raw = skopeo('inspect', '--raw', `oci-archive:${path}:demo:1`);
    expect(digest(Buffer.from(raw))).toBe(index.manifests[0]?.digest);
    const copy = folder();
    skopeo('copy', '-q', '--insecure-policy', `docker-archive:${path}:docker.io/library/demo:1`, `dir:${copy}`);
    expect((JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8')) as { config: { digest: string } }).config.digest).toBe(record.id);
    // Equal images give equal archives.
    expect(readFileSync(await saved(store, record.id))).toEqual(readFileSync(path));

    const other = newStore();
    const [loaded] = await loadImages(path, { store: other });
    expect(loaded?.record.id).toBe(record.id);
    expect(loaded?.names).toEqual(['demo:1']);
    expect(filesOf(other.rootfsPath(record.rootfs))).toEqual(FLAT);
    expectClean(other);
  });

  it('several images with several names each are one archive, and come back', async () => {
    const store = newStore();
    await importImage(`oci:${layout()}:latest`, { store }, ['one:1']);
    await importImage(`oci:${layout({ author: 'other' })}:latest`, { store }, ['two:1']);
    await tagImage(store, 'one:1', 'ghcr.io/a/one:2');
    const path = await saved(store, store.find('one:1')?.id as string, 'two:1');
    const other = newStore();
    const loaded = await loadImages(path, { store: other });
    expect(loaded.map(({ names }) => [...names].sort())).toEqual([['ghcr.io/a/one:2', 'one:1'], ['two:1']]);
    expect(other.list().length).toBe(2);
    expect(digest(collect(await saveImages(other, ['one:1'])))).toBe(digest(readFileSync(await saved(store, 'one:1'))));
  });

  it.each(['docker-archive', 'oci-archive'])('what skopeo wrote as %s is loaded with its names', async (form) => {
    const path = join(folder(), 'by-skopeo.tar');
    skopeo('copy', '-q', '--insecure-policy', `oci:${layout()}:latest`, form === 'docker-archive' ? `${form}:${path}:docker.io/demo/app:3` : `${form}:${path}:3`);
    const store = newStore();
    const [loaded] = await loadImages(path, { store });
    expect(loaded?.names[0]).toMatch(/(demo\/app|by-skopeo):3$/);
    expect(filesOf(store.rootfsPath(loaded?.record.rootfs as string))).toEqual(FLAT);
    // A docker archive has plain layers: they are kept as such, under a manifest of ours.
    const again = newStore();
    const [second] = await loadImages(await saved(store, loaded?.record.id as string), { store: again });
    expect(second?.record.id).toBe(loaded?.record.id);
  });

  it('an image without layers is handed on as one, with all of its files and what it runs', async () => {
    const tree = dir({ bin: dir({ sh: file('#!', { mode: 0o4755 }) }), data: file(pattern(200_000)), link: symlink('data'), sparse: file(Buffer.alloc(0)) }, { mode: 0o700 });
    const again = tree.children.get('data');
    if (again !== undefined) tree.children.set('hard', again);
    const path = join(folder(), 'root.tar');
    writeFileSync(path, tarOf(tree));
    const store = newStore();
    const { record } = await importImage(path, { store }, ['plain:1']);
    const notes: string[] = [];
    const archive = join(folder(), 'a.tar');
    writeFileSync(archive, collect(await saveImages(store, ['plain:1'], (note) => notes.push(note))));
    expect(notes.join()).toMatch(/one layer/);
    expectClean(store);
    const other = newStore();
    const [loaded] = await loadImages(archive, { store: other });
    expect(describeImage(other.rootfsPath(loaded?.record.rootfs as string))).toEqual(describeImage(store.rootfsPath(record.rootfs)));
    // The second time it is there.
    expect(readFileSync(await saved(store, 'plain:1'))).toEqual(readFileSync(archive));
  });

  it.each<[string, () => Buffer, RegExp]>([
    ['an empty file', () => Buffer.alloc(0), /^IMAGE_/],
    ['text', () => Buffer.from('hello, world'.repeat(100)), /^IMAGE_TAR_/],
    ['a root file system', () => tarOf(dir({ bin: dir({ sh: file('x') }) })), /^IMAGE_BAD .*no images with names/],
    ['a list of no images', () => archiveOf({ 'manifest.json': '[]' }), /^IMAGE_BAD .*lists no image/],
    ['a list of 2000 images', () => archiveOf({ 'manifest.json': JSON.stringify(Array.from({ length: 2000 }, () => ({ Config: 'x', Layers: [] }))) }), /^IMAGE_LIMIT /],
    ['a configuration outside of it', () => archiveOf({ 'manifest.json': '[{"Config": "../../etc/passwd", "Layers": []}]' }), /^IMAGE_BAD .*missing/],
    ['a layer that is cut off', () => {
      const config = JSON.stringify(configOf(layers.slice(0, 1)));
      return archiveOf({ 'manifest.json': '[{"Config": "c.json", "Layers": ["l.tar"]}]', 'c.json': config, 'l.tar': (LAYERS[0] as Buffer).subarray(0, 700) });
    }, /^IMAGE_(DIGEST|TAR_)/],
  ])('%s is refused, and nothing of it stays', async (_, make, wanted) => {
    const path = join(folder(), 'bad.tar');
    writeFileSync(path, make());
    const store = newStore();
    const error = await loadImages(path, { store }).then(() => 'no error', (cause: { code: string; message: string }) => `${cause.code} ${cause.message}`);
    expect(error).toMatch(wanted);
    expect(store.list()).toEqual([]);
    await pruneStore(store, false);
    expectClean(store);
  });
});

it('rm takes an image’s blobs, but none that another image needs', async () => {
  const store = newStore();
  await importImage(`oci:${layout()}:latest`, { store }, ['one:1']);
  await importImage(`oci:${layout({ author: 'other' })}:latest`, { store }, ['two:1']);
  expect(readdirSync(store.paths.blobs).length).toBe(6);
  await removeImage(store, 'one:1');
  expect(readdirSync(store.paths.blobs).length).toBe(4);
  expectClean(store);
  await removeImage(store, 'two:1');
  expectClean(store);
});

it('a run of an archive keeps no layers of it, an import of the same one does', async () => {
  const { resolveImage } = await import('../../../image/resolve.ts');
  const store = newStore();
  const from = layout();
  await resolveImage(`oci:${from}:latest`, { store });
  expect(readdirSync(store.paths.blobs)).toEqual([]);
  await importImage(`oci:${from}:latest`, { store }, ['x:1']);
  expect(readdirSync(store.paths.blobs).length).toBe(4);
  expectClean(store);
});

it('the history is the configuration’s, the last step first, with the layers’ sizes', async () => {
  const store = newStore();
  const from = layout({ history: HISTORY });
  const { record } = await importImage(`oci:${from}:latest`, { store }, ['demo:1']);
  const steps = imageDetails(store, record)?.history ?? [];
  expect(steps.map(({ by, created, comment }) => [by, created, comment])).toEqual([['RUN change', '2024-01-03T00:00:00Z', 'two'], ['ENV A=b', undefined, ''], ['ADD base', '2024-01-02T03:04:05Z', '']]);
  expect(steps.map((step) => step.size > 0)).toEqual([true, false, true]);
  const tar = join(folder(), 'r.tar');
  writeFileSync(tar, LAYERS[0] as Buffer);
  expect(imageDetails(store, (await importImage(tar, { store }, ['r:1'])).record)).toBe(undefined);
});

describe('fsck', () => {
  async function filled(): Promise<ImageStore> {
    const store = newStore();
    await importImage(`oci:${layout()}:latest`, { store }, ['one:1']);
    const tar = join(folder(), 'r.tar');
    writeFileSync(tar, tarOf(dir({ data: file(pattern(50_000)) })));
    await importImage(tar, { store }, ['two:1']);
    return store;
  }
  const check = async (store: ImageStore, repair = false, data = false): Promise<string[]> => (await fsckStore(store, { repair, data })).map(({ text }) => text);
  const diskOf = (store: ImageStore, name: string): string => store.rootfsPath(store.find(name)?.rootfs as string);
  const change = (path: string, at: number): void => {
    const bytes = readFileSync(path);
    bytes[at] = (bytes[at] as number) ^ 0xff;
    writeFileSync(path, bytes);
  };
  /** The file of a kept layer. */
  const blobOf = (store: ImageStore): string => {
    const [, largest] = readdirSync(store.paths.blobs).map((name) => [statSync(join(store.paths.blobs, name)).size, name] as const).sort()[0] as [number, string];
    return join(store.paths.blobs, largest);
  };

  it('a store that is whole has no faults, and leavings are none', async () => {
    const store = await filled();
    writeFileSync(join(store.paths.partial, 'ab'.repeat(32)), 'x');
    // As a version of before has left it: where an image came from that is gone.
    writeFileSync(join(store.paths.sources, 'cd'.repeat(32)), `sha256:${'0'.repeat(64)}`);
    expect(await check(store, false, true)).toEqual([]);
  });

  it('rm leaves nothing that is about the image', async () => {
    const store = await filled();
    expect(readdirSync(store.paths.sources).length).toBeGreaterThan(0);
    for (const { names } of store.list()) for (const name of names) await removeImage(store, name);
    for (const folder of ['names', 'images', 'sources', 'rootfs', 'blobs'] as const) expect(readdirSync(store.paths[folder]), folder).toEqual([]);
  });

  it.each<[string, (store: ImageStore) => void, RegExp]>([
    ['a disk that was cut', (store) => truncateSync(diskOf(store, 'one:1'), 1500), /its disk has 1500 bytes.*made again/],
    ['a disk that is gone', (store) => rmSync(diskOf(store, 'one:1')), /its disk is not there.*made again/],
    ['a disk whose superblock was overwritten', (store) => change(diskOf(store, 'one:1'), 1024), /its disk cannot be opened.*made again/],
    ['a disk with other data', (store) => {
      const path = diskOf(store, 'one:1');
      change(path, readFileSync(path).lastIndexOf('5'));
    }, /not what its layers give.*made again/],
  ])('%s is made again of its layers', async (_, damage, wanted) => {
    const store = await filled();
    const before = filesOf(diskOf(store, 'one:1'));
    damage(store);
    const told = await check(store, false, true);
    expect(told.length).toBe(1);
    expect((await check(store, true, true)).join()).toMatch(wanted);
    expect(await check(store, false, true)).toEqual([]);
    expect(filesOf(diskOf(store, 'one:1'))).toEqual(before);
    expectWhole(store);
  });

  it.each<[string, (store: ImageStore) => void, RegExp]>([
    ['a blob with other bytes', (store) => change(blobOf(store), 20), /blob \w+ is damaged.*removed/],
    ['a disk without layers', (store) => rmSync(diskOf(store, 'two:1')), /its disk is not there; removed: its layers/],
    ['a record of nonsense', (store) => writeFileSync(join(store.paths.images, `${'ab'.repeat(32)}.json`), '{'), /record \w+ cannot be read; removed/],
    ['a name of nobody', (store) => {
      const name = 'gone:1';
      writeFileSync(join(store.paths.names, createHash('sha256').update(name).digest('hex')), `sha256:${'0'.repeat(64)}\n${name}`);
    }, /name gone:1 is that of an image that is not there; removed/],
  ])('%s is told, and with --repair taken away', async (_, damage, wanted) => {
    const store = await filled();
    damage(store);
    const before = readdirSync(store.paths.images).length;
    expect(await check(store)).toHaveLength(1);
    expect(readdirSync(store.paths.images).length).toBe(before);
    expect((await check(store, true)).join()).toMatch(wanted);
    expect(store.find('one:1')).toBeDefined();
    expectWhole(store);
  });
});

describe('a load that ends at any moment', () => {
  it.each(['kill', 'ENOSPC'])('%s: a whole store, and the next load works', async (fault) => {
    const source = newStore();
    await importImage(`oci:${layout()}:latest`, { store: source }, ['one:1']);
    const path = await saved(source, 'one:1');
    const { program } = storeProgram(folder());
    const count = join(folder(), 'count');
    const load = (store: ImageStore, env: Readonly<Record<string, string>>): ReturnType<typeof ended> => ended(program(store, ['load', path], { preload: [FAULTS], env }));
    expect(await load(newStore(), { FAULT_COUNT: count })).toMatchObject({ status: 0, err: '' });
    const total = Number(readFileSync(count, 'utf8'));
    const tries = process.env['VMM_LONG'] === '1' ? 500 : 8;
    for (let i = 0; i < tries; i++) {
      const store = newStore();
      const at = 1 + Math.floor(((i + Math.random()) * total) / tries);
      const result = await load(store, { FAULT: fault, FAULT_AT: String(at), FAULT_DELAY: '1' });
      const what = `at ${at} of ${total}: ${JSON.stringify(result)}`;
      if (fault === 'ENOSPC' && result.status !== 0) expect(result.err, what).toMatch(/^(STORE|IMAGE)_WRITE [^\n]*\n$/);
      if (existsSync(store.paths.root) && fault === 'kill') expect(await fsckStore(store, { repair: false, data: true }), what).toEqual([]);
      const [loaded] = await loadImages(path, { store });
      expect(filesOf(store.rootfsPath(loaded?.record.rootfs as string)), what).toEqual(FLAT);
      await pruneStore(store, false);
      expectClean(store);
      expect(await fsckStore(store, { repair: false, data: true }), what).toEqual([]);
    }
  }, 1_800_000);
});
