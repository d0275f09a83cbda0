import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { importImage, type ResolvedImage, resolveImage } from '../../../image/resolve.ts';
import { storePaths } from '../../../image/store/paths.ts';
import { changeStore } from '../../../image/store/change.ts';
import { ImageStore } from '../../../image/store/store.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';
import { VmmError } from '../../../base/errors.ts';
import { archiveOf, configOf, digestOf, FLAT, filesOf, LAYERS, Layout, sha512, tarOf } from './forms.ts';
import { dir, file, scratch, sha256, symlink } from './support.ts';

const FOLDER = scratch();
const store = new ImageStore(storePaths({ VMM_STORE: join(FOLDER, 'store') }), hostFs);
const layers = LAYERS.map((tar) => ({ tar }));
let counter = 0;

function path(name = 'x'): string {
  counter += 1;
  return join(FOLDER, `${counter}-${name}`);
}

function written(bytes: Uint8Array | string, name = 'file'): string {
  const file = path(name);
  writeFileSync(file, bytes);
  return file;
}

const layout = (): Layout => new Layout(path('layout'));

function resolve(reference: string): Promise<ResolvedImage> {
  return resolveImage(reference, { store });
}

/** A fresh store: another image of the same id is not at hand. */
async function fresh(reference: string): Promise<ResolvedImage & { files: Record<string, string>; notes: string[] }> {
  const notes: string[] = [];
  const own = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
  const image = await resolveImage(reference, { store: own, insecure: { image: true, tls: false, http: false }, note: (text) => notes.push(text) });
  return { ...image, files: filesOf(image.rootfs), notes };
}

/** Code and message of the error that importing gives; anything but a VmmError fails the test. */
async function errorOf(reference: string): Promise<string> {
  try {
    await fresh(reference);
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    expect(error.message).not.toContain('\n');
    return `${error.code} ${error.message}`;
  }
  throw new Error(`${reference} was imported`);
}

/** The old form of docker save: a folder a layer, a layer that is there already linked. */
function dockerOld(link: boolean): Buffer {
  const config = JSON.stringify(configOf([...layers, ...(link ? [layers[0] as { tar: Buffer }] : [])]));
  const names = ['a/layer.tar', 'b/layer.tar', ...(link ? ['c/layer.tar'] : [])];
  const manifest = JSON.stringify([{ Config: `${sha256(Buffer.from(config))}.json`, RepoTags: ['demo:1', 'demo:latest'], Layers: names }]);
  return archiveOf(
    { 'a/layer.tar': LAYERS[0] as Buffer, 'b/layer.tar': LAYERS[1] as Buffer, [`${sha256(Buffer.from(config))}.json`]: config, 'manifest.json': manifest },
    link ? { 'c/layer.tar': '../a/layer.tar' } : {},
  );
}

const ACI = { acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.com/demo', labels: [{ name: 'version', value: '1' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }] };
const APP = { exec: ['/bin/x', '-a'], user: '0', group: '5', workingDirectory: '/w', environment: [{ name: 'A', value: 'b=c' }] };

function aci(manifest: unknown, rootfs = dir({ etc: dir({ a: file('1'), b: file('2') }), 'x.wh.': file('3'), '.wh.y': file('4') })): Buffer {
  const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
  return Buffer.concat([archiveOf({ manifest: text }).subarray(0, -1024), tarOf(rootfs, 'rootfs')]);
}

describe('forms made by hand', () => {
  it('volumes are kept; a record of before is renewed by the same source', async () => {
    const l = layout();
    const folder = l.add(l.manifest(layers, configOf(layers, { config: { Volumes: { '/data': {}, '/var//lib/../x/': {} } } })), 'latest').write();
    const own = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    const image = await resolveImage(folder, { store: own });
    expect(image.config.volumes).toEqual(['/data', '/var/x']);
    const [record] = own.list().map((entry) => entry.record);
    const { volumes: _, ...config } = image.config;
    writeFileSync(join(own.paths.images, readdirSync(own.paths.images)[0] as string), JSON.stringify({ ...record, version: 1, config }));
    expect(own.list()[0]?.record).toMatchObject({ version: 1, config: { volumes: [] } });
    expect(await resolveImage(folder, { store: own })).toMatchObject({ rootfs: image.rootfs, config: image.config });
    expect(own.list()[0]?.record.version).toBe(3);
  });

  it('an OCI layout is recognised', async () => {
    const l = layout();
    const image = await fresh(l.add(l.manifest(layers), 'latest').write());
    expect(image.files).toEqual(FLAT);
    expect(image.config).toEqual({ entrypoint: [], cmd: ['/bin/sh'], env: ['A=b'], workingDir: '/w', user: '1:2', stopSignal: 'SIGINT', volumes: [] });
  });

  it.each(['plain', 'gzip', 'zstd'] as const)('layers that are %s', async (compression) => {
    const l = layout();
    expect((await fresh(`oci:${l.add(l.manifest(layers.map((x) => ({ ...x, compression }))), 'a').write()}`)).files).toEqual(FLAT);
  });

  it('an OCI archive, plain and compressed, by content and by transport', async () => {
    const l = layout();
    const tar = archiveOf(l.add(l.manifest(layers), 'v1').files());
    expect((await fresh(written(tar))).files).toEqual(FLAT);
    expect((await fresh(`oci-archive:${written(gzipSync(tar))}:v1`)).files).toEqual(FLAT);
    expect(await errorOf(`oci-archive:${written(tar)}:v2`)).toMatch(/^IMAGE_NOT_FOUND .*no image v2/);
  });

  it('docker archives of the old form, with linked layers', async () => {
    expect((await fresh(written(dockerOld(false)))).files).toEqual(FLAT);
    expect((await fresh(written(dockerOld(true)))).files).toEqual({ ...FLAT, 'etc/gone': '1', 'etc/changed': '3', 'opt/old': '0' });
  });

  it('docker archives of the new form: an OCI layout with manifest.json', async () => {
    const l = layout();
    const files = l.add(l.manifest(layers), 'latest').files();
    const config = Object.entries(l.blobs).find(([, bytes]) => bytes.toString('latin1').startsWith('{"architecture"'))?.[0];
    const blob = (bytes: Buffer): string => `blobs/sha256/${sha256(bytes)}`;
    files['manifest.json'] = JSON.stringify([{ Config: `blobs/sha256/${config}`, RepoTags: ['demo:2'], Layers: LAYERS.map(blob) }]);
    const own = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    const { record, names } = await importImage(written(archiveOf(files)), { store: own });
    expect(names).toEqual(['demo:2']);
    expect(record.id).toBe(`sha256:${config}`);
    expect(filesOf(own.rootfsPath(record.rootfs))).toEqual(FLAT);
  });

  it('one of several images of a docker archive by name, without its tag or registry, and by number', async () => {
    const one = (text: string): [string, string] => {
      const config = JSON.stringify(configOf([], { config: { Cmd: [text] } }));
      return [`${sha256(Buffer.from(config))}.json`, config];
    };
    const configs = ['a', 'b'].map(one);
    const entry = (i: number, tags: string[]): unknown => ({ Config: configs[i]?.[0], RepoTags: tags, Layers: [] });
    const file = written(archiveOf({ ...Object.fromEntries(configs), 'manifest.json': JSON.stringify([entry(0, ['docker.io/library/a:latest']), entry(1, ['b:2'])]) }));
    const cmd = async (reference: string): Promise<readonly string[]> => (await resolve(reference)).config.cmd;
    expect(await cmd(`docker-archive:${file}:a`)).toEqual(['a']);
    expect(await cmd(`docker-archive:${file}:b:2`)).toEqual(['b']);
    expect(await cmd(`docker-archive:${file}:@1`)).toEqual(['b']);
    expect(await errorOf(file)).toMatch(/^IMAGE_AMBIGUOUS .*holds 2 images/);
    expect(await errorOf(`docker-archive:${file}:c`)).toMatch(/^IMAGE_NOT_FOUND/);
    expect(await errorOf(`docker-archive:${file}:@2`)).toMatch(/^IMAGE_NOT_FOUND/);
  });

  it('an image without layers is an empty root', async () => {
    const l = layout();
    expect((await fresh(l.add(l.manifest([])).write())).files).toEqual({});
  });

  it('an ACI: its rootfs without its whiteout-like names touched, its app, its id', async () => {
    const bytes = aci({ ...ACI, app: APP });
    const own = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    const { record, names } = await importImage(written(gzipSync(bytes), 'demo.aci'), { store: own });
    expect(record.id).toBe(`sha512:${sha512(bytes)}`);
    expect(names).toEqual(['example.com/demo:1']);
    expect(filesOf(own.rootfsPath(record.rootfs))).toEqual({ '.wh.y': '4', 'etc/a': '1', 'etc/b': '2', 'x.wh.': '3' });
    expect(record.config).toEqual({ entrypoint: [], cmd: ['/bin/x', '-a'], env: ['A=b=c'], workingDir: '/w', user: '0:5', stopSignal: undefined, volumes: [] });
  });

  it('the path whitelist of an ACI keeps a hard link whose first name goes', async () => {
    const shared = file('shared');
    const rootfs = dir({ a: dir({ first: shared, other: file('no') }), b: dir({ second: shared }), c: dir({ d: dir({ e: file('no') }) }) });
    const image = await fresh(`aci:${written(aci({ ...ACI, pathWhitelist: ['/b/second', '//c/d/', '/missing'] }, rootfs))}`);
    expect(image.files).toEqual({ 'b/second': 'shared' });
    // As a plain archive the same bytes are another image.
    expect((await fresh(written(aci('{}', rootfs), 'x.tar')).catch((error: VmmError) => error.code))).toBe('ACI_MANIFEST');
  });

  it.each([
    ['dependencies that nobody has', { ...ACI, dependencies: [{ imageName: 'example.com/base' }] }, /^ACI_DEPENDENCY .*depends on example.com\/base/],
    ['another platform', { ...ACI, labels: [{ name: 'arch', value: 'aarch64' }] }, /^IMAGE_PLATFORM .*linux\/aarch64/],
    ['another kind', { ...ACI, acKind: 'PodManifest' }, /^ACI_MANIFEST .*acKind/],
    ['the owner of a file that it has not as its user', { ...ACI, app: { ...APP, user: '/etc/passwd' } }, /^IMAGE_NOT_FOUND .*owner of "\/etc\/passwd"/],
    ['a NUL byte in a variable', { ...ACI, app: { ...APP, environment: [{ name: 'A', value: '\0' }] } }, /^ACI_MANIFEST .*NUL/],
    ['a whitelist that leads out', { ...ACI, pathWhitelist: ['/../x'] }, /^IMAGE_TAR_PATH/],
    ['a manifest that is no JSON', 'acKind', /^ACI_MANIFEST .*not JSON/],
  ])('an ACI with %s is refused', async (_, manifest, message) => {
    expect(await errorOf(written(aci(manifest)))).toMatch(message);
  });

  it('a root file system as tar, plain and compressed; a file manifest.json in it is only a file', async () => {
    const tar = tarOf(dir({ usr: dir({ x: file('1') }), 'manifest.json': file('{"name":"app"}'), manifest: file('text'), '.wh.z': file('') }));
    const expected = { '.wh.z': '', manifest: 'text', 'manifest.json': '{"name":"app"}', 'usr/x': '1' };
    const plain = written(tar, 'root.tar');
    expect((await fresh(plain)).files).toEqual(expected);
    for (const tool of ['gzip', 'xz', 'zstd', 'bzip2']) {
      const packed = path(`root.${tool}`);
      execFileSync('sh', ['-c', `${tool} -c <"$0" >"$1"`, plain, packed]);
      expect((await fresh(packed)).files, tool).toEqual(expected);
    }
  });

  it('a directory, even an empty one, named through a link', async () => {
    const root = path('root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc', 'x'), '1');
    symlinkSync(root, `${root}-link`);
    expect((await fresh(`dir:${root}-link`)).files).toEqual({ 'etc/x': '1' });
    const empty = path('empty');
    mkdirSync(empty);
    expect((await fresh(empty)).files).toEqual({});
  });

  it('of an index with platforms ours is taken, the one that asks least of the CPU', async () => {
    const l = layout();
    const image = (text: string): Record<string, unknown> => l.manifest([], configOf([], { config: { Cmd: [text] } }));
    l.add({ ...image('arm'), platform: { os: 'linux', architecture: 'arm64' } });
    l.add({ ...image('v3'), platform: { os: 'linux', architecture: 'amd64', variant: 'v3' } });
    l.add({ ...image('ours'), platform: { os: 'linux', architecture: 'amd64' } });
    l.add({ ...image('none'), platform: { os: 'unknown', architecture: 'unknown' } });
    expect((await resolve(l.write())).config.cmd).toEqual(['ours']);
  });

  it('an index without our platform is told', async () => {
    const l = layout();
    for (const architecture of ['arm64', 's390x']) l.add({ ...l.manifest([], configOf([], { architecture })), platform: { os: 'linux', architecture } });
    expect(await errorOf(l.write())).toMatch(/^IMAGE_PLATFORM .*linux\/amd64/);
    const single = layout();
    expect(await errorOf(single.add(single.manifest([], configOf([], { architecture: 'arm64' }))).write())).toMatch(/^IMAGE_PLATFORM .*linux\/arm64/);
  });

  it('several tags need one of them', async () => {
    const l = layout();
    for (const tag of ['a', 'b']) l.add(l.manifest([], configOf([], { config: { Cmd: [tag] } })), tag);
    const folder = l.write();
    expect(await errorOf(folder)).toMatch(/^IMAGE_AMBIGUOUS/);
    expect((await resolve(`oci:${folder}:b`)).config.cmd).toEqual(['b']);
  });

  it('an archive that lacks its end marker, and attributes that EROFS cannot hold, are noted', async () => {
    const tar = tarOf(dir({ x: file('1', { xattrs: new Map([['btrfs.a', Buffer.from('b')]]) }) }));
    const { notes } = await fresh(written(tar.subarray(0, -1024)));
    expect(notes).toEqual([expect.stringMatching(/end marker/), expect.stringMatching(/^1 extended attributes/)]);
  });
});

describe('forms of Debian’s tools', () => {
  const made = { oci: '', ociArchive: '', dockerArchive: '', skopeoDir: '', umoci: '' };

  beforeAll(() => {
    const source = layout();
    const folder = source.add(source.manifest(layers.map((x) => ({ ...x, compression: 'gzip' as const }))), 'v1').write();
    const copy = (to: string): void => void execFileSync('skopeo', ['--insecure-policy', 'copy', '-q', `oci:${folder}:v1`, to], { stdio: 'pipe' });
    made.oci = path('skopeo-oci');
    copy(`oci:${made.oci}:t`);
    made.ociArchive = path('skopeo.oci.tar');
    copy(`oci-archive:${made.ociArchive}:t`);
    made.dockerArchive = path('skopeo.docker.tar');
    copy(`docker-archive:${made.dockerArchive}:demo/app:3`);
    made.skopeoDir = path('skopeo-dir');
    copy(`dir:${made.skopeoDir}`);
    made.umoci = path('umoci');
    const bundle = mkdtempSync(join(FOLDER, 'bundle-'));
    execFileSync('umoci', ['init', '--layout', made.umoci], { stdio: 'pipe' });
    execFileSync('umoci', ['new', '--image', `${made.umoci}:first`], { stdio: 'pipe' });
    execFileSync('umoci', ['unpack', '--image', `${made.umoci}:first`, bundle], { stdio: 'pipe' });
    mkdirSync(join(bundle, 'rootfs', 'etc'));
    writeFileSync(join(bundle, 'rootfs', 'etc', 'x'), 'from umoci');
    execFileSync('umoci', ['repack', '--image', `${made.umoci}:second`, bundle], { stdio: 'pipe' });
    execFileSync('umoci', ['config', '--image', `${made.umoci}:second`, '--config.cmd', '/bin/x', '--config.user', '7'], { stdio: 'pipe' });
  });

  it.each([
    ['skopeo oci:', () => made.oci, ['N:t']],
    ['skopeo oci-archive:', () => made.ociArchive, ['N:t']],
    ['skopeo docker-archive:', () => made.dockerArchive, ['docker.io/demo/app:3']],
    ['skopeo dir:', () => made.skopeoDir, []],
  ])('%s', async (_, from, expectedNames) => {
    const own = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    const { record, names } = await importImage(from(), { store: own });
    expect(filesOf(own.rootfsPath(record.rootfs))).toEqual(FLAT);
    expect(record.config.cmd).toEqual(['/bin/sh']);
    expect(names.map((name) => name.replace(/^\d+-skopeo(-oci)?:/, 'N:'))).toEqual(expectedNames);
  });

  it('umoci: one of two tags', async () => {
    const image = await fresh(`oci:${made.umoci}:second`);
    expect(image.files).toEqual({ 'etc/x': 'from umoci' });
    expect(image.config).toMatchObject({ cmd: ['/bin/x'], user: '7' });
    expect(await errorOf(made.umoci)).toMatch(/^IMAGE_AMBIGUOUS/);
    expect(await errorOf(`oci:${made.umoci}:third`)).toMatch(/^IMAGE_NOT_FOUND .*no image third/);
  });

  it('an archive cut anywhere is refused in one line', async () => {
    for (const from of [made.dockerArchive, made.ociArchive]) {
      const whole = readFileSync(from);
      const expected = await fresh(from);
      for (const part of [0.05, 0.3, 0.55, 0.8]) {
        const cut = written(whole.subarray(0, Math.floor(whole.length * part)));
        const image = await fresh(cut).catch((error: unknown) => error);
        // Only the end marker may be missing without harm.
        if (image instanceof VmmError) expect(image.code).toMatch(/^IMAGE_(TAR_TRUNCATED|TAR_HEADER|BAD|OPEN|DIGEST)$/);
        else expect((image as { files: unknown }).files).toEqual(expected.files);
      }
    }
  });

  it('a blob of a layout that is missing, changed, cut, or something else', async () => {
    const copyOf = (): { folder: string; layer: string } => {
      const folder = path('copy');
      execFileSync('cp', ['-r', made.oci, folder]);
      const blobs = join(folder, 'blobs', 'sha256');
      const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
      const manifest = JSON.parse(readFileSync(join(blobs, (index.manifests[0]?.digest ?? '').slice(7)), 'utf8')) as { layers: { digest: string }[] };
      return { folder, layer: join(blobs, (manifest.layers[0]?.digest ?? '').slice(7)) };
    };
    const missing = copyOf();
    renameSync(missing.layer, `${missing.layer}.gone`);
    expect(await errorOf(missing.folder)).toMatch(/^IMAGE_OPEN layer 1 of .*ENOENT/);
    const changed = copyOf();
    const bytes = readFileSync(changed.layer);
    writeFileSync(changed.layer, gzipSync(Buffer.from(LAYERS[1] as Buffer)));
    expect(await errorOf(changed.folder)).toMatch(/^IMAGE_DIGEST layer 1/);
    writeFileSync(changed.layer, bytes);
    truncateSync(changed.layer, 20);
    expect(await errorOf(changed.folder)).toMatch(/^IMAGE_(COMPRESSED|DIGEST|TAR_TRUNCATED) layer 1/);
    const fifo = copyOf();
    renameSync(fifo.layer, `${fifo.layer}.gone`);
    execFileSync('mkfifo', [fifo.layer]);
    expect(await errorOf(fifo.folder)).toMatch(/^IMAGE_OPEN layer 1/);
    const loop = copyOf();
    renameSync(loop.layer, `${loop.layer}.gone`);
    symlinkSync(loop.layer, loop.layer);
    expect(await errorOf(loop.folder)).toMatch(/^IMAGE_OPEN layer 1 of .*ELOOP/);
  });
});

describe('hostile images', () => {
  /** A layout whose manifest is what `change` makes of an honest one. */
  function withManifest(change: (manifest: { config: Record<string, unknown>; layers: Record<string, unknown>[] }) => unknown): string {
    const l = layout();
    const { digest } = l.manifest(layers);
    const manifest = JSON.parse((l.blobs[digest.slice(7)] as Buffer).toString()) as { config: Record<string, unknown>; layers: Record<string, unknown>[] };
    change(manifest);
    return l.add({ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: l.blob(manifest as never) }).write();
  }
  const withConfig = (more: Record<string, unknown>): string => {
    const l = layout();
    return l.add(l.manifest(layers, configOf(layers, more))).write();
  };
  const diffIds = (...ids: unknown[]): Record<string, unknown> => ({ rootfs: { type: 'layers', diff_ids: ids } });
  const right = layers.map(({ tar }) => digestOf(tar));

  it.each<[string, () => string, RegExp]>([
    ['a layer digest that is a path', () => withManifest((m) => Object.assign(m.layers[0] as object, { digest: '../../../etc/passwd' })), /^IMAGE_BAD .*not a digest/],
    ['a digest with a path behind it', () => withManifest((m) => Object.assign(m.config, { digest: `sha256:${'a'.repeat(64)}/../x` })), /^IMAGE_BAD .*not a digest/],
    ['a digest by an unknown algorithm', () => withManifest((m) => Object.assign(m.config, { digest: 'md5:d41d8cd98f00b204e9800998ecf8427e' })), /^IMAGE_BAD .*not a digest/],
    ['a configuration that is missing', () => withManifest((m) => Object.assign(m.config, { digest: `sha256:${'a'.repeat(64)}` })), /^IMAGE_OPEN .*ENOENT/],
    ['no configuration', () => withManifest((m) => Object.assign(m, { config: null })), /^IMAGE_BAD .*names no configuration/],
    ['a configuration of another kind', () => withManifest((m) => Object.assign(m.config, { mediaType: 'application/vnd.cncf.helm.config.v1+json' })), /^IMAGE_UNSUPPORTED/],
    ['an encrypted layer', () => withManifest((m) => Object.assign(m.layers[0] as object, { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted' })), /^IMAGE_UNSUPPORTED/],
    ['thousands of layers', () => withManifest((m) => Object.assign(m, { layers: Array.from({ length: 5000 }, () => m.layers[0]) })), /^IMAGE_LIMIT .*5000 layers/],
    ['a layer less than diff ids', () => withManifest((m) => m.layers.pop()), /^IMAGE_BAD .*1 layers, but 2 diff ids/],
    ['layers that are no list', () => withManifest((m) => Object.assign(m, { layers: { length: 2 } })), /^IMAGE_BAD .*not a list/],
    ['a wrong diff id', () => withConfig(diffIds(right[1], right[0])), /^IMAGE_DIGEST layer 1 .*diff_id/],
    ['a diff id that is a path', () => withConfig(diffIds('../../../../../../tmp/evil', right[1])), /^IMAGE_BAD .*not a diff id/],
    ['a diff id by sha512', () => withConfig(diffIds(`sha512:${'a'.repeat(128)}`, right[1])), /^IMAGE_UNSUPPORTED .*sha512/],
    ['a variable with a NUL byte', () => withConfig({ config: { Env: ['A=\0b'] } }), /^IMAGE_BAD .*NUL/],
    ['a command that is a number', () => withConfig({ config: { Cmd: [1] } }), /^IMAGE_BAD .*list of strings/],
    ['volumes that are a list', () => withConfig({ config: { Volumes: ['/data'] } }), /^IMAGE_BAD .*Volumes is not an object/],
    ['a volume at the root', () => withConfig({ config: { Volumes: { '/x/..': {} } } }), /^IMAGE_BAD .*no place for a volume/],
    ['a volume without a place', () => withConfig({ config: { Volumes: { data: {} } } }), /^IMAGE_BAD .*no place for a volume/],
    ['a command that is a string', () => withConfig({ config: { Cmd: 'sh' } }), /^IMAGE_BAD .*not a list/],
    ['fields of Object.prototype only', () => withManifest((m) => { for (const key of Object.keys(m)) delete (m as Record<string, unknown>)[key]; }), /^IMAGE_BAD .*no configuration/],
    ['an index without entries', () => layout().write(), /^IMAGE_NOT_FOUND .*empty/],
  ])('%s', async (_, make, message) => {
    expect(await errorOf(make())).toMatch(message);
  });

  it('a diff id never leads out of the store, even to a disk that exists', async () => {
    const l = layout();
    const folder = l.add(l.manifest([layers[0] as { tar: Buffer }], configOf([], diffIds('../../outside')))).write();
    const own = new ImageStore(storePaths({ VMM_STORE: path('store') }), hostFs);
    await changeStore(own, () => {});
    const good = await resolve(written(tarOf(dir({ x: file('1') }))));
    copyFileSync(good.rootfs, join(own.paths.root, '..', 'outside.erofs'));
    await expect(resolveImage(folder, { store: own })).rejects.toMatchObject({ code: 'IMAGE_BAD' });
  });

  it('indexes within indexes end somewhere', async () => {
    const l = layout();
    let at: Record<string, unknown> = l.manifest(layers);
    for (let i = 0; i < 6; i++) at = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: l.blob({ schemaVersion: 2, manifests: [at] }) };
    expect(await errorOf(l.add(at).write())).toMatch(/^IMAGE_LIMIT .*nested/);
  });

  it('JSON without end: too large, too deep, not JSON, not UTF-8', async () => {
    const index = (text: string | Uint8Array): string => {
      const folder = layout().write();
      writeFileSync(join(folder, 'index.json'), text);
      return folder;
    };
    expect(await errorOf(index(`{"manifests":[${'0,'.repeat(3 << 20)}0]}`))).toMatch(/^IMAGE_LIMIT .*too large/);
    expect(await errorOf(index('['.repeat(1 << 20)))).toMatch(/^IMAGE_BAD .*not JSON/);
    expect(await errorOf(index('{"manifests":'))).toMatch(/^IMAGE_BAD .*not JSON/);
    expect(await errorOf(index(Buffer.from([0x22, 0xff, 0x22])))).toMatch(/^IMAGE_BAD .*not JSON/);
    expect(await errorOf(index('[]'))).toMatch(/^IMAGE_BAD .*not an object/);
    expect(await errorOf(index(''))).toMatch(/^IMAGE_BAD .*not JSON/);
  });

  it('documents that are FIFOs or directories do not hold us', async () => {
    const folder = layout().write();
    renameSync(join(folder, 'index.json'), join(folder, 'x'));
    execFileSync('mkfifo', [join(folder, 'index.json')]);
    expect(await errorOf(folder)).toMatch(/^IMAGE_BAD .*not a file/);
    const other = layout().write();
    renameSync(join(other, 'index.json'), join(other, 'x'));
    mkdirSync(join(other, 'index.json'));
    expect(await errorOf(other)).toMatch(/^IMAGE_BAD .*not a file/);
  });

  it('docker archives: missing layers, links in a circle or out of the archive, no list', async () => {
    const config = JSON.stringify(configOf([layers[0] as { tar: Buffer }]));
    const archive = (layer: string, links: Record<string, string> = {}): string =>
      written(archiveOf({ 'c.json': config, 'manifest.json': JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: [layer] }]) }, links));
    expect(await errorOf(archive('l.tar'))).toMatch(/^IMAGE_BAD .*"l.tar" is missing/);
    expect(await errorOf(archive('/etc/passwd'))).toMatch(/^IMAGE_BAD .*is missing/);
    expect(await errorOf(archive('a', { a: 'b', b: 'a' }))).toMatch(/^IMAGE_BAD .*"a" is missing/);
    expect(await errorOf(archive('a', { a: '../../etc/passwd' }))).toMatch(/^IMAGE_BAD .*"a" is missing/);
    expect(await errorOf(written(archiveOf({ 'manifest.json': '[]' })))).toMatch(/^IMAGE_BAD .*lists no image/);
    expect(await errorOf(written(archiveOf({ 'manifest.json': '{}' })))).toMatch(/^IMAGE_BAD .*lists no image/);
  });

  it.each<[string, () => string, RegExp]>([
    ['a program', () => '/proc/self/exe', /^IMAGE_BAD .*program/],
    ['an empty file', () => written(''), /^IMAGE_BAD .*empty/],
    ['a text', () => written('hello, world\n'.repeat(100)), /^IMAGE_TAR_HEADER/],
    ['one byte', () => written('x'), /^IMAGE_TAR_TRUNCATED/],
    ['zeros only', () => written(Buffer.alloc(10240)), /^IMAGE_BAD .*without a single member/],
    ['gzip of nothing', () => written(gzipSync('')), /^IMAGE_(BAD|TAR_TRUNCATED)/],
    ['gzip cut off', () => written(gzipSync(Buffer.alloc(100_000)).subarray(0, 40)), /^IMAGE_COMPRESSED/],
    ['a device', () => '/dev/null', /^IMAGE_OPEN .*neither/],
    ['a missing file', () => path('nowhere'), /^IMAGE_OPEN .*does not exist/],
    ['a file as a folder', () => '/etc/passwd/x', /^IMAGE_OPEN .*ENOTDIR/],
    ['a path that is too long', () => `/${'x/'.repeat(3000)}`, /^IMAGE_OPEN .*ENAMETOOLONG/],
    ['a file where a layout belongs', () => `oci:${written('x')}`, /^IMAGE_OPEN .*not a directory/],
    ['a directory where an archive belongs', () => `docker-archive:${FOLDER}`, /^IMAGE_OPEN .*is a directory/],
    ['a directory that is no layout', () => `oci:${FOLDER}`, /^IMAGE_BAD .*not an OCI layout/],
    ['an archive that is no OCI archive', () => `oci-archive:${written(tarOf(dir({ x: file('') })))}`, /^IMAGE_BAD .*index.json.* is missing/],
    ['a link in a circle', () => { const at = path('loop'); symlinkSync(at, at); return at; }, /^IMAGE_OPEN .*ELOOP/],
    ['a FIFO', () => { const at = path('fifo'); execFileSync('mkfifo', [at]); return at; }, /^IMAGE_OPEN .*neither/],
    ['a name that nobody gave', () => 'no-such-image', /^IMAGE_NOT_FOUND/],
    ['an empty tag', () => 'oci:/x:', /^IMAGE_REFERENCE .*empty tag/],
    ['no path', () => 'dir:', /^IMAGE_REFERENCE .*no file/],
    ['nothing', () => '', /^IMAGE_REFERENCE .*empty/],
  ])('%s is no image', async (_, make, message) => {
    expect(await errorOf(make())).toMatch(message);
  });

  it('links of a tar lead nowhere outside the image', async () => {
    const image = await fresh(written(tarOf(dir({ a: symlink('../../../etc/passwd'), b: symlink('b') }))));
    expect(image.files).toEqual({ a: 'symlink', b: 'symlink' });
  });

  it('nothing is left of imports that fail', () => {
    // `errorOf` made a store for each.
    const stores = readdirSync(FOLDER).filter((name) => name.endsWith('-store'));
    expect(stores.length).toBeGreaterThan(50);
    for (const name of stores) {
      const paths = storePaths({ VMM_STORE: join(FOLDER, name) });
      const list = (folder: string): string[] => { try { return readdirSync(folder); } catch { return []; } };
      expect(list(paths.tmp)).toEqual([]);
      expect(list(paths.rootfs).filter((file) => !file.endsWith('.erofs'))).toEqual([]);
    }
  });
});
